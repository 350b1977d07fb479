"""The simulated camera: ICameraV4 without the network protocol."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Final

from alpaca_async._enums import CameraStates, GuideDirections
from alpaca_async._errors import (
    DriverException,
    InvalidOperationException,
    InvalidValueException,
)

from ._cooler import Cooler
from ._exposure import SimulatedExposure
from ._light import LightPath
from ._mount import Mount
from ._sensor import Sensor, Shot
from ._settings import CameraSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from alpaca_async._errors import AscomError

    from ._optics import Optics

_FAST_READOUT_SPEED: Final = 4.0
_FAST_READOUT_NOISE: Final = 2.0
_SET_POINT_RANGE: Final = (-60.0, 40.0)

_GUIDE_VECTORS: Final = {
    GuideDirections.NORTH: (0.0, -1.0),
    GuideDirections.SOUTH: (0.0, 1.0),
    GuideDirections.EAST: (1.0, 0.0),
    GuideDirections.WEST: (-1.0, 0.0),
}


class SimulatedCamera(CameraSettings):
    """A camera in software; it takes the keyword arguments of `CameraModel`.

    Serve it with `SimulatorServer`, or call its methods directly: each raises the `AscomError`
    that a client would get. Nothing runs in the background; the state is computed from the clock.
    With `optics`, as a `SimulatedRig` sets them, light passes a cover, a filter and a focuser.
    Guide pulses move the `mount`.
    """

    device_type: ClassVar[str] = "camera"
    optics: Optics | None = None

    def __post_init__(self) -> None:
        """Initialise the state; the cooler starts at the ambient temperature."""
        super().__post_init__()
        self._sensor: Sensor | None = None
        self._current: SimulatedExposure | None = None
        self._former: SimulatedExposure | None = None
        self._last: SimulatedExposure | None = None
        self._failure: AscomError | None = None
        self._exposure_count = 0
        self._guiding_until = 0.0
        self.mount = Mount()
        self._cooler = Cooler(
            ambient=self.ambient,
            max_cooling=self.max_cooling,
            rate=self.cooling_rate,
            settling=self.settling_time,
        )

    def on_connection_change(self) -> None:
        """Drop the exposure and reset the settings; the cooler continues."""
        self._current = self._former = self._last = None
        self._guiding_until = 0.0
        self.reset_settings()

    def fail_exposure(self, message: str = "The exposure failed", number: int = 0x500) -> None:
        """Make the next exposure end in the state Error; ImageReady then raises this error."""
        self._failure = DriverException(number, message)

    # Cooling

    @property
    def cooler(self) -> Cooler:
        """The thermal model, advanced to the current time."""
        self._cooler.advance(self.now)
        return self._cooler

    def get_ccd_temperature(self) -> float:
        """Return the sensor's temperature, °C."""
        self.require("CCDTemperature", self.has_cooler)
        return self.cooler.temperature

    def get_heat_sink_temperature(self) -> float:
        """Return the heat sink's temperature, °C."""
        self.require("HeatSinkTemperature", self.has_cooler and self.can_set_ccd_temperature)
        return self.cooler.heat_sink_temperature

    def get_cooler_on(self) -> bool:
        """Return whether the cooler is on."""
        self.require("CoolerOn", self.has_cooler)
        return self.cooler.on

    def set_cooler_on(self, value: bool) -> None:
        """Switch the cooler on or off."""
        self.require("CoolerOn", self.has_cooler)
        self.cooler.on = value

    def get_cooler_power(self) -> float:
        """Return the cooler's power, percent."""
        self.require("CoolerPower", self.has_cooler and self.can_get_cooler_power)
        return self.cooler.power

    def get_set_point(self) -> float:
        """Return the set point of the cooler, °C."""
        self.require("SetCCDTemperature", self.has_cooler and self.can_set_ccd_temperature)
        return self.cooler.set_point

    def set_set_point(self, value: float) -> None:
        """Set the set point of the cooler, °C."""
        self.require("SetCCDTemperature", self.has_cooler and self.can_set_ccd_temperature)
        self.cooler.set_point = self.checked("SetCCDTemperature", value, *_SET_POINT_RANGE)

    # Exposure

    @property
    def state(self) -> CameraStates:
        """What the camera is doing."""
        return self._reported.state(self.now) if self._reported else CameraStates.IDLE

    @property
    def _reported(self) -> SimulatedExposure | None:
        """The exposure whose state clients see: within `start_lag`, the one before."""
        return self._former if self._is_starting() else self._current

    @property
    def exposure(self) -> SimulatedExposure | None:
        """The exposure in progress, or the one whose image is kept."""
        return self._current

    def get_state(self) -> CameraStates:
        """Return what the camera is doing; it must be connected."""
        self.require_connected()
        return self.state

    def get_image_ready(self) -> bool:
        """Return whether an image is ready; raise the error of a failed exposure."""
        self.require_connected()
        reported = self._reported
        if reported is None:
            return False
        if reported.failure is not None and self.state == CameraStates.ERROR:
            raise reported.failure
        return reported.is_ready(self.now)

    def get_percent_completed(self) -> int:
        """Return the progress of exposure and readout, percent."""
        self.require_connected()
        if self._reported is None or not self._is_busy():
            raise InvalidOperationException(0x40B, f"{self.name} is not exposing")
        return self._reported.percent(self.now)

    def get_last_exposure(self) -> SimulatedExposure:
        """Return the last exposure that produced an image."""
        self.require_connected()
        if self._current is not None and self._current.is_ready(self.now):
            self._last = self._current
        if self._last is None:
            raise InvalidOperationException(0x40B, f"{self.name} has not taken an image yet")
        return self._last

    def start_exposure(self, duration: float, light: bool) -> None:
        """Expose for `duration` seconds with the current settings; a dark frame may take 0 s."""
        shortest = self.exposure_min if light else 0.0
        self.checked("Duration", duration, shortest, self.exposure_max)
        self._check_axis("X", self.start_x, self.num_x, self.width // self.bin_x)
        self._check_axis("Y", self.start_y, self.num_y, self.height // self.bin_y)
        if self._is_busy():
            raise InvalidOperationException(0x40B, f"{self.name} is exposing already")
        if self._current is not None and self._current.is_ready(self.now):
            self._last = self._current
        self._former = self._current
        self._exposure_count += 1
        failure, self._failure = self._failure, None
        self._current = SimulatedExposure(
            shot=self._shot(duration, light),
            started=self.now + self.start_lag,
            started_at=datetime.now(UTC),
            readout_time=self._readout_time(),
            image_delay=self.image_delay,
            narrowest_type=self.narrowest_type,
            failure=failure,
        )

    def stop_exposure(self) -> None:
        """End the exposure early and read it out; without an exposure, do nothing."""
        self.require("StopExposure", self.can_stop_exposure)
        if self._current is not None:
            self._current.stop(self.now)

    def abort_exposure(self) -> None:
        """Discard the exposure; without an exposure, do nothing."""
        self.require("AbortExposure", self.can_abort_exposure)
        if self._current is not None and not self._current.is_ready(self.now):
            self._current = None

    def image(self) -> NDArray[Any]:
        """Return the pixels in ASCOM's axis order and transmission type; the first call is slow.

        The camera keeps this array and returns it until the next exposure. Do not write to it.
        """
        reported = self._reported
        dropped = self.drops_image_at_start and self._is_starting()
        if not self.get_image_ready() or reported is None or dropped:
            raise InvalidOperationException(0x40B, f"{self.name} has no image")
        self._sensor = self._sensor or Sensor(self)
        return reported.pixels(self._sensor)

    def _is_starting(self) -> bool:
        return self._current is not None and self.now < self._current.started

    def _is_busy(self) -> bool:
        return self.state in (CameraStates.EXPOSING, CameraStates.READING)

    def _check_axis(self, axis: str, start: int, count: int, size: int) -> None:
        if start < 0 or count < 1 or start + count > size:
            raise InvalidValueException(
                0x401, f"Start{axis} {start} and Num{axis} {count} exceed {size} binned pixels"
            )

    def _shot(self, duration: float, light: bool) -> Shot:
        steps = self.exposure_resolution or 1e-9
        frame = (self.start_x, self.start_y, self.num_x, self.num_y)
        if self.ignores_subframes:
            frame = (0, 0, self.width // self.bin_x, self.height // self.bin_y)
        return Shot(
            number=self._exposure_count,
            duration=round(round(duration / steps) * steps, 9),
            light=light,
            temperature=self.cooler.temperature,
            electrons_per_adu=self.electrons_per_adu,
            offset=self.offset_adu,
            read_noise=self.read_noise * (_FAST_READOUT_NOISE if self.reads_fast else 1.0),
            bin_x=self.bin_x,
            bin_y=self.bin_y,
            start_x=frame[0],
            start_y=frame[1],
            num_x=frame[2],
            num_y=frame[3],
            pointing=(self.mount.x, self.mount.y),
            light_path=self.optics.light_path() if self.optics else LightPath(),
        )

    def _readout_time(self) -> float:
        rows = self.num_y * self.bin_y / self.height
        return self.readout_time * rows / (_FAST_READOUT_SPEED if self.reads_fast else 1.0)

    # Guiding

    def get_is_pulse_guiding(self) -> bool:
        """Return whether a guide pulse is in progress."""
        self.require("IsPulseGuiding", self.can_pulse_guide)
        return self.now < self._guiding_until

    def pulse_guide(self, direction: int, duration: int) -> None:
        """Move the sky for `duration` milliseconds."""
        self.require("PulseGuide", self.can_pulse_guide)
        self.checked("Direction", direction, 0, len(GuideDirections) - 1)
        seconds = self.checked("Duration", duration, 0, 2**31 - 1) / 1000.0
        x, y = _GUIDE_VECTORS[GuideDirections(direction)]
        moved = seconds * self.guide_rate
        self.mount.move(x * moved, y * moved)
        self._guiding_until = max(self._guiding_until, self.now + seconds)

    def answer_delay(self, verb: str, member: str) -> float:
        """Return how long to delay the answer after executing the request, in real seconds."""
        if self.pulse_guide_blocks and (verb, member) == ("PUT", "pulseguide"):
            return max(self._guiding_until - self.now, 0.0) / self.speed_up
        return super().answer_delay(verb, member)

    # Common

    def state_readers(self) -> Mapping[str, Callable[[], object]]:
        """Return the members that `DeviceState` contains."""
        return {
            "CameraState": self.get_state,
            "CCDTemperature": self.get_ccd_temperature,
            "CoolerPower": self.get_cooler_power,
            "HeatSinkTemperature": self.get_heat_sink_temperature,
            "ImageReady": self.get_image_ready,
            "IsPulseGuiding": self.get_is_pulse_guiding,
            "PercentCompleted": self.get_percent_completed,
        }

    @property
    def supported_actions(self) -> list[str]:
        """The names of the actions that `action` supports."""
        return ["Echo", "FailNextExposure"]

    def action(self, name: str, parameters: str) -> str:
        """Run an action; the case of its name does not matter."""
        self.require_connected()
        if name.lower() == "echo":
            return parameters
        if name.lower() == "failnextexposure":
            self.fail_exposure(parameters or "The exposure failed")
            return ""
        return super().action(name, parameters)

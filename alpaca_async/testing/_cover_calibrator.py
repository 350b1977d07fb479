"""The simulated cover and calibrator: ICoverCalibratorV2 without the network protocol."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple

from alpaca_async._enums import CalibratorStatus, CoverStatus

from ._core import SimulatedDevice
from ._motion import Motion, at_rest, speed_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_CLOSED: Final = 0.0
_OPEN: Final = 1.0


class _Light(NamedTuple):
    """What the calibrator was told to do."""

    on: bool
    brightness: int


@dataclass(kw_only=True, eq=False, repr=False)
class SimulatedCoverCalibrator(SimulatedDevice):
    """A cover with a light for flat fields, in software."""

    device_type: ClassVar[str] = "covercalibrator"

    name: str = "Simulated cover"
    description: str = "A cover and calibrator without hardware"
    interface_version: int = 2
    """1 or 2."""
    has_cover: bool = True
    has_calibrator: bool = True
    initially_open: bool = True
    opening_time: float = 2.0
    """Seconds from closed to open, and back."""
    can_halt: bool = True
    max_brightness: int = 100
    warm_up_time: float = 1.0
    """Seconds until the calibrator is ready, and until it is off."""
    flat_rate: float = 5000.0
    """Electrons per pixel and second of an unfiltered sensor at the largest brightness."""

    def __post_init__(self) -> None:
        """Start at rest, with the calibrator off."""
        super().__post_init__()
        speed = speed_of(_OPEN - _CLOSED, self.opening_time)
        self._motion = at_rest(_OPEN if self.initially_open else _CLOSED, speed)
        self._former = self._commanded = _Light(on=False, brightness=0)
        self._changes_from = self._steady_from = 0.0
        """When the calibrator begins to change, and when it has its brightness."""

    @property
    def covers(self) -> bool:
        """Whether the cover keeps out the light of the sky: it is not fully open."""
        return self.has_cover and self._motion.position(self.now) < _OPEN

    @property
    def flat(self) -> float:
        """The light of the calibrator, in electrons per pixel and second.

        A calibrator inside a cover shines into the telescope only when that is closed.
        """
        shines = not self.has_cover or self._motion.position(self.now) == _CLOSED
        return self.flat_rate * self._light.brightness / self.max_brightness if shines else 0.0

    # Cover

    def get_cover_state(self) -> CoverStatus:
        """Return the state of the cover."""
        if not self.has_cover:
            return CoverStatus.NOT_PRESENT
        if self._motion.is_moving(self.now):
            return CoverStatus.MOVING
        states = {_CLOSED: CoverStatus.CLOSED, _OPEN: CoverStatus.OPEN}
        return states.get(self._motion.position(self.now), CoverStatus.UNKNOWN)

    def get_cover_moving(self) -> bool:
        """Return whether the cover moves."""
        return self.has_cover and self._motion.is_moving(self.now)

    def open_cover(self) -> None:
        """Start to open the cover."""
        self._move("OpenCover", _OPEN)

    def close_cover(self) -> None:
        """Start to close the cover."""
        self._move("CloseCover", _CLOSED)

    def halt_cover(self) -> None:
        """Stop the cover where it is."""
        self.require("HaltCover", self.has_cover and self.can_halt)
        self._motion = self._motion.stopped(self.now)

    def _move(self, member: str, goal: float) -> None:
        self.require(member, self.has_cover)
        start = self._motion.position(self.now)
        self._motion = Motion(start, goal, self._motion.speed, self.now + self.start_lag)

    # Calibrator

    def get_calibrator_state(self) -> CalibratorStatus:
        """Return the state of the calibrator."""
        if not self.has_calibrator:
            return CalibratorStatus.NOT_PRESENT
        if self.get_calibrator_changing():
            return CalibratorStatus.NOT_READY
        return CalibratorStatus.READY if self._light.on else CalibratorStatus.OFF

    def get_calibrator_changing(self) -> bool:
        """Return whether the brightness changes."""
        return self.has_calibrator and self._changes_from <= self.now < self._steady_from

    def get_brightness(self) -> int:
        """Return the brightness."""
        self.require("Brightness", self.has_calibrator)
        return self._light.brightness

    def get_max_brightness(self) -> int:
        """Return the largest brightness."""
        self.require("MaxBrightness", self.has_calibrator)
        return self.max_brightness

    def calibrator_on(self, brightness: int) -> None:
        """Turn the calibrator on, or to another brightness."""
        self.require("CalibratorOn", self.has_calibrator)
        checked = self.checked("Brightness", brightness, 0, self.max_brightness)
        self._set_light(_Light(on=True, brightness=checked))

    def calibrator_off(self) -> None:
        """Turn the calibrator off."""
        self.require("CalibratorOff", self.has_calibrator)
        self._set_light(_Light(on=False, brightness=0))

    @property
    def _light(self) -> _Light:
        return self._former if self.now < self._changes_from else self._commanded

    def _set_light(self, light: _Light) -> None:
        self._former, self._commanded = self._light, light
        self._changes_from = self.now + self.start_lag
        self._steady_from = self._changes_from + self.warm_up_time

    def state_readers(self) -> Mapping[str, Callable[[], object]]:
        """Return the members that `DeviceState` contains."""
        return {
            "Brightness": self.get_brightness,
            "CalibratorChanging": self.get_calibrator_changing,
            "CalibratorState": self.get_calibrator_state,
            "CoverMoving": self.get_cover_moving,
            "CoverState": self.get_cover_state,
        }

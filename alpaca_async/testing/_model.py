"""The models of simulated devices: their properties and physical constants."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Literal, TypeAlias

from alpaca_async._enums import SensorType

if TYPE_CHECKING:
    from collections.abc import Callable

ControlMode: TypeAlias = Literal["range", "list", "none"]
"""How gain or offset is set: as a value, as the index of a name, or not at all."""


@dataclass(kw_only=True, eq=False, repr=False)
class DeviceModel:
    """The properties that every simulated device has.

    Durations are simulated seconds; `speed_up` of them pass in one second of `clock`.
    """

    name: str = "Simulated device"
    unique_id: str = ""
    """If empty, a random one is chosen."""
    description: str = "A device without hardware"
    interface_version: int = 4
    """Members of later versions get HTTP 400, like unknown members."""
    initially_connected: bool = False
    connect_time: float = 0.05
    speed_up: float = 1.0
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)

    # deviations of some servers
    connected_time: float = 0.0
    """Seconds from PUT Connected, which is answered at once, until Connected is true."""
    true_word: Literal["", "true", "True"] = ""
    """The only text that means true; anything else means false, without an error. Empty for
    `true` and `false` in upper or lower case."""
    start_lag: float = 0.0
    """Seconds after a command that starts something in which the device reports the state before:
    for a camera, state and image of the exposure before."""

    def __post_init__(self) -> None:
        """Choose a random `unique_id` if there is none."""
        self.unique_id = self.unique_id or str(uuid.uuid4())

    def __repr__(self) -> str:
        """Return the arguments that are not the default ones."""
        arguments = ((each, getattr(self, each.name)) for each in fields(self) if each.repr)
        given = (f"{each.name}={value!r}" for each, value in arguments if value != each.default)
        return f"{type(self).__name__}({', '.join(given)})"


@dataclass(kw_only=True, eq=False, repr=False)
class CameraModel(DeviceModel):
    """The properties of a simulated camera.

    Sizes are in unbinned pixels, charges in electrons, temperatures in °C.
    """

    name: str = "Simulated camera"
    description: str = "A camera without hardware"
    interface_version: int = 4
    """2, 3 or 4; members of later versions get HTTP 400, like unknown members."""
    seed: int = 0
    """Seeds the sky, the hot pixels and the noise of every frame."""

    # sensor
    sensor: SensorType = SensorType.MONOCHROME
    sensor_name: str = "SIM1280"
    width: int = 1280
    height: int = 960
    pixel_size: float = 3.76
    """Micrometres."""
    bayer_offset_x: int = 0
    bayer_offset_y: int = 0
    max_adu: int = 65535
    full_well: float = 60000.0
    base_electrons_per_adu: float = 1.0
    """At gain 0, or at the first gain of the list."""
    read_noise: float = 3.0
    dark_current: float = 0.05
    """Electrons per pixel and second at 0 °C; doubles every 6 °C."""
    hot_pixel_fraction: float = 1e-4
    noise: bool = True
    """If false, each pixel has its expected value."""

    # sky
    stars: int = 400
    seeing: float = 3.0
    """Full width at half maximum of a star, in pixels."""
    sky_brightness: float = 3.0
    """Electrons per pixel and second of an unfiltered sensor."""
    drift: float = 0.3
    """Standard deviation of the random shift of each frame, in pixels per axis."""
    guide_rate: float = 2.0
    """Pixels that the sky moves per second of a guide pulse."""

    # controls
    gain_mode: ControlMode = "range"
    gain_range: tuple[int, int] = (0, 300)
    """In 0.1 dB, as in many drivers."""
    gain_names: tuple[str, ...] = ("Low", "Medium", "High")
    """Each gain is twice as sensitive as the previous one."""
    offset_mode: ControlMode = "range"
    offset_range: tuple[int, int] = (0, 1000)
    """ADU added to every pixel."""
    offset_names: tuple[str, ...] = ("Low", "Normal", "High")
    """100, 200, 300... ADU."""
    default_offset: int = 100
    readout_modes: tuple[str, ...] = ("High quality", "Fast")
    """Every mode except the first reads four times faster with twice the noise."""
    max_bin: int = 4
    binning: Literal["sum", "average"] = "sum"
    has_shutter: bool = True
    """If false, dark frames are exposed to light."""
    has_sub_exposures: bool = True
    can_abort_exposure: bool = True
    can_stop_exposure: bool = True
    can_asymmetric_bin: bool = True
    can_fast_readout: bool = False
    """If true, FastReadout replaces the readout modes, as ICameraV4 requires."""
    can_pulse_guide: bool = True
    pulse_guide_blocks: bool = False
    """Whether PulseGuide is answered only after the pulse."""

    # cooling
    has_cooler: bool = True
    can_set_ccd_temperature: bool = True
    can_get_cooler_power: bool = True
    ambient: float = 15.0
    max_cooling: float = 45.0
    """Degrees below ambient at full power."""
    cooling_rate: float = 0.25
    """Maximum, in degrees per second."""
    settling_time: float = 20.0
    """Time constant of the exponential approach to the set point, in seconds."""

    # exposures
    exposure_min: float = 0.001
    exposure_max: float = 3600.0
    exposure_resolution: float = 0.001
    readout_time: float = 0.1
    """Seconds for the full frame; a subframe takes time in proportion to its rows."""
    image_delay: float = 0.0
    """Seconds in state Idle after the readout until the image is ready; `inf` for never."""

    # deviations of some servers
    narrowest_type: bool = False
    """Whether each image is sent in the narrowest of Byte, Int16, UInt16 and Int32 that holds its
    pixels, so that the type changes from frame to frame. Otherwise `max_adu` decides."""
    drops_image_at_start: bool = False
    """Whether the former image cannot be read during `start_lag`, although ImageReady is true."""
    frame_lag: float = 0.0
    """Seconds until the server knows a new frame. Until then it reports the former one, and each
    change also sets the other values of its group (binning, subframe) to what is reported."""
    divides_frame: bool = False
    """Whether NumX and NumY are set in unbinned pixels, although they are read in binned ones."""
    ignores_binning: bool = False
    """Whether BinX and BinY cannot be changed, although no error says so."""
    ignores_subframes: bool = False
    """Whether the camera ignores StartX, StartY, NumX and NumY and delivers the full frame."""
    swaps_axes: bool = False
    """Whether images have the axes `[y, x]`, in violation of ASCOM's rules."""

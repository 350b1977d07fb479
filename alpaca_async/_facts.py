"""Records of the facts of a camera and of an exposure, without I/O.

No `from __future__ import annotations`: web frameworks evaluate the annotations in modules that
do not import these names.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from ._enums import CameraStates, SensorType
from ._tables import ShownAsTable


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraInfo(ShownAsTable):
    """The constant facts of a camera; None for what it does not implement."""

    name: str | None = None
    unique_id: str | None = None
    driver_version: str | None = None
    interface_version: int | None = None
    sensor_name: str | None = None
    sensor_type: SensorType | None = None
    camera_x_size: int | None = None
    """Unbinned pixels."""
    camera_y_size: int | None = None
    """Unbinned pixels."""
    pixel_size_x: float | None = None
    """Micrometres, unbinned."""
    pixel_size_y: float | None = None
    """Micrometres, unbinned."""
    bayer_offset_x: int | None = None
    bayer_offset_y: int | None = None
    max_adu: int | None = None
    exposure_min: float | None = None
    """Seconds."""
    exposure_max: float | None = None
    """Seconds."""
    max_bin_x: int | None = None
    max_bin_y: int | None = None
    has_shutter: bool | None = None
    can_abort_exposure: bool | None = None
    can_stop_exposure: bool | None = None
    can_asymmetric_bin: bool | None = None
    can_fast_readout: bool | None = None
    can_get_cooler_power: bool | None = None
    can_pulse_guide: bool | None = None
    can_set_ccd_temperature: bool | None = None
    readout_modes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraSettings(ShownAsTable):
    """The settings of a camera, and what depends on them; None for what it does not implement."""

    bin_x: int | None = None
    bin_y: int | None = None
    start_x: int | None = None
    """Binned pixels."""
    start_y: int | None = None
    """Binned pixels."""
    num_x: int | None = None
    """Binned pixels."""
    num_y: int | None = None
    """Binned pixels."""
    gain: int | None = None
    """The value, or the index into the camera's list of names."""
    offset: int | None = None
    """The value, or the index into the camera's list of names."""
    electrons_per_adu: float | None = None
    readout_mode: int | None = None
    """The index into `CameraInfo.readout_modes`."""
    ccd_temperature_setpoint: float | None = None
    """°C."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraStatus(ShownAsTable):
    """A snapshot of a camera's state; None for what it does not, or cannot now, report."""

    camera_state: CameraStates | None = None
    image_ready: bool | None = None
    ccd_temperature: float | None = None
    """°C."""
    cooler_power: float | None = None
    """Percent."""
    percent_completed: int | None = None
    """Of exposure and readout, 0 to 100."""
    heat_sink_temperature: float | None = None
    """°C."""
    is_pulse_guiding: bool | None = None
    cooler_on: bool | None = None
    timestamp: datetime | None = None
    """UTC, by the device's clock."""

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as types that JSON can hold: numbers, booleans, strings, None."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        if self.timestamp is not None:
            values["timestamp"] = self.timestamp.isoformat()
        return values


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """How an image was exposed; None for what the camera does not report."""

    duration: float
    """Seconds, as requested."""
    light: bool
    started: datetime
    """UTC, by the clock of this computer: the middle of the StartExposure request."""
    started_uncertainty: float
    """Seconds: half the duration of the StartExposure request."""
    last_exposure_start_time: str | None = None
    """UTC, by the camera's clock, unchanged as the camera sent it."""
    last_exposure_duration: float | None = None
    """Seconds, by the camera's clock."""
    stopped_after: float | None = None
    """Seconds from the start to StopExposure, by the clock of this computer; None: not stopped."""
    ccd_temperature: float | None = None
    """°C, read during the exposure."""
    cooler_power: float | None = None
    """Percent, read during the exposure."""
    info: CameraInfo = field(default_factory=CameraInfo)
    settings: CameraSettings = field(default_factory=CameraSettings)
    failures: tuple[str, ...] = ()
    """Why the exposure was repeated, or its image downloaded again, for each failed attempt."""
    start_decimals: int = 0
    """Decimals of a second that the camera's start times have shown so far.

    They tell a clock of whole seconds from one of milliseconds that shows zeros by chance.
    """
    header: Mapping[str, Any] = field(default_factory=dict[str, Any], hash=False)
    """The FITS keywords that the caller passed to `expose`."""

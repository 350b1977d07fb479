"""The settings of a simulated camera, except those of its cooler."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from alpaca_async._enums import SensorType

from ._core import SimulatedDevice
from ._model import CameraModel

if TYPE_CHECKING:
    from ._model import ControlMode


_BINNING: Final = ("bin_x", "bin_y")
_SUBFRAME: Final = ("start_x", "start_y", "num_x", "num_y")


class FrameValues(NamedTuple):
    """Binning and subframe."""

    bin_x: int
    bin_y: int
    start_x: int
    start_y: int
    num_x: int
    num_y: int


class CameraSettings(SimulatedDevice, CameraModel):
    """Frame, gain, offset and readout; they are reset when the camera connects or disconnects."""

    def __post_init__(self) -> None:
        """Set the defaults."""
        super().__post_init__()
        self.reset_settings()

    def reset_settings(self) -> None:
        """Reset to the full frame and the default gain, offset and readout."""
        self.bin_x = self.bin_y = 1
        self.start_x = self.start_y = 0
        self.num_x, self.num_y = self.width, self.height
        self._former_frames: list[tuple[float, FrameValues]] = []
        self.gain = self.gain_range[0] if self.gain_mode == "range" else 0
        self.offset = self.default_offset if self.offset_mode == "range" else 0
        self.readout_mode = 0
        self.fast_readout = False
        self.sub_exposure_duration = 0.0

    # Frame

    @property
    def frame(self) -> FrameValues:
        """The frame of the next exposure."""
        return FrameValues(*(getattr(self, name) for name in FrameValues._fields))

    @property
    def reported_frame(self) -> FrameValues:
        """The frame that clients read: the one of `frame_lag` seconds ago."""
        known_until = self.now - self.frame_lag
        former = (frame for changed, frame in self._former_frames if changed > known_until)
        return next(former, self.frame)

    def set_bin_x(self, value: int) -> None:
        """Set the binning of columns, and of rows if the camera cannot bin asymmetrically."""
        self._set_binning("bin_x", self.checked("BinX", value, 1, self.max_bin))

    def set_bin_y(self, value: int) -> None:
        """Set the binning of rows, and of columns if the camera cannot bin asymmetrically."""
        self._set_binning("bin_y", self.checked("BinY", value, 1, self.max_bin))

    def set_start_x(self, value: int) -> None:
        """Set the first column; it is checked when an exposure starts."""
        self._set_frame(_SUBFRAME, "start_x", value)

    def set_start_y(self, value: int) -> None:
        """Set the first row; it is checked when an exposure starts."""
        self._set_frame(_SUBFRAME, "start_y", value)

    def set_num_x(self, value: int) -> None:
        """Set the width; it is checked when an exposure starts."""
        size = value // self.bin_x if self.divides_frame else value
        self._set_frame(_SUBFRAME, "num_x", size)

    def set_num_y(self, value: int) -> None:
        """Set the height; it is checked when an exposure starts."""
        size = value // self.bin_y if self.divides_frame else value
        self._set_frame(_SUBFRAME, "num_y", size)

    def _set_binning(self, name: str, value: int) -> None:
        if self.ignores_binning:
            return
        if self.can_asymmetric_bin:
            self._set_frame(_BINNING, name, value)
        else:
            self.bin_x = self.bin_y = value

    def _set_frame(self, group: tuple[str, ...], name: str, value: int) -> None:
        """Set a value, and the others of its group to what is reported."""
        self.require_connected()
        now, reported = self.now, self.reported_frame
        recent = [each for each in self._former_frames if each[0] > now - self.frame_lag]
        self._former_frames = [*recent, (now, self.frame)]
        for other in group:
            setattr(self, other, getattr(reported, other))
        setattr(self, name, value)

    def bayer_offset(self, value: int) -> int:
        """Return `value`; raise `NotImplementedException` for a sensor without colour matrix."""
        self.require("BayerOffset", self.sensor not in (SensorType.MONOCHROME, SensorType.COLOR))
        return value

    # Gain, offset, readout

    @property
    def electrons_per_adu(self) -> float:
        """Electrons per ADU at the current gain."""
        if self.gain_mode == "list":
            return self.base_electrons_per_adu / (1 << self.gain)
        return float(self.base_electrons_per_adu / 10.0 ** (self.gain / 200.0))

    @property
    def offset_adu(self) -> int:
        """The ADU that the current offset adds to every pixel."""
        if self.offset_mode == "list":
            return self.default_offset * (self.offset + 1)
        return self.offset if self.offset_mode == "range" else self.default_offset

    @property
    def full_well_capacity(self) -> float:
        """Full well capacity at the current binning, electrons."""
        return self.full_well * (self.bin_x * self.bin_y if self.binning == "sum" else 1)

    def get_gain(self) -> int:
        """Return the value, or in list mode the index of the name."""
        self.require("Gain", self.gain_mode != "none")
        return self.gain

    def set_gain(self, value: int) -> None:
        """Set the value, or in list mode the index of the name."""
        self.gain = self._checked_control(
            "Gain", value, self.gain_mode, self.gain_range, self.gain_names
        )

    def get_gain_range(self) -> tuple[int, int]:
        """Return the lowest and the highest gain."""
        self.require("GainMin and GainMax", self.gain_mode == "range")
        return self.gain_range

    def get_gains(self) -> list[str]:
        """Return the names of the gains."""
        self.require("Gains", self.gain_mode == "list")
        return list(self.gain_names)

    def get_offset(self) -> int:
        """Return the value, or in list mode the index of the name."""
        self.require("Offset", self.offset_mode != "none")
        return self.offset

    def set_offset(self, value: int) -> None:
        """Set the value, or in list mode the index of the name."""
        self.offset = self._checked_control(
            "Offset", value, self.offset_mode, self.offset_range, self.offset_names
        )

    def get_offset_range(self) -> tuple[int, int]:
        """Return the lowest and the highest offset."""
        self.require("OffsetMin and OffsetMax", self.offset_mode == "range")
        return self.offset_range

    def get_offsets(self) -> list[str]:
        """Return the names of the offsets."""
        self.require("Offsets", self.offset_mode == "list")
        return list(self.offset_names)

    def get_readout_modes(self) -> list[str]:
        """Return the names of the readout modes."""
        self.require("ReadoutModes", not self.can_fast_readout)
        return list(self.readout_modes)

    def get_readout_mode(self) -> int:
        """Return the index of the readout mode."""
        self.require("ReadoutMode", not self.can_fast_readout)
        return self.readout_mode

    def set_readout_mode(self, value: int) -> None:
        """Choose a readout mode by its index."""
        self.require("ReadoutMode", not self.can_fast_readout)
        self.readout_mode = self.checked("ReadoutMode", value, 0, len(self.readout_modes) - 1)

    def get_fast_readout(self) -> bool:
        """Return whether fast readout is on."""
        self.require("FastReadout", self.can_fast_readout)
        return self.fast_readout

    def set_fast_readout(self, value: bool) -> None:
        """Switch fast readout: four times faster, with twice the noise."""
        self.require("FastReadout", self.can_fast_readout)
        self.fast_readout = value

    def get_sub_exposure_duration(self) -> float:
        """Return the length of the sub-exposures that the camera adds up, seconds."""
        self.require("SubExposureDuration", self.has_sub_exposures)
        return self.sub_exposure_duration

    def set_sub_exposure_duration(self, value: float) -> None:
        """Set the length of the sub-exposures that the camera adds up, seconds."""
        self.require("SubExposureDuration", self.has_sub_exposures)
        self.sub_exposure_duration = self.checked(
            "SubExposureDuration", value, 0.0, self.exposure_max
        )

    @property
    def reads_fast(self) -> bool:
        """Whether the current readout is the fast and noisy one."""
        return self.fast_readout or self.readout_mode > 0

    def _checked_control(
        self,
        member: str,
        value: int,
        mode: ControlMode,
        limits: tuple[int, int],
        names: tuple[str, ...],
    ) -> int:
        self.require(member, mode != "none")
        return self.checked(member, value, *(limits if mode == "range" else (0, len(names) - 1)))

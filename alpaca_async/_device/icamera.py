"""ICameraV4: one coroutine for each member of ASCOM's camera interface, grouped by topic.

Each may raise `NotImplementedException` (the camera lacks it), `NotConnectedException`,
`DriverException`, `RequestRejected`, `MalformedResponse` or `TransportError`; setters also
`InvalidValueException`. A value of the wrong Python type raises before any request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from alpaca_async._enums import CameraStates, GuideDirections, SensorType
from alpaca_async._errors import AlpacaError, InvalidValueException, TransportTimeout
from alpaca_async._loops import running_loop
from alpaca_async._protocol.values import (
    check_bool,
    check_duration,
    check_float,
    check_int,
    decode_percent,
    decode_strings,
)

from .device import AsyncDevice
from .exposure_log import check_limits

if TYPE_CHECKING:
    from alpaca_async._session.error_mapping import Attempt
    from alpaca_async._session.session import Session

    from .exposure_log import StartedExposure


class ICameraV4(AsyncDevice):
    """The members of a camera, each one request."""

    def __init__(
        self, address: str, device_number: int = 0, *, client: Session | None = None
    ) -> None:
        super().__init__(address, "camera", device_number, client=client)

    # the sensor

    async def get_camera_x_size(self) -> int:
        """The width of the sensor, in unbinned pixels."""
        return await self._get("CameraXSize", int)

    async def get_camera_y_size(self) -> int:
        """The height of the sensor, in unbinned pixels."""
        return await self._get("CameraYSize", int)

    async def get_pixel_size_x(self) -> float:
        """The width of a pixel, in micrometres, unbinned."""
        return await self._get("PixelSizeX", float)

    async def get_pixel_size_y(self) -> float:
        """The height of a pixel, in micrometres, unbinned."""
        return await self._get("PixelSizeY", float)

    async def get_sensor_name(self) -> str:
        """The name of the sensor, such as `IMX455`; may be empty."""
        return await self._get("SensorName", str)

    async def get_sensor_type(self) -> SensorType:
        """The colour filters of the sensor."""
        return await self._get("SensorType", SensorType)

    async def get_bayer_offset_x(self) -> int:
        """The column of the Bayer matrix at sensor pixel 0; subframes do not change it."""
        return await self._get("BayerOffsetX", int)

    async def get_bayer_offset_y(self) -> int:
        """The row of the Bayer matrix at sensor pixel 0; subframes do not change it."""
        return await self._get("BayerOffsetY", int)

    async def get_max_adu(self) -> int:
        """The largest pixel value, in ADU."""
        return await self._get("MaxADU", int)

    async def get_full_well_capacity(self) -> float:
        """The full well capacity of a pixel, in electrons, at the current gain."""
        return await self._get("FullWellCapacity", float)

    async def get_electrons_per_adu(self) -> float:
        """The conversion gain, in electrons per ADU."""
        return await self._get("ElectronsPerADU", float)

    async def get_has_shutter(self) -> bool:
        """Whether there is a mechanical shutter; without one, darks need a cover."""
        return await self._get("HasShutter", bool)

    # what the camera can do

    async def get_can_abort_exposure(self) -> bool:
        """Whether `abort_exposure` works."""
        return await self._get("CanAbortExposure", bool)

    async def get_can_asymmetric_bin(self) -> bool:
        """Whether the two binning factors may differ."""
        return await self._get("CanAsymmetricBin", bool)

    async def get_can_fast_readout(self) -> bool:
        """Whether there is a fast readout."""
        return await self._get("CanFastReadout", bool)

    async def get_can_get_cooler_power(self) -> bool:
        """Whether the cooler's power can be read."""
        return await self._get("CanGetCoolerPower", bool)

    async def get_can_pulse_guide(self) -> bool:
        """Whether `pulse_guide` works."""
        return await self._get("CanPulseGuide", bool)

    async def get_can_set_ccd_temperature(self) -> bool:
        """Whether the cooler has a set point."""
        return await self._get("CanSetCCDTemperature", bool)

    async def get_can_stop_exposure(self) -> bool:
        """Whether `stop_exposure` works."""
        return await self._get("CanStopExposure", bool)

    async def get_max_bin_x(self) -> int:
        """The largest horizontal binning factor."""
        return await self._get("MaxBinX", int)

    async def get_max_bin_y(self) -> int:
        """The largest vertical binning factor."""
        return await self._get("MaxBinY", int)

    async def get_exposure_min(self) -> float:
        """The shortest exposure, in seconds."""
        return await self._get("ExposureMin", float)

    async def get_exposure_max(self) -> float:
        """The longest exposure, in seconds."""
        return await self._get("ExposureMax", float)

    async def get_exposure_resolution(self) -> float:
        """The step of exposure times, in seconds; 0 if there is none."""
        return await self._get("ExposureResolution", float)

    # the frame

    async def get_bin_x(self) -> int:
        """The horizontal binning factor, from 1."""
        return await self._get("BinX", int)

    async def set_bin_x(self, bin_x: int) -> None:
        """Set the horizontal binning factor, from 1."""
        await self._set("BinX", check_int("bin_x", bin_x))

    async def get_bin_y(self) -> int:
        """The vertical binning factor, from 1."""
        return await self._get("BinY", int)

    async def set_bin_y(self, bin_y: int) -> None:
        """Set the vertical binning factor, from 1."""
        await self._set("BinY", check_int("bin_y", bin_y))

    async def get_start_x(self) -> int:
        """The first column of the subframe, in binned pixels."""
        return await self._get("StartX", int)

    async def set_start_x(self, start_x: int) -> None:
        """Set the first column of the subframe, in binned pixels."""
        await self._set("StartX", check_int("start_x", start_x))

    async def get_start_y(self) -> int:
        """The first row of the subframe, in binned pixels."""
        return await self._get("StartY", int)

    async def set_start_y(self, start_y: int) -> None:
        """Set the first row of the subframe, in binned pixels."""
        await self._set("StartY", check_int("start_y", start_y))

    async def get_num_x(self) -> int:
        """The width of the subframe, in binned pixels."""
        return await self._get("NumX", int)

    async def set_num_x(self, num_x: int) -> None:
        """Set the width of the subframe, in binned pixels."""
        await self._set("NumX", check_int("num_x", num_x))

    async def get_num_y(self) -> int:
        """The height of the subframe, in binned pixels."""
        return await self._get("NumY", int)

    async def set_num_y(self, num_y: int) -> None:
        """Set the height of the subframe, in binned pixels."""
        await self._set("NumY", check_int("num_y", num_y))

    # gain, offset and readout

    async def get_gain(self) -> int:
        """The gain: a value, or an index into `get_gains`."""
        return await self._get("Gain", int)

    async def set_gain(self, gain: int) -> None:
        """Set the gain: a value, or an index into `get_gains`."""
        await self._set("Gain", check_int("gain", gain))

    async def get_gain_min(self) -> int:
        """The smallest gain, for cameras whose gain is a value."""
        return await self._get("GainMin", int)

    async def get_gain_max(self) -> int:
        """The largest gain, for cameras whose gain is a value."""
        return await self._get("GainMax", int)

    async def get_gains(self) -> list[str]:
        """The names of the gains, for cameras whose gain is an index."""
        return await self._read("Gains", decode_strings)

    async def get_offset(self) -> int:
        """The offset: a value, or an index into `get_offsets`."""
        return await self._get("Offset", int)

    async def set_offset(self, offset: int) -> None:
        """Set the offset: a value, or an index into `get_offsets`."""
        await self._set("Offset", check_int("offset", offset))

    async def get_offset_min(self) -> int:
        """The smallest offset, for cameras whose offset is a value."""
        return await self._get("OffsetMin", int)

    async def get_offset_max(self) -> int:
        """The largest offset, for cameras whose offset is a value."""
        return await self._get("OffsetMax", int)

    async def get_offsets(self) -> list[str]:
        """The names of the offsets, for cameras whose offset is an index."""
        return await self._read("Offsets", decode_strings)

    async def get_readout_mode(self) -> int:
        """The readout mode, an index into `get_readout_modes`."""
        return await self._get("ReadoutMode", int)

    async def set_readout_mode(self, readout_mode: int) -> None:
        """Set the readout mode, an index into `get_readout_modes`."""
        await self._set("ReadoutMode", check_int("readout_mode", readout_mode))

    async def get_readout_modes(self) -> list[str]:
        """The names of the readout modes."""
        return await self._read("ReadoutModes", decode_strings)

    async def get_fast_readout(self) -> bool:
        """Whether fast readout is on."""
        return await self._get("FastReadout", bool)

    async def set_fast_readout(self, fast_readout: bool) -> None:
        """Turn fast readout on or off."""
        await self._set_bool("FastReadout", check_bool("fast_readout", fast_readout))

    # cooling

    async def get_ccd_temperature(self) -> float:
        """The temperature of the sensor, in °C."""
        return await self._get("CCDTemperature", float)

    async def get_heat_sink_temperature(self) -> float:
        """The temperature of the heat sink, in °C."""
        return await self._get("HeatSinkTemperature", float)

    async def get_cooler_on(self) -> bool:
        """Whether the cooler is on."""
        return await self._get("CoolerOn", bool)

    async def set_cooler_on(self, cooler_on: bool) -> None:
        """Turn the cooler on or off."""
        await self._set_bool("CoolerOn", check_bool("cooler_on", cooler_on))

    async def get_cooler_power(self) -> float:
        """The power of the cooler, in percent."""
        return await self._get("CoolerPower", float)

    async def get_ccd_temperature_setpoint(self) -> float:
        """The set point of the cooler, in °C."""
        return await self._get("SetCCDTemperature", float)

    async def set_ccd_temperature_setpoint(self, temperature: float) -> None:
        """Set the set point of the cooler, in °C."""
        await self._set("SetCCDTemperature", check_float("temperature", temperature))

    # exposing

    async def get_camera_state(self) -> CameraStates:
        """What the camera is doing."""
        return await self._get("CameraState", CameraStates)

    async def get_percent_completed(self) -> int:
        """The progress of the current operation, in percent."""
        return await self._read("PercentCompleted", decode_percent)

    async def get_image_ready(self) -> bool:
        """Whether an image can be downloaded. Raises the camera's error if the exposure failed."""
        return await self._get("ImageReady", bool)

    async def get_last_exposure_duration(self) -> float:
        """The length of the last exposure, in seconds, by the camera's clock."""
        return await self._get("LastExposureDuration", float)

    async def get_last_exposure_start_time(self) -> str:
        """The start of the last exposure, UTC, as `CCYY-MM-DDThh:mm:ss[.sss]`."""
        return await self._get("LastExposureStartTime", str)

    async def get_sub_exposure_duration(self) -> float:
        """The length of a sub-exposure, in seconds."""
        return await self._get("SubExposureDuration", float)

    async def set_sub_exposure_duration(self, sub_exposure_duration: float) -> None:
        """Set the length of a sub-exposure, in seconds."""
        await self._set(
            "SubExposureDuration", check_duration("sub_exposure_duration", sub_exposure_duration)
        )

    async def start_exposure(self, duration: float, light: bool = True) -> None:
        """Start an exposure of `duration` seconds; `light=False` takes a dark frame.

        Returns when the exposure has started. Cameras check the frame settings only here.
        """
        await self._start_exposure(duration, light)

    async def stop_exposure(self) -> None:
        """End the exposure now and keep its image.

        An `expose` or `wait_image_ready` of this client then expects the image at once; one of
        another client notices only when the exposure would have been over.
        """
        exposures, sent = self._record.exposures.stop(), running_loop().time()
        await self._call("StopExposure")
        self._record.exposures.stopped(exposures, sent)

    async def abort_exposure(self) -> None:
        """End the exposure now and discard it. Does nothing if the camera is idle.

        An `expose` or `wait_image_ready` of this client that waits for the image raises
        `ExposureAborted` at once; a download that has started continues.
        """
        exposures = self._record.exposures.abort()
        await self._call("AbortExposure")
        self._record.exposures.aborted(exposures)

    async def _start_exposure(
        self, duration: float, light: bool, attempt: Attempt | None = None
    ) -> StartedExposure:
        fields = {
            "Duration": check_duration("duration", duration),
            "Light": check_bool("light", light),
        }
        try:
            check_limits(self._record.info.known, duration)
        except InvalidValueException as error:
            raise error.at(self._server, self._member("startexposure")) from None
        log, replies = self._record.exposures, self._record.start_replies
        timeouts = self._session.timeouts
        exposure = log.start(running_loop().time(), duration)
        try:
            limit = replies.limit(duration, timeouts)
            await self._call("StartExposure", fields, timeout=limit, attempt=attempt)
        except AlpacaError as error:
            if not error.outcome_unknown:
                log.ended(exposure)
            elif isinstance(error, TransportTimeout):
                replies.timed_out()
            raise
        answered = running_loop().time()
        log.started(exposure, answered)
        if not exposure.end_requested:  # which may be why it was answered now
            replies.answered(duration, answered - exposure.sent, timeouts.reply)
        return exposure

    # guiding

    async def get_is_pulse_guiding(self) -> bool:
        """Whether a guiding pulse is under way. Raises the camera's error if it failed."""
        return await self._get("IsPulseGuiding", bool)

    async def pulse_guide(self, direction: GuideDirections, duration: int) -> None:
        """Start a guiding pulse of `duration` milliseconds.

        Most cameras answer at once; some only when the pulse is over.
        """
        fields = {
            "Direction": _check_direction(direction),
            "Duration": _check_pulse(duration),
        }
        await self._call("PulseGuide", fields, timeout=duration / 1000 + self._long)


def _check_direction(direction: int) -> int:
    if check_int("direction", direction) not in set(GuideDirections):
        raise ValueError(f"direction must be one of {list(GuideDirections)}, not {direction}")
    return direction


def _check_pulse(duration: int) -> int:
    if check_int("duration", duration) < 0:
        raise ValueError(f"duration must not be negative, not {duration}")
    return duration

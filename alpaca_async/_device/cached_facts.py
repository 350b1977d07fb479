"""Facts and settings of a camera, read concurrently, and cached while they are valid."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from alpaca_async._errors import (
    AscomError,
    MalformedResponse,
    NotConnectedException,
    RequestRejected,
)
from alpaca_async._facts import CameraInfo, CameraSettings
from alpaca_async._session.management import get_configured_devices
from alpaca_async._tasks import together

from .icamera import ICameraV4
from .verbs import is_missing

if TYPE_CHECKING:
    from collections.abc import Mapping


logger = logging.getLogger("alpaca_async")

T = TypeVar("T")
Reader: TypeAlias = Callable[[], Awaitable[Any]]


class CachedFacts(ICameraV4):
    """A camera that caches its constant facts, and its settings until one is set."""

    async def get_info(self) -> CameraInfo:
        """Return the constant facts, read concurrently, then cached.

        Connecting or disconnecting the camera through this client clears the cache. Facts that
        the camera does not implement are None. If another fact could not be read, nothing is
        cached. Raises the same errors as the single members.
        """
        record = self._record
        if record.info is not None:
            return record.info
        version = record.version
        facts, final = await read_all(self._info_readers())
        info = CameraInfo(**facts)
        if final and version == record.version:
            record.info = info
        return info

    async def get_settings(self) -> CameraSettings:
        """Return the current settings, read concurrently, then cached.

        The cache is cleared when this client sends a command that may change a setting, or when
        the server seems to have restarted. It does not notice changes by other programs.
        """
        record = self._record
        if record.settings is not None:
            return record.settings
        version = record.version
        facts, _ = await read_all(self._settings_readers())
        settings = CameraSettings(**facts)
        if version == record.version:
            record.settings = settings
        return settings

    def _info_readers(self) -> dict[str, Reader]:
        return {
            "name": self.get_name,
            "unique_id": self._get_unique_id,
            "driver_version": self.get_driver_version,
            "interface_version": self.get_interface_version,
            "sensor_name": self.get_sensor_name,
            "sensor_type": self.get_sensor_type,
            "camera_x_size": self.get_camera_x_size,
            "camera_y_size": self.get_camera_y_size,
            "pixel_size_x": self.get_pixel_size_x,
            "pixel_size_y": self.get_pixel_size_y,
            "bayer_offset_x": self.get_bayer_offset_x,
            "bayer_offset_y": self.get_bayer_offset_y,
            "max_adu": self.get_max_adu,
            "exposure_min": self.get_exposure_min,
            "exposure_max": self.get_exposure_max,
            "max_bin_x": self.get_max_bin_x,
            "max_bin_y": self.get_max_bin_y,
            "has_shutter": self.get_has_shutter,
            "can_abort_exposure": self.get_can_abort_exposure,
            "can_stop_exposure": self.get_can_stop_exposure,
            "can_asymmetric_bin": self.get_can_asymmetric_bin,
            "can_fast_readout": self.get_can_fast_readout,
            "can_get_cooler_power": self.get_can_get_cooler_power,
            "can_pulse_guide": self.get_can_pulse_guide,
            "can_set_ccd_temperature": self.get_can_set_ccd_temperature,
            "readout_modes": self._get_readout_mode_names,
        }

    def _settings_readers(self) -> dict[str, Reader]:
        return {
            "bin_x": self.get_bin_x,
            "bin_y": self.get_bin_y,
            "start_x": self.get_start_x,
            "start_y": self.get_start_y,
            "num_x": self.get_num_x,
            "num_y": self.get_num_y,
            "gain": self.get_gain,
            "offset": self.get_offset,
            "electrons_per_adu": self.get_electrons_per_adu,
            "readout_mode": self.get_readout_mode,
            "ccd_temperature_setpoint": self.get_ccd_temperature_setpoint,
        }

    async def _get_readout_mode_names(self) -> tuple[str, ...]:
        return tuple(await optional(self.get_readout_modes) or ())

    async def _get_unique_id(self) -> str | None:
        for device in await get_configured_devices(self._session, self._server):
            if (device.device_type.lower(), device.device_number) == (self._type, self._number):
                return device.unique_id
        return None


async def optional(read: Callable[[], Awaitable[T]]) -> T | None:
    """Return the result of `read`; None if the device lacks the member or cannot report it."""
    value, _ = await _read_optional(read)
    return value


async def _read_optional(read: Callable[[], Awaitable[T]]) -> tuple[T | None, bool]:
    """Return the result of `read` or None, and whether it is final: it cannot change later."""
    try:
        return await read(), True
    except NotConnectedException:
        raise
    except (AscomError, RequestRejected) as error:
        return None, is_missing(error)
    except MalformedResponse as error:
        logger.info("an invalid value is treated as unknown: %s", error)
        return None, False


async def read_all(readers: Mapping[str, Reader]) -> tuple[dict[str, Any], bool]:
    """Read all of `readers` concurrently; return the values, and whether all of them are final.

    A value is None in the cases of `optional`.
    """
    results = await together(_read_optional(read) for read in readers.values())
    values = (value for value, _ in results)
    return dict(zip(readers, values, strict=True)), all(final for _, final in results)

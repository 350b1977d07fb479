"""What a camera says of itself, read concurrently and remembered for as long as it holds."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from alpaca_async._errors import (
    AscomError,
    MalformedResponse,
    NotConnectedException,
    RequestRejected,
    TransportError,
)
from alpaca_async._facts import CameraInfo, CameraSettings
from alpaca_async._session.management import get_configured_devices
from alpaca_async._tasks import together

from .device import NO_FIELDS, is_missing
from .icamera import ICameraV4

if TYPE_CHECKING:
    from collections.abc import Mapping

    from alpaca_async._protocol.envelope import Envelope
    from alpaca_async._session.error_mapping import Attempt

logger = logging.getLogger("alpaca_async")

T = TypeVar("T")
Reader: TypeAlias = Callable[[], Awaitable[Any]]

_CHANGES_NO_SETTING: Final = frozenset(
    {"StartExposure", "StopExposure", "AbortExposure", "PulseGuide"}
)
_CHANGES_THE_CONNECTION: Final = frozenset({"Connect", "Disconnect", "Connected"})
_SIGNS_OF_A_RESTART: Final = (TransportError, NotConnectedException)


class CachedFacts(ICameraV4):
    """A camera whose unchanging facts, and settings until one is set, are read only once."""

    _info: CameraInfo | None = None
    _settings: CameraSettings | None = None
    _commands = 0
    _restarts = 0
    """How often the server was seen to begin anew."""
    _answers = 0
    """The last number that the server gave to an answer."""

    async def get_info(self) -> CameraInfo:
        """Return the facts that do not change, read concurrently and then remembered.

        They are forgotten when this object connects or disconnects the camera.
        What the camera does not implement is None; if it could not tell something else, all is
        read again the next time. Errors as those of the single members.
        """
        if self._info is not None:
            return self._info
        commands = self._commands
        facts, final = await read_all(self._info_readers())
        info = CameraInfo(**facts)
        if final and commands == self._commands:
            self._info = info
        return info

    async def get_settings(self) -> CameraSettings:
        """Return the present settings, read concurrently.

        Remembered until this object sends a command that may change one, or has reason to think
        that the server was restarted; what another client changes meanwhile is not seen.
        """
        if self._settings is not None:
            return self._settings
        commands = self._commands
        facts, _ = await read_all(self._settings_readers())
        settings = CameraSettings(**facts)
        if commands == self._commands:
            self._settings = settings
        return settings

    async def _call(
        self,
        member: str,
        fields: Mapping[str, object] = NO_FIELDS,
        *,
        timeout: float | None = None,
        attempt: Attempt | None = None,
    ) -> Envelope:
        try:
            envelope = await super()._call(member, fields, timeout=timeout, attempt=attempt)
        except _SIGNS_OF_A_RESTART:
            self._forget_settings()
            raise
        finally:
            if member in _CHANGES_THE_CONNECTION:
                self._forget()
            elif member not in _CHANGES_NO_SETTING:
                self._forget_settings()
        self._follow(envelope)
        return envelope

    async def _read(self, member: str, decoder: Callable[[object], T]) -> T:
        try:
            return await super()._read(member, decoder)
        except _SIGNS_OF_A_RESTART:
            self._forget_settings()
            raise

    def _decoded(self, member: str, decoder: Callable[[object], T], envelope: Envelope) -> T:
        self._follow(envelope)
        return super()._decoded(member, decoder, envelope)

    def _follow(self, envelope: Envelope) -> None:
        """Notice a server that counts its answers from the beginning: it was restarted.

        Answers overtake each other, but not by half of all; and the ids may be missing.
        """
        number = envelope.server_transaction_id
        if 0 < number < self._answers // 2:
            self._restarts += 1
            self._forget()
        self._answers = number

    def _move_to(self, server: str, device_number: int) -> None:
        super()._move_to(server, device_number)
        self._forget()

    def _forget(self) -> None:
        """Ask anew for what was remembered: the camera may be another by now."""
        self._info = None
        self._forget_settings()

    def _forget_settings(self) -> None:
        self._settings = None
        self._commands += 1

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
    """Return what `read` does; None where the device does not have it or cannot tell."""
    value, _ = await _read_or_miss(read)
    return value


async def _read_or_miss(read: Callable[[], Awaitable[T]]) -> tuple[T | None, bool]:
    """Return what `read` does, and whether the device will not say otherwise later."""
    try:
        return await read(), True
    except NotConnectedException:
        raise
    except (AscomError, RequestRejected) as error:
        return None, is_missing(error)
    except MalformedResponse as error:
        logger.info("taken for unknown: %s", error)
        return None, False


async def read_all(readers: Mapping[str, Reader]) -> tuple[dict[str, Any], bool]:
    """Return what `readers` read at once, and whether none of it will be said otherwise later.

    What `optional` says so of is None.
    """
    results = await together(_read_or_miss(read) for read in readers.values())
    values = (value for value, _ in results)
    return dict(zip(readers, values, strict=True)), all(final for _, final in results)

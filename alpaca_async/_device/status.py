"""The status of a camera: in one request if it has DeviceState, otherwise member by member."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from alpaca_async._enums import CameraStates
from alpaca_async._errors import (
    AlpacaError,
    MalformedResponse,
    NotImplementedException,
    RequestRejected,
)
from alpaca_async._facts import CameraStatus
from alpaca_async._protocol.values import decode, decode_percent

from .cached_facts import CachedFacts, read_all
from .verbs import is_missing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

T = TypeVar("T")

_MAX_PERCENT: Final = 100
_DEVICE_STATE: Final = "device_state"

logger = logging.getLogger("alpaca_async")


class Reporting(CachedFacts):
    """A camera that reports its status."""

    async def get_status(self) -> CameraStatus:
        """Return the current status.

        Sends one request to cameras of Platform 7. On older ones it reads single members
        concurrently, in the order of the fields of `CameraStatus`, but only as many as there are
        connections to the server (4). Members that the camera lacks are skipped the next time, so
        that others are read.

        Raises:
            NotConnectedException: the camera is not connected.
        """
        status = await self._read_device_state()
        if status is None:
            return await self._read_members()
        if status == CameraStatus(timestamp=status.timestamp):
            # Cameras may leave out whatever they cannot read, so all while they are not connected.
            return replace(status, camera_state=await self.get_camera_state())
        return status

    async def _read_device_state(self) -> CameraStatus | None:
        """Return the status from DeviceState; None if the camera does not support it."""
        if self._record.has_device_state is None:
            self._record.has_device_state = await self._is_platform_7()
        if not self._record.has_device_state:
            return None
        try:
            return status_of(await self.get_device_state())
        except (NotImplementedException, RequestRejected, MalformedResponse) as error:
            if not isinstance(error, MalformedResponse) and not is_missing(error):
                raise
            self._record.has_device_state = False
            return None

    async def _try_device_state(self) -> CameraStatus | None:
        """Return the status from DeviceState; None if it fails, too.

        DeviceState is a convenience: when it fails, single members tell what the camera does. It
        is asked for again later, less often from failure to failure.
        """
        pauses = self._record.retry_pauses
        if not pauses.allows(_DEVICE_STATE):
            return None
        try:
            status = await self._read_device_state()
        except AlpacaError as error:
            logger.info("single members are read instead of DeviceState: %s", error)
            pauses.failed(_DEVICE_STATE)
            return None
        pauses.answered(_DEVICE_STATE)
        return status

    async def _read_members(self) -> CameraStatus:
        readers = {
            name: partial(self._read_and_note_missing, name, read)
            for name, read in self._status_readers().items()
            if name not in self._record.missing_members
        }
        at_once = list(readers)[: self._session.connections_per_server]
        facts, _ = await read_all({name: readers[name] for name in at_once})
        if all(value is None for value in facts.values()):
            # No camera answers yet: forget which members it seems to lack.
            self._record.forget()
            facts["camera_state"] = await self.get_camera_state()
        return CameraStatus(**facts)

    async def _read_and_note_missing(self, name: str, read: Callable[[], Awaitable[T]]) -> T:
        """Read a member; remember if the camera lacks it."""
        try:
            return await read()
        except (NotImplementedException, RequestRejected) as error:
            if is_missing(error):
                self._record.missing_members |= {name}
            raise

    def _status_readers(self) -> Mapping[str, Callable[[], Awaitable[object]]]:
        return {
            "camera_state": self.get_camera_state,
            "image_ready": self.get_image_ready,
            "ccd_temperature": self.get_ccd_temperature,
            "cooler_power": self.get_cooler_power,
            "percent_completed": partial(self._read, "PercentCompleted", _percent),
            "heat_sink_temperature": self.get_heat_sink_temperature,
            "is_pulse_guiding": self.get_is_pulse_guiding,
            "cooler_on": self.get_cooler_on,
        }


def status_of(records: Iterable[Mapping[str, Any]]) -> CameraStatus:
    """Convert the records of DeviceState; an invalid value becomes None."""
    values: dict[str, Any] = {}
    for record in records:
        name, decoder = _MEMBERS.get(str(record.get("Name")).lower(), ("", None))
        if decoder is not None:
            values[name] = _decode_or_none(decoder, record.get("Value"))
    return CameraStatus(**values)


def _decode_or_none(decoder: Callable[[object], T], raw: object) -> T | None:
    try:
        return decoder(raw)
    except (MalformedResponse, ValueError, OverflowError):
        return None


def _percent(raw: object) -> int | None:
    percent = decode_percent(raw)
    return percent if 0 <= percent <= _MAX_PERCENT else None


def _utc(raw: object) -> datetime:
    """Return a time in UTC; a time without a zone is taken as UTC."""
    time = datetime.fromisoformat(decode(str, raw))
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


_MEMBERS: Final[dict[str, tuple[str, Callable[[object], Any]]]] = {
    "camerastate": ("camera_state", partial(decode, CameraStates)),
    "imageready": ("image_ready", partial(decode, bool)),
    "ccdtemperature": ("ccd_temperature", partial(decode, float)),
    "coolerpower": ("cooler_power", partial(decode, float)),
    "percentcompleted": ("percent_completed", _percent),
    "heatsinktemperature": ("heat_sink_temperature", partial(decode, float)),
    "ispulseguiding": ("is_pulse_guiding", partial(decode, bool)),
    "cooleron": ("cooler_on", partial(decode, bool)),
    "timestamp": ("timestamp", _utc),
}

"""What a camera is doing now: in one request where it has DeviceState, else member by member."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from alpaca_async._enums import CameraStates
from alpaca_async._errors import MalformedResponse, NotImplementedException, RequestRejected
from alpaca_async._facts import CameraStatus
from alpaca_async._protocol.values import decode

from .cached_facts import CachedFacts, read_all
from .device import is_missing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

T = TypeVar("T")

_ALL: Final = 100


class Reporting(CachedFacts):
    """A camera that tells what it is doing."""

    async def get_status(self) -> CameraStatus:
        """Return what the camera is doing now.

        One request on devices of Platform 7. Older ones are asked for single members at once, as
        many as there are connections to the server (4), in the order of the fields of
        `CameraStatus`; those that the camera does not implement are left out the next time.
        """
        status = await self._ask_device_state()
        return status if status is not None else await self._read_members()

    async def _ask_device_state(self) -> CameraStatus | None:
        """Return what DeviceState tells; None if the camera has no usable one, now and later."""
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

    async def _read_members(self) -> CameraStatus:
        readers = {
            name: partial(self._remembering, name, read)
            for name, read in self._status_readers().items()
            if name not in self._record.missing_members
        }
        at_once = list(readers)[: self._session.connections_per_server]
        facts, _ = await read_all({name: readers[name] for name in at_once})
        if all(value is None for value in facts.values()):
            # There is no camera, or not yet: what it lacks, nobody knows.
            self._record.forget()
            facts["camera_state"] = await self.get_camera_state()
        return CameraStatus(**facts)

    async def _remembering(self, name: str, read: Callable[[], Awaitable[T]]) -> T:
        """Read a member; note if the camera does not have it."""
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
    """Return what DeviceState's records say; a value that makes no sense is None."""
    values: dict[str, Any] = {}
    for record in records:
        name, decoder = _MEMBERS.get(str(record.get("Name")).lower(), ("", None))
        if decoder is not None:
            values[name] = _sensible(decoder, record.get("Value"))
    return CameraStatus(**values)


def _sensible(decoder: Callable[[object], T], raw: object) -> T | None:
    try:
        return decoder(raw)
    except (MalformedResponse, ValueError, OverflowError):
        return None


def _percent(raw: object) -> int | None:
    percent = decode(int, raw)
    return percent if 0 <= percent <= _ALL else None


def _moment(raw: object) -> datetime:
    """Return a time in UTC, which is meant where no zone is named."""
    moment = datetime.fromisoformat(decode(str, raw))
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


_MEMBERS: Final[dict[str, tuple[str, Callable[[object], Any]]]] = {
    "camerastate": ("camera_state", partial(decode, CameraStates)),
    "imageready": ("image_ready", partial(decode, bool)),
    "ccdtemperature": ("ccd_temperature", partial(decode, float)),
    "coolerpower": ("cooler_power", partial(decode, float)),
    "percentcompleted": ("percent_completed", _percent),
    "heatsinktemperature": ("heat_sink_temperature", partial(decode, float)),
    "ispulseguiding": ("is_pulse_guiding", partial(decode, bool)),
    "cooleron": ("cooler_on", partial(decode, bool)),
    "timestamp": ("timestamp", _moment),
}

"""Explains errors of a device that has never answered: there may be no such device or server."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from alpaca_async._errors import AlpacaError, MalformedResponse, RequestRejected, TransportError
from alpaca_async._protocol.envelope import NOT_JSON
from alpaca_async._protocol.values import quoted

from .management import get_configured_devices

if TYPE_CHECKING:
    from .management import ConfiguredDevice, Reader

_MISSING: Final = (400, 404, 405, 501)
"""The HTTP statuses with which servers refuse devices and paths that they do not have."""

_LIMIT: Final = 2.0
"""Seconds that an explanation may take."""

_MOST_DEVICES: Final = 5
_DEVICE: Final = "api/v1/"
_NO_ALPACA: Final = (
    "this does not look like an Alpaca server: discover(), or the command 'alpaca-async discover', "
    "finds those on the network"
)


class Hints:
    """Knows which devices exist, and asks the server about others when they fail."""

    def __init__(self) -> None:
        self._existing: set[tuple[str, str]] = set()
        self._asking: set[tuple[str, str]] = set()

    def answered(self, server: str, path: str) -> None:
        """Note that the device of `path` exists."""
        self._existing.add((server, path.rpartition("/")[0]))

    async def explain(self, reader: Reader, server: str, path: str, error: AlpacaError) -> None:
        """Add to `error` what the server has, if it does not have the device of `path`.

        Of several errors at the same time only one is explained.
        """
        device = path.rpartition("/")[0]
        key = (server, device)
        if not device.startswith(_DEVICE) or key in self._existing | self._asking:
            return
        if not (_is_refusal(error) or _is_no_alpaca(error)):
            return
        self._asking.add(key)
        try:
            hint = await self._hint(reader, server, device, error)
        finally:
            self._asking.discard(key)
        if hint:
            error.append(hint)

    async def _hint(self, reader: Reader, server: str, device: str, error: AlpacaError) -> str:
        try:
            async with asyncio.timeout(_LIMIT):
                devices = await get_configured_devices(reader, server)
        except (TransportError, TimeoutError):
            return ""
        except AlpacaError as other:
            return _NO_ALPACA if _is_no_alpaca(error) and _is_no_alpaca(other) else ""
        device_type, _, number = device.removeprefix(_DEVICE).partition("/")
        if any(_path(each) == f"{device_type}/{number}" for each in devices):
            self._existing.add((server, device))
            return ""
        return f"this server has no {device_type} {number}, but {_listed(devices, device_type)}"


def _is_refusal(error: AlpacaError) -> bool:
    return isinstance(error, RequestRejected) and error.status in _MISSING


def _is_no_alpaca(error: AlpacaError) -> bool:
    """Whether `error` is what a web server says that has never heard of Alpaca."""
    if isinstance(error, MalformedResponse):
        return error.reason.startswith(NOT_JSON)
    return isinstance(error, RequestRejected) and _is_refusal(error) and not error.number


def _listed(devices: list[ConfiguredDevice], device_type: str) -> str:
    """Name the devices of a type, or all if there is none of that type."""
    same = [each for each in devices if each.device_type.lower() == device_type] or devices
    names = [f"{_path(each)} {quoted(each.device_name)}" for each in same[:_MOST_DEVICES]]
    more = ["others"] if len(same) > _MOST_DEVICES else []
    return ", ".join(names + more) or "no devices at all"


def _path(device: ConfiguredDevice) -> str:
    return f"{device.device_type.lower()}/{device.device_number}"

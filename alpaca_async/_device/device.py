"""The members that every Alpaca device has, and the requests that all members use."""

from __future__ import annotations

import asyncio
import logging
import math
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeVar

from alpaca_async._address import origin
from alpaca_async._errors import (
    AlpacaError,
    AscomError,
    MalformedResponse,
    NotConnectedException,
    NotImplementedException,
    OperationFailed,
    OperationTimeout,
    RequestRejected,
    TransportError,
)
from alpaca_async._protocol.values import (
    check_bool,
    check_index,
    check_limit,
    check_str,
    decode,
    decode_records,
    decode_strings,
)
from alpaca_async._session.operations import Operation
from alpaca_async._session.session import Session
from alpaca_async._tasks import finish

from .record import DeviceRecord

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping
    from typing import Self

    from alpaca_async._protocol.envelope import Envelope
    from alpaca_async._session.error_mapping import Attempt

T = TypeVar("T")

logger = logging.getLogger("alpaca_async")

_PLATFORM_7: Final = {
    "camera": 4,
    "covercalibrator": 2,
    "dome": 3,
    "filterwheel": 3,
    "focuser": 4,
    "observingconditions": 2,
    "rotator": 4,
    "safetymonitor": 3,
    "switch": 3,
    "telescope": 4,
    "video": 2,
}
"""By device type, the first interface version with Connect, Disconnect and Connecting."""

NO_FIELDS: Final[Mapping[str, object]] = MappingProxyType({})

_POSSIBLE_RESTART: Final = (TransportError, NotConnectedException)
_MISSING_STATUSES: Final = (400, 404, 405)
_FIRST_PAUSE: Final = 0.02
_LONGEST_PAUSE: Final = 0.5
_CONNECTED_GRACE: Final = 2.0
_MAX_DEVICE_NUMBER: Final = 2**32 - 1


class AsyncDevice:
    """A device of a server, identified by address, type and number.

    With `client` it uses the connections of that client. Otherwise it owns its connections:
    `async with` or `aclose()` closes them. Neither connects or disconnects the device, because
    others may share it.
    """

    def __init__(
        self,
        address: str,
        device_type: str,
        device_number: int = 0,
        *,
        client: Session | None = None,
    ) -> None:
        self._type = check_str("device_type", device_type).lower()
        if not self._type.isalpha() or not self._type.isascii():
            raise ValueError(f"{device_type!r} is not a device type")
        number = check_index("device_number", device_number)
        if not 0 <= number <= _MAX_DEVICE_NUMBER:
            raise ValueError(f"device_number must be between 0 and {_MAX_DEVICE_NUMBER}")
        self._session = client or Session()
        self._owns_session = client is None
        self._set_address(origin(address), number)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._type}/{self._number} at {self._server}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End the running operations and close the connections, if this object owns them.

        A running exposure is aborted. A temperature ramp stops and holds the temperature reached.
        """
        if self._owns_session:
            await self._session.aclose()

    # address

    @property
    def server(self) -> str:
        """The origin of the server, such as `http://192.168.1.20:11111`."""
        return self._server

    @property
    def device_type(self) -> str:
        """The type as in the URL, in lower case, such as `camera`."""
        return self._type

    @property
    def device_number(self) -> int:
        """The number among the devices of this type on the server."""
        return self._number

    @property
    def setup_url(self) -> str:
        """The page where a person configures the device."""
        return f"{self._server}/setup/v1/{self._type}/{self._number}/setup"

    # connection

    async def connect(self, *, timeout: float = 30.0, wait: bool = True) -> None:
        """Connect the device, and wait until it is connected.

        Uses `Connect` on devices of Platform 7, `Connected = True` on older ones. Tasks that
        connect at the same time share one attempt. If it fails, times out or is cancelled, the
        device is disconnected again, unless it was connected before. With `wait=False` the call
        only sends the command: see `get_connecting`.

        Raises:
            OperationTimeout: not connected within `timeout` seconds.
            OperationFailed: the device finished connecting, but is not connected.
        """
        if wait:
            run = partial(self._record.connecting, self._connect_and_wait)
            await self._run_with_timeout(timeout, run, "connected")
        else:
            await self._change_connection(connected=True)

    async def disconnect(self, *, timeout: float = 30.0, wait: bool = True) -> None:
        """Disconnect the device, and wait until it has finished.

        A server may keep a shared device connected: then `get_connected` stays true.

        Raises:
            OperationTimeout: not finished within `timeout` seconds.
        """
        if wait:
            run = partial(self._record.disconnecting, self._disconnect_and_wait)
            await self._run_with_timeout(timeout, run, "disconnected")
        else:
            await self._change_connection(connected=False)

    async def get_connecting(self) -> bool:
        """Whether a connect or disconnect is under way; on older devices, one of this client."""
        ours = (self._record.connecting, self._record.disconnecting)
        return await self._is_connecting() or any(flight.running for flight in ours)

    async def get_connected(self) -> bool:
        """Whether the device is connected."""
        return await self._get("Connected", bool)

    async def set_connected(self, connected: bool) -> None:
        """Connect or disconnect in one blocking command; prefer `connect`."""
        fields = {"Connected": check_bool("connected", connected)}
        await self._call("Connected", fields, timeout=self._long)

    # identity

    async def get_description(self) -> str:
        """A description of the device, such as manufacturer and model."""
        return await self._get("Description", str)

    async def get_driver_info(self) -> str:
        """A description of the driver."""
        return await self._get("DriverInfo", str)

    async def get_driver_version(self) -> str:
        """The driver's version, such as `1.2`."""
        return await self._get("DriverVersion", str)

    async def get_interface_version(self) -> int:
        """The version of the ASCOM interface that the device implements."""
        return await self._get("InterfaceVersion", int)

    async def get_name(self) -> str:
        """The short name of the device, for display."""
        return await self._get("Name", str)

    async def get_device_state(self) -> list[dict[str, Any]]:
        """The operational state in one request, as `{"Name": ..., "Value": ...}` records.

        The device leaves out members that it cannot read. Platform 7 only.
        """
        return await self._read("DeviceState", decode_records)

    # actions and commands

    async def get_supported_actions(self) -> list[str]:
        """The names that `action` accepts."""
        return await self._read("SupportedActions", decode_strings)

    async def action(self, name: str, parameters: str = "") -> str:
        """Invoke a custom action and return its result."""
        fields = {
            "Action": check_str("name", name),
            "Parameters": check_str("parameters", parameters),
        }
        return await self._ask("Action", fields, str)

    async def command_blind(self, command: str, raw: bool = False) -> None:
        """Send a device-specific command that returns nothing. Deprecated by ASCOM."""
        await self._call("CommandBlind", _command(command, raw), timeout=self._long)

    async def command_bool(self, command: str, raw: bool = False) -> bool:
        """Send a device-specific command that returns a bool. Deprecated by ASCOM."""
        return await self._ask("CommandBool", _command(command, raw), bool)

    async def command_string(self, command: str, raw: bool = False) -> str:
        """Send a device-specific command that returns a string. Deprecated by ASCOM."""
        return await self._ask("CommandString", _command(command, raw), str)

    # requests

    async def _get(self, member: str, kind: type[T]) -> T:
        """Read a property."""
        return await self._read(member, partial(decode, kind))

    async def _read(self, member: str, decoder: Callable[[object], T]) -> T:
        """Read a property and convert it with `decoder`."""
        try:
            envelope = await self._session.get(self._server, self._path + member.lower())
            return self._decoded(member, decoder, envelope)
        except _POSSIBLE_RESTART:
            self._record.forget_settings()
            raise

    async def _set(self, member: str, value: object) -> None:
        """Write a property; the form field has the name of the member."""
        await self._call(member, {member: value})
        self._record.set_values[member] = value

    async def _ask(self, member: str, fields: Mapping[str, object], kind: type[T]) -> T:
        """Invoke a method that may take long and returns a value."""
        envelope = await self._call(member, fields, timeout=self._long)
        return self._decoded(member, partial(decode, kind), envelope)

    async def _call(
        self,
        member: str,
        fields: Mapping[str, object] = NO_FIELDS,
        *,
        timeout: float | None = None,
        attempt: Attempt | None = None,
    ) -> Envelope:
        """Invoke a method."""
        path = self._path + member.lower()
        try:
            envelope = await self._session.put(
                self._server, path, fields, timeout=timeout, attempt=attempt
            )
        except _POSSIBLE_RESTART:
            self._record.forget_settings()
            raise
        finally:
            self._record.command_sent(member)
        self._record.answered(envelope.server_transaction_id)
        return envelope

    def _decoded(self, member: str, decoder: Callable[[object], T], envelope: Envelope) -> T:
        self._record.answered(envelope.server_transaction_id)
        try:
            return decoder(envelope.value)
        except AlpacaError as error:
            raise error.at(self._server, self._member(member)) from None

    def _member(self, member: str) -> str:
        return f"{self._type}/{self._number}/{member.lower()}"

    @property
    def _long(self) -> float:
        return self._session.timeouts.long

    def _operation(self, member: str) -> Operation:
        """Return a context for a long operation: closing the client cancels it first."""
        return Operation(self._session.operations, self._server, self._member(member))

    def _set_address(self, server: str, device_number: int) -> None:
        """Set the address of the device; `server` is an origin."""
        self._server = server
        self._number = device_number
        self._path = f"api/v1/{self._type}/{device_number}/"
        key = (server, self._type, device_number)
        self._record = self._session.shared(key, DeviceRecord)

    def _move_to(self, server: str, device_number: int) -> None:
        """Change the address, because the device has moved; keep what is known about it."""
        former = self._record
        self._set_address(server, device_number)
        if self._record is not former:
            self._record.adopt(former)

    # connecting

    async def _run_with_timeout(
        self, timeout: float, run: Callable[[], Awaitable[None]], goal: str
    ) -> None:
        deadline = asyncio.timeout(check_limit("timeout", timeout))
        try:
            async with self._operation("connecting"), deadline:
                await run()
        except TimeoutError:
            if not deadline.expired():
                raise
            late = OperationTimeout(f"not {goal} within {timeout:g} s")
            raise late.at(self._server, self._member("connecting")) from None

    async def _connect_and_wait(self) -> None:
        was_connected = await self._is_connected()
        try:
            await self._change_connection(connected=True)
            await self._wait_until_connected()
        except AscomError:
            raise
        except BaseException:
            if not was_connected:  # else another client may be exposing
                await finish(self._undo_connect())
            raise

    async def _is_connected(self) -> bool:
        try:
            return await self.get_connected()
        except (AscomError, RequestRejected, MalformedResponse):
            return False

    async def _disconnect_and_wait(self) -> None:
        await self._change_connection(connected=False)
        await self._wait_while_connecting()

    async def _undo_connect(self) -> None:
        """Try to disconnect after a failed connect."""
        try:
            async with asyncio.timeout(self._session.timeouts.reply):
                await self._change_connection(connected=False)
        except (AlpacaError, TimeoutError) as error:
            logger.info("disconnecting after a failed connect: %s", error)

    async def _change_connection(self, *, connected: bool) -> None:
        if await self._is_platform_7():
            try:
                await self._call("Connect" if connected else "Disconnect", timeout=self._long)
            except (NotImplementedException, RequestRejected) as error:
                if not is_missing(error):
                    raise
            else:
                return
        await self.set_connected(connected)

    async def _is_platform_7(self) -> bool:
        try:
            version = await self.get_interface_version()
        except (AscomError, RequestRejected, MalformedResponse):
            return False
        return version >= _PLATFORM_7.get(self._type, 1)

    async def _wait_until_connected(self) -> None:
        await self._wait_while_connecting()
        for pause in _pauses(_CONNECTED_GRACE):
            if await self.get_connected():
                return
            await asyncio.sleep(pause)
        failure = OperationFailed("the device accepted the command, but is not connected")
        raise failure.at(self._server, self._member("connected"))

    async def _wait_while_connecting(self) -> None:
        for pause in _pauses():
            if not await self._is_connecting():
                return
            await asyncio.sleep(pause)

    async def _is_connecting(self) -> bool:
        try:
            return await self._get("Connecting", bool)
        except (NotImplementedException, RequestRejected) as error:
            if not is_missing(error):
                raise
            return False


def is_missing(error: AlpacaError) -> bool:
    """Whether `error` means that the device lacks the member."""
    if isinstance(error, RequestRejected):
        return error.status in _MISSING_STATUSES
    return isinstance(error, NotImplementedException)


def _command(command: str, raw: bool) -> dict[str, object]:
    return {"Command": check_str("command", command), "Raw": check_bool("raw", raw)}


def _pauses(total: float = math.inf) -> Iterator[float]:
    """Yield growing pauses between polls, up to `total` seconds altogether."""
    pause = _FIRST_PAUSE
    while total > 0:
        yield pause
        total -= pause
        pause = min(pause * 1.5, _LONGEST_PAUSE)

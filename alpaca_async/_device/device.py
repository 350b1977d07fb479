"""The members that every Alpaca device has, and the verbs that all members are made of."""

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
"""The first interface version of each device type with Connect, Disconnect and Connecting."""

NO_FIELDS: Final[Mapping[str, object]] = MappingProxyType({})

_SIGNS_OF_A_RESTART: Final = (TransportError, NotConnectedException)
_MISSING_STATUSES: Final = (400, 404, 405)
_FIRST_PAUSE: Final = 0.02
_LONGEST_PAUSE: Final = 0.5
_CONNECTED_GRACE: Final = 2.0
_MAX_DEVICE_NUMBER: Final = 2**32 - 1


class AsyncDevice:
    """A device of a server: an address, a type, a number, and a session to reach it with.

    Without `client` it owns a session of its own, which `async with` or `aclose()` closes.
    Neither connects nor disconnects the device: others may share it.
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
        self._place(origin(address), number)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._type}/{self._number} at {self._server}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End what runs through this object, then close its connections, if it owns them.

        A running exposure is aborted; a ramp holds the temperature that it has reached.
        """
        if self._owns_session:
            await self._session.aclose()

    # where it is

    @property
    def server(self) -> str:
        """The origin of the server, such as `http://192.168.1.20:11111`."""
        return self._server

    @property
    def device_type(self) -> str:
        """The type in the form of the wire, such as `camera`."""
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
        """Connect the device, and wait until it is.

        Connect on devices of Platform 7, `Connected = True` on older ones. Tasks that connect
        at the same time share one attempt. An attempt that fails, times out or is cancelled is
        taken back, unless the device was connected before. With `wait=False` the command is only
        sent: see `get_connecting`.

        Raises:
            OperationTimeout: not connected within `timeout` seconds.
            OperationFailed: connecting ended without a connection.
        """
        if wait:
            run = partial(self._record.connecting, self._connect_and_wait)
            await self._within(timeout, run, "connected")
        else:
            await self._change_connection(connected=True)

    async def disconnect(self, *, timeout: float = 30.0, wait: bool = True) -> None:
        """Disconnect the device, and wait until that is over.

        Servers may keep a shared device connected, so `get_connected` may stay true.

        Raises:
            OperationTimeout: not over within `timeout` seconds.
        """
        if wait:
            run = partial(self._record.disconnecting, self._disconnect_and_wait)
            await self._within(timeout, run, "disconnected")
        else:
            await self._change_connection(connected=False)

    async def get_connecting(self) -> bool:
        """Whether Connect or Disconnect is under way; on older devices, whether one of ours is."""
        ours = (self._record.connecting, self._record.disconnecting)
        return await self._is_connecting() or any(flight.running for flight in ours)

    async def get_connected(self) -> bool:
        """Whether the device is connected."""
        return await self._get("Connected", bool)

    async def set_connected(self, connected: bool) -> None:
        """Connect or disconnect in one blocking command; `connect` is to be preferred."""
        fields = {"Connected": check_bool("connected", connected)}
        await self._call("Connected", fields, timeout=self._long)

    # identity

    async def get_description(self) -> str:
        """Manufacturer, model and the like, in words."""
        return await self._get("Description", str)

    async def get_driver_info(self) -> str:
        """The driver, in words."""
        return await self._get("DriverInfo", str)

    async def get_driver_version(self) -> str:
        """The driver's version, such as `1.2`."""
        return await self._get("DriverVersion", str)

    async def get_interface_version(self) -> int:
        """The version of the ASCOM interface that the device implements."""
        return await self._get("InterfaceVersion", int)

    async def get_name(self) -> str:
        """The short name of the device, for people."""
        return await self._get("Name", str)

    async def get_device_state(self) -> list[dict[str, Any]]:
        """The operational state in one request, as `{"Name": ..., "Value": ...}` records.

        Members that would raise are left out. Platform 7 only.
        """
        return await self._read("DeviceState", decode_records)

    # what goes beyond the interface

    async def get_supported_actions(self) -> list[str]:
        """The names that `action` takes."""
        return await self._read("SupportedActions", decode_strings)

    async def action(self, name: str, parameters: str = "") -> str:
        """Invoke a custom action and return its result."""
        fields = {
            "Action": check_str("name", name),
            "Parameters": check_str("parameters", parameters),
        }
        return await self._ask("Action", fields, str)

    async def command_blind(self, command: str, raw: bool = False) -> None:
        """Send a command of the device's own, without an answer. Deprecated by ASCOM."""
        await self._call("CommandBlind", _command(command, raw), timeout=self._long)

    async def command_bool(self, command: str, raw: bool = False) -> bool:
        """Send a command of the device's own, answered by a bool. Deprecated by ASCOM."""
        return await self._ask("CommandBool", _command(command, raw), bool)

    async def command_string(self, command: str, raw: bool = False) -> str:
        """Send a command of the device's own, answered by a string. Deprecated by ASCOM."""
        return await self._ask("CommandString", _command(command, raw), str)

    # the verbs

    async def _get(self, member: str, kind: type[T]) -> T:
        """Read a property."""
        return await self._read(member, partial(decode, kind))

    async def _read(self, member: str, decoder: Callable[[object], T]) -> T:
        """Read a property of a type that only `decoder` knows."""
        try:
            envelope = await self._session.get(self._server, self._path + member.lower())
            return self._decoded(member, decoder, envelope)
        except _SIGNS_OF_A_RESTART:
            self._record.forget_settings()
            raise

    async def _set(self, member: str, value: object) -> None:
        """Write a property; the form field is called as the member is."""
        await self._call(member, {member: value})
        self._record.set_values[member] = value

    async def _ask(self, member: str, fields: Mapping[str, object], kind: type[T]) -> T:
        """Invoke a method that takes its time and returns a value."""
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
        except _SIGNS_OF_A_RESTART:
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
        """Surround what takes a while, so that closing the client ends it first."""
        return Operation(self._session.operations, self._server, self._member(member))

    def _place(self, server: str, device_number: int) -> None:
        """Say where the device is; `server` is an origin."""
        self._server = server
        self._number = device_number
        self._path = f"api/v1/{self._type}/{device_number}/"
        key = (server, self._type, device_number)
        self._record = self._session.shared(key, DeviceRecord)

    def _move_to(self, server: str, device_number: int) -> None:
        """Follow the device to another place."""
        former = self._record
        self._place(server, device_number)
        if self._record is not former:
            self._record.adopt(former)

    # connecting, step by step

    async def _within(self, timeout: float, run: Callable[[], Awaitable[None]], goal: str) -> None:
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
        was_connected = await self._is_connected_for_somebody()
        try:
            await self._change_connection(connected=True)
            await self._wait_until_connected()
        except AscomError:
            raise
        except BaseException:
            if not was_connected:  # else somebody may be exposing
                await finish(self._undo_connect())
            raise

    async def _is_connected_for_somebody(self) -> bool:
        try:
            return await self.get_connected()
        except (AscomError, RequestRejected, MalformedResponse):
            return False

    async def _disconnect_and_wait(self) -> None:
        await self._change_connection(connected=False)
        await self._wait_while_connecting()

    async def _undo_connect(self) -> None:
        """Undo a connect that failed half-way, as far as the device lets us."""
        try:
            async with asyncio.timeout(self._session.timeouts.reply):
                await self._change_connection(connected=False)
        except (AlpacaError, TimeoutError) as error:
            logger.info("taking back a failed connect: %s", error)

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
    """Whether the device lacks the member, rather than refusing its use."""
    if isinstance(error, RequestRejected):
        return error.status in _MISSING_STATUSES
    return isinstance(error, NotImplementedException)


def _command(command: str, raw: bool) -> dict[str, object]:
    return {"Command": check_str("command", command), "Raw": check_bool("raw", raw)}


def _pauses(total: float = math.inf) -> Iterator[float]:
    """Pauses between polls, short at first, up to `total` seconds altogether."""
    pause = _FIRST_PAUSE
    while total > 0:
        yield pause
        total -= pause
        pause = min(pause * 1.5, _LONGEST_PAUSE)

"""The members that every Alpaca device has: connection, identity, actions."""

from __future__ import annotations

import asyncio
import logging
import math
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

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
    reason_of,
)
from alpaca_async._loops import running_loop
from alpaca_async._protocol.values import (
    check_bool,
    check_limit,
    check_str,
    decode_records,
    decode_strings,
)
from alpaca_async._tasks import finish, wait_for_end

from .members import Members
from .patience import Patience
from .verbs import is_missing, pauses

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


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

_CONNECTED_GRACE: Final = 2.0
_POLL_INTERVAL: Final = 1.0
"""Seconds between polls while a command goes unanswered."""
_UNLIMITED: Final = 86400.0
"""Seconds for a command whose caller has a limit of its own: a day."""


class AsyncDevice(Members):
    """A device of a server, identified by address, type and number.

    With `client` it uses the connections of that client. Otherwise it owns its connections:
    `async with` or `aclose()` closes them. Neither of these connects or disconnects the device,
    because other clients may use it too.
    """

    # connection

    async def connect(self, *, timeout: float = 30.0, wait: bool = True) -> None:
        """Connect the device, and wait until it is connected.

        Uses `Connect` on devices of Platform 7, `Connected = True` on older ones. Tasks that
        connect at the same time share one attempt. With `wait=False` the call only sends the
        command: see `get_connecting`.

        If the attempt fails, times out or is cancelled, the device is disconnected again, but only
        if it had reported that it was not connected. An `AscomError` does not disconnect it.

        The command is sent once. The server of an older device that understands only `true`, not
        `True`, looks like a slow one: the next call then sends `true`, which is remembered.

        Raises:
            OperationTimeout: the device was not connected within `timeout` seconds; this
                also limits the reply to the command, instead of `Timeouts.reply`.
            OperationFailed: the device finished connecting, but is not connected.
        """
        if wait:
            run = partial(self._record.connecting, self._connect_and_wait)
            await self._run_with_timeout(timeout, run, "connected")
        else:
            await self._change_connection(self._long, connected=True)

    async def disconnect(self, *, timeout: float = 30.0, wait: bool = True) -> None:
        """Disconnect the device, and wait until it has finished.

        A server may keep a shared device connected: then `get_connected` stays true.

        Raises:
            OperationTimeout: the device did not finish within `timeout` seconds.
        """
        if wait:
            run = partial(self._record.disconnecting, self._disconnect_and_wait)
            await self._run_with_timeout(timeout, run, "disconnected")
        else:
            await self._change_connection(self._long, connected=False)

    async def get_connecting(self) -> bool:
        """Whether a connect or disconnect is running; on older devices, only one by this client."""
        ours = (self._record.connecting, self._record.disconnecting)
        return await self._is_connecting() or any(flight.running for flight in ours)

    async def get_connected(self) -> bool:
        """Whether the device is connected."""
        return await self._get("Connected", bool)

    async def set_connected(self, connected: bool) -> None:
        """Connect or disconnect by setting `Connected`; servers should reply when it is done.

        Prefer `connect`, which also waits for devices whose server replies earlier.
        """
        await self._set_connected(check_bool("connected", connected), self._long)

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

    # connecting

    async def _run_with_timeout(
        self, timeout: float, run: Callable[[], Awaitable[None]], goal: str
    ) -> None:
        running_loop()
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
        spelling = self._record.spelling
        spelling.begin_attempt()
        try:
            await self._send_connect()
            if was_connected and await self._has_disconnected():
                was_connected = False
                spelling.use_other()
                await self._send_connect()
            await self._wait_until_connected()
        except AscomError:
            raise
        except BaseException:
            if was_connected is False:  # else another client may be exposing
                spelling.attempt_failed()
                await finish(self._undo_connect())
            raise
        if was_connected is False:
            spelling.attempt_succeeded()

    async def _has_disconnected(self) -> bool:
        """Whether the command to connect has disconnected the device: it was taken for false."""
        uncertain = self._record.spelling.is_uncertain
        return uncertain and await self._reads_back("Connected", True) is False

    async def _send_connect(self) -> None:
        """Send the command; return when it is answered, or when the device is connected.

        A server may answer only when the device is connected, for example after a minute. The
        answer may also be lost.
        """
        command = asyncio.create_task(self._change_connection(_UNLIMITED, connected=True))
        try:
            done, _ = await asyncio.wait([command], timeout=self._session.timeouts.reply)
            while not done and not await self._seems_connected():
                done, _ = await asyncio.wait([command], timeout=_POLL_INTERVAL)
            if done:
                command.result()
        except TransportError as error:
            if not error.outcome_unknown:
                raise
            logger.info("the reply to the connect command was lost: %s", error)
        finally:
            command.cancel()
            await wait_for_end(command)

    async def _seems_connected(self) -> bool:
        """Whether the device says that it is connected; a busy server may not answer at all."""
        try:
            return await self.get_connected()
        except AlpacaError:
            return False

    async def _is_connected(self) -> bool | None:
        """Whether the device is connected; None if it does not report that."""
        try:
            return await self.get_connected()
        except NotConnectedException:
            return False
        except (AscomError, RequestRejected, MalformedResponse):
            return None

    async def _disconnect_and_wait(self) -> None:
        await self._change_connection(_UNLIMITED, connected=False)
        await self._wait_while_connecting()

    async def _undo_connect(self) -> None:
        """Try to disconnect after a failed connect."""
        limit = self._session.timeouts.reply
        try:
            async with asyncio.timeout(limit):
                await self._change_connection(limit, connected=False)
        except (AlpacaError, TimeoutError) as error:
            logger.info("disconnecting after a failed connect: %s", reason_of(error, limit))

    async def _change_connection(self, limit: float, *, connected: bool) -> None:
        if await Patience().read(self._is_platform_7):
            try:
                await self._call("Connect" if connected else "Disconnect", timeout=limit)
            except (NotImplementedException, RequestRejected) as error:
                if not is_missing(error):
                    raise
            else:
                return
        await self._set_connected(connected, limit)

    async def _set_connected(self, connected: bool, limit: float) -> None:
        spelling = self._record.spelling
        text = spelling.text_to_connect() if connected else spelling.text(False)
        await self._call("Connected", {"Connected": text}, timeout=limit)

    async def _is_platform_7(self) -> bool:
        try:
            version = await self.get_interface_version()
        except (AscomError, RequestRejected, MalformedResponse):
            return False
        return version >= _PLATFORM_7.get(self._type, 1)

    async def _wait_until_connected(self) -> None:
        """Wait until Connected is true, for as long as the caller allows.

        A device that reported that it was connecting, and then that it has finished, must be
        connected soon; otherwise it has failed. Other devices may answer some time before they are
        connected.
        """
        reported = await self._wait_while_connecting()
        patience = Patience()
        began = asyncio.get_running_loop().time()
        for pause in pauses(_CONNECTED_GRACE if reported else math.inf):
            if await patience.read(self.get_connected):
                return
            if asyncio.get_running_loop().time() - began >= _CONNECTED_GRACE:
                self._record.spelling.doubt()
            await asyncio.sleep(pause)
        failure = OperationFailed("the device accepted the command, but is not connected")
        raise failure.at(self._server, self._member("connected"))

    async def _wait_while_connecting(self) -> bool:
        """Wait while Connecting is true; return whether it ever was."""
        patience = Patience()
        rest = pauses()
        poll = self._is_connecting  # which takes 4xx for a member that is missing
        reported = False
        while await patience.read(poll):
            reported = True
            poll = partial(self._get, "Connecting", bool)
            await asyncio.sleep(next(rest))
        return reported

    async def _is_connecting(self) -> bool:
        try:
            return await self._get("Connecting", bool)
        except (NotImplementedException, RequestRejected) as error:
            if not is_missing(error):
                raise
            return False


def _command(command: str, raw: bool) -> dict[str, object]:
    return {"Command": check_str("command", command), "Raw": check_bool("raw", raw)}

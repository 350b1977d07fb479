"""The address of a device, and the requests that its members are made of."""

from __future__ import annotations

import asyncio
import logging
import math
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from alpaca_async._address import check_device_number, origin
from alpaca_async._errors import (
    AlpacaError,
    NotConnectedException,
    NotImplementedException,
    RequestRejected,
    TransportError,
)
from alpaca_async._loops import running_loop
from alpaca_async._protocol.values import (
    check_index,
    check_str,
    decode,
)
from alpaca_async._session.operations import Operation
from alpaca_async._session.session import NO_FIELDS, Session

from .attribute_errors import AttributeErrors
from .record import DeviceRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Self

    from alpaca_async._protocol.envelope import Envelope
    from alpaca_async._session.error_mapping import Attempt

T = TypeVar("T")

logger = logging.getLogger("alpaca_async")

_POSSIBLE_RESTART: Final = (TransportError, NotConnectedException)
_MISSING_STATUSES: Final = (400, 404, 405)
_FIRST_PAUSE: Final = 0.02
_LONGEST_PAUSE: Final = 0.5
_READ_BACK_LIMIT: Final = 0.5
"""Seconds within which a device reports what was set."""


class DeviceVerbs(AttributeErrors):
    """The address of a device, and the requests that all its members are made of."""

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
        server = origin(address)
        number = check_device_number(address, check_index("device_number", device_number))
        self._session = client or Session()
        self._owns_session = client is None
        self._set_address(server, number)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._type}/{self._number} at {self._server}>"

    async def __aenter__(self) -> Self:
        running_loop()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End the running operations and close the connections, if this object owns them.

        A running exposure is aborted, and a movement halted. A temperature ramp stops and holds the
        temperature reached.
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

    # requests

    async def _get(self, member: str, kind: type[T]) -> T:
        """Read a property."""
        return await self._read(member, partial(decode, kind))

    async def _read(
        self,
        member: str,
        decoder: Callable[[object], T],
        fields: Mapping[str, object] = NO_FIELDS,
    ) -> T:
        """Read a property and convert it with `decoder`."""
        path = self._path + member.lower()
        try:
            envelope = await self._session.get(self._server, path, fields=self._spelled(fields))
            return self._decoded(member, decoder, envelope)
        except _POSSIBLE_RESTART as error:
            self._record.lost(error)
            raise

    async def _set(self, member: str, value: object, *, timeout: float | None = None) -> None:
        """Write a property; the form field has the name of the member."""
        await self._call(member, {member: value}, timeout=timeout)
        self._record.set_values[member] = value

    async def _set_bool(self, member: str, value: bool, *, timeout: float | None = None) -> None:
        """Write a boolean; read it back until it is known how the server spells booleans."""
        await self._set(member, value, timeout=timeout)
        if self._record.spelling.lowercase is None:
            await self._learn_booleans(member, value)

    async def _learn_booleans(self, member: str, value: bool) -> None:
        """Read back a boolean that was written as `True` or `False`, to learn which text works.

        A server that compares the text with `true` takes `True` for false, without an error.
        """
        taken = await self._reads_back(member, value)
        if taken is None:
            return
        if taken or await self._takes_lowercase(member, value):
            self._record.spelling.lowercase = not taken

    async def _takes_lowercase(self, member: str, value: bool) -> bool | None:
        """Write a boolean in lower case, and return whether the device has it afterwards.

        If it does not, it is slow, or refuses silently: that says nothing about the text.
        """
        await self._call(member, {member: str(value).lower()})
        return await self._reads_back(member, value)

    async def _reads_back(self, member: str, value: bool) -> bool | None:
        """Whether the member has, or soon gets, this value; None if it cannot be read."""
        for pause in pauses(_READ_BACK_LIMIT):
            try:
                if await self._get(member, bool) == value:
                    return True
            except AlpacaError:
                return None  # the command itself succeeded
            await asyncio.sleep(pause)
        return False

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
                self._server, path, self._spelled(fields), timeout=timeout, attempt=attempt
            )
        except _POSSIBLE_RESTART as error:
            self._record.lost(error)
            raise
        finally:
            self._record.command_sent(member)
        self._record.answered(envelope.server_transaction_id)
        return envelope

    def _spelled(self, fields: Mapping[str, object]) -> Mapping[str, object]:
        """Return `fields` with the booleans as the server spells them."""
        text = self._record.spelling.text
        return {
            name: text(value) if isinstance(value, bool) else value
            for name, value in fields.items()
        }

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


def is_missing(error: AlpacaError) -> bool:
    """Whether `error` means that the device lacks the member."""
    if isinstance(error, RequestRejected):
        return error.status in _MISSING_STATUSES
    return isinstance(error, NotImplementedException)


def pauses(total: float = math.inf) -> Iterator[float]:
    """Yield growing pauses between polls, up to `total` seconds altogether."""
    pause = _FIRST_PAUSE
    while total > 0:
        yield pause
        total -= pause
        pause = min(pause * 1.5, _LONGEST_PAUSE)

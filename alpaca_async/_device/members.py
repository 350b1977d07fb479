"""Access to any member of any device, by its ASCOM name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar, cast

from alpaca_async._protocol.values import (
    check_float,
    check_int,
    check_limit,
    check_str,
    decoder_of,
    quoted,
)

from .verbs import DeviceVerbs
from .waiting import Wait

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")
Value: TypeAlias = bool | int | float | str
"""The value of a parameter; an `IntEnum` is an int."""

_NAME: Final = re.compile("[A-Z][A-Za-z0-9]{0,63}")
_IDS: Final = frozenset({"clientid", "clienttransactionid"})


class Members(DeviceVerbs):
    """A device whose members are reached by their ASCOM names."""

    async def get(self, member: str, kind: type[T], /, **parameters: Value) -> T:
        """Read the property `member`, such as `get("Position", int)`.

        `kind` is the type of the value: `bool`, `int`, `float`, `str`, an `IntEnum`, `list[str]`,
        `list[int]` or `list[dict[str, Any]]`. `parameters` are those of ASCOM, for members that
        have some: `get("GetSwitchValue", float, Id=2)`.

        Raises:
            MalformedResponse: the value is of another type.
            NotImplementedException: the device does not implement the member.
            RequestRejected: the server does not know the member, or the device.
        """
        name, decoder, fields = check_name(member), decoder_of(kind), _check_fields(parameters)
        return await self._read(name, decoder, fields)

    async def put(
        self, member: str, /, *, timeout: float | None = None, **parameters: Value
    ) -> None:
        """Set the property, or call the method, `member`: once, whatever happens.

        `parameters` are those of ASCOM; the one of a property has its name: `put("Position",
        Position=2)`. `timeout` limits the reply, in seconds, by default to `Timeouts.long`. Many
        devices reply at once and then move: see `wait_until`. Nothing stops a movement if the
        call is cancelled; `AsyncFocuser` and the other classes for one type of device do that.

        Raises:
            InvalidValueException: the device does not accept the value.
            NotImplementedException: the device does not implement the member.
            RequestRejected: the server does not know the member, or the device.
        """
        name, fields = check_name(member), _check_fields(parameters)
        limit = self._long if timeout is None else check_limit("timeout", timeout)
        if fields.keys() != {name}:
            await self._call(name, fields, timeout=limit)
        elif isinstance(value := fields[name], bool):
            await self._set_bool(name, value, timeout=limit)
        else:
            await self._set(name, value, timeout=limit)

    async def wait_until(
        self, member: str, value: Value, /, *, timeout: float | None = 60.0, **parameters: Value
    ) -> None:
        """Poll `member` until it is `value`, a bool, an int (also an `IntEnum`) or a string.

        `timeout` in seconds; None waits as long as the device replies. Failed polls are tolerated
        for ten seconds. `parameters` and other errors are those of `get`.

        Raises:
            OperationTimeout: the member has another value after `timeout` seconds.
        """
        name, fields = check_name(member), _check_fields(parameters)
        if isinstance(value, float):
            raise TypeError("value must not be a float: measurements are rarely exactly equal")
        decoder = decoder_of(type(value))

        async def poll() -> str | None:
            present = await self._read(name, decoder, fields)
            return None if present == value else f"the value is {present!r}, not {value!r},"

        async with self._operation(name), self._waiting(name, timeout) as wait:
            await wait.until_done(poll)

    def _waiting(self, member: str, timeout: float | None) -> Wait:
        """Return a context for a wait of `timeout` seconds, whose errors name `member`."""
        return Wait(timeout, self._server, self._member(member))


def check_name(name: str) -> str:
    """Return `name`; raise `ValueError` unless it has the form of an ASCOM name."""
    if not _NAME.fullmatch(check_str("member", name)) or name.lower() in _IDS:
        raise ValueError(f"{quoted(name)} is not a name of ASCOM, such as 'Position'")
    return name


def _check_fields(parameters: Mapping[str, Value]) -> dict[str, Value]:
    return {check_name(name): _check_value(name, value) for name, value in parameters.items()}


def _check_value(name: str, value: Value) -> Value:
    """Return `value` as a type of Python; raise unless it is a number, a bool or a string."""
    if isinstance(value, bool | str):
        return value
    if hasattr(value, "__index__"):
        return check_int(name, cast("int", value))
    return check_float(name, value)

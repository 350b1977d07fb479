"""Gain and offset, by value or by name, whichever the camera uses."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from alpaca_async._device.cached_facts import optional
from alpaca_async._device.icamera import ICameraV4
from alpaca_async._protocol.values import check_int

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_NUMBER: Final = re.compile(r"[+-]?\d{1,9}", re.ASCII)


@dataclass(frozen=True, slots=True)
class ValueRange:
    """Gain or offset is a value within these inclusive limits; None if the camera reports none."""

    minimum: int | None
    maximum: int | None


@dataclass(frozen=True, slots=True)
class ValueNames:
    """Gain or offset is an index into these names."""

    names: tuple[str, ...]


ValueOptions: TypeAlias = ValueRange | ValueNames


@dataclass(frozen=True, slots=True)
class NamedValue:
    """A gain or an offset as the integer that ASCOM uses, with its name if it has one."""

    value: int
    """The value itself, or the index into the names."""
    name: str | None = None


class GainOffset(ICameraV4):
    """A camera whose gain and offset can be set by name."""

    async def get_gain_options(self) -> ValueOptions:
        """The possible gains; `NotImplementedException` if the camera has no gain."""
        return await self._gain.options()

    async def get_gain_option(self) -> NamedValue:
        """The current gain, with its name."""
        return await self._gain.current()

    async def select_gain(self, gain: int | str) -> None:
        """Set the gain: a value or an index, as for `set_gain`, or a name in any letter case.

        A string that is not one of the names may be a number.

        Raises:
            ValueError: the camera has no such gain; the message lists the limits or the names.
        """
        await self._gain.use(gain)

    async def get_offset_options(self) -> ValueOptions:
        """The possible offsets; `NotImplementedException` if the camera has no offset."""
        return await self._offset.options()

    async def get_offset_option(self) -> NamedValue:
        """The current offset, with its name."""
        return await self._offset.current()

    async def select_offset(self, offset: int | str) -> None:
        """Set the offset: a value or an index, as for `set_offset`, or a name in any letter case.

        A string that is not one of the names may be a number.

        Raises:
            ValueError: the camera has no such offset; the message lists the limits or the names.
        """
        await self._offset.use(offset)

    @property
    def _gain(self) -> _Control:
        return _Control(
            "gain",
            self.get_gain,
            self.set_gain,
            self.get_gain_min,
            self.get_gain_max,
            self.get_gains,
        )

    @property
    def _offset(self) -> _Control:
        return _Control(
            "offset",
            self.get_offset,
            self.set_offset,
            self.get_offset_min,
            self.get_offset_max,
            self.get_offsets,
        )


@dataclass(frozen=True, slots=True)
class _Control:
    """The five members that belong to gain, or to offset."""

    name: str
    get: Callable[[], Awaitable[int]]
    set: Callable[[int], Awaitable[None]]
    get_minimum: Callable[[], Awaitable[int]]
    get_maximum: Callable[[], Awaitable[int]]
    get_names: Callable[[], Awaitable[list[str]]]

    async def options(self) -> ValueOptions:
        # Some servers answer all five: an empty list of names then means that it is a value.
        if names := await optional(self.get_names):
            return ValueNames(tuple(names))
        limits = ValueRange(await optional(self.get_minimum), await optional(self.get_maximum))
        if limits == ValueRange(None, None):
            await self.get()
        return limits

    async def current(self) -> NamedValue:
        value = await self.get()
        names = await optional(self.get_names) or ()
        return NamedValue(value, names[value] if 0 <= value < len(names) else None)

    async def use(self, wanted: int | str) -> None:
        if not isinstance(wanted, str):
            check_int(self.name, wanted)
        await self.set(self._number(wanted, await self.options()))

    def _number(self, wanted: int | str, options: ValueOptions) -> int:
        """Return the integer to send for `wanted`; a name takes precedence over a number."""
        names = options.names if isinstance(options, ValueNames) else ()
        if isinstance(wanted, str):
            folded = [name.strip().casefold() for name in names]
            text = wanted.strip().casefold()
            if text in folded:
                return folded.index(text)
            if not _NUMBER.fullmatch(text):
                raise ValueError(f"there is no {self.name} {wanted!r}; {_describe(options)}")
        number = int(wanted)
        if not _is_valid(options, number):
            raise ValueError(f"there is no {self.name} {number}; {_describe(options)}")
        return number


def _is_valid(options: ValueOptions, number: int) -> bool:
    if isinstance(options, ValueNames):
        return 0 <= number < len(options.names)
    above_minimum = options.minimum is None or options.minimum <= number
    return above_minimum and (options.maximum is None or number <= options.maximum)


def _describe(options: ValueOptions) -> str:
    """Return the possible values, for an error message."""
    if isinstance(options, ValueNames):
        return f"there are {', '.join(options.names)}"
    low, high = ("?" if limit is None else limit for limit in (options.minimum, options.maximum))
    return f"it is a number from {low} to {high}"

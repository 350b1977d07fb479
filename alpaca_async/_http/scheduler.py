"""Who is read next where servers together send faster than one loop can read."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from asyncio import TimerHandle
    from collections.abc import Callable

TURN: Final = 0.25
"""Seconds for which one is read at most while others wait: a large frame."""

ROUND: Final = 2.0
"""Seconds in which everybody has a turn, however many there are."""

PATIENCE: Final = 0.002
"""Seconds of silence that end a turn: a sender who waited for room needs less to go on."""


class Reader(Protocol):
    """Somebody with bytes to read."""

    def pause(self) -> None:
        """Read nothing until `resume`."""
        ...

    def resume(self) -> None:
        """Read on."""
        ...


class ReadScheduler:
    """Lets one of those read that are flooded; the others wait for their turns.

    If all of them read in every round of the loop, whatever else is to be done would wait for a
    read of each, and so many frames at once are more than the processor's caches bear.
    """

    def __init__(self) -> None:
        self._reading: Reader | None = None
        self._waiting: dict[Reader, None] = {}  # in the order of their turns
        self._turn = _Alarm()
        self._silence = _Alarm()

    def flooded(self, reader: Reader) -> None:
        """Note that `reader` has read as much as it could, and that much more is to come."""
        if self._reading is None:
            self._reading = reader
        elif reader is self._reading:
            if self._waiting:
                self._expect_more()
        else:
            self._waiting[reader] = None
            reader.pause()
            if not self._turn.is_set:
                self._begin_turn()

    def drained(self, reader: Reader) -> None:
        """Note that `reader` has read all there was, and that much more is to come."""
        if reader is not self._reading:
            return
        if self._waiting:
            self._expect_more()
        else:
            self._reading = None

    def leave(self, reader: Reader) -> None:
        """Forget `reader`, which then is not paused: not much is to come any more, or nothing."""
        if reader is self._reading:
            self._next()
        elif reader in self._waiting:
            del self._waiting[reader]
            reader.resume()

    def keeps_waiting(self, reader: Reader) -> bool:
        """Tell whether `reader` is paused."""
        return reader in self._waiting

    def _begin_turn(self) -> None:
        self._turn.set(min(TURN, ROUND / len(self._waiting)), self._next)
        self._expect_more()

    def _expect_more(self) -> None:
        self._silence.set(PATIENCE, self._next)

    def _next(self) -> None:
        self._turn.stop()
        self._silence.stop()
        self._reading = next(iter(self._waiting), None)
        if self._reading is None:
            return
        del self._waiting[self._reading]
        self._reading.resume()
        if self._waiting:
            self._begin_turn()


class _Alarm:
    """Calls what it was set to last, once, unless it is stopped."""

    def __init__(self) -> None:
        self._handle: TimerHandle | None = None

    @property
    def is_set(self) -> bool:
        return self._handle is not None

    def set(self, seconds: float, call: Callable[[], None]) -> None:
        self.stop()
        self._handle = asyncio.get_running_loop().call_later(seconds, self._ring, call)

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _ring(self, call: Callable[[], None]) -> None:
        self._handle = None
        call()

"""Who is read next where servers together send faster than one loop can read."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from asyncio import TimerHandle

TURN: Final = 0.02
"""Seconds for which one is read while others wait, if it has so much to be read."""


class Reader(Protocol):
    """Somebody with bytes to read."""

    def pause(self) -> None:
        """Read nothing until `resume`."""
        ...

    def resume(self) -> None:
        """Read on."""
        ...


class Rota:
    """Lets one of those read that are flooded; the others wait for their turns.

    If all of them read in every round of the loop, whatever else is to be done would wait for a
    read of each, and the processor's caches would hold a little of every frame and enough of none.
    Who has read all there was waits for nobody, and nobody waits for it.
    """

    def __init__(self) -> None:
        self._reading: Reader | None = None
        self._waiting: dict[Reader, None] = {}  # in the order of their turns
        self._timer: TimerHandle | None = None

    def flooded(self, reader: Reader) -> None:
        """Note that `reader` has read as much as it could, and that much more is to come."""
        if self._reading is None:
            self._reading = reader
        elif reader is not self._reading:
            self._waiting[reader] = None
            reader.pause()
            self._limit()

    def drained(self, reader: Reader) -> None:
        """Note that `reader` has read what there was, or has not much more to read."""
        if reader is self._reading:
            self._next()

    def leave(self, reader: Reader) -> None:
        """Forget `reader`, which then is not paused."""
        if reader in self._waiting:
            del self._waiting[reader]
            reader.resume()
        self.drained(reader)

    def keeps_waiting(self, reader: Reader) -> bool:
        """Tell whether `reader` is paused."""
        return reader in self._waiting

    def _limit(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(TURN, self._next)

    def _next(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._reading = next(iter(self._waiting), None)
        if self._reading is None:
            return
        del self._waiting[self._reading]
        self._reading.resume()
        if self._waiting:
            self._limit()

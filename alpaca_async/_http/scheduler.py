"""Round-robin reading of large downloads when servers send faster than one loop can read."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from asyncio import TimerHandle
    from collections.abc import Callable

TURN_LIMIT: Final = 0.25
"""The longest turn, in seconds, while other readers wait: enough for a large frame."""

ROUND_LIMIT: Final = 2.0
"""Seconds within which every waiting reader gets a turn, however many wait."""

SILENCE_LIMIT: Final = 0.002
"""A turn ends after this many seconds without data.

A sender that waited for buffer space sends again sooner than that.
"""


class Reader(Protocol):
    """A connection whose reading can be paused."""

    def pause(self) -> None:
        """Stop reading until `resume`."""
        ...

    def resume(self) -> None:
        """Resume reading."""
        ...


class ReadScheduler:
    """Lets large downloads take turns (round-robin): one is read, the others are paused.

    If the event loop read from every download in each iteration, other tasks would wait for all of
    these reads. Also, several frames at once do not fit into the processor's caches.
    """

    def __init__(self) -> None:
        self._reading: Reader | None = None
        self._waiting: dict[Reader, None] = {}  # ordered: the next turn first
        self._turn_timer = _Timer()
        self._silence_timer = _Timer()

    def filled_buffer(self, reader: Reader) -> None:
        """Note that a read filled the whole buffer, and that a large part is still to be read."""
        if self._reading is None:
            self._reading = reader
        elif reader is self._reading:
            if self._waiting:
                self._restart_silence_timer()
        else:
            self._waiting[reader] = None
            reader.pause()
            if not self._turn_timer.is_set:
                self._begin_turn()

    def emptied_socket(self, reader: Reader) -> None:
        """Note that a read took all available bytes, and that a large part is still to be read."""
        if reader is not self._reading:
            return
        if self._waiting:
            self._restart_silence_timer()
        else:
            self._reading = None

    def remove(self, reader: Reader) -> None:
        """Remove `reader`, and resume it if it is paused: little or nothing is left to read."""
        if reader is self._reading:
            self._next_turn()
        elif reader in self._waiting:
            del self._waiting[reader]
            reader.resume()

    def is_paused(self, reader: Reader) -> bool:
        """Return whether `reader` is paused."""
        return reader in self._waiting

    def _begin_turn(self) -> None:
        self._turn_timer.set(min(TURN_LIMIT, ROUND_LIMIT / len(self._waiting)), self._next_turn)
        self._restart_silence_timer()

    def _restart_silence_timer(self) -> None:
        self._silence_timer.set(SILENCE_LIMIT, self._next_turn)

    def _next_turn(self) -> None:
        self._turn_timer.stop()
        self._silence_timer.stop()
        self._reading = next(iter(self._waiting), None)
        if self._reading is None:
            return
        del self._waiting[self._reading]
        self._reading.resume()
        if self._waiting:
            self._begin_turn()


class _Timer:
    """Calls a function once after a delay; setting it again replaces the earlier call."""

    def __init__(self) -> None:
        self._handle: TimerHandle | None = None

    @property
    def is_set(self) -> bool:
        return self._handle is not None

    def set(self, seconds: float, callback: Callable[[], None]) -> None:
        self.stop()
        self._handle = asyncio.get_running_loop().call_later(seconds, self._fire, callback)

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _fire(self, callback: Callable[[], None]) -> None:
        self._handle = None
        callback()

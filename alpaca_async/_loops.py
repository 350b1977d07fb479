"""State that several event loops share, each in its own thread of one process."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable

T = TypeVar("T")


class AsyncioRequired(RuntimeError):
    """The library was used where no event loop of asyncio runs, for example in trio."""

    def __init__(self) -> None:
        super().__init__(
            "alpaca_async needs a running event loop of asyncio, or one with its interface such as"
            " uvloop; it does not work in trio, also not through anyio: there, use the backend"
            " 'asyncio'"
        )


def running_loop() -> AbstractEventLoop:
    """Return the running event loop; raise `AsyncioRequired` if there is none.

    Public entry points call this first, because asyncio's own error does not say what to do.
    """
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise AsyncioRequired from None


def call_in(loop: AbstractEventLoop, callback: Callable[[], object]) -> bool:
    """Call `callback` in `loop`, at once if that is the running loop.

    Returns false, and does not call it, if the loop is closed.
    """
    if loop is _current_loop():
        callback()
        return True
    try:
        loop.call_soon_threadsafe(callback)
    except RuntimeError:  # the loop is closed
        return False
    return True


def _current_loop() -> AbstractEventLoop | None:
    """Return the running event loop; None if there is none, for example in a finalizer."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


class PerLoop(Generic[T]):
    """One value for each event loop, created by `make` on first use in that loop.

    Values of closed loops are passed to `discard`. No lock is needed, because each loop reads and
    writes only its own entry.
    """

    def __init__(
        self, make: Callable[[], T], discard: Callable[[T], object] = lambda _: None
    ) -> None:
        self._make = make
        self._discard = discard
        self._values: dict[AbstractEventLoop, T] = {}

    def get(self) -> T:
        """Return the value of the running loop."""
        loop = running_loop()
        value = self._values.get(loop)
        if value is None:
            self._discard_closed()
            value = self._values[loop] = self._make()
        return value

    def values(self) -> list[T]:
        """Return the values of all loops."""
        return list(self._values.values())

    def remove_all(self) -> dict[AbstractEventLoop, T]:
        """Remove all values, and return them, keyed by loop."""
        values, self._values = self._values, {}
        return values

    def _discard_closed(self) -> None:
        for loop in list(self._values):
            if loop.is_closed() and (value := self._values.pop(loop, None)) is not None:
                self._discard(value)


class Turns:
    """A first-in-first-out lock across event loops: `async with turns():` admits one task.

    The first in the queue holds the lock. Tasks of a loop that is closed lose their places when
    the next task comes or leaves.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        """Reentrant: the garbage collector may close an abandoned task while the lock is held."""
        self._queue: deque[_Turn] = deque()

    def __call__(self) -> _Turn:
        """Return the context that holds the lock."""
        return _Turn(self)

    def join(self, turn: _Turn) -> None:
        """Add to the queue."""
        with self._lock:
            self._queue.append(turn)
            self._grant_first()

    def leave(self, turn: _Turn) -> None:
        """Remove from the queue; the next may have become the first."""
        with self._lock:
            self._remove(turn)
            self._grant_first()

    def _remove(self, turn: _Turn) -> None:
        with suppress(ValueError):  # it was removed already
            self._queue.remove(turn)

    def _grant_first(self) -> None:
        """Admit the first in the queue whose loop is not closed."""
        while self._queue:
            first = self._queue[0]
            if call_in(first.loop, first.grant):
                return
            self._remove(first)


class _Turn:
    """A task's place in the queue, and the context for which it holds the lock.

    A class, because a generator is not notified when its task is closed while it waits.
    """

    def __init__(self, turns: Turns) -> None:
        self.loop = running_loop()
        self._turns = turns
        self._granted = self.loop.create_future()

    async def __aenter__(self) -> None:
        self._turns.join(self)
        try:
            await self._granted
        except BaseException:
            self._turns.leave(self)
            raise

    async def __aexit__(self, *_: object) -> None:
        self._turns.leave(self)

    def grant(self) -> None:
        """Admit the task, unless it has been admitted already or was cancelled."""
        if not self._granted.done():
            self._granted.set_result(None)

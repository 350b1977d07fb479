"""State that several event loops share, each in its own thread of one process."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import AsyncGenerator, Callable

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

    What a caller can reach first calls this first: asyncio's own errors would not say why.
    """
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise AsyncioRequired from None


def call_in(loop: AbstractEventLoop, callback: Callable[[], object]) -> None:
    """Call `callback` in `loop`: at once if that is the running loop, never if it is closed."""
    if loop is running_loop():
        callback()
        return
    with suppress(RuntimeError):  # the loop is closed
        loop.call_soon_threadsafe(callback)


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
    """A first-in-first-out lock across event loops: `async with turns():` admits one task."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = False
        self._waiting: deque[tuple[AbstractEventLoop, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def __call__(self) -> AsyncGenerator[None]:
        """Acquire the lock for the block."""
        await self._acquire()
        try:
            yield
        finally:
            self._release()

    async def _acquire(self) -> None:
        loop = running_loop()
        entry = (loop, loop.create_future())
        with self._lock:
            if not self._taken:
                self._taken = True
                return
            self._waiting.append(entry)
        try:
            await entry[1]
        except asyncio.CancelledError:
            if not self._withdraw(entry):
                self._release()  # granted at the same moment as cancelled
            raise

    def _withdraw(self, entry: tuple[AbstractEventLoop, asyncio.Future[None]]) -> bool:
        with self._lock:
            if entry not in self._waiting:
                return False
            self._waiting.remove(entry)
            return True

    def _release(self) -> None:
        with self._lock:
            while self._waiting and self._waiting[0][0].is_closed():
                self._waiting.popleft()
            if not self._waiting:
                self._taken = False
                return
            loop, future = self._waiting.popleft()
        call_in(loop, partial(_grant, future))


def _grant(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_result(None)

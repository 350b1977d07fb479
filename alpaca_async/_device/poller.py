"""One periodic read of a device's state, for any number of listeners in one event loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from alpaca_async._tasks import wait_for_end

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable
    from contextlib import AbstractAsyncContextManager

    from alpaca_async._loops import PerLoop

T = TypeVar("T")


class Poller(Generic[T]):
    """Reads a state every `interval` seconds in a task, while there are listeners.

    The task runs inside `operation`, so that closing the client ends it.
    """

    def __init__(
        self,
        read: Callable[[], Awaitable[T]],
        interval: float,
        operation: AbstractAsyncContextManager[None],
    ) -> None:
        self._read = read
        self._interval = interval
        self._operation = operation
        self._listeners = 0
        self._changed = asyncio.Event()
        self._task = asyncio.create_task(self._poll())
        self._latest: tuple[int, T] | None = None

    @property
    def ended(self) -> bool:
        """Whether the polling ended with an error, or was cancelled when the last listener left."""
        return self._task.done() or self._task.cancelling() > 0

    def join(self) -> None:
        """Add a listener."""
        self._listeners += 1

    async def leave(self) -> None:
        """Remove a listener; if none is left, cancel the polling and wait until it has ended."""
        self._listeners -= 1
        if not self._listeners:
            self._task.cancel()
            await wait_for_end(self._task)
            if not self._task.cancelled():
                self._task.exception()  # mark as retrieved: the listeners had it, or left before

    async def after(self, seen: int) -> tuple[int, T]:
        """Wait for a state with a number other than `seen`; return the number and the state.

        Raises the error that ended the polling.
        """
        while (latest := self._latest) is None or latest[0] == seen:
            if self._task.done():
                self._task.result()
            await self._changed.wait()
        return latest

    async def _poll(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        number = 0
        try:
            async with self._operation:
                while True:
                    number += 1
                    self._latest = number, await self._read()
                    self._notify()
                    due = max(due + self._interval, loop.time())
                    await asyncio.sleep(due - loop.time())
        finally:
            loop.call_soon(self._notify)  # after this task is done

    def _notify(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


async def listen(
    pollers: PerLoop[dict[Hashable, Poller[Any]]], key: Hashable, make: Callable[[], Poller[T]]
) -> AsyncGenerator[T]:
    """Yield the states of the poller under `key` in the running event loop, made if there is none.

    A slow caller gets only the latest state. The error that ends the polling is raised.
    """
    poller = _poller(pollers.get(), key, make)
    poller.join()
    try:
        seen = 0
        while True:
            seen, state = await poller.after(seen)
            yield state
    finally:
        await poller.leave()


def _poller(
    pollers: dict[Hashable, Poller[Any]], key: Hashable, make: Callable[[], Poller[T]]
) -> Poller[T]:
    for ended in [each for each, poller in pollers.items() if poller.ended]:
        del pollers[ended]
    if key not in pollers:
        pollers[key] = make()
    return pollers[key]

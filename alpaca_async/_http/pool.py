"""The connections to one server: how many, who may have one next, which are still good."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

import httpx

if TYPE_CHECKING:
    from collections.abc import Generator

    from .connection import Connection

PATIENCE: Final = 0.25
"""Seconds after which a new connection that hears nothing makes the others stop resting."""


class Turn:
    """The right to use one of a server's connections; ends once."""

    def __init__(self, pool: Pool, *, bulk: bool) -> None:
        self._pool: Pool | None = pool
        self._bulk = bulk

    def end(self) -> None:
        """Let the next one have it."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.give_back(bulk=self._bulk)


class Pool:
    """At most `size` connections, taken first come, first served.

    Bulk requests together have at most half of them, rounded up: if they left only one, the
    polls and commands of several cameras would wait for each other.

    A server with few threads may keep each for a connection that rests, and hear no new one. So
    none rests while a new one goes unheard.
    """

    def __init__(self, size: int) -> None:
        self.closed = False
        self._free = size
        self._bulk_free = (size + 1) // 2
        self._tickets = 0
        self._queues: dict[bool, deque[tuple[int, asyncio.Future[None]]]]
        self._queues = {True: deque(), False: deque()}
        self._resting: list[Connection] = []
        self._unheard = 0
        self._connections: set[Connection] = set()

    async def turn(self, *, bulk: bool, timeout: float | None) -> Turn:
        """Wait until this caller may use a connection; `PoolTimeout` after `timeout` seconds."""
        if self._may(bulk=bulk):
            self._grant(bulk=bulk)
        else:
            await self._queue_up(timeout, bulk=bulk)
        return Turn(self, bulk=bulk)

    def give_back(self, *, bulk: bool) -> None:
        """End a turn."""
        self._free += 1
        self._bulk_free += bulk
        while (queue := self._next_queue()) is not None:
            _, waiter = queue.popleft()
            if not waiter.done():
                self._grant(bulk=queue is self._queues[True])
                waiter.set_result(None)

    def take(self) -> Connection | None:
        """Return a connection that rested and is still good, None if there is none."""
        while self._resting:
            connection = self._resting.pop()
            if connection.fit():
                return connection
        return None

    def opened(self, connection: Connection) -> None:
        """Count a new connection in."""
        self._connections.add(connection)

    def rests(self, connection: Connection) -> None:
        """Take back a connection that can be used again, or close it for the sake of others."""
        if self._unheard:
            connection.close()
        else:
            self._resting.append(connection)

    @contextmanager
    def first_exchange(self) -> Generator[None]:
        """Surround the first exchange of a new connection; make room for it if it takes long."""
        late = False

        def make_room() -> None:
            nonlocal late
            late = True
            self._unheard += 1
            for connection in tuple(self._resting):
                connection.close()

        timer = asyncio.get_running_loop().call_later(PATIENCE, make_room)
        try:
            yield
        finally:
            timer.cancel()
            self._unheard -= late

    def lost(self, connection: Connection) -> None:
        """Forget a connection that was closed."""
        self._connections.discard(connection)
        with suppress(ValueError):
            self._resting.remove(connection)

    def close(self) -> None:
        """Close every connection and turn away whoever waits."""
        self.closed = True
        for connection in tuple(self._connections):
            connection.close()
        for queue in self._queues.values():
            while queue:
                _, waiter = queue.popleft()
                if not waiter.done():
                    waiter.set_exception(httpx.ConnectError("the transport was closed"))

    def discard(self) -> None:
        """Let go of what belongs to a loop that no longer runs."""
        for connection in self._connections:
            connection.discard()

    def _may(self, *, bulk: bool) -> bool:
        return self._free > 0 and (not bulk or self._bulk_free > 0)

    def _grant(self, *, bulk: bool) -> None:
        self._free -= 1
        self._bulk_free -= bulk

    def _next_queue(self) -> deque[tuple[int, asyncio.Future[None]]] | None:
        """Return the queue whose first waiter has waited longest among those that may go."""
        able = [queue for bulk, queue in self._queues.items() if queue and self._may(bulk=bulk)]
        return min(able, key=lambda queue: queue[0][0], default=None)

    async def _queue_up(self, timeout: float | None, *, bulk: bool) -> None:
        loop = asyncio.get_running_loop()
        self._tickets += 1
        entry = (self._tickets, loop.create_future())
        self._queues[bulk].append(entry)
        try:
            async with asyncio.timeout(timeout):
                await entry[1]
        except BaseException as error:
            self._give_up(entry, bulk=bulk)
            if isinstance(error, TimeoutError):
                raise httpx.PoolTimeout(f"no connection was free for {timeout:g} s") from error
            raise

    def _give_up(self, entry: tuple[int, asyncio.Future[None]], *, bulk: bool) -> None:
        """Leave the queue; a turn that was granted in this very moment goes to the next."""
        if entry in self._queues[bulk]:
            self._queues[bulk].remove(entry)
        elif not entry[1].cancelled() and not self.closed:
            self.give_back(bulk=bulk)

"""The connection pool of one server: limits, waiting queues and idle connections."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

import httpx

if TYPE_CHECKING:
    from collections.abc import Generator

    from .connection import Connection

CLOSE_IDLE_AFTER: Final = 0.25
"""Seconds that a new connection waits for its first reply until idle ones are closed, ..."""
_ROUND_TRIPS: Final = 2
"""... plus this many times the fastest recent reply: on a slow link every reply is late."""
_REPLIES: Final = 16


class Slot:
    """The right to use one of a server's connections."""

    def __init__(self, pool: Pool, *, bulk: bool) -> None:
        self._pool: Pool | None = pool
        self._bulk = bulk

    def release(self) -> None:
        """Give the slot to the next waiter; does nothing the second time."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.release_slot(bulk=self._bulk)


class Pool:
    """At most `size` connections, granted first come, first served.

    Bulk requests together use at most half of them, rounded up. If they left only one, the polls
    and commands of several cameras would wait for each other.

    While a new connection waits unusually long for its first reply, idle connections are closed:
    a server with few threads may need all of them for idle connections.
    """

    def __init__(self, size: int) -> None:
        self.closed = False
        self._free = size
        self._bulk_free = (size + 1) // 2
        self._arrivals = 0
        self._queues: dict[bool, deque[tuple[int, asyncio.Future[None]]]]
        self._queues = {True: deque(), False: deque()}
        self._idle: list[Connection] = []
        self._unanswered: set[Connection] = set()
        self._reply_times: deque[float] = deque(maxlen=_REPLIES)
        self._connections: set[Connection] = set()

    async def acquire_slot(self, *, bulk: bool, timeout: float | None) -> Slot:
        """Wait for a free slot; raise `PoolTimeout` after `timeout` seconds."""
        if self._is_free(bulk=bulk):
            self._grant(bulk=bulk)
        else:
            await self._queue_up(timeout, bulk=bulk)
        return Slot(self, bulk=bulk)

    def release_slot(self, *, bulk: bool) -> None:
        """Free a slot and grant it to the next waiter."""
        self._free += 1
        self._bulk_free += bulk
        while (queue := self._next_queue()) is not None:
            _, waiter = queue.popleft()
            if not waiter.done():
                self._grant(bulk=queue is self._queues[True])
                waiter.set_result(None)

    def take_idle(self) -> Connection | None:
        """Return an idle connection that is still usable, or None."""
        while self._idle:
            connection = self._idle.pop()
            if connection.check_usable():
                return connection
        return None

    def add(self, connection: Connection) -> None:
        """Add a new connection."""
        self._connections.add(connection)

    def put_idle(self, connection: Connection) -> None:
        """Keep a connection for reuse; close it while a new one waits too long for a reply."""
        self._unanswered.discard(connection)
        if self._unanswered:
            connection.close()
        else:
            self._idle.append(connection)

    @contextmanager
    def first_exchange(self, new: Connection) -> Generator[None]:
        """Wrap the first exchange of a new connection; close idle connections if it takes long."""

        def close_idle() -> None:
            self._unanswered.add(new)
            for connection in tuple(self._idle):
                connection.close()

        timer = asyncio.get_running_loop().call_later(self._patience, close_idle)
        try:
            yield
        finally:
            timer.cancel()
            self._unanswered.discard(new)

    def replied_after(self, seconds: float) -> None:
        """Record how long a reply took to begin."""
        self._reply_times.append(seconds)

    @property
    def _patience(self) -> float:
        return CLOSE_IDLE_AFTER + _ROUND_TRIPS * min(self._reply_times, default=0.0)

    def remove(self, connection: Connection) -> None:
        """Remove a closed connection."""
        self._connections.discard(connection)
        with suppress(ValueError):
            self._idle.remove(connection)

    def close(self) -> None:
        """Close every connection and raise `ConnectError` in all waiters."""
        self.closed = True
        for connection in tuple(self._connections):
            connection.close()
        for queue in self._queues.values():
            while queue:
                _, waiter = queue.popleft()
                if not waiter.done():
                    waiter.set_exception(httpx.ConnectError("the transport was closed"))

    def discard(self) -> None:
        """Shut down the sockets of an event loop that no longer runs."""
        for connection in self._connections:
            connection.shut_down_socket()

    def _is_free(self, *, bulk: bool) -> bool:
        return self._free > 0 and (not bulk or self._bulk_free > 0)

    def _grant(self, *, bulk: bool) -> None:
        self._free -= 1
        self._bulk_free -= bulk

    def _next_queue(self) -> deque[tuple[int, asyncio.Future[None]]] | None:
        """Return the queue with a free slot whose first waiter has waited longest."""
        if not any(self._queues.values()):
            return None
        ready = [
            queue for bulk, queue in self._queues.items() if queue and self._is_free(bulk=bulk)
        ]
        return min(ready, key=lambda queue: queue[0][0], default=None)

    async def _queue_up(self, timeout: float | None, *, bulk: bool) -> None:
        loop = asyncio.get_running_loop()
        self._arrivals += 1
        waiter = loop.create_future()
        entry = (self._arrivals, waiter)
        self._queues[bulk].append(entry)
        timer = None if timeout is None else loop.call_later(timeout, _expire, waiter, timeout)
        try:
            await waiter
        except BaseException:
            self._leave_queue(entry, bulk=bulk)
            raise
        finally:
            if timer is not None:
                timer.cancel()

    def _leave_queue(self, entry: tuple[int, asyncio.Future[None]], *, bulk: bool) -> None:
        """Leave the queue; pass a slot that was granted at the same moment to the next waiter."""
        if entry in self._queues[bulk]:
            self._queues[bulk].remove(entry)
        elif not entry[1].cancelled() and entry[1].exception() is None:
            self.release_slot(bulk=bulk)


def _expire(waiter: asyncio.Future[None], timeout: float) -> None:
    if not waiter.done():
        waiter.set_exception(httpx.PoolTimeout(f"no connection was free for {timeout:g} s"))

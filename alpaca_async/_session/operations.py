"""The running operations of a client or a group, which closing it cancels first."""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Final

from alpaca_async._errors import TransportError
from alpaca_async._loops import call_in, running_loop
from alpaca_async._tasks import finish

if TYPE_CHECKING:
    from types import TracebackType

_END_LIMIT: Final = 20.0
"""Seconds until closing no longer waits for operations: each limits its own clean-up."""

logger = logging.getLogger("alpaca_async")


class Operations:
    """The set of running operations: exposures, ramps, waits."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[Operation] = set()
        self._closed = False

    def start(self, operation: Operation) -> None:
        """Add an operation; raise `TransportError` if the owner is closed."""
        with self._lock:
            if self._closed:
                raise operation.error("the client is closed")
            self._running.add(operation)

    def ended(self, operation: Operation) -> None:
        """Remove an operation."""
        self._running.discard(operation)

    async def close(self) -> None:
        """Cancel all operations, and wait until they have cleaned up; refuse new ones.

        A cancelled caller also waits, because clean-up needs the connections that it closes next.
        An operation that closes its own client is cancelled, but not awaited.
        """
        running_loop()
        caller = asyncio.current_task()
        with self._lock:
            self._closed = True
        # Copied first: operations may end meanwhile, in the threads of other event loops.
        running = [each for each in tuple(self._running) if each.loop.is_running()]
        for operation in running:
            call_in(operation.loop, operation.cancel)
        if others := [each.end for each in running if each.task is not caller]:
            await finish(_wait(others))


class Operation:
    """Context manager of one operation; closing the owner cancels it with `TransportError`.

    Not a generator: in some versions of Python an error would form a reference cycle with its
    own traceback, and keep the memory of a download alive.
    """

    __slots__ = ("_limit", "_member", "_operations", "_server", "end", "loop", "task")

    def __init__(self, operations: Operations, server: str = "", member: str = "") -> None:
        self.end: Future[None] = Future()
        self._operations = operations
        self._server = server
        self._member = member

    async def __aenter__(self) -> None:
        self.loop = running_loop()
        self.task = asyncio.current_task()
        self._limit = asyncio.timeout(None)
        self._operations.start(self)
        await self._limit.__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await self._limit.__aexit__(kind, error, trace)
        except TimeoutError:
            raise self.error("the client was closed") from None
        finally:
            self._operations.ended(self)
            self.end.set_result(None)

    def cancel(self) -> None:
        """Cancel the block."""
        if not self.end.done() and self._limit.when() is None:
            self._limit.reschedule(self.loop.time())

    def error(self, reason: str) -> TransportError:
        """Return an error with the server and the member of the operation."""
        return TransportError(reason, server=self._server, member=self._member)


async def _wait(ends: list[Future[None]]) -> None:
    _, late = await asyncio.wait(map(asyncio.wrap_future, ends), timeout=_END_LIMIT)
    if late:
        logger.warning("%d operations did not end when their client was closed", len(late))

"""Helpers that run tasks to their end, even if the caller is cancelled."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from anyio import CancelScope

from ._loops import PerLoop, running_loop

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable

T = TypeVar("T")

logger = logging.getLogger("alpaca_async")


async def wait_for_end(*tasks: asyncio.Task[Any]) -> None:
    """Wait until `tasks` are done; a cancellation of the caller is raised afterwards."""
    cancelled: asyncio.CancelledError | None = None
    with CancelScope(shield=True):
        while pending := [task for task in tasks if not task.done()]:
            try:
                await asyncio.wait(pending)
            except asyncio.CancelledError as error:
                cancelled = error
    if cancelled is not None:
        try:
            raise cancelled
        finally:
            del cancelled  # its traceback would keep this frame alive, and all others in it


async def finish(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run `coroutine` to its end, even if the caller is cancelled meanwhile.

    The cancellation is then raised instead of returning the result or raising the error.
    """
    task = asyncio.ensure_future(coroutine)
    try:
        await wait_for_end(task)
    except asyncio.CancelledError:
        if not task.cancelled():
            task.exception()  # mark as retrieved, or the event loop logs it
        raise
    return task.result()


async def together(coroutines: Iterable[Awaitable[T]]) -> list[T]:
    """Run `coroutines` concurrently to their ends; return the results or raise the first error."""
    running_loop()
    results = await asyncio.gather(*coroutines, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return cast("list[T]", results)


async def as_completed(tasks: Iterable[asyncio.Task[T]]) -> AsyncGenerator[T]:
    """Yield the results of `tasks` as they come, or raise the first error; cancel the rest."""
    pending = set(tasks)
    try:
        while pending:
            done, _ = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                pending.remove(task)
                yield task.result()
    finally:
        await cancel(*pending)


async def prefetch(take: Callable[[], Coroutine[Any, Any, T | None]]) -> AsyncGenerator[T]:
    """Yield what `take` returns until that is None; take the next while the caller has one."""
    upcoming = [asyncio.create_task(take())]
    try:
        while (item := await upcoming.pop()) is not None:
            upcoming.append(asyncio.create_task(take()))
            yield item
    finally:
        await cancel(*upcoming)


async def cancel(*tasks: asyncio.Task[Any]) -> None:
    """Cancel `tasks` and wait for their ends; log their errors, which nobody awaits any more."""
    for task in tasks:
        task.cancel()
    await wait_for_end(*tasks)
    for task in tasks:
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.info("an operation failed after its caller had left: %s", error)


@dataclass(slots=True, eq=False)
class _Flight(Generic[T]):
    """The current run in one event loop, and the number of callers that wait for it."""

    task: asyncio.Task[T] | None = None
    callers: int = 0


class SingleFlight(Generic[T]):
    """Concurrent callers share one run; if all of them are cancelled, the run is, too.

    Each event loop has its own run.
    """

    def __init__(self) -> None:
        self._flights: PerLoop[_Flight[T]] = PerLoop(_Flight[T])

    @property
    def running(self) -> bool:
        """Whether a run is under way."""
        return any(flight.task is not None for flight in self._flights.values())

    async def __call__(self, run: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Join the current run, or start `run`; first wait for the end of a cancelled run."""
        flight = self._flights.get()
        while flight.task is not None and not flight.callers:
            await asyncio.wait([flight.task])
        if flight.task is None:
            flight.task = asyncio.create_task(run())
        task = flight.task
        flight.callers += 1
        try:
            await asyncio.wait([task])  # does not cancel it if this caller is cancelled
            return task.result()
        finally:
            flight.callers -= 1
            if not flight.callers:
                await self._end(flight, task)

    async def _end(self, flight: _Flight[T], task: asyncio.Task[T]) -> None:
        """End a run that has no callers any more."""
        try:
            if not task.done():
                await cancel(task)
        finally:
            flight.task = None

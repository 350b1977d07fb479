"""Tasks that end with their owners, cancelled or not."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from anyio import CancelScope

from ._loops import PerLoop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable

T = TypeVar("T")


async def wait_for_end(*tasks: asyncio.Task[Any]) -> None:
    """Wait until `tasks` are done, even if the caller is cancelled; that follows afterwards."""
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
            del cancelled  # it would keep this frame, and with it all that it came through


async def finish(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run `coroutine` to its end, even if the caller is cancelled meanwhile.

    That cancellation then takes the place of its result, or of its error.
    """
    task = asyncio.ensure_future(coroutine)
    try:
        await wait_for_end(task)
    except asyncio.CancelledError:
        if not task.cancelled():
            task.exception()  # else the loop would report an error that nobody saw
        raise
    return task.result()


async def together(coroutines: Iterable[Awaitable[T]]) -> list[T]:
    """Run all of `coroutines` to their ends; return their results, or raise the first error."""
    results = await asyncio.gather(*coroutines, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return cast("list[T]", results)


@dataclass(slots=True, eq=False)
class _Flight(Generic[T]):
    """The present run in one event loop, and how many wait for it."""

    task: asyncio.Task[T] | None = None
    callers: int = 0


class SingleFlight(Generic[T]):
    """Callers that ask at the same time share one run; the last to give up cancels it.

    Each event loop has a run of its own.
    """

    def __init__(self) -> None:
        self._flights: PerLoop[_Flight[T]] = PerLoop(_Flight[T])

    @property
    def running(self) -> bool:
        """Whether a run is under way."""
        return any(flight.task is not None for flight in self._flights.values())

    async def __call__(self, run: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Join the present run, or start `run`; a run that was given up ends first."""
        flight = self._flights.get()
        while flight.task is not None and not flight.callers:
            await asyncio.wait([flight.task])
        if flight.task is None:
            flight.task = asyncio.create_task(run())
        task = flight.task
        flight.callers += 1
        try:
            return await asyncio.shield(task)
        finally:
            flight.callers -= 1
            if not flight.callers:
                task.cancel()
                try:
                    await wait_for_end(task)
                finally:
                    flight.task = None

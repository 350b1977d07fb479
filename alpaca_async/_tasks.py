"""Tasks that end with their owners, cancelled or not."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from anyio import CancelScope

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable

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


class Turns:
    """Lets one task at a time into `async with turns():`, in the order in which they came.

    Bound to no event loop while nobody is inside.
    """

    def __init__(self) -> None:
        self._lock: asyncio.Lock | None = None
        self._callers = 0

    @asynccontextmanager
    async def __call__(self) -> AsyncGenerator[None]:
        """Wait for the turn, and hold it for the length of the block."""
        self._lock = self._lock or asyncio.Lock()
        self._callers += 1
        try:
            async with self._lock:
                yield
        finally:
            self._callers -= 1
            if not self._callers:
                self._lock = None


class SingleFlight(Generic[T]):
    """Callers that ask at the same time share one run; the last to give up cancels it."""

    def __init__(self, run: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._run = run
        self._task: asyncio.Task[T] | None = None
        self._callers = 0

    @property
    def running(self) -> bool:
        """Whether a run is under way."""
        return self._task is not None

    async def __call__(self) -> T:
        """Join the present run, or start one; a run that was given up ends first."""
        while self._task is not None and not self._callers:
            await asyncio.wait([self._task])
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        task = self._task
        self._callers += 1
        try:
            return await asyncio.shield(task)
        finally:
            self._callers -= 1
            if not self._callers:
                task.cancel()
                try:
                    await wait_for_end(task)
                finally:
                    self._task = None

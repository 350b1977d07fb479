"""Tasks that end with their owners, cancelled or not."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from anyio import CancelScope

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")


async def wait_for_end(task: asyncio.Task[Any]) -> None:
    """Wait until `task` is done, even if the caller is cancelled; that follows afterwards."""
    cancelled: asyncio.CancelledError | None = None
    with CancelScope(shield=True):
        while not task.done():
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError as error:
                cancelled = error
    if cancelled is not None:
        try:
            raise cancelled
        finally:
            del cancelled  # it would keep this frame, and with it all that it came through


async def finish(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run `coroutine` to its end, even if the caller is cancelled meanwhile."""
    task = asyncio.ensure_future(coroutine)
    await wait_for_end(task)
    return task.result()


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
        """Join the present run, or start one."""
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        task = self._task
        self._callers += 1
        try:
            return await asyncio.shield(task)
        finally:
            self._callers -= 1
            if not self._callers:
                self._task = None
                task.cancel()
                await wait_for_end(task)

"""Something that takes a while, and belongs to a device, not to the request that asked for it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from alpaca_async._errors import AlpacaError
from alpaca_async._tasks import wait_for_end

from .models import problem_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .changes import Changes
    from .models import Problem


class Operation:
    """Runs one function at a time; the next one cancels it first."""

    def __init__(self, changes: Changes) -> None:
        self.error: Problem | None = None
        """Why the last one failed."""
        self._changes = changes
        self._task: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        """Whether a function runs."""
        return self._task is not None

    async def start(self, run: Callable[[], Awaitable[None]]) -> None:
        """Start `run`, after the end of the last one."""
        while self._task is not None:  # again, if another browser was faster
            await self.close()
        self.error = None
        self._task = asyncio.create_task(self._carry_out(run))
        self._task.add_done_callback(self._end)
        self._changes.notify()

    async def close(self) -> None:
        """Cancel what runs, and wait for its end."""
        if self._task is not None:
            self._task.cancel()
            await wait_for_end(self._task)

    async def _carry_out(self, run: Callable[[], Awaitable[None]]) -> None:
        try:
            await run()
        except AlpacaError as error:
            self.error = problem_of(error)

    def _end(self, _: asyncio.Task[None]) -> None:
        """Forget the task; as a callback, since a task may be cancelled before it runs."""
        self._task = None
        self._changes.notify()

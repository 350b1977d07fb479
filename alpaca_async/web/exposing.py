"""The exposures of a camera: they belong to the camera, not to the request that asked for them."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from alpaca_async._tasks import finish, wait_for_end

from .models import Problem, problem_of

if TYPE_CHECKING:
    from alpaca_async._camera import AsyncCamera
    from alpaca_async._image import Image
    from alpaca_async._progress import Progress

    from .changes import Changes
    from .frames import FrameStore
    from .models import Order

_ABORTED: Final = Problem(status=409, detail="The exposure was aborted.")

logger = logging.getLogger("alpaca_async")


class BusyError(Exception):
    """The camera is working on another order."""


class Exposer:
    """Carries out one order at a time, whoever gave it and whether they are still there."""

    def __init__(self, camera: AsyncCamera, store: FrameStore, changes: Changes) -> None:
        self.order: Order | None = None
        self.saved = 0
        """How many frames of `order` are saved."""
        self.progress: Progress | None = None
        self.error: Problem | None = None
        """How the last order ended, unless all its frames were saved."""
        self._camera = camera
        self._store = store
        self._changes = changes
        self._task: asyncio.Task[None] | None = None
        self._aborting = asyncio.Event()

    def start(self, order: Order) -> None:
        """Begin an order; raise `BusyError` if there is one."""
        if self._task is not None:
            raise BusyError("This camera is already exposing.")
        self.order, self.saved, self.error = order, 0, None
        self._aborting.clear()
        self._task = asyncio.create_task(self._carry_out(order))
        self._task.add_done_callback(self._end)
        self._changes.notify()

    async def abort(self) -> None:
        """Abort the exposure, even one that another program started."""
        if self._task is None:
            await self._camera.abort_exposure()
        else:
            await self.close()

    async def close(self) -> None:
        """Abort the order, if there is one, and wait until it has ended."""
        if self._task is None:
            return
        if not self._aborting.is_set():
            self._aborting.set()
            self._task.cancel()  # `exposures` then aborts the exposure, once
        await wait_for_end(self._task)

    async def _carry_out(self, order: Order) -> None:
        try:
            await self._expose(order)
        except Exception as error:
            self.error = problem_of(error)
            logger.info("%r: the order ends: %s", self._camera, error, exc_info=True)

    def _end(self, task: asyncio.Task[None]) -> None:
        """Forget the order; as a callback, since a task may be cancelled before it runs."""
        if task.cancelled():
            self.error = _ABORTED
        self.order = self.progress = self._task = None
        self._changes.notify()

    async def _expose(self, order: Order) -> None:
        await self._store.check()
        await self._camera.reset_frame(order.binning, order.binning)
        images = self._camera.exposures(
            order.duration, count=order.count, light=order.light, progress=self._on_progress
        )
        async with images:
            async for image in images:
                await finish(self._keep(image))  # an abort does not lose what is downloaded

    async def _keep(self, image: Image) -> None:
        await self._store.keep(image, self._aborting)
        self.saved += 1

    def _on_progress(self, progress: Progress) -> None:
        self.progress = progress
        self._changes.notify()

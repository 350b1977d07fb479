"""The exposures of a detector, in a task that ends with the stage at the latest."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

from ophyd_async.core import DetectorAcquireLogic

from alpaca_async._tasks import wait_for_end

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from ophyd_async.core import SignalR

    from alpaca_async._camera import AsyncCamera
    from alpaca_async._protocol.pixeltype import PixelType

    from .writer import FrameWriter

    Report: TypeAlias = Callable[[BaseException | None], object]


class Acquisition(DetectorAcquireLogic):
    """Takes exposures in the background, and hands each image to the writer."""

    def __init__(
        self,
        camera: AsyncCamera,
        pixels: PixelType,
        duration: SignalR[float],
        writer: FrameWriter,
    ) -> None:
        self.count = 1
        """How many exposures follow; 0 for no limit."""
        self.pause = 0.0
        """Seconds between an image and the next exposure."""
        self._camera = camera
        self._pixels = pixels
        self._duration = duration
        self._writer = writer
        self._task: asyncio.Task[None] | None = None
        self._reports: list[Report] = []

    async def start_acquiring(self) -> None:
        """Begin the exposures."""
        await self.ensure_stopped()
        self._task = asyncio.create_task(self._expose())
        self._task.add_done_callback(self._report_end)

    async def wait_for_idle(self) -> None:
        """Wait for the end of the exposures; raise the error that ended them."""
        if self._task is not None:
            await self._task

    async def ensure_stopped(self) -> None:
        """Abort a running exposure."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await wait_for_end(task)

    @contextmanager
    def reporting_to(self, report: Report) -> Generator[None]:
        """Call `report` if the exposures end early: with the error, or None for a stop."""
        self._reports.append(report)
        if self._task is not None and self._task.done():
            self._report_end(self._task)
        try:
            yield
        finally:
            self._reports.remove(report)

    def _report_end(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if task.cancelled() or error is not None:
            for report in self._reports:
                report(error)

    async def _expose(self) -> None:
        duration = await self._duration.get_value()
        images = self._camera.exposures(
            duration, count=self.count or None, pause=self.pause, dtype=self._pixels
        )
        async with images:
            async for image in images:
                await self._writer.add(image)

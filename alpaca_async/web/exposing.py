"""The exposures of a camera: they belong to the camera, not to the request that asked for them."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final

from alpaca_async._errors import (
    AlpacaError,
    ExposureAborted,
    InvalidOperationException,
    NotConnectedException,
)
from alpaca_async._tasks import finish, wait_for_end
from alpaca_async._workflows.idle import BUSY

from .models import Failure, Problem, problem_of
from .sequence import OrderedFrames

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from alpaca_async._camera import AsyncCamera
    from alpaca_async._image import Image
    from alpaca_async._progress import Progress
    from alpaca_async._workflows.sequence import ExposureRequest

    from .changes import Changes
    from .devices import FilterWheel
    from .frames import FrameStore
    from .models import FailureKind, FrameNumber, Order

_ABORTED: Final = Problem(status=409, detail="The exposure was aborted.")

logger = logging.getLogger("alpaca_async")


class BusyError(Exception):
    """The camera is working on another order."""


class Exposer:
    """Carries out one order at a time, whoever gave it and whether they are still there.

    A frame that fails is left out. The order ends if the next one fails as well; that one waits
    up to two minutes for devices that were lost.
    """

    def __init__(
        self,
        camera: AsyncCamera,
        store: FrameStore,
        changes: Changes,
        find_wheel: Callable[[], FilterWheel | None],
        read_keywords: Callable[[], Mapping[str, Any]],
    ) -> None:
        self.order: Order | None = None
        self.current: FrameNumber | None = None
        """The frame of `order` that is exposed."""
        self.saved = 0
        """How many frames of `order` are saved."""
        self.progress: Progress | None = None
        self.error: Failure | None = None
        """Why a frame failed, or how the last order ended."""
        self._camera = camera
        self._store = store
        self._changes = changes
        self._find_wheel = find_wheel
        self._read_keywords = read_keywords
        self._task: asyncio.Task[None] | None = None
        self._aborting = asyncio.Event()

    def start(self, order: Order) -> None:
        """Begin an order; raise `BusyError` if there is one."""
        if self._task is not None:
            raise BusyError("This camera is already exposing.")
        self.order, self.current, self.saved, self.error = order, None, 0, None
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
            await self._expose_all(order)
        except Exception as error:
            self._fail(problem_of(error), await self._kind_of(error))
            logger.info("%r: the order ends: %s", self._camera, error, exc_info=True)

    def _end(self, task: asyncio.Task[None]) -> None:
        """Forget the order; as a callback, since a task may be cancelled before it runs."""
        if task.cancelled():
            self._fail(_ABORTED, "aborted")
        self.order = self.current = self.progress = self._task = None
        self._changes.notify()

    async def _expose_all(self, order: Order) -> None:
        """Expose the frames, and leave out those that fail; raise if two in a row do."""
        await self._store.check()
        frames = OrderedFrames(
            order, self._camera, self._find_wheel(), self._begin, self._read_keywords
        )
        requests = await frames.requests()
        saved_at_failure = -1
        while True:
            try:
                await self._expose(requests)
            except ExposureAborted:
                raise
            except AlpacaError as error:
                if self.saved == saved_at_failure:
                    raise
                saved_at_failure = self.saved
                frames.forget_settings()
                self._fail(problem_of(error), await self._kind_of(error))
                logger.warning("%r: a frame is left out: %s", self._camera, error)
            else:
                return

    async def _expose(self, requests: Iterator[ExposureRequest]) -> None:
        """Expose and save, until the requests or a frame end; a failed one is used up."""
        images = self._camera.exposures(requests, progress=self._on_progress)
        async with images:
            async for image in images:
                await finish(self._keep(image))  # an abort does not lose what is downloaded

    async def _keep(self, image: Image) -> None:
        await self._store.keep(image, self._aborting)
        self.saved += 1

    def _begin(self, number: FrameNumber) -> None:
        self.current, self.progress = number, None
        self._changes.notify()

    def _on_progress(self, progress: Progress) -> None:
        self.progress = progress
        self._changes.notify()

    async def _kind_of(self, error: Exception) -> FailureKind:
        match error:
            case ExposureAborted():
                return "aborted"
            case NotConnectedException() if self.progress is not None:
                return "lost"
            case InvalidOperationException() if await self._is_busy():
                return "busy"
            case _:
                return "failed"

    async def _is_busy(self) -> bool:
        """Whether the camera, which has refused a frame, exposes for another program."""
        try:
            return await self._camera.get_camera_state() in BUSY
        except AlpacaError:
            return False

    def _fail(self, problem: Problem, kind: FailureKind) -> None:
        self.error = Failure(**problem.model_dump(), kind=kind, frame=self.current)
        self._changes.notify()

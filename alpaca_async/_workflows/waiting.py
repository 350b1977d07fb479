"""Waiting for an image: a sleep for as long as it cannot be there, then short growing pauses."""

from __future__ import annotations

import asyncio
import logging
import math
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Literal

from alpaca_async._enums import CameraStates
from alpaca_async._errors import (
    AlpacaError,
    ExposureAborted,
    OperationFailed,
    OperationTimeout,
    TransportError,
)
from alpaca_async._progress import Progress
from alpaca_async._session.error_mapping import is_server_failure

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from alpaca_async._device.exposure_log import StartedExposure
    from alpaca_async._device.icamera import ICameraV4
    from alpaca_async._facts import CameraStatus
    from alpaca_async._progress import ProgressCallback

logger = logging.getLogger("alpaca_async")

_FIRST_STATE: Final = 1.0
"""Seconds until the first look at the state: most failures come at once."""
_STATE_INTERVAL: Final = 1.0
"""Seconds between looks at the state once the image is due, or while somebody watches."""
_LONG_STATE_INTERVAL: Final = 60.0
_PROGRESS_INTERVAL: Final = 0.1
_LOSS_GRACE: Final = 10.0
"""Seconds for which nobody may be able to tell of the camera before the wait is given up."""
_IDLE_GRACE: Final = 10.0
"""Seconds for which real cameras have been seen idle before their image was ready."""
_GHOST_MARGIN: Final = 10.0
"""Seconds after its time for which the image of an aborted exposure is reckoned with."""
_SETTLING: Final = 0.1
"""Seconds until a camera whose exposure is over surely says that it reads it out."""
_BUSY: Final = frozenset(
    {CameraStates.WAITING, CameraStates.EXPOSING, CameraStates.READING, CameraStates.DOWNLOAD}
)
_SHORTEST_PAUSE: Final = 0.01
_FIRST_PAUSE: Final = 0.005
"""Of the time waited so far, as is `_LONGEST_PAUSE`."""
_LONGEST_PAUSE: Final = 0.05
_LONGEST_SHORT_PAUSE: Final = 0.1


class ImageWait:
    """One wait for one image of `camera`, `duration` seconds after now at the earliest.

    `ask` returns the camera's status in one request, None if it has no such request. An aborted
    exposure would have been over at `ghost_due` by the loop's clock: some cameras show its image
    then, whatever they do at that time.
    """

    def __init__(
        self,
        camera: ICameraV4,
        ask: Callable[[], Awaitable[CameraStatus | None]],
        *,
        exposure: StartedExposure | None,
        duration: float,
        timeout: float,
        progress: ProgressCallback | None,
        ghost_due: float = -math.inf,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.exposure = exposure
        self._camera = camera
        self._ask = ask
        self._has_status = True
        self._duration = duration
        self._timeout = timeout
        self._progress = progress
        self._state: CameraStates | None = None
        self._idle_since: float | None = None
        self._lost_since: float | None = None
        self._begun = self._now()
        self._over = self._begun + duration
        self._stopped = asyncio.Event()
        self._patience = asyncio.timeout(None)
        self._next_state = self._begun + _FIRST_STATE
        self._ghost_due = ghost_due if self._begun < ghost_due + _GHOST_MARGIN else math.inf

    async def run(self) -> None:
        """Return when the image is ready; raise what keeps it from becoming so."""
        try:
            async with self._patience:
                await self._integrate()
                await self._poll()
        except TimeoutError:
            if self._patience.expired():
                raise self._signed(ExposureAborted(self._reason())) from None
            raise

    def stop(self) -> None:
        """Take note that the exposure was ended early, and its image is to be expected now."""
        self._over = min(self._over, self._now())
        self._stopped.set()

    def abort(self) -> None:
        """Take note that no image is to be expected; `run` raises `ExposureAborted`."""
        if not self._patience.expired():
            self._patience.reschedule(self._now())

    def _reason(self) -> str:
        if self.exposure is not None and self.exposure.replaced:
            return "another exposure was started before this one's image was fetched"
        return "the exposure was aborted"

    async def _integrate(self) -> None:
        """Sleep until the exposure should be over."""
        while (now := self._now()) < self._over:
            if now >= self._next_state:
                await self._look_early_if_possible()
                self._next_state = self._now() + self._state_interval
                continue  # that may have taken a while
            self._report("exposing", (now - self._begun) / self._duration, self._over - now)
            await self._sleep(min(self._over - now, self._next_state - now, self._step))
        self._next_state = self._over + _STATE_INTERVAL

    async def _sleep(self, seconds: float) -> None:
        """Sleep, but not longer than until the exposure is stopped."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopped.wait()

    async def _poll(self) -> None:
        """Ask until the image is ready."""
        deadline = self._over + self._timeout
        pause = max(_SHORTEST_PAUSE, self._duration * _FIRST_PAUSE)
        while not await self._is_ready_as_far_as_known():
            now = self._now()
            if now >= deadline:
                raise self._signed(OperationTimeout(f"no image within {self._timeout:g} s"))
            self._report("reading", None, None)
            await asyncio.sleep(min(pause, deadline - now))
            pause = min(pause * 2, max(_LONGEST_SHORT_PAUSE, (now - self._begun) * _LONGEST_PAUSE))

    async def _look_early_if_possible(self) -> None:
        """Look at the state; that a look is lost says nothing of the exposure."""
        try:
            await self._look_early()
        except AlpacaError as error:
            if not _is_lost(error):
                raise
            logger.info("a look at the state was lost: %s", error)

    async def _is_ready_as_far_as_known(self) -> bool:
        """Whether the camera has our image; a look that is lost tells of none.

        When all looks have been lost for `_LOSS_GRACE` seconds, raise what was the last.
        """
        try:
            ready = await self._is_ready() and not await self._may_be_ghost()
        except AlpacaError as error:
            if self._lost_since is None:
                self._lost_since = self._now()
            if not _is_lost(error) or self._now() - self._lost_since >= _LOSS_GRACE:
                raise
            logger.info("a look at the camera was lost: %s", error)
            return False
        self._lost_since = None
        return ready

    async def _look_early(self) -> None:
        """Look at the state during the exposure, when no image of it can be ready."""
        status = await self._status()
        if status is None:
            await self._judge(await self._camera.get_camera_state())
            return
        if status.image_ready:
            self._ghost_due = -math.inf
        await self._judge(status.camera_state)

    async def _is_ready(self) -> bool:
        """Whether the camera has an image; the state is looked at as often as it costs little."""
        status = await self._status()
        if status is not None:
            if not status.image_ready:
                await self._judge(status.camera_state)
            else:
                self._state = status.camera_state
            return bool(status.image_ready)
        ready = await self._camera.get_image_ready()
        if not ready and self._now() >= self._next_state:
            await self._judge(await self._camera.get_camera_state())
            self._next_state = self._now() + _STATE_INTERVAL
        return ready

    async def _status(self) -> CameraStatus | None:
        """Return state and readiness in one, None if the camera does not tell them so."""
        status = await self._ask() if self._has_status else None
        if status is not None and status.camera_state is CameraStates.ERROR:
            return status
        if status is None or status.image_ready is None:
            self._has_status = False
            return None
        return status

    async def _judge(self, state: CameraStates | None) -> None:
        """Raise what `state` means for the image."""
        self._state = state
        if state is CameraStates.ERROR:
            # The camera may tell its reason where it is asked for the image.
            await self._camera.get_image_ready()
            raise self._signed(OperationFailed("the camera reports an error"))
        if state is not CameraStates.IDLE:
            self._idle_since = None
        elif self._idle_since is None:
            self._idle_since = self._now()
        elif (
            self._now() - self._idle_since >= _IDLE_GRACE
            # Another client may have stopped the exposure, and its image is there.
            and not await self._camera.get_image_ready()
        ):
            raise self._signed(OperationFailed("the camera is idle, but has no image"))

    async def _may_be_ghost(self) -> bool:
        """Whether the image may be another's, since ours may still be read out.

        An image is never refused for good: cameras exist that are never seen idle, and others
        whose exposures are over early.
        """
        now = self._now()
        if now < self._ghost_due or now >= self._over + _GHOST_MARGIN:
            return False
        if now < self._over + max(_SETTLING, self._duration * _FIRST_PAUSE):
            return True
        if not self._has_status:
            self._state = await self._camera.get_camera_state()
        return self._state in _BUSY

    @property
    def _state_interval(self) -> float:
        return _STATE_INTERVAL if self._progress else _LONG_STATE_INTERVAL

    @property
    def _step(self) -> float:
        return _PROGRESS_INTERVAL if self._progress else math.inf

    def _report(
        self,
        phase: Literal["exposing", "reading"],
        fraction: float | None,
        seconds_left: float | None,
    ) -> None:
        if self._progress is not None:
            self._progress(
                Progress(
                    phase=phase, fraction=fraction, seconds_left=seconds_left, state=self._state
                )
            )

    def _signed(self, error: AlpacaError) -> AlpacaError:
        error.server = self._camera.server
        error.member = f"camera/{self._camera.device_number}/imageready"
        return error

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _is_lost(error: AlpacaError) -> bool:
    """Whether `error` says nothing of the camera: the network's, or a server's in distress."""
    return isinstance(error, TransportError) or is_server_failure(error)

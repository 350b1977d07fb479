"""Waits for an image: sleeps until the exposure should be over, then polls until it is ready."""

from __future__ import annotations

import asyncio
import logging
import math
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Literal

from alpaca_async._device.patience import Patience
from alpaca_async._device.readout import ReadoutPolls
from alpaca_async._enums import CameraStates
from alpaca_async._errors import (
    AlpacaError,
    ExposureAborted,
    OperationFailed,
    OperationTimeout,
)
from alpaca_async._progress import Progress

from .clock import CHECK_INTERVAL, WakingClock
from .idle import BUSY
from .poll_schedule import PollSchedule

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from alpaca_async._device.exposure_log import StartedExposure
    from alpaca_async._device.icamera import ICameraV4
    from alpaca_async._device.readout import ReadoutTimes
    from alpaca_async._facts import CameraStatus
    from alpaca_async._progress import ProgressCallback

logger = logging.getLogger("alpaca_async")

_FIRST_STATE: Final = 1.0
"""Seconds until the first read of the state: most failures happen at once."""
_STATE_INTERVAL: Final = 1.0
"""Seconds between reads of the state once the image is due, or if the caller wants progress."""
_LONG_STATE_INTERVAL: Final = 60.0
"""Seconds between reads of the state during the exposure otherwise."""
_PROGRESS_INTERVAL: Final = 0.1
_IDLE_GRACE: Final = 10.0
"""Seconds for which a camera may be idle without an image: some real cameras are, for a while."""
_STALE_IMAGE_MARGIN: Final = 10.0
"""Seconds after the end of an aborted exposure in which a camera may still show its image."""
_SETTLING: Final = 0.1
"""Seconds after the end of an exposure within which every camera reports that it reads out."""
_SETTLING_FRACTION: Final = 0.005
"""The same as a fraction of the exposure time, if that is longer."""


class ImageWait:
    """Waits for one image of `camera`, which cannot be ready before `duration` seconds from now.

    `read_device_state` reads the status in one request; it returns None if that is not possible:
    then ImageReady and CameraState decide. `before_pause` is called when the image was not ready,
    before the pause until the next poll. `readout` predicts when the image is ready, and learns
    from this exposure; None for an exposure that tells nothing about others. `stale_image_due` is
    when an aborted exposure would have been over, by the loop's clock. Some cameras show its image
    then, even during another exposure: a stale image.
    """

    def __init__(  # noqa: PLR0913 - what a wait depends on, by name
        self,
        camera: ICameraV4,
        read_device_state: Callable[[], Awaitable[CameraStatus | None]],
        *,
        exposure: StartedExposure | None,
        duration: float,
        timeout: float,
        progress: ProgressCallback | None,
        before_pause: Callable[[], None] | None = None,
        readout: ReadoutTimes | None = None,
        stale_image_due: float = -math.inf,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self._now = WakingClock().now
        self.exposure = exposure
        self._readiness = None if exposure is None else exposure.readiness
        self._camera = camera
        self._read_device_state = read_device_state
        self.status: CameraStatus | None = None
        """The last status that the camera reported in one request."""
        self._has_status = True
        self._duration = duration
        self._timeout = timeout
        self._progress = progress
        self._before_pause = before_pause
        self._state: CameraStates | None = None
        self._idle_since: float | None = None
        self._patience = Patience()
        self._started = self._now()
        self._end = self._started + duration
        self._stopped = asyncio.Event()
        self._abort_scope = asyncio.timeout(None)
        self._next_state = self._started + _FIRST_STATE
        self._readout = None if readout is None else ReadoutPolls(readout)
        self._stale_image_due = (
            stale_image_due if self._started < stale_image_due + _STALE_IMAGE_MARGIN else math.inf
        )

    async def run(self) -> None:
        """Return when the image is ready; raise an error if it will not be."""
        try:
            async with self._abort_scope:
                if self._needs_early_poll:
                    await self._has_our_image()
                await self._wait_for_end_of_exposure()
                await self._poll_until_ready()
        except TimeoutError:
            if self._abort_scope.expired():
                raise self._located(ExposureAborted(self._reason())) from None
            raise

    @property
    def _needs_early_poll(self) -> bool:
        """Whether to poll before the exposure is over, to see the camera begin."""
        return (
            self._readiness is not None
            and self._now() < self._end
            and self._readiness.needs_early_poll(self._duration)
        )

    def stop(self) -> None:
        """Expect the image now: the exposure was stopped early."""
        self._end = min(self._end, self._now())
        self._stopped.set()

    def abort(self) -> None:
        """Expect no image: `run` raises `ExposureAborted`."""
        if not self._abort_scope.expired():
            self._abort_scope.reschedule(self.loop.time())

    def _reason(self) -> str:
        if self.exposure is not None and self.exposure.replaced:
            return "another exposure was started before this one's image was fetched"
        return "the exposure was aborted"

    async def _wait_for_end_of_exposure(self) -> None:
        """Sleep until the exposure should be over."""
        while (now := self._now()) < self._end:
            if now >= self._next_state:
                await self._try_early_check()
                self._next_state = self._now() + self._state_interval
                continue  # the read may have taken a while
            self._report("exposing", (now - self._started) / self._duration, self._end - now)
            left = min(self._end, self._next_state) - now
            await self._sleep(min(left, self._step))
        self._next_state = self._end + _STATE_INTERVAL

    async def _sleep(self, seconds: float) -> None:
        """Sleep for `seconds`, or until the exposure is stopped."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopped.wait()

    async def _poll_until_ready(self) -> None:
        """Poll until the image is ready."""
        deadline = self._end + self._timeout
        schedule = PollSchedule(self._duration, self._predicted_polls())
        if self._has_begun:
            await self._rest(schedule.until_first(self._now() - self._end), deadline)
        while not await self._poll():
            if self._now() >= deadline:
                raise self._located(OperationTimeout(f"no image within {self._timeout:g} s"))
            self._report("reading", None, None)
            if self._before_pause is not None:
                self._before_pause()
            await self._rest(self._next_pause(schedule), deadline)

    def _predicted_polls(self) -> Sequence[float]:
        return self._readout.predicted() if self._readout and self._is_usual else ()

    @property
    def _is_usual(self) -> bool:
        """Whether the image is ready as soon after the exposure as those of others."""
        return not self._stopped.is_set() and self._stale_image_due == math.inf

    @property
    def _has_begun(self) -> bool:
        """Whether an image that is ready would be that of this exposure."""
        return self._readiness is None or self._readiness.has_begun(self._now())

    def _next_pause(self, schedule: PollSchedule) -> float:
        now = self._now()
        if self._has_begun and (pause := schedule.until_predicted(now - self._end)) is not None:
            return pause
        return schedule.growing_pause(now - self._started)

    async def _rest(self, seconds: float, deadline: float) -> None:
        """Sleep, until `deadline` at most; with progress, until the state has to be read."""
        end = min(self._now() + min(seconds, self._state_interval), deadline)
        while (left := end - self._now()) > self._step:
            await asyncio.sleep(self._step)
            self._report("reading", None, None)
        if left > 0:  # else facts would be requested before the poll
            await asyncio.sleep(left)

    async def _poll(self) -> bool:
        """Whether the camera has our image; what the poll shows is learned."""
        sent = self._now()
        ready = await self._has_our_image()
        if self._readout is None or ready is None or not self._is_usual:
            return bool(ready)
        poll = sent - self._end, self._now() - self._end
        if ready:
            self._readout.ready(*poll)
        elif self._has_begun:
            self._readout.not_ready(*poll)
        return ready

    async def _try_early_check(self) -> None:
        """Check the state; a failed request says nothing about the exposure, and is ignored."""
        try:
            await self._check_early()
        except AlpacaError as error:
            if not self._patience.tolerates(error):
                raise
        else:
            self._patience.succeeded()

    async def _has_our_image(self) -> bool | None:
        """Whether the camera has our image; None if the poll failed, and that is tolerated."""
        try:
            ready = await self._has_new_image() and not await self._may_be_stale()
        except AlpacaError as error:
            if not self._patience.tolerates(error):
                raise
            return None
        self._patience.succeeded()
        return ready

    async def _check_early(self) -> None:
        """Check the state during the exposure: an image that is ready now must be a stale one."""
        status = await self._read_status()
        if status is None:
            await self._check_state(await self._camera.get_camera_state())
            return
        if status.image_ready:
            self._stale_image_due = -math.inf
        await self._check_state(status.camera_state)

    async def _has_new_image(self) -> bool:
        """Whether the camera has an image, and it is not the one before this exposure."""
        ready = await self._has_image()
        if self._readiness is None:
            return ready
        busy = self._has_status and self._state in BUSY
        return self._readiness.is_new(self._now(), ready=ready, busy=busy)

    async def _has_image(self) -> bool:
        """Whether the camera has an image; also checks the state, if it costs few requests."""
        status = await self._read_status()
        if status is not None:
            if not status.image_ready:
                await self._check_state(status.camera_state)
            else:
                self._state = status.camera_state
            return bool(status.image_ready)
        ready = await self._camera.get_image_ready()
        if not ready and self._now() >= self._next_state:
            await self._check_state(await self._camera.get_camera_state())
            self._next_state = self._now() + _STATE_INTERVAL
        return ready

    async def _read_status(self) -> CameraStatus | None:
        """Return state and readiness from one request; None if the camera does not support it."""
        status = await self._read_device_state() if self._has_status else None
        self.status = status or self.status
        if status is not None and status.camera_state is CameraStates.ERROR:
            return status
        if status is None or status.image_ready is None:
            self._has_status = False
            return None
        return status

    async def _check_state(self, state: CameraStates | None) -> None:
        """Raise `OperationFailed` if there can be no image in this state."""
        self._state = state
        if state is CameraStates.ERROR:
            # This request may raise the camera's own reason.
            await self._camera.get_image_ready()
            raise self._located(OperationFailed("the camera reports an error"))
        if state is not CameraStates.IDLE:
            self._idle_since = None
        elif self._idle_since is None:
            self._idle_since = self._now()
        elif (
            self._now() - self._idle_since >= _IDLE_GRACE
            # Another client may have stopped the exposure: then its image is ready.
            and not await self._camera.get_image_ready()
        ):
            raise self._located(OperationFailed("the camera is idle, but has no image"))

    async def _may_be_stale(self) -> bool:
        """Whether the image may be that of an aborted exposure, while ours is not read out yet.

        After `_STALE_IMAGE_MARGIN` every image is accepted: some cameras never report that they
        are idle, and the exposures of others end early.
        """
        now = self._now()
        if now < self._stale_image_due or now >= self._end + _STALE_IMAGE_MARGIN:
            return False
        if now < self._end + max(_SETTLING, self._duration * _SETTLING_FRACTION):
            return True
        if not self._has_status:
            self._state = await self._camera.get_camera_state()
        return self._state in BUSY

    @property
    def _state_interval(self) -> float:
        return _STATE_INTERVAL if self._progress else _LONG_STATE_INTERVAL

    @property
    def _step(self) -> float:
        return _PROGRESS_INTERVAL if self._progress else CHECK_INTERVAL

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

    def _located(self, error: AlpacaError) -> AlpacaError:
        error.server = self._camera.server
        error.member = f"camera/{self._camera.device_number}/imageready"
        return error

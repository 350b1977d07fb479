"""Waiting for an image: a sleep for as long as it cannot be there, then short growing pauses."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Final, Literal

from ._enums import CameraStates
from ._errors import OperationFailed, OperationTimeout
from ._progress import Progress

if TYPE_CHECKING:
    from ._errors import AlpacaError
    from ._icamera import ICameraV4
    from ._progress import ProgressCallback

_FIRST_STATE: Final = 1.0
"""Seconds until the first look at the state: most failures come at once."""
_STATE_INTERVAL: Final = 1.0
"""Seconds between looks at the state once the image is due, or while somebody watches."""
_LONG_STATE_INTERVAL: Final = 60.0
_PROGRESS_INTERVAL: Final = 0.1
_IDLE_GRACE: Final = 10.0
"""Seconds for which real cameras have been seen idle before their image was ready."""
_SHORTEST_PAUSE: Final = 0.01
_FIRST_PAUSE: Final = 0.005
"""Of the time waited so far, as is `_LONGEST_PAUSE`."""
_LONGEST_PAUSE: Final = 0.05
_LONGEST_SHORT_PAUSE: Final = 0.1


class ImageWait:
    """One wait for one image of `camera`, `duration` seconds after now at the earliest."""

    def __init__(
        self,
        camera: ICameraV4,
        *,
        duration: float,
        timeout: float | None,
        progress: ProgressCallback | None,
    ) -> None:
        self._camera = camera
        self._duration = duration
        self._timeout = math.inf if timeout is None else timeout
        self._progress = progress
        self._state: CameraStates | None = None
        self._idle_since: float | None = None
        self._begun = self._now()
        self._next_state = self._begun + _FIRST_STATE

    async def run(self) -> None:
        """Return when the image is ready; raise what keeps it from becoming so."""
        await self._integrate()
        await self._poll()

    async def _integrate(self) -> None:
        """Sleep until the exposure should be over."""
        over = self._begun + self._duration
        while (now := self._now()) < over:
            if now >= self._next_state:
                await self._look_at_state()
                self._next_state = self._now() + self._state_interval
                continue  # that may have taken a while
            self._report("exposing", (now - self._begun) / self._duration, over - now)
            await asyncio.sleep(min(over - now, self._next_state - now, self._step))
        self._next_state = over + _STATE_INTERVAL

    async def _poll(self) -> None:
        """Ask until the image is ready."""
        deadline = self._begun + self._duration + self._timeout
        pause = max(_SHORTEST_PAUSE, self._duration * _FIRST_PAUSE)
        while not await self._camera.get_image_ready():
            now = self._now()
            if now >= self._next_state:
                await self._look_at_state()
                self._next_state = now + _STATE_INTERVAL
            if now >= deadline:
                raise self._signed(OperationTimeout(f"no image within {self._timeout:g} s"))
            self._report("reading", None, None)
            await asyncio.sleep(min(pause, deadline - now))
            pause = min(pause * 2, max(_LONGEST_SHORT_PAUSE, (now - self._begun) * _LONGEST_PAUSE))

    async def _look_at_state(self) -> None:
        self._state = await self._camera.get_camera_state()
        if self._state is CameraStates.ERROR:
            # The camera may tell its reason where it is asked for the image.
            await self._camera.get_image_ready()
            raise self._signed(OperationFailed("the camera reports an error"))
        if self._state is not CameraStates.IDLE:
            self._idle_since = None
        elif self._idle_since is None:
            self._idle_since = self._now()
        elif self._now() - self._idle_since >= _IDLE_GRACE:
            raise self._signed(OperationFailed("the camera is idle, but has no image"))

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

"""Keeps a camera connected, and its status up to date."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from alpaca_async._errors import AlpacaError

from .history import History
from .models import problem_of

if TYPE_CHECKING:
    from alpaca_async._camera import AsyncCamera
    from alpaca_async._facts import CameraInfo, CameraStatus
    from alpaca_async._workflows.gain_offset import ValueOptions

    from .changes import Changes
    from .cooling import Cooler
    from .models import Pace, Problem

logger = logging.getLogger("alpaca_async")


class Follower:
    """Reads the status of one camera, for all browsers, and remembers what it was."""

    def __init__(self, camera: AsyncCamera, cooler: Cooler, changes: Changes, pace: Pace) -> None:
        self.info: CameraInfo | None = None
        self.status: CameraStatus | None = None
        self.gains: ValueOptions | None = None
        """None if the camera has no gain, or it is not known yet."""
        self.identified = asyncio.Event()
        """Set when `info` is known."""
        self.error: Problem | None = None
        """Why the status cannot be read."""
        self.history = History()
        self._camera = camera
        self._cooler = cooler
        self._changes = changes
        self._pace = pace
        self._time = time.monotonic()
        self._gap = 0.0

    @property
    def silent_for(self) -> float:
        """Seconds since the last status, or since the start."""
        return time.monotonic() - self._time

    @property
    def late(self) -> bool:
        """Whether the camera answers slowly or not at all."""
        return max(self.silent_for, self._gap) > self._pace.late_after

    async def run(self) -> None:
        """Keep the camera connected and its status up to date; retry after every error."""
        while True:
            try:
                await self._camera.connect()
                self.info = await self._camera.get_info()
                self.gains = await self._read_gains()
                self.identified.set()
                async with self._camera.watch(self._pace.interval) as statuses:
                    async for status in statuses:
                        self._update(status)
            except AlpacaError as error:
                self.error = problem_of(error)
                self._changes.notify()
            await asyncio.sleep(self._pace.retry)

    async def _read_gains(self) -> ValueOptions | None:
        try:
            return await self._camera.get_gain_options()
        except AlpacaError as error:  # a fault of the gain should not hide the camera
            logger.info("%r: the possible gains are unknown: %s", self._camera, error)
            return None

    def _update(self, status: CameraStatus) -> None:
        now = time.monotonic()
        self._gap = 0.0 if self.error else now - self._time
        self.status, self._time, self.error = status, now, None
        self.history.add(status, self._cooler.set_point)
        self._changes.notify()

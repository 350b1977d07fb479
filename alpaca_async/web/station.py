"""A camera with all that belongs to it: its status, its exposures, its frames."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from .cooling import Cooler
from .exposing import Exposer
from .following import Follower
from .frames import FrameStore
from .models import View

if TYPE_CHECKING:
    from pathlib import Path

    from alpaca_async._camera import AsyncCamera

    from .changes import Changes
    from .devices import Rig
    from .models import Pace


class Station:
    """One camera of the observatory."""

    def __init__(
        self,
        number: int,
        camera: AsyncCamera,
        folder: Path,
        changes: Changes,
        pace: Pace,
        rig: Rig,
    ) -> None:
        self.cooler = Cooler(camera, changes, pace.cooling)
        self.follower = Follower(camera, self.cooler, changes, pace)
        self.store = FrameStore(folder, f"camera{number}", changes)
        at = camera.server, camera.device_number
        self._find_wheel = partial(rig.wheel_for, *at)
        read_keywords = partial(rig.keywords_for, *at)
        self.exposer = Exposer(camera, self.store, changes, self._find_wheel, read_keywords)
        self._number = number
        self._camera = camera

    @property
    def server(self) -> str:
        """The origin of the camera's server."""
        return self._camera.server

    async def show_earlier_frames(self) -> None:
        """Show the frames of earlier runs, once it is known which camera this is."""
        await self.follower.identified.wait()
        if info := self.follower.info:
            await self.store.add_earlier(info.name)

    def view(self) -> View:
        """Return the current state."""
        follower, exposer = self.follower, self.exposer
        wheel = self._find_wheel()
        return View(
            number=self._number,
            server=self.server,
            device_number=self._camera.device_number,
            info=follower.info,
            status=follower.status,
            silent_for=follower.silent_for,
            late=follower.late,
            status_error=follower.error,
            gains=follower.gains,
            wheel=None if wheel is None else wheel.number,
            order=exposer.order,
            current=exposer.current,
            saved=exposer.saved,
            progress=exposer.progress,
            exposure_error=exposer.error,
            storage_error=self.store.error,
            saved_elsewhere=self.store.saved_elsewhere,
            frames=self.store.frames,
            cooling=self.cooler.view(),
        )

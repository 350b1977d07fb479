"""Saves the frames of a camera, and keeps those in memory that cannot be saved yet."""

from __future__ import annotations

import asyncio
import logging
import shutil
import tempfile
from contextlib import suppress
from errno import ENOENT, ENOSPC
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from anyio import to_thread

from alpaca_async._fits.pixels import pixel_type

from .crops import PixelFile
from .earlier_frames import earlier_frames
from .models import Frame, FrameHistogram, Problem, problem_of, statistics_of
from .saved_frame import SavedFrame, url_of

if TYPE_CHECKING:
    from alpaca_async._facts import Exposure
    from alpaca_async._image import Image

    from .changes import Changes

MAX_FRAMES: Final = 24
"""Frames of each camera that browsers can see; all files stay in the folder."""

_BINS: Final = 64
_PREVIEW_SIZE: Final = 1600
_RETRY: Final = 2.0
"""Seconds between two attempts to save a frame."""
_MIN_FREE_BYTES: Final = 1 << 30
"""A disk with less is full: the system needs some space, too."""

logger = logging.getLogger("alpaca_async")


class FrameStore:
    """The frames of one camera, in a folder that may vanish and come back."""

    def __init__(self, folder: Path, prefix: str, changes: Changes) -> None:
        self.error: Problem | None = None
        """Why a frame cannot be saved now."""
        self.saved_elsewhere: str | None = None
        """The file of the last frame, if it had to be saved in another folder."""
        self._folder = folder
        self._prefix = prefix
        self._changes = changes
        self._latest: list[SavedFrame] = []

    @property
    def frames(self) -> list[Frame]:
        """The latest frames, newest first."""
        return [saved.frame for saved in self._latest]

    def find(self, name: str) -> SavedFrame | None:
        """Return the frame called `name`, if it is among the latest."""
        return next((saved for saved in self._latest if saved.frame.name == name), None)

    async def add_earlier(self, camera: str | None) -> None:
        """Add the frames that earlier runs saved of the camera with this name."""
        earlier = await to_thread.run_sync(
            earlier_frames, self._folder, self._prefix, camera, MAX_FRAMES
        )
        known = {saved.frame.name for saved in self._latest}
        new = (saved for saved in earlier if saved.frame.name not in known)
        self._latest = [*self._latest, *new][:MAX_FRAMES]
        self._changes.notify()

    async def check(self) -> None:
        """Raise `OSError` if the folder is missing or its disk is full."""
        await to_thread.run_sync(_check_folder, self._folder)

    async def keep(self, image: Image, giving_up: asyncio.Event) -> None:
        """Save a frame; try again until that succeeds, or until `giving_up` is set.

        Then the frame is saved in the folder for temporary files: see `saved_elsewhere`.
        """
        while True:
            try:
                self._add(await self._save(image, self._folder))
            except OSError as error:
                self._tell(problem_of(error))
                if giving_up.is_set():
                    await self._rescue(image)
                    return
                with suppress(TimeoutError):
                    await asyncio.wait_for(giving_up.wait(), _RETRY)
            else:
                self.saved_elsewhere = None
                self._tell(None)
                return

    async def _rescue(self, image: Image) -> None:
        """Save a frame in the folder for temporary files; raise `OSError` if that fails, too."""
        folder = Path(await to_thread.run_sync(tempfile.mkdtemp, "", "alpaca-async-"))
        saved = await self._save(image, folder)
        self._add(saved)
        logger.warning("%s cannot be written; a frame was saved as %s", self._folder, saved.fits)
        self.saved_elsewhere = str(saved.fits)
        self._tell(None)

    def _add(self, saved: SavedFrame) -> None:
        self._latest = [saved, *self._latest][:MAX_FRAMES]

    def _tell(self, problem: Problem | None) -> None:
        self.error = problem
        self._changes.notify()

    async def _save(self, image: Image, folder: Path) -> SavedFrame:
        """Write the FITS file and the preview of a frame."""
        exposure = cast("Exposure", image.exposure)  # `exposures` always sets it
        name = f"{self._prefix}_{exposure.started:%Y%m%d_%H%M%S_%f}"
        fits = await image.save_fits(folder / f"{name}.fits", overwrite=True)
        preview = await image.save_preview(fits.with_suffix(".png"), max_size=_PREVIEW_SIZE)
        histogram = await image.histogram(_BINS)
        frame = Frame(
            name=name,
            fits=url_of(fits),
            preview=url_of(preview),
            width=image.data.shape[1],
            height=image.data.shape[0],
            duration=exposure.duration,
            light=exposure.light,
            filter=exposure.header.get("FILTER"),
            started=exposure.started,
            ccd_temperature=exposure.ccd_temperature,
            statistics=statistics_of(await image.statistics()),
        )
        return SavedFrame(
            frame,
            fits,
            preview,
            FrameHistogram(
                counts=histogram.counts.tolist(),
                low=float(histogram.edges[0]),
                high=float(histogram.edges[-1]),
            ),
            PixelFile(fits, image.data.shape, await to_thread.run_sync(pixel_type, image)),
        )


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise FileNotFoundError(ENOENT, "the folder does not exist", str(folder))
    if shutil.disk_usage(folder).free < _MIN_FREE_BYTES:
        raise OSError(ENOSPC, "less than 1 GB is free on the disk", str(folder))

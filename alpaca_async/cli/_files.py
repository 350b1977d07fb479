"""The files of a sequence: numbered on from what is there, never overwritten."""

from __future__ import annotations

import re
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

from ._usage import WrongUsage

if TYPE_CHECKING:
    from pathlib import Path

    from alpaca_async._image import Image


class FrameFiles:
    """Frames in `folder`, called `<prefix>_0001.fits` and so on.

    Making one makes the folder. `WrongUsage` for a prefix that is no file name, `OSError` if
    the folder cannot be made, read or written to: better now than after a long exposure.
    """

    def __init__(self, folder: Path, prefix: str) -> None:
        if not prefix.strip() or any(letter in prefix for letter in '/\\:*?"<>|\0'):
            raise WrongUsage(f"--name {prefix!r} cannot be the beginning of a file's name")
        folder.mkdir(parents=True, exist_ok=True)
        _try_to_write(folder)
        self._folder = folder
        self._prefix = prefix
        self._last = _last_number(folder, prefix)

    async def save(self, image: Image) -> Path:
        """Write a FITS file under the next number that is free, and return its path."""
        while True:
            self._last += 1
            path = self._folder / f"{self._prefix}_{self._last:04d}.fits"
            try:
                return await image.save_fits(path)
            except FileExistsError:  # somebody else writes here too
                continue


def _try_to_write(folder: Path) -> None:
    try:
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:  # would name a file that nobody knows
        raise OSError(error.errno, error.strerror, str(folder)) from error


def _last_number(folder: Path, prefix: str) -> int:
    """Return the highest number in use, for a picture or anything else."""
    numbered = re.compile(rf"{re.escape(prefix)}_(\d{{4,9}})\..*", re.ASCII)
    matches = (numbered.fullmatch(entry.name) for entry in folder.iterdir())
    return max((int(match[1]) for match in matches if match), default=0)

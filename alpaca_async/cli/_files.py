"""Numbered FITS files of a sequence. Existing files are never overwritten."""

from __future__ import annotations

import re
from errno import ENOTDIR
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

from ._usage import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from alpaca_async._image import Image


class FrameFiles:
    """Saves frames in `folder` as `<prefix>_0001.fits` and so on.

    The constructor creates the folder. It raises `UsageError` if the prefix cannot be part of a
    file name, and `OSError` if the folder cannot be created, read or written to. These errors
    must not come after a long exposure.
    """

    def __init__(self, folder: Path, prefix: str) -> None:
        if not prefix.strip() or any(letter in prefix for letter in '/\\:*?"<>|\0'):
            raise UsageError(f"--name {prefix!r} is not a valid start of a file name")
        make_folder(folder)
        self._folder = folder
        self._prefix = prefix
        self._last = _last_number(folder, prefix)

    async def save(self, image: Image) -> Path:
        """Write a FITS file with the next free number, and return its path."""
        while True:
            self._last += 1
            path = self._folder / f"{self._prefix}_{self._last:04d}.fits"
            try:
                return await image.save_fits(path)
            except FileExistsError:  # another program writes to the same folder
                continue


def make_folder(folder: Path) -> None:
    """Create `folder` if it is missing; raise `OSError` if files cannot be written to it."""
    if folder.exists() and not folder.is_dir():
        raise OSError(ENOTDIR, "this is a file, not a folder", str(folder))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:  # its path is a random name: report the folder
        raise OSError(error.errno, error.strerror, str(folder)) from error


def _last_number(folder: Path, prefix: str) -> int:
    """Return the highest number in use, whatever the file type; 0 if there is none."""
    numbered = re.compile(rf"{re.escape(prefix)}_(\d{{4,9}})\..*", re.ASCII)
    matches = (numbered.fullmatch(entry.name) for entry in folder.iterdir())
    return max((int(match[1]) for match in matches if match), default=0)

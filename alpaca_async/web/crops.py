"""Reads a part of a frame from its FITS file, in full resolution. Blocks: call it in a thread."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from alpaca_async._fits.pixels import bzero_of

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

BLOCK_BYTES: Final = 2880


@dataclass(frozen=True, slots=True)
class Crop:
    """A part of a frame that `preview.encode` accepts."""

    data: NDArray[Any]
    exposure: None = None


@dataclass(frozen=True, slots=True)
class PixelFile:
    """Where the pixels of a frame are: in a FITS file that `Image.save_fits` wrote.

    `shape` is that of `Image.data`, `dtype` the type in the file, in native byte order.
    """

    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def stored_bytes(self) -> int:
        """The size of the pixels in the file, with what fills the last block."""
        nbytes = prod(self.shape) * self.dtype.itemsize
        return -(-nbytes // BLOCK_BYTES) * BLOCK_BYTES

    def crop(self, middle: tuple[float, float], size: tuple[int, int]) -> Crop:
        """Return at most `size` pixels (across, down) around a point, in fractions of the frame.

        A copy: only these rows are read. Raises `OSError` or `ValueError` if the file has changed.
        """
        height, width = self.shape[:2]
        columns = _around(middle[0], width, size[0])
        rows = _around(middle[1], height, size[1])
        planes = np.array(self._stored()[..., rows, columns].astype(self.dtype.newbyteorder("=")))
        if bzero := bzero_of(self.dtype):
            planes = planes ^ self.dtype.type(bzero)
        return Crop(np.moveaxis(planes, 0, 2) if planes.ndim > 2 else planes)  # noqa: PLR2004 - rows, columns

    def _stored(self) -> NDArray[Any]:
        """Map the pixels as the file has them: planes first, big-endian, unsigned with BZERO."""
        shape = (*self.shape[2:], *self.shape[:2])
        offset = self.path.stat().st_size - self.stored_bytes
        if offset < 0:
            raise ValueError(f"{self.path} is shorter than its frame")
        return np.memmap(self.path, self.dtype.newbyteorder(">"), "r", offset, shape)


def _around(fraction: float, length: int, size: int) -> slice:
    """Return a slice of at most `size` around a fraction of `length`, inside of it."""
    start = min(max(round(fraction * length) - size // 2, 0), max(length - size, 0))
    return slice(start, min(start + size, length))

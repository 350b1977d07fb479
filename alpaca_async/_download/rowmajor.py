"""Cache-friendly conversion from ASCOM's order `[x, y(, plane)]` to `[y, x(, plane)]`. Pure.

The reasons for the block sizes: docs/decisions/0003-row-major.md.
"""

from __future__ import annotations

import math
import mmap
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from .transposition import Transposer, slices

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import DTypeLike, NDArray

SLAB_BYTES: Final = 4 << 20
"""The size of a slab: columns that are received before they are transposed. A slab is small
enough to stay in the processor's cache until then."""

# The largest read, in bytes, while the array's pages are not mapped yet.
_FIRST_READS: Final = 64 << 10

# Bytes that a slab writes into each row: so many that each page of the array is visited only a few
# times.
_SLAB_ROW: Final = 1024


def row_major_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape with the first two dimensions swapped."""
    return (shape[1], shape[0], *shape[2:])


def transpose_blocked(source: NDArray[Any], target: NDArray[Any]) -> Iterator[None]:
    """Copy `source`, `[x, y(, plane)]`, into `target`, `[y, x(, plane)]`; both C-contiguous.

    A generator: each step copies one slab, in a few milliseconds. It may be abandoned at any step.
    """
    slabs = _Slabs(source.shape, source.dtype, SLAB_BYTES)
    columns, rows = _with_planes(source), _with_planes(target)
    transposer = Transposer(columns.shape[2], source.dtype)
    for xs, ys in slabs:
        transposer.copy(columns[xs, ys], rows[ys, xs])
        yield


class RowMajorBuffer:
    """Receives pixels in ASCOM's order, in pieces of any size, into a row-major array.

    Allocates the array and one slab of about `slab_bytes`, but no second frame. `array` has the
    shape `(y, x(, plane))`, is C-contiguous, and is complete when `missing`, in bytes, is 0.
    """

    def __init__(
        self, shape: tuple[int, ...], dtype: DTypeLike, *, slab_bytes: int = SLAB_BYTES
    ) -> None:
        self.array: NDArray[Any] = np.empty(row_major_shape(shape), dtype)
        self.missing = self.array.nbytes
        self._rows = _with_planes(self.array)
        self._transposer = Transposer(self._rows.shape[2], self.array.dtype)
        slabs = _Slabs(shape, self.array.dtype, slab_bytes)
        self._slabs = iter(slabs)
        self._memory = np.empty(slabs.nbytes, np.uint8)
        self._unmapped: NDArray[np.uint8] = self.array.reshape(-1).view(np.uint8)
        self._share_per_byte = -(-self.array.nbytes // self._memory.nbytes)
        self._free: memoryview
        self._open_slab()

    def get_buffer(self) -> memoryview:
        """Return memory for the next bytes; empty when all have been received."""
        return self._free[:_FIRST_READS] if self._unmapped.size else self._free

    def received(self, count: int) -> None:
        """Accept the first `count` bytes of the buffer, which the caller has filled.

        A call that fills the slab transposes it, in a few milliseconds. Others return at once.
        """
        self.missing -= count
        self._free = self._free[count:]
        if self._unmapped.size:
            self._touch_pages(count * self._share_per_byte)
        if not self._free and self._slab.size:
            self._transposer.copy(self._slab, self._target)
            self._open_slab()

    def _touch_pages(self, share: int) -> None:
        """Write to the next `share` bytes' pages of the array, so that the system maps them.

        Done in small shares while the first slab is received. That slab writes into every row:
        without this, its transposition would have to wait until all pages are mapped.
        """
        self._unmapped[: share : mmap.PAGESIZE] = 0
        self._unmapped = self._unmapped[share:]

    def _open_slab(self) -> None:
        nothing = slice(0)
        xs, ys = next(self._slabs, (nothing, nothing))
        self._target = self._rows[ys, xs]
        filled = self._memory[: self._target.nbytes]
        self._free = filled.data
        shape = row_major_shape(self._target.shape)
        self._slab: NDArray[Any] = filled.view(self.array.dtype).reshape(shape)


class _Slabs:
    """The division of an image into slabs: contiguous pixels, about `slab_bytes` each."""

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any], slab_bytes: int) -> None:
        self._width, self._height, *planes = shape
        pixel_bytes = math.prod(planes) * dtype.itemsize
        pixels = max(1, slab_bytes // pixel_bytes)
        most = max(1, _SLAB_ROW // pixel_bytes)
        self._columns = min(most, self._width, max(1, pixels // self._height))
        self._rows = min(self._height, pixels) if self._columns == 1 else self._height
        self.nbytes = self._columns * self._rows * pixel_bytes
        """The size of the largest slab."""

    def __iter__(self) -> Iterator[tuple[slice, slice]]:
        """Yield the x and y slices of each slab, in the order of transmission."""
        for xs in slices(self._width, self._columns):
            for ys in slices(self._height, self._rows):
                yield xs, ys


def _with_planes(image: NDArray[Any]) -> NDArray[Any]:
    if not image.flags.c_contiguous:
        raise ValueError("the array is not C-contiguous")
    return image.reshape(*image.shape[:2], math.prod(image.shape[2:]))

"""Cache-friendly conversion from ASCOM's order `[x, y(, plane)]` to `[y, x(, plane)]`. Pure.

The reasons for the block sizes: docs/decisions/0003-row-major.md.
"""

from __future__ import annotations

import math
import mmap
from typing import TYPE_CHECKING, Any, Final

import numpy as np

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

# Bytes that a tile writes into each row, and reads from each column.
_TILE_ROW: Final = 256
_TILE_COLUMN: Final = 2048

# Bytes between the columns of a tile. Without them, columns whose distance is a power of two would
# be mapped to the same few cache lines.
_PADDING: Final = 64

# Up to this number of planes, one strided copy per plane is faster than an inner loop over planes.
_FEW_PLANES: Final = 4


def row_major_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape with the first two dimensions swapped."""
    return (shape[1], shape[0], *shape[2:])


def transpose_blocked(source: NDArray[Any], target: NDArray[Any]) -> Iterator[None]:
    """Copy `source`, `[x, y(, plane)]`, into `target`, `[y, x(, plane)]`; both C-contiguous.

    A generator: each step copies one slab, in a few milliseconds. It may be abandoned at any step.
    """
    blocks = _Blocks(source.shape, source.dtype)
    columns, rows = _with_planes(source), _with_planes(target)
    for xs, ys in blocks.slabs(SLAB_BYTES):
        blocks.transpose(columns[xs, ys], rows[ys, xs])
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
        self._blocks = _Blocks(shape, self.array.dtype)
        self._slabs = self._blocks.slabs(slab_bytes)
        columns, rows = self._blocks.slab_shape(slab_bytes)
        self._memory = np.empty(columns * rows * self._blocks.pixel_bytes, np.uint8)
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
            self._blocks.transpose(self._slab, self._target)
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


class _Blocks:
    """The division of an image into slabs and tiles, and the temporary memory of one tile."""

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._width, self._height, *rest = shape
        planes = math.prod(rest)
        self.pixel_bytes = planes * dtype.itemsize
        self._slab_columns = max(1, _SLAB_ROW // self.pixel_bytes)
        self._columns = max(1, _TILE_ROW // self.pixel_bytes)
        self._run = max(1, _TILE_COLUMN // self.pixel_bytes)
        padding = -(-_PADDING // self.pixel_bytes)
        self._tile: NDArray[Any] = np.empty((self._columns, self._run + padding, planes), dtype)

    def slab_shape(self, slab_bytes: int) -> tuple[int, int]:
        """Return the columns and rows of a slab: contiguous pixels, about `slab_bytes`."""
        pixels = max(1, slab_bytes // self.pixel_bytes)
        columns = min(self._slab_columns, self._width, max(1, pixels // self._height))
        return columns, min(self._height, pixels) if columns == 1 else self._height

    def slabs(self, slab_bytes: int) -> Iterator[tuple[slice, slice]]:
        """Yield the x and y slices of each slab, in the order of transmission."""
        columns, rows = self.slab_shape(slab_bytes)
        for xs in self._slices(self._width, columns):
            for ys in self._slices(self._height, rows):
                yield xs, ys

    def transpose(self, source: NDArray[Any], target: NDArray[Any]) -> None:
        """Copy a slab `[x, y, plane]` into `target`, `[y, x, plane]`, tile by tile."""
        for ys in self._slices(source.shape[1], self._run):
            for xs in self._slices(source.shape[0], self._columns):
                block = source[xs, ys]
                tile = self._tile[: block.shape[0], : block.shape[1]]
                np.copyto(tile, block)
                _swap_axes(tile, target[ys, xs])

    @staticmethod
    def _slices(length: int, step: int) -> Iterator[slice]:
        return (slice(start, start + step) for start in range(0, length, step))


def _with_planes(image: NDArray[Any]) -> NDArray[Any]:
    if not image.flags.c_contiguous:
        raise ValueError("the array is not C-contiguous")
    return image.reshape(*image.shape[:2], math.prod(image.shape[2:]))


def _swap_axes(source: NDArray[Any], target: NDArray[Any]) -> None:
    if source.shape[2] > _FEW_PLANES:
        np.copyto(target, source.swapaxes(0, 1))
        return
    for plane in range(source.shape[2]):
        np.copyto(target[..., plane], source[..., plane].T)

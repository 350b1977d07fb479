"""From ASCOM's order `[x, y(, plane)]` to rows first, `[y, x(, plane)]`, through the caches. Pure.

Why these block sizes: docs/decisions/0003-row-major.md.
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
"""What is received before it is put into its place: it stays in the cache until then."""

# Bytes in one read while the system provides the memory of the array.
_FIRST_READS: Final = 64 << 10

# Bytes that a slab writes into each row: few visits to each page of the array.
_SLAB_ROW: Final = 1024

# Bytes that a tile writes into each row, and reads from each column.
_TILE_ROW: Final = 256
_TILE_COLUMN: Final = 2048

# Columns whose distance is a power of two would fight for the same few lines of the cache.
_PADDING: Final = 64

# Up to so many planes, one strided copy for each is faster than an inner loop over planes.
_FEW_PLANES: Final = 4


def row_major_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return `(y, x(, plane))` for the shape `(x, y(, plane))`, or the other way round."""
    return (shape[1], shape[0], *shape[2:])


def transpose_blocked(source: NDArray[Any], target: NDArray[Any]) -> Iterator[None]:
    """Copy `source`, `[x, y(, plane)]`, into `target`, `[y, x(, plane)]`; both C-contiguous.

    Works while it is iterated, a few milliseconds a step, and can be abandoned between steps.
    """
    blocks = _Blocks(source.shape, source.dtype)
    columns, rows = _with_planes(source), _with_planes(target)
    for xs, ys in blocks.slabs(SLAB_BYTES):
        blocks.transpose(columns[xs, ys], rows[ys, xs])
        yield


class ColumnSlabs:
    """Takes pixels in ASCOM's order, byte by byte if need be, into a row-major array.

    Allocates the array and one slab of about `slab_bytes`; no second frame. `array` has the
    shape `(y, x(, plane))`, is C-contiguous, and is complete when `missing` is 0.
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
        self._mapped_per_byte = -(-self.array.nbytes // self._memory.nbytes)
        self._free: memoryview
        self._open_slab()

    def get_buffer(self) -> memoryview:
        """Return the memory for the next bytes; empty when all have been received."""
        return self._free[:_FIRST_READS] if self._unmapped.size else self._free

    def received(self, count: int) -> None:
        """Take note that the first `count` bytes of the buffer have been filled.

        Takes one or two milliseconds when that fills the slab, else next to nothing.
        """
        self.missing -= count
        self._free = self._free[count:]
        if self._unmapped.size:
            self._map(count * self._mapped_per_byte)
        if not self._free and self._slab.size:
            self._blocks.transpose(self._slab, self._place)
            self._open_slab()

    def _map(self, share: int) -> None:
        """Have the system provide some of the array's memory, while the first slab comes in.

        That slab reaches into every row, and would have to wait for all of the memory at once.
        """
        self._unmapped[: share : mmap.PAGESIZE] = 0
        self._unmapped = self._unmapped[share:]

    def _open_slab(self) -> None:
        nothing = slice(0)
        xs, ys = next(self._slabs, (nothing, nothing))
        self._place = self._rows[ys, xs]
        filled = self._memory[: self._place.nbytes]
        self._free = filled.data
        shape = row_major_shape(self._place.shape)
        self._slab: NDArray[Any] = filled.view(self.array.dtype).reshape(shape)


class _Blocks:
    """How images of one shape are cut, and the tile through which the blocks pass."""

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
        """Return how many columns of how many rows are contiguous in about `slab_bytes`."""
        pixels = max(1, slab_bytes // self.pixel_bytes)
        columns = min(self._slab_columns, self._width, max(1, pixels // self._height))
        return columns, min(self._height, pixels) if columns == 1 else self._height

    def slabs(self, slab_bytes: int) -> Iterator[tuple[slice, slice]]:
        """Yield the x and y of each slab, in the order of transmission."""
        columns, rows = self.slab_shape(slab_bytes)
        for xs in self._cuts(self._width, columns):
            for ys in self._cuts(self._height, rows):
                yield xs, ys

    def transpose(self, source: NDArray[Any], target: NDArray[Any]) -> None:
        """Copy a slab `[x, y, plane]` to its place, `[y, x, plane]`."""
        for ys in self._cuts(source.shape[1], self._run):
            for xs in self._cuts(source.shape[0], self._columns):
                block = source[xs, ys]
                tile = self._tile[: block.shape[0], : block.shape[1]]
                np.copyto(tile, block)
                _swap_axes(tile, target[ys, xs])

    @staticmethod
    def _cuts(length: int, step: int) -> Iterator[slice]:
        return (slice(start, start + step) for start in range(0, length, step))


def _with_planes(image: NDArray[Any]) -> NDArray[Any]:
    if not image.flags.c_contiguous:
        raise ValueError("the image is not C-contiguous")
    return image.reshape(*image.shape[:2], math.prod(image.shape[2:]))


def _swap_axes(source: NDArray[Any], target: NDArray[Any]) -> None:
    if source.shape[2] > _FEW_PLANES:
        np.copyto(target, source.swapaxes(0, 1))
        return
    for plane in range(source.shape[2]):
        np.copyto(target[..., plane], source[..., plane].T)

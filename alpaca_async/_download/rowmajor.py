"""Cache-friendly conversion from ASCOM's order `[x, y(, plane)]` to `[y, x(, plane)]`. Pure.

The reasons for the block sizes: docs/decisions/0003-row-major.md.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from alpaca_async._protocol.conversion import PixelCheck

from .frame_memory import FrameMemory
from .transposition import Transposer, slices, transposed_by

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from alpaca_async._protocol.conversion import Conversion

# Bytes of a slab: columns that are received before they are transposed. They should be in the
# processor's cache then. numpy needs larger slabs, because it writes many bytes of each row best.
_SLAB_BYTES: Final = {"extension": 1 << 20, "numpy": 4 << 20}

# Bytes of the array whose pages are mapped after one read, in about a millisecond.
_MAPPED_AT_ONCE: Final = 2 << 20

# Bytes that a slab writes into each row: so many that each page of the array is visited only a few
# times.
_SLAB_ROW: Final = 1024

# The columns of a slab fill whole tiles of the extension, if it has so many.
_TILE_ROW: Final = 16


def row_major_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape with the first two dimensions swapped."""
    return (shape[1], shape[0], *shape[2:])


def usual_slab_bytes() -> int:
    """Return the size of a slab that suits what transposes it."""
    return _SLAB_BYTES[transposed_by()]


def transpose_blocked(source: NDArray[Any], target: NDArray[Any]) -> Iterator[None]:
    """Copy `source`, `[x, y(, plane)]`, into `target`, `[y, x(, plane)]`; both C-contiguous.

    A generator: each step copies one slab, in a few milliseconds. It may be abandoned at any step.
    """
    slabs = _Slabs(source.shape, source.dtype, usual_slab_bytes())
    columns, rows = _with_planes(source), _with_planes(target)
    transposer = Transposer(columns.shape[2], source.dtype)
    for xs, ys in slabs:
        transposer.copy(columns[xs, ys], rows[ys, xs])
        yield


class RowMajorBuffer:
    """Receives pixels in ASCOM's order, in pieces of any size, into a row-major array.

    The array is in `memory` if that has the right size. Allocates the array otherwise, one slab,
    and a second one if it has to be converted to other bytes, but no second frame. `array` has the
    shape `(y, x(, plane))` and the wanted dtype, is C-contiguous, and is complete when `missing`,
    in bytes, is 0.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        conversion: Conversion,
        memory: FrameMemory | None = None,
        *,
        slab_bytes: int | None = None,
    ) -> None:
        source, target = conversion.source, conversion.target
        size = math.prod(shape)
        self.missing = size * source.itemsize
        self._memory = (memory or FrameMemory(0)).pass_on(size * target.itemsize)
        self.array: NDArray[Any] = self._memory.array.view(target).reshape(row_major_shape(shape))
        self._rows = _with_planes(self.array)
        self._transposer = Transposer(self._rows.shape[2], target)
        wider = max(source, target, key=_itemsize)
        slabs = _Slabs(shape, wider, slab_bytes or usual_slab_bytes())
        self._slabs = iter(slabs)
        self._columns = np.empty(slabs.pixels, source)
        self._conversion = conversion
        self._check = PixelCheck(conversion, shape)
        self._converted = np.empty(0 if conversion.keeps_bytes else slabs.pixels, target)
        self._share_per_byte = -(-self.array.nbytes // self._columns.nbytes)
        self._first_read = -(-_MAPPED_AT_ONCE // self._share_per_byte)
        self._free: memoryview
        self._open_slab()

    def get_buffer(self) -> memoryview:
        """Return memory for the next bytes; empty when all have been received."""
        return self._free if self._memory.is_mapped else self._free[: self._first_read]

    def received(self, count: int) -> None:
        """Accept the first `count` bytes of the buffer, which the caller has filled.

        A call that fills the slab transposes it, in a few milliseconds. Others return at once.
        While the first slab is received, the pages of the array are mapped in small shares. That
        slab writes into every row: it would have to wait for all pages.

        Raises `PixelTypeError` if a pixel of the slab does not fit into the wanted dtype.
        """
        self.missing -= count
        self._free = self._free[count:]
        if not self._memory.is_mapped:
            self._memory.map_pages(count * self._share_per_byte)
        if not self._free and self._slab.size:
            self._close_slab()
            self._open_slab()

    def _open_slab(self) -> None:
        nothing = slice(0)
        xs, ys = next(self._slabs, (nothing, nothing))
        self._target = self._rows[ys, xs]
        filled = self._columns[: self._target.size]
        self._free = filled.view(np.uint8).data
        self._slab: NDArray[Any] = filled.reshape(row_major_shape(self._target.shape))

    def _close_slab(self) -> None:
        self._check.next(self._slab)
        columns = self._conversion.applied(self._slab, self._converted)
        self._transposer.copy(columns, self._target)


class _Slabs:
    """The division of an image into slabs: contiguous pixels, about `slab_bytes` each."""

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any], slab_bytes: int) -> None:
        self._width, self._height, *planes = shape
        pixel_bytes = math.prod(planes) * dtype.itemsize
        pixels = max(1, slab_bytes // pixel_bytes)
        most = min(self._width, max(1, _SLAB_ROW // pixel_bytes))
        self._columns = _whole(min(most, max(1, pixels // self._height)), _TILE_ROW // pixel_bytes)
        self._rows = min(self._height, pixels) if self._columns == 1 else self._height
        self.pixels = self._columns * self._rows * math.prod(planes)
        """The size of the largest slab; a pixel counts once for each plane."""

    def __iter__(self) -> Iterator[tuple[slice, slice]]:
        """Yield the x and y slices of each slab, in the order of transmission."""
        for xs in slices(self._width, self._columns):
            for ys in slices(self._height, self._rows):
                yield xs, ys


def _whole(number: int, part: int) -> int:
    """Return the largest multiple of `part` up to `number`, or `number` if there is none."""
    return number - number % part if 0 < part <= number else number


def _with_planes(image: NDArray[Any]) -> NDArray[Any]:
    if not image.flags.c_contiguous:
        raise ValueError("the array is not C-contiguous")
    return image.reshape(*image.shape[:2], math.prod(image.shape[2:]))


def _itemsize(dtype: np.dtype[Any]) -> int:
    return dtype.itemsize

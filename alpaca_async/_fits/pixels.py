"""Pixels as FITS files have them: planes first, big-endian, unsigned numbers moved. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_INTEGER_TYPES: Final = tuple(np.dtype(name) for name in ("u2", "i2", "i4", "u4", "i8", "u8"))
_BLOCK: Final = 1 << 19
"""Bytes converted at a time: they stay in the cache until they are written."""
_TALL: Final = 512
"""Rows of a block of transposed pixels: each column is read in long pieces."""
_TILE: Final = 256
"""Bytes of a row that are transposed at a time: such a tile fits into the cache."""
_PADDING: Final = 64
"""Bytes: columns whose distance is a power of two would fight for the same few lines of it."""


def planes_first(data: NDArray[Any]) -> NDArray[Any]:
    """Return a view of the shape `([planes, ]height, width)`."""
    return np.moveaxis(data, 2, 0) if data.ndim > 2 else data  # noqa: PLR2004 - rows, columns


def pixel_type(data: NDArray[Any]) -> np.dtype[Any]:
    """Return the type of the pixels in the file, in the byte order of this machine."""
    dtype = data.dtype.newbyteorder("=")
    if dtype in _INTEGER_TYPES and dtype.itemsize > 2:  # noqa: PLR2004 - 16 bits
        return _narrowest(int(data.min()), int(data.max()))
    if dtype in (*_INTEGER_TYPES, np.uint8, np.float32, np.float64):
        return dtype
    raise TypeError(f"FITS has no pixels of type {dtype}")


def zero_of(dtype: np.dtype[Any]) -> int:
    """Return BZERO, which a reader adds: FITS has no unsigned numbers but bytes."""
    return 1 << (8 * dtype.itemsize - 1) if dtype.kind == "u" and dtype.itemsize > 1 else 0


def blocks(planes: NDArray[Any], dtype: np.dtype[Any]) -> Iterator[NDArray[Any]]:
    """Yield the pixels as the file has them, in one buffer that is used again and again."""
    height, width = planes.shape[-2:]
    across, along = (abs(stride) for stride in planes.strides[-2:])
    copy, least = (_copy_rows, 1) if along <= across else (_copy_columns, _TALL)
    rows = min(height, max(least, _BLOCK // (width * dtype.itemsize)))
    buffer = np.empty((rows, width), dtype.newbyteorder(">"))
    for plane in planes.reshape(-1, height, width) if planes.ndim > 2 else (planes,):  # noqa: PLR2004 - rows, columns
        for start in range(0, height, rows):
            source = plane[start : start + rows]
            block = buffer[: len(source)]
            copy(source, block)
            yield block


def _narrowest(low: int, high: int) -> np.dtype[Any]:
    limits = ((dtype, np.iinfo(dtype)) for dtype in _INTEGER_TYPES)
    return next(dtype for dtype, info in limits if info.min <= low and high <= info.max)


def _copy_rows(source: NDArray[Any], target: NDArray[Any]) -> None:
    np.copyto(target, source, casting="unsafe")
    _offset_unsigned(target)


def _copy_columns(source: NDArray[Any], target: NDArray[Any]) -> None:
    """Copy what is contiguous along columns: first into a tile as it is, then turned."""
    native = target.dtype.newbyteorder("=")
    height, width = target.shape
    step = max(1, _TILE // native.itemsize)
    tile = np.empty((step, height + _PADDING // native.itemsize), native)
    for start in range(0, width, step):
        columns = source[:, start : start + step].T
        part = tile[: len(columns), :height]
        np.copyto(part, columns, casting="unsafe")
        _offset_unsigned(part)
        np.copyto(target[:, start : start + step], part.T)


def _offset_unsigned(block: NDArray[Any]) -> None:
    """Subtract BZERO, which flips the first bit."""
    if zero := zero_of(block.dtype):
        native = block.dtype.newbyteorder("=")
        top_bit = np.array(zero, block.dtype).view(native)
        np.bitwise_xor(block.view(native), top_bit, out=block.view(native))

"""Converts pixels to FITS data: planes first, big-endian, unsigned integers with BZERO. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from alpaca_async._pixels.image_like import ImageLike

_INTEGER_TYPES: Final = tuple(np.dtype(name) for name in ("u2", "i2", "i4", "u4", "i8", "u8"))
_CHUNK_BYTES: Final = 1 << 19
"""Bytes converted at a time: few enough to stay in the processor's cache until written."""
_MIN_TRANSPOSED_ROWS: Final = 512
"""The minimum rows of a chunk of transposed pixels, so that columns are read in long runs."""
_TILE_BYTES: Final = 256
"""Bytes of a row that are transposed at a time, so that the tile fits into the cache."""
_PADDING_BYTES: Final = 64
"""Added to each column of a tile: columns a power of two apart share too few cache lines."""


def planes_first(data: NDArray[Any]) -> NDArray[Any]:
    """Return a view of the shape `([planes, ]height, width)`."""
    return np.moveaxis(data, 2, 0) if data.ndim > 2 else data  # noqa: PLR2004 - rows, columns


def pixel_type(image: ImageLike) -> np.dtype[Any]:
    """Return the dtype of the pixels in the file, in native byte order.

    Integers of more than 16 bits get the narrowest type that holds all values and MaxADU: it is
    the same for bright and for dark images of a camera.
    """
    data = image.data
    dtype = data.dtype.newbyteorder("=")
    if dtype in _INTEGER_TYPES and dtype.itemsize > 2:  # noqa: PLR2004 - 16 bits
        max_adu = (image.exposure and image.exposure.info.max_adu) or 0
        return _narrowest(int(data.min()), max(int(data.max()), max_adu))
    if dtype in (*_INTEGER_TYPES, np.uint8, np.float32, np.float64):
        return dtype
    raise TypeError(f"FITS cannot store pixels of type {dtype}")


def bzero_of(dtype: np.dtype[Any]) -> int:
    """Return BZERO, which readers add: FITS has no unsigned integers wider than a byte."""
    return 1 << (8 * dtype.itemsize - 1) if dtype.kind == "u" and dtype.itemsize > 1 else 0


def pixel_chunks(planes: NDArray[Any], dtype: np.dtype[Any]) -> Iterator[NDArray[Any]]:
    """Yield the pixels as the file stores them; every chunk is a view of one reused buffer."""
    height, width = planes.shape[-2:]
    across, along = (abs(stride) for stride in planes.strides[-2:])
    copy, min_rows = (_copy_rows, 1) if along <= across else (_copy_columns, _MIN_TRANSPOSED_ROWS)
    rows = min(height, max(min_rows, _CHUNK_BYTES // (width * dtype.itemsize)))
    buffer = np.empty((rows, width), dtype.newbyteorder(">"))
    for plane in planes.reshape(-1, height, width) if planes.ndim > 2 else (planes,):  # noqa: PLR2004 - rows, columns
        for start in range(0, height, rows):
            source = plane[start : start + rows]
            chunk = buffer[: len(source)]
            copy(source, chunk)
            yield chunk


def _narrowest(low: int, high: int) -> np.dtype[Any]:
    limits = ((dtype, np.iinfo(dtype)) for dtype in _INTEGER_TYPES)
    return next(dtype for dtype, info in limits if info.min <= low and high <= info.max)


def _copy_rows(source: NDArray[Any], target: NDArray[Any]) -> None:
    np.copyto(target, source, casting="unsafe")
    _subtract_bzero(target)


def _copy_columns(source: NDArray[Any], target: NDArray[Any]) -> None:
    """Copy pixels that are contiguous along columns: into a tile, then transposed."""
    native = target.dtype.newbyteorder("=")
    height, width = target.shape
    step = max(1, _TILE_BYTES // native.itemsize)
    tile = np.empty((step, height + _PADDING_BYTES // native.itemsize), native)
    for start in range(0, width, step):
        columns = source[:, start : start + step].T
        part = tile[: len(columns), :height]
        np.copyto(part, columns, casting="unsafe")
        _subtract_bzero(part)
        np.copyto(target[:, start : start + step], part.T)


def _subtract_bzero(chunk: NDArray[Any]) -> None:
    """Subtract BZERO in place: that flips the top bit."""
    if bzero := bzero_of(chunk.dtype):
        native = chunk.dtype.newbyteorder("=")
        top_bit = np.array(bzero, chunk.dtype).view(native)
        np.bitwise_xor(chunk.view(native), top_bit, out=chunk.view(native))

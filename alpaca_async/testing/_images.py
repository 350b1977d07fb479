"""Encodes frames as ImageBytes and as JSON text. Pure functions."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from alpaca_async._enums import ImageArrayElementTypes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from alpaca_async._errors import AscomError

_HEADER: Final = struct.Struct("<iiIIiiiiiii")
_SOURCE: Final = ImageArrayElementTypes.INT32
_JSON_PIECE_PIXELS: Final = 1 << 15

_TRANSMISSION_TYPES: Final[dict[np.dtype[Any], ImageArrayElementTypes]] = {
    np.dtype("u1"): ImageArrayElementTypes.BYTE,
    np.dtype("<i2"): ImageArrayElementTypes.INT16,
    np.dtype("<u2"): ImageArrayElementTypes.UINT16,
    np.dtype("<i4"): ImageArrayElementTypes.INT32,
}


def narrowed(pixels: NDArray[Any]) -> NDArray[Any]:
    """Return the integers in the first of Byte, Int16, UInt16, Int32 that holds them all.

    ASCOM's own library chooses the transmission type of each frame like this.

    The result is C-contiguous. It is a copy only if its bytes differ from those of `pixels`.
    """
    low, high = int(pixels.min()), int(pixels.max())
    dtype = next(
        dtype
        for dtype in _TRANSMISSION_TYPES
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max
    )
    if dtype.itemsize == pixels.itemsize:
        return np.ascontiguousarray(pixels).view(dtype)
    return np.ascontiguousarray(pixels, dtype)


def imagebytes_header(pixels: NDArray[Any], client_id: int, server_id: int) -> bytes:
    """Return the 44-byte header for `pixels`, with the ids of the transaction."""
    dimensions = (*pixels.shape, 0)[:3]
    transmitted = _TRANSMISSION_TYPES[pixels.dtype]
    return _HEADER.pack(
        1, 0, client_id, server_id, _HEADER.size, _SOURCE, transmitted, pixels.ndim, *dimensions
    )


def imagebytes_error(error: AscomError, client_id: int, server_id: int) -> bytes:
    """Return an ImageBytes payload that carries an error instead of pixels."""
    header = _HEADER.pack(1, error.number, client_id, server_id, _HEADER.size, 0, 0, 0, 0, 0, 0)
    return header + error.message.encode()


def json_pieces(pixels: NDArray[Any], envelope: dict[str, Any]) -> Iterator[bytes]:
    """Yield the JSON form of an image, encoding each piece on demand.

    The pieces are small because the encoder holds the GIL.
    """
    head = {"Type": int(_SOURCE), "Rank": pixels.ndim, **envelope}
    yield json.dumps(head)[:-1].encode() + b', "Value": ['
    step = max(_JSON_PIECE_PIXELS // pixels[0].size, 1)
    for start in range(0, len(pixels), step):
        text = json.dumps(pixels[start : start + step].tolist(), separators=(",", ":"))
        yield (("," if start else "") + text[1:-1]).encode()
    yield b"]}"

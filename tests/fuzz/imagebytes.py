"""Compares our ImageBytes decoders, for whole payloads and for pieces, with struct and numpy."""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import httpx
import numpy as np

from alpaca_async import AlpacaError, AscomError, decode_imagebytes
from alpaca_async._download.download import ASCOM_ORDER, ROW_MAJOR
from alpaca_async._download.sink import ImageSink
from alpaca_async._http.reply import Reply

from .mutation import cut, mutated

if TYPE_CHECKING:
    from random import Random

    from numpy.typing import NDArray

HEADER: Final = "<iiIIiiiiiii"
TYPES: Final = {
    1: "<i2",
    2: "<i4",
    3: "<f8",
    4: "<f4",
    5: "<u8",
    6: "|u1",
    7: "<i8",
    8: "<u2",
    9: "<u4",
}
NUMBERS: Final = (
    *(-(2**31), -2147220479, -1, 0, 1, 2, 3, 4, 8, 10, 43, 44, 45, 47, 255, 256),
    *(1024, 1025, 1035, 1279, 4095, 65535, 65536, 65537, 2**24, 2**30, 2**31 - 1),
)
WORDS: Final = (
    *(struct.pack("<i", number) for number in NUMBERS),
    *(b"\0", b"\xff", b"\0" * 44, b"{}", bytes(300)),
)
ENTRIES: Final = len(NUMBERS)

Expected: TypeAlias = "NDArray[Any] | tuple[int, str] | None"
"""The pixels, the device's error, or None for an invalid payload."""


def payload(rng: Random) -> bytes:
    """Return a valid payload: an image or a device error."""
    start = rng.choice((44, 44, 44, 45, 47, 64, rng.randint(44, 900)))
    gap = rng.randbytes(start - 44)
    if rng.random() < 0.1:
        text = rng.choice((b"", b"no image", "kein Bild: ä".encode(), rng.randbytes(30)))
        return struct.pack(HEADER, 1, rng.choice(NUMBERS), 7, 8, start, *[0] * 6) + gap + text
    kind = rng.choice(tuple(TYPES))
    shape = [rng.randint(1, 12) for _ in range(rng.choice((2, 2, 3)))]
    size = math.prod(shape) * np.dtype(TYPES[kind]).itemsize
    ids = rng.getrandbits(32), rng.getrandbits(32)
    dimensions = (*shape, 0)[:3]
    header = struct.pack(HEADER, 1, 0, *ids, start, 2, kind, len(shape), *dimensions)
    return header + gap + rng.randbytes(size)


def mutated_payload(rng: Random) -> bytes:
    """Return a payload with wrong header fields, mutated bytes, or neither."""
    data = bytearray(payload(rng))
    for _ in range(rng.choice((0, 0, 1, 1, 2))):
        struct.pack_into("<i", data, 4 * rng.randrange(11), rng.choice(NUMBERS))
    return mutated(rng, bytes(data), WORDS)


def expected_content(data: bytes) -> Expected:
    """Return what the protocol says that a payload contains."""
    if len(data) < 44:
        return None
    version, number, _, _, start, source, kind, rank, *dimensions = struct.unpack(HEADER, data[:44])
    if version != 1:
        return None
    shape, rest = dimensions[:rank], dimensions[rank:]
    legal = rank in (2, 3) and 44 <= start <= 65536 and source >= 0 and kind in TYPES
    legal = legal and min(shape) >= 1 and not any(rest) and dimensions[2] <= 1024
    dtype = np.dtype(TYPES[kind] if legal else "u1")
    size = math.prod(shape) * dtype.itemsize
    if number:
        text = data[max(start, 44) :]
        is_image = legal and min(size, 65536) <= len(text)
        return number, "" if is_image else text[:65536].decode("utf-8", "replace").rstrip("\0")
    if not legal or len(data) != start + size:
        return None
    return np.frombuffer(data[start:], dtype).reshape(shape)


def check(rng: Random) -> tuple[str, int]:
    """Decode one payload whole and in pieces; return the kind of result, and its size."""
    data = mutated_payload(rng)
    expected = expected_content(data)
    rows = rng.random() < 0.5
    for found in (_decoded(data), _received(rng, data, rows=rows)):
        _compare(found, expected)
    if expected is None:
        return "refused", len(data)
    return "device error" if isinstance(expected, tuple) else "image", len(data)


def _compare(found: NDArray[Any] | AlpacaError, expected: Expected) -> None:
    if isinstance(expected, np.ndarray):
        assert isinstance(found, np.ndarray), found
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
        assert found.tobytes() == expected.tobytes()
    elif isinstance(expected, tuple):
        assert isinstance(found, AscomError), found
        assert (found.number, found.message) == expected
    else:
        assert isinstance(found, AlpacaError), found
        assert not isinstance(found, AscomError), found
        assert found.reason


def _decoded(data: bytes) -> NDArray[Any] | AlpacaError:
    try:
        return decode_imagebytes(data)
    except AlpacaError as error:
        return error


def _received(rng: Random, data: bytes, *, rows: bool) -> NDArray[Any] | AlpacaError:
    """Decode `data` through the reply parser, as a connection does."""
    sink = ImageSink((ROW_MAJOR if rows else ASCOM_ORDER).new_buffer, 2**31)
    reply = Reply("GET", sink)
    length, body = _framed(rng, data)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/imagebytes\r\n%b\r\n" % length
    try:
        for piece in cut(rng, head + body):
            _deliver(reply, piece)
        if not reply.complete:
            reply.feed_eof()
        array, _ = sink.result()
    except AlpacaError as error:
        return error
    except httpx.RemoteProtocolError:  # a length that counts only the pixels promised more
        assert sink.truncation_error is not None
        return sink.truncation_error
    return array.swapaxes(0, 1) if rows and not sink.in_ascom_order else array


def _framed(rng: Random, data: bytes) -> tuple[bytes, bytes]:
    match rng.randrange(3):
        case 0:
            return b"Content-Length: %d\r\n" % len(data), data
        case 1:
            chunks = (b"%x\r\n%b\r\n" % (len(part), part) for part in cut(rng, data))
            return b"Transfer-Encoding: chunked\r\n", b"".join(chunks) + b"0\r\n\r\n"
        case _:
            return b"", data


def _deliver(reply: Reply, piece: bytes) -> None:
    """Write into the sink's buffer where a connection would."""
    while piece and reply.direct is not None:
        room = reply.direct.get_buffer()[: len(piece)]
        room[:] = piece[: len(room)]
        reply.direct.received(len(room))
        piece = piece[len(room) :]
    if piece:
        reply.feed(piece)

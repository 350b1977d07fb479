"""The bytes that the server of the benchmarks sends, prepared once."""

from __future__ import annotations

import json
import struct
from functools import lru_cache
from typing import Final

import numpy as np

Frame = tuple[int, int]
"""Width and height, in pixels of UInt16 unless stated otherwise."""

READY_PATH: Final = "/api/v1/camera/0/imageready?ClientID=4711&ClientTransactionID=12345"
IMAGE_PATH: Final = "/api/v1/camera/0/imagearray?ClientID=4711&ClientTransactionID=12345"

MAX_ADU: Final = 65535

_HEADER: Final = struct.Struct("<iiIIiiiiiii")
_INT32, _BYTE, _UINT16 = 2, 6, 8
_ENVELOPE: Final = {
    "ClientTransactionID": 0,
    "ServerTransactionID": 0,
    "ErrorNumber": 0,
    "ErrorMessage": "",
}


def nbytes(frame: Frame) -> int:
    return frame[0] * frame[1] * 2


def head(media_type: str, length: int) -> bytes:
    lines = f"HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\nContent-Length: {length}\r\n\r\n"
    return lines.encode()


def image_opening(frame: Frame, element_type: int = _UINT16, itemsize: int = 2) -> bytes:
    """Return the bytes before the pixels: the head of the reply and the header of the image."""
    fields = (1, 0, 0, 0, _HEADER.size, _INT32, element_type, 2, *frame, 0)
    length = _HEADER.size + frame[0] * frame[1] * itemsize
    return head("application/imagebytes", length) + _HEADER.pack(*fields)


def pixels(frame: Frame) -> bytes:
    return np.random.default_rng(0).bytes(nbytes(frame))


@lru_cache(maxsize=1)
def image_reply(frame: Frame) -> bytes:
    return image_opening(frame) + pixels(frame)


def int32_reply(frame: Frame) -> bytes:
    """Return the same image as `image_reply`, with pixels of Int32."""
    wide = np.frombuffer(pixels(frame), "<u2").astype("<i4")
    return image_opening(frame, _INT32, wide.itemsize) + wide.tobytes()


def byte_reply(frame: Frame) -> bytes:
    """Return an image of the same shape as `image_reply`, with pixels of Byte."""
    return image_opening(frame, _BYTE, 1) + pixels(frame)[::2]


def json_reply(frame: Frame) -> bytes:
    columns = np.frombuffer(pixels(frame), "<u2").reshape(frame)
    value = {"Type": _INT32, "Rank": 2, "Value": columns.tolist()}
    body = json.dumps(_ENVELOPE | value, separators=(",", ":")).encode()
    return head("application/json", len(body)) + body


def ready_reply() -> bytes:
    return value_reply(True)


def value_reply(value: object) -> bytes:
    return _small_reply({"Value": value})


def not_implemented_reply() -> bytes:
    return _small_reply({"ErrorNumber": 0x400, "ErrorMessage": "not implemented"})


def _small_reply(fields: dict[str, object]) -> bytes:
    body = json.dumps(_ENVELOPE | fields).encode()
    return head("application/json", len(body)) + body


def request(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()

"""Puts another transaction id into a recorded reply. Pure."""

from __future__ import annotations

import re
from typing import Final

_IMAGEBYTES: Final = b"application/imagebytes"
_JSON_ID: Final = re.compile(rb'"ClientTransactionID"\s*:\s*(\d{1,10})(?!\d)', re.IGNORECASE)
_CONTENT_LENGTH: Final = re.compile(rb"(?im)^(content-length:[ \t]*)(\d{1,18})")
_CHUNKED: Final = re.compile(rb"(?im)^transfer-encoding:.*chunked")
_CHUNK: Final = re.compile(rb"([0-9a-fA-F]{1,15})[^\r\n]*\r?\n")
_ID_IN_IMAGEBYTES: Final = 8
_ID_BYTES: Final = 4


def renumbered(reply: bytes, old: int, new: int) -> bytes:
    """Return `reply` with the id `new` where it echoes `old`; unchanged where it does not."""
    head, separator, body = reply.partition(b"\r\n\r\n")
    chunked = _CHUNKED.search(head) is not None
    if _IMAGEBYTES in head.lower():
        return head + separator + _in_imagebytes(body, old, new, chunked=chunked)
    match = _JSON_ID.search(body)
    if match is None or int(match[1]) != old:
        return reply
    text = str(new).encode()
    growth = len(text) - len(match[1])
    changed = body[: match.start(1)] + text + body[match.end(1) :]
    if chunked:
        changed = _with_chunk_resized(changed, match.start(1), growth)
    else:
        head = _CONTENT_LENGTH.sub(lambda m: m[1] + b"%d" % (int(m[2]) + growth), head)
    return head + separator + changed


def _in_imagebytes(body: bytes, old: int, new: int, *, chunked: bool) -> bytes:
    first = _CHUNK.match(body) if chunked else None
    at = _ID_IN_IMAGEBYTES + (first.end() if first else 0)
    if body[at : at + _ID_BYTES] != old.to_bytes(_ID_BYTES, "little"):
        return body
    return body[:at] + new.to_bytes(_ID_BYTES, "little") + body[at + _ID_BYTES :]


def _with_chunk_resized(body: bytes, at: int, growth: int) -> bytes:
    """Return a chunked body in which the chunk that contains position `at` is `growth` longer."""
    start = 0
    while (size := _CHUNK.match(body, start)) is not None:
        length = int(size[1], 16)
        if size.end() <= at < size.end() + length:
            return body[:start] + b"%x" % (length + growth) + body[size.end(1) :]
        start = size.end() + length + 2
    return body

"""Parses HTTP messages as far as a proxy needs: the request's target, and the message's end."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Mapping

HEAD_LIMIT: Final = 1 << 16
_MAX_FORM: Final = 1 << 20
_MAX_REPLY: Final = 1 << 30
_READ_SIZE: Final = 1 << 18
_REQUEST_LINE_PARTS: Final = 3
_DIGITS: Final = re.compile("[0-9]{1,18}")
_HEX_DIGITS: Final = re.compile(rb"\s*([0-9a-fA-F]{1,15})\s*(?:;.*)?", re.DOTALL)
_MEMBER: Final = re.compile(r"/api/v[0-9]+/[^/]+/([0-9]{1,10})/([^/]+)")
_FRAMING_FIELDS: Final = frozenset(
    {"connection", "content-length", "keep-alive", "transfer-encoding"}
)


class BrokenMessage(Exception):
    """A peer sent something other than HTTP, or closed the connection within a message."""


@dataclass(frozen=True, slots=True)
class Head:
    """The lines before the empty line.

    `fields` maps header names in lower case to values. If a header is repeated, it holds the last.
    """

    lines: tuple[str, ...]
    fields: Mapping[str, str]
    wire: bytes

    @property
    def length(self) -> int:
        """The value of Content-Length, 0 without one."""
        text = self.fields.get("content-length", "0")
        if not _DIGITS.fullmatch(text):
            raise BrokenMessage(f"Content-Length is not a number: {text[:40]}")
        return int(text)

    @property
    def is_chunked(self) -> bool:
        """Whether the body is chunked."""
        return "chunked" in self.fields.get("transfer-encoding", "").lower()

    @property
    def keeps_alive(self) -> bool:
        """Whether the connection stays open after the message (keep-alive)."""
        connection = self.fields.get("connection", "").lower()
        if "HTTP/1.0" in self.lines[0]:
            return "keep-alive" in connection
        return "close" not in connection


@dataclass(frozen=True, slots=True)
class Request:
    """A client's request.

    `device` is the device number. If the path does not address a device, `device` is None and
    `member` is the last part of the path.
    """

    verb: str
    member: str
    device: int | None
    parameters: Mapping[str, str]
    head: Head
    body: bytes

    @property
    def wire(self) -> bytes:
        """The bytes of the request as received."""
        return self.head.wire + self.body


NO_REQUEST: Final = Request("", "", None, {}, Head((), {}, b""), b"")
"""Stands for a new connection, before its first request."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete reply; `fields` are its header lines, except those that frame the body."""

    status: str
    fields: tuple[str, ...]
    body: bytes

    @property
    def media_type(self) -> str:
        """The media type in lower case, without parameters; empty without one."""
        values = [line.partition(":")[2] for line in self.fields if _is_content_type(line)]
        return values[-1].partition(";")[0].strip().lower() if values else ""

    def with_media_type(self, media_type: str | None) -> Reply:
        """Return the reply with another media type, or without one."""
        fields = tuple(line for line in self.fields if not _is_content_type(line))
        added = () if media_type is None else (f"Content-Type: {media_type}",)
        return replace(self, fields=fields + added)

    def with_body(self, body: bytes) -> Reply:
        """Return the reply with another body."""
        return replace(self, body=body)

    def head(self, *framing: str) -> bytes:
        """Return the encoded head with the header lines `framing`, which may be wrong."""
        return encode_lines(self.status, *self.fields, *framing, "")

    @property
    def wire(self) -> bytes:
        """The bytes of the reply as a server would send them."""
        return self.head(f"Content-Length: {len(self.body)}") + self.body


def encode_lines(*texts: str) -> bytes:
    """Encode lines of a head."""
    return "".join(f"{text}\r\n" for text in texts).encode("latin-1")


def make_reply(status: str, body: bytes | str = b"", media_type: str = "text/plain") -> Reply:
    """Return a reply made by the proxy itself."""
    content = body.encode() if isinstance(body, str) else body
    return Reply(f"HTTP/1.1 {status}", (f"Content-Type: {media_type}",), content)


async def read_request(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> Request | None:
    """Return the next request, or None if the client closed the connection."""
    head = await _read_head(reader)
    if head is None:
        return None
    if "100-continue" in head.fields.get("expect", "").lower():
        writer.write(encode_lines("HTTP/1.1 100 Continue", ""))
    body = await _collect(_body(head, reader, until_closed=False), _MAX_FORM)
    if len(parts := head.lines[0].split(" ")) != _REQUEST_LINE_PARTS:
        raise BrokenMessage(f"the request line is invalid: {head.lines[0][:40]}")
    path, _, query = parts[1].partition("?")
    parameters = f"{query}&{'' if head.is_chunked else body.decode('latin-1')}"
    match = _MEMBER.fullmatch(path)
    return Request(
        parts[0],
        match[2] if match else path.rpartition("/")[2],
        int(match[1]) if match else None,
        dict(parse_qsl(parameters, keep_blank_values=True)),
        head,
        body,
    )


async def read_reply(request: Request, reader: asyncio.StreamReader) -> Reply:
    """Return a complete reply; skip interim replies."""
    _, head, body = await _begin_reply(request, reader)
    content = await _collect(body, _MAX_REPLY)
    fields = tuple(
        line
        for line in head.lines[1:]
        if line.partition(":")[0].strip().lower() not in _FRAMING_FIELDS
    )
    return Reply(head.lines[0], fields, _dechunk(content) if head.is_chunked else content)


async def relay_reply(
    request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> bool:
    """Forward a reply unchanged as it arrives; return whether the connection stays open."""
    interim, head, body = await _begin_reply(request, reader)
    writer.write(interim + head.wire)
    async for piece in body:
        writer.write(piece)
        await writer.drain()
    await writer.drain()
    framed = head.is_chunked or "content-length" in head.fields or _has_no_body(request, head)
    return framed and head.keeps_alive


async def _begin_reply(
    request: Request, reader: asyncio.StreamReader
) -> tuple[bytes, Head, AsyncIterator[bytes]]:
    """Return the bytes of interim heads, the final head, and the body."""
    interim = b""
    while (head := await _read_head(reader)) is not None and _status(head).startswith("1"):
        interim += head.wire
    if head is None:
        raise BrokenMessage("the server closed the connection instead of replying")
    if _has_no_body(request, head):
        return interim, head, _read_exactly(reader, 0)
    until_closed = not head.is_chunked and "content-length" not in head.fields
    return interim, head, _body(head, reader, until_closed=until_closed)


async def _read_head(reader: asyncio.StreamReader) -> Head | None:
    """Read up to an empty line; accept lines that end without a carriage return."""
    wire = bytearray()
    texts: list[str] = []
    while True:
        line = await _read_line(reader)
        if not line and not wire:
            return None
        wire += line
        if not line.endswith(b"\n") or len(wire) > HEAD_LIMIT:
            raise BrokenMessage(f"the head is incomplete or exceeds {HEAD_LIMIT} bytes")
        text = line.decode("latin-1").rstrip("\r\n")
        if not text:
            break
        texts.append(text)
    if not texts:
        raise BrokenMessage("the head is empty")
    pairs = (text.partition(":") for text in texts[1:])
    fields = {name.strip().lower(): value.strip() for name, _, value in pairs}
    return Head(tuple(texts), fields, bytes(wire))


async def _read_line(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readline()
    except ValueError as error:
        raise BrokenMessage("a line is too long") from error


async def _body(
    head: Head, reader: asyncio.StreamReader, *, until_closed: bool
) -> AsyncIterator[bytes]:
    """Yield the bytes of a body as received, with chunk framing."""
    if head.is_chunked:
        async for piece in _read_chunks(reader):
            yield piece
    elif until_closed:
        while piece := await reader.read(_READ_SIZE):
            yield piece
    else:
        async for piece in _read_exactly(reader, head.length):
            yield piece


async def _read_exactly(reader: asyncio.StreamReader, left: int) -> AsyncIterator[bytes]:
    while left:
        piece = await reader.read(min(left, _READ_SIZE))
        if not piece:
            raise BrokenMessage(f"the body ended {left} bytes early")
        left -= len(piece)
        yield piece


async def _read_chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    size = -1
    while size:
        line = await _read_line(reader)
        size = _chunk_size(line)
        yield line
        if size:
            async for piece in _read_exactly(reader, size + 2):
                yield piece
    while (line := await _read_line(reader)).strip():
        yield line
    yield line


def _chunk_size(line: bytes) -> int:
    match = _HEX_DIGITS.fullmatch(line)
    if match is None:
        raise BrokenMessage(f"the size of a chunk is invalid: {line[:40]!r}")
    return int(match[1], 16)


def _dechunk(wire: bytes) -> bytes:
    """Return the content of a complete chunked body."""
    content = bytearray()
    start = 0
    while True:
        end = wire.index(b"\n", start) + 1
        size = _chunk_size(wire[start:end])
        if not size:
            return bytes(content)
        content += wire[end : end + size]
        start = end + size + 2


async def _collect(pieces: AsyncIterator[bytes], limit: int) -> bytes:
    body = bytearray()
    async for piece in pieces:
        body += piece
        if len(body) > limit:
            raise BrokenMessage(f"the body exceeds {limit} bytes")
    return bytes(body)


def _status(head: Head) -> str:
    return head.lines[0].partition(" ")[2]


def _has_no_body(request: Request, head: Head) -> bool:
    return request.verb == "HEAD" or _status(head).startswith(("204", "304"))


def _is_content_type(line: str) -> bool:
    return line.partition(":")[0].strip().lower() == "content-type"

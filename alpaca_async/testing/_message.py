"""HTTP messages as far as a proxy must know them: what is asked for, and where they end."""

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
_PIECE: Final = 1 << 18
_WORDS: Final = 3
"""Of the first line of a request."""
_DIGITS: Final = re.compile("[0-9]{1,18}")
_HEX_DIGITS: Final = re.compile(rb"\s*([0-9a-fA-F]{1,15})\s*(?:;.*)?", re.DOTALL)
_MEMBER: Final = re.compile(r"/api/v[0-9]+/[^/]+/([0-9]{1,10})/([^/]+)")
_FRAMING: Final = frozenset({"connection", "content-length", "keep-alive", "transfer-encoding"})


class BrokenMessage(Exception):
    """A peer sent what is not HTTP, or left in the middle of a message."""


@dataclass(frozen=True, slots=True)
class Head:
    """The lines before the empty one; `fields` in lower case, the last one of a name."""

    lines: tuple[str, ...]
    fields: Mapping[str, str]
    wire: bytes

    @property
    def length(self) -> int:
        """What Content-Length says, 0 without one."""
        text = self.fields.get("content-length", "0")
        if not _DIGITS.fullmatch(text):
            raise BrokenMessage(f"Content-Length is {text[:40]}")
        return int(text)

    @property
    def is_chunked(self) -> bool:
        """Whether the body comes in chunks."""
        return "chunked" in self.fields.get("transfer-encoding", "").lower()

    @property
    def keeps_alive(self) -> bool:
        """Whether the connection outlasts the message."""
        wish = self.fields.get("connection", "").lower()
        return "keep-alive" in wish if "HTTP/1.0" in self.lines[0] else "close" not in wish


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks for; `device` and `member` are None and the last part of other paths."""

    verb: str
    member: str
    device: int | None
    parameters: Mapping[str, str]
    head: Head
    body: bytes

    @property
    def wire(self) -> bytes:
        """The request as it came."""
        return self.head.wire + self.body


NO_REQUEST: Final = Request("", "", None, {}, Head((), {}, b""), b"")
"""What a connection has brought when it is made."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole reply; `fields` are the lines of its head but those that frame the body."""

    status: str
    fields: tuple[str, ...]
    body: bytes

    @property
    def media_type(self) -> str:
        """In lower case, without parameters."""
        kinds = [line.partition(":")[2] for line in self.fields if _is_media_type(line)]
        return kinds[-1].partition(";")[0].strip().lower() if kinds else ""

    def of_type(self, media_type: str | None) -> Reply:
        """Return the reply with another media type, or without one."""
        fields = tuple(line for line in self.fields if not _is_media_type(line))
        added = () if media_type is None else (f"Content-Type: {media_type}",)
        return replace(self, fields=fields + added)

    def with_body(self, body: bytes) -> Reply:
        """Return the reply with another body."""
        return replace(self, body=body)

    def head(self, *framing: str) -> bytes:
        """Return its head, with lines that say how the body ends, true or not."""
        return lines(self.status, *self.fields, *framing, "")

    @property
    def wire(self) -> bytes:
        """The reply as a server would send it."""
        return self.head(f"Content-Length: {len(self.body)}") + self.body


def lines(*texts: str) -> bytes:
    """Return lines of a head."""
    return "".join(f"{text}\r\n" for text in texts).encode("latin-1")


def answer(status: str, body: bytes | str = b"", media_type: str = "text/plain") -> Reply:
    """Return a reply that no server sent."""
    content = body.encode() if isinstance(body, str) else body
    return Reply(f"HTTP/1.1 {status}", (f"Content-Type: {media_type}",), content)


async def read_request(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> Request | None:
    """Return the next request, None if the client has left."""
    head = await _read_head(reader)
    if head is None:
        return None
    if "100-continue" in head.fields.get("expect", "").lower():
        writer.write(lines("HTTP/1.1 100 Continue", ""))
    body = await _whole(_body(head, reader, until_closed=False), _MAX_FORM)
    if len(words := head.lines[0].split(" ")) != _WORDS:
        raise BrokenMessage(f"not a request: {head.lines[0][:40]}")
    path, _, query = words[1].partition("?")
    parameters = f"{query}&{'' if head.is_chunked else body.decode('latin-1')}"
    match = _MEMBER.fullmatch(path)
    return Request(
        words[0],
        match[2] if match else path.rpartition("/")[2],
        int(match[1]) if match else None,
        dict(parse_qsl(parameters, keep_blank_values=True)),
        head,
        body,
    )


async def read_reply(request: Request, reader: asyncio.StreamReader) -> Reply:
    """Return a whole reply; interim ones are dropped."""
    _, head, body = await _begin_reply(request, reader)
    content = await _whole(body, _MAX_REPLY)
    fields = tuple(
        line for line in head.lines[1:] if line.partition(":")[0].strip().lower() not in _FRAMING
    )
    return Reply(head.lines[0], fields, _unchunked(content) if head.is_chunked else content)


async def relay_reply(
    request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> bool:
    """Pass a reply on, byte by byte as it comes; tell whether the connection outlasts it."""
    interim, head, body = await _begin_reply(request, reader)
    writer.write(interim + head.wire)
    async for piece in body:
        writer.write(piece)
        await writer.drain()
    await writer.drain()
    framed = head.is_chunked or "content-length" in head.fields or _is_bodiless(request, head)
    return framed and head.keeps_alive


async def _begin_reply(
    request: Request, reader: asyncio.StreamReader
) -> tuple[bytes, Head, AsyncIterator[bytes]]:
    """Return the interim heads, the final one, and the body."""
    interim = b""
    while (head := await _read_head(reader)) is not None and _status(head).startswith("1"):
        interim += head.wire
    if head is None:
        raise BrokenMessage("the server closed the connection instead of replying")
    if _is_bodiless(request, head):
        return interim, head, _counted(reader, 0)
    until_closed = not head.is_chunked and "content-length" not in head.fields
    return interim, head, _body(head, reader, until_closed=until_closed)


async def _read_head(reader: asyncio.StreamReader) -> Head | None:
    """Read up to an empty line; lines may end without a carriage return."""
    wire = bytearray()
    texts: list[str] = []
    while True:
        line = await _read_line(reader)
        if not line and not wire:
            return None
        wire += line
        if not line.endswith(b"\n") or len(wire) > HEAD_LIMIT:
            raise BrokenMessage("a head without an end")
        text = line.decode("latin-1").rstrip("\r\n")
        if not text:
            break
        texts.append(text)
    if not texts:
        raise BrokenMessage("a head without a line")
    pairs = (text.partition(":") for text in texts[1:])
    fields = {name.strip().lower(): value.strip() for name, _, value in pairs}
    return Head(tuple(texts), fields, bytes(wire))


async def _read_line(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readline()
    except ValueError as error:
        raise BrokenMessage("a line without an end") from error


async def _body(
    head: Head, reader: asyncio.StreamReader, *, until_closed: bool
) -> AsyncIterator[bytes]:
    """Yield a body as it is on the wire."""
    if head.is_chunked:
        async for piece in _chunks(reader):
            yield piece
    elif until_closed:
        while piece := await reader.read(_PIECE):
            yield piece
    else:
        async for piece in _counted(reader, head.length):
            yield piece


async def _counted(reader: asyncio.StreamReader, left: int) -> AsyncIterator[bytes]:
    while left:
        piece = await reader.read(min(left, _PIECE))
        if not piece:
            raise BrokenMessage(f"the body ended {left} bytes early")
        left -= len(piece)
        yield piece


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    size = -1
    while size:
        line = await _read_line(reader)
        size = _chunk_size(line)
        yield line
        if size:
            async for piece in _counted(reader, size + 2):
                yield piece
    while (line := await _read_line(reader)).strip():
        yield line
    yield line


def _chunk_size(line: bytes) -> int:
    match = _HEX_DIGITS.fullmatch(line)
    if match is None:
        raise BrokenMessage(f"the size of a chunk is {line[:40]!r}")
    return int(match[1], 16)


def _unchunked(wire: bytes) -> bytes:
    """Return what is in chunks that were read before."""
    content = bytearray()
    start = 0
    while True:
        end = wire.index(b"\n", start) + 1
        size = _chunk_size(wire[start:end])
        if not size:
            return bytes(content)
        content += wire[end : end + size]
        start = end + size + 2


async def _whole(pieces: AsyncIterator[bytes], limit: int) -> bytes:
    body = bytearray()
    async for piece in pieces:
        body += piece
        if len(body) > limit:
            raise BrokenMessage(f"a body of more than {limit} bytes")
    return bytes(body)


def _status(head: Head) -> str:
    return head.lines[0].partition(" ")[2]


def _is_bodiless(request: Request, head: Head) -> bool:
    return request.verb == "HEAD" or _status(head).startswith(("204", "304"))


def _is_media_type(line: str) -> bool:
    return line.partition(":")[0].strip().lower() == "content-type"

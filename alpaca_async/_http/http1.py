"""Serialises HTTP/1.1 requests and parses reply heads. Does no I/O."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

import httptools
import httpx

if TYPE_CHECKING:
    RawHeaders = list[tuple[bytes, bytes]]

LINE_LIMIT: Final = 16 * 1024
"""The longest accepted line of a reply's head, in bytes."""

HEADER_COUNT_LIMIT: Final = 256

FOREVER: Final = float("inf")

_TOKEN: Final = re.compile(rb"[-!#$%&'*+.^_`|~0-9A-Za-z]+")
_TARGET: Final = re.compile(rb"[\x21-\x7e]+")
_HEADER_LINES: Final = re.compile(rb"(?:[-!#$%&'*+.^_`|~0-9A-Za-z]+: [^\r\n\0]*\r\n)*")
_ZONE: Final = re.compile(rb"^(host: \[[^%\r]*)%[^\]\r]*", re.IGNORECASE | re.MULTILINE)
_LINE_END: Final = re.compile(rb"\r?\n")
_FOLD: Final = re.compile(rb"\r?\n[ \t]+")
_LENGTH_LINE: Final = re.compile(rb"\ncontent-length:([^\n]*)(?=\n)", re.IGNORECASE)
_CLOSE: Final = re.compile(rb"(?:^|,)\s*close\s*(?:,|$)", re.IGNORECASE)
_KEEP_ALIVE: Final = re.compile(rb"timeout\s*=\s*(\d{1,6})", re.IGNORECASE)
_FRAMING: Final = frozenset((b"connection", b"content-length", b"keep-alive", b"transfer-encoding"))
_REQUEST_TIMEOUT: Final = 408
_IDLE_SHARE: Final = 0.8  # of the keep-alive time that the server announces


class Message(bytes):
    """A serialised request; its repr keeps credentials out of tracebacks that show locals."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<request of {len(self)} bytes>"


def serialise(request: httpx.Request, body: bytes) -> Message:
    """Return head and body as bytes; raise `LocalProtocolError` for an illegal request."""
    method = request.method.encode("ascii", "replace")
    target = request.extensions.get("target", request.url.raw_path)
    if not _TOKEN.fullmatch(method) or method == b"CONNECT" or not _TARGET.fullmatch(target):
        raise httpx.LocalProtocolError(f"illegal method or target: {method!r} {target!r}")
    fields = request.headers.raw
    lines = b"".join([b"%s: %s\r\n" % field for field in fields])
    if not _HEADER_LINES.fullmatch(lines) or lines.count(b"\n") != len(fields):
        raise httpx.LocalProtocolError("a header has an illegal name or value")
    by_name = {name.lower(): value for name, value in fields}
    if b"%" in by_name.get(b"host", b""):
        lines = _ZONE.sub(b"\\1", lines)
    if b"host" not in by_name:
        raise httpx.LocalProtocolError("a request needs a Host header")
    return Message(b"%s %s HTTP/1.1\r\n%s\r\n%s" % (method, target, lines, _frame(body, by_name)))


def _frame(body: bytes, headers: dict[bytes, bytes]) -> bytes:
    """Return the body, encoded as a chunk if `headers` say that it is chunked.

    Raises `LocalProtocolError` if Content-Length is wrong, or is missing although there is a body.
    """
    length = headers.get(b"content-length")
    if length is None and headers.get(b"transfer-encoding", b"").lower() == b"chunked":
        return b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
    if (length or b"0") != b"%d" % len(body):
        raise httpx.LocalProtocolError("Content-Length does not match the length of the body")
    return body


class Events:
    """Collects what the parser reports about one reply.

    `known` holds the values of the headers that say how the body ends and whether the connection
    stays open.
    """

    def __init__(self) -> None:
        self.headers: RawHeaders = []
        self.known: dict[bytes, list[bytes]] = {}
        self.body: list[bytes] = []
        self.complete = False
        self.excess = False

    def on_message_begin(self) -> None:
        self.excess = self.complete

    def on_header(self, name: bytes, value: bytes) -> None:
        value = value.strip()
        self.headers.append((name, value))
        if (known := name.lower()) in _FRAMING:
            self.known.setdefault(known, []).append(value)

    def on_body(self, part: bytes) -> None:
        if not self.complete:
            self.body.append(part)

    def on_message_complete(self) -> None:
        self.complete = True


class Head(NamedTuple):
    """The head of a reply; `parser` and `events` also decode a chunked body, if there is one."""

    status: int
    version: bytes
    reason: bytes
    headers: RawHeaders
    known: dict[bytes, list[bytes]]
    parser: httptools.HttpResponseParser
    events: Events

    @classmethod
    def parse(cls, block: bytes) -> Head:
        """Parse the bytes of a head, including its empty line."""
        if len(block) > LINE_LIMIT and max(map(len, block.split(b"\n"))) > LINE_LIMIT:
            raise httpx.RemoteProtocolError(f"a line of the head exceeds {LINE_LIMIT} bytes")
        parser, events = _parse_head(_normalised(block))
        headers, events.headers = events.headers, []
        known, events.known = events.known, {}
        status = parser.get_status_code()
        if status < 100 or len(headers) > HEADER_COUNT_LIMIT:  # noqa: PLR2004 - three digits
            raise httpx.RemoteProtocolError(f"status {status}, {len(headers)} headers")
        reason = block[13 : block.index(b"\n")].strip()
        return cls(status, block[:8], reason, headers, known, parser, events)

    @property
    def idle_limit(self) -> float:
        """Seconds for which the server keeps the connection open; 0 if it closes it at once."""
        if self.status == _REQUEST_TIMEOUT:
            return 0.0  # may have been sent to an idle connection; the real reply could follow it
        connection = b",".join(self.known.get(b"connection", ()))
        if self.version != b"HTTP/1.1" or _CLOSE.search(connection):
            return 0.0
        announced = _KEEP_ALIVE.search(b",".join(self.known.get(b"keep-alive", ())))
        return int(announced[1]) * _IDLE_SHARE if announced else FOREVER


def _parse_head(block: bytes) -> tuple[httptools.HttpResponseParser, Events]:
    """Parse a head; return the parser and the events that it reported."""
    events = Events()
    parser = httptools.HttpResponseParser(events)
    try:
        parser.feed_data(block)
    except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
        if (merged := _with_one_length(block)) != block:
            return _parse_head(merged)
        raise httpx.RemoteProtocolError(f"illegal head of a reply: {error}") from error
    return parser, events


def _with_one_length(block: bytes) -> bytes:
    """Return the head with repeated, equal Content-Length headers merged into one."""
    lines = list(_LENGTH_LINE.finditer(block))
    lengths = {length.strip() for line in lines for length in line[1].split(b",")}
    if len(lengths) != 1:
        return block
    before, after = block[: lines[0].start()], block[lines[0].end() :]
    return b"%b\nContent-Length: %b\r%b" % (before, lengths.pop(), _LENGTH_LINE.sub(b"", after))


def _normalised(block: bytes) -> bytes:
    """Rewrite bare line feeds and folded lines into the form that the parser requires."""
    if b"\n " in block or b"\n\t" in block:
        block = _FOLD.sub(b" ", block)
    if block.count(b"\n") != block.count(b"\r\n"):
        block = _LINE_END.sub(b"\r\n", block)
    return block

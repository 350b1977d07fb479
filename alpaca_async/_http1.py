"""HTTP/1.1 as bytes: a request written, a reply read. No input and no output happens here."""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import httptools
import httpx

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    RawHeaders = list[tuple[bytes, bytes]]

HEAD_LIMIT: Final = 64 * 1024
"""The most bytes that the heads of a reply, interim ones included, or its trailers may have."""

LINE_LIMIT: Final = 16 * 1024
"""The longest line of a head."""

HEADER_COUNT_LIMIT: Final = 256

STRAIGHT_LIMIT: Final = 1024 * 1024
"""The most bytes that one read may put into a sink, so that the loop stays fair."""

_TOKEN: Final = re.compile(rb"[-!#$%&'*+.^_`|~0-9A-Za-z]+")
_TARGET: Final = re.compile(rb"[\x21-\x7e]+")
_HEADER_LINES: Final = re.compile(rb"(?:[-!#$%&'*+.^_`|~0-9A-Za-z]+: [^\r\n\0]*\r\n)*")
_ZONE: Final = re.compile(rb"^(host: \[[^%\r]*)%[^\]\r]*", re.IGNORECASE | re.MULTILINE)
_HEAD_END: Final = re.compile(rb"\n\r?\n")
_LINE_END: Final = re.compile(rb"\r?\n")
_FOLD: Final = re.compile(rb"\r?\n[ \t]+")
_KEEP_ALIVE: Final = re.compile(rb"timeout\s*=\s*(\d{1,6})", re.IGNORECASE)
_STATUS_START: Final = b"HTTP/1."
_KNOWN: Final = frozenset((b"connection", b"content-length", b"keep-alive", b"transfer-encoding"))
_IDLE_SHARE: Final = 0.8  # of the time that the server announces
_FOREVER: Final = float("inf")


class Sink(Protocol):
    """Memory for the body of one reply, handed over as `request.extensions["sink"]`."""

    def begin(self, status: int, headers: httpx.Headers) -> bool:
        """Tell whether the body shall come here; called once, when the head is complete."""
        ...

    def get_buffer(self) -> memoryview:
        """Return writable room for the next bytes, at least one, as unsigned bytes."""
        ...

    def received(self, nbytes: int) -> None:
        """Note that the first `nbytes` of that room are filled."""
        ...


def serialise(request: httpx.Request, body: bytes) -> bytes:
    """Return head and body as they go over the wire; `LocalProtocolError` where they cannot."""
    method = request.method.encode("ascii", "replace")
    target = request.extensions.get("target", request.url.raw_path)
    if not _TOKEN.fullmatch(method) or method == b"CONNECT" or not _TARGET.fullmatch(target):
        raise httpx.LocalProtocolError(f"cannot send {method!r} {target!r}")
    fields = request.headers.raw
    lines = b"".join([b"%s: %s\r\n" % field for field in fields])
    if not _HEADER_LINES.fullmatch(lines) or lines.count(b"\n") != len(fields):
        raise httpx.LocalProtocolError("a header is not what a header may be")
    by_name = {name.lower(): value for name, value in fields}
    if b"%" in by_name.get(b"host", b""):
        lines = _ZONE.sub(b"\\1", lines)
    if b"host" not in by_name:
        raise httpx.LocalProtocolError("a request needs a Host header")
    return b"%s %s HTTP/1.1\r\n%s\r\n%s" % (method, target, lines, _framed(body, by_name))


def _framed(body: bytes, headers: dict[bytes, bytes]) -> bytes:
    """Return the body as the headers announce it; `LocalProtocolError` if it contradicts them."""
    length = headers.get(b"content-length")
    if length is None and headers.get(b"transfer-encoding", b"").lower() == b"chunked":
        return b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
    if (length or b"0") != b"%d" % len(body):
        raise httpx.LocalProtocolError("Content-Length is not the length of the body")
    return body


class _Events:
    """What the parser reports of one reply."""

    def __init__(self) -> None:
        self.headers: RawHeaders = []
        self.known: dict[bytes, list[bytes]] = {}
        self.body: list[bytes] = []
        self.complete = False
        self.surplus = False

    def on_message_begin(self) -> None:
        self.surplus = self.complete

    def on_header(self, name: bytes, value: bytes) -> None:
        value = value.strip()
        self.headers.append((name, value))
        if (known := name.lower()) in _KNOWN:
            self.known.setdefault(known, []).append(value)

    def on_body(self, part: bytes) -> None:
        if not self.complete:
            self.body.append(part)

    def on_message_complete(self) -> None:
        self.complete = True


class _Head(NamedTuple):
    """The head of a reply; `events` hears what `parser` finds in a chunked body."""

    status: int
    version: bytes
    reason: bytes
    headers: RawHeaders
    known: dict[bytes, list[bytes]]
    parser: httptools.HttpResponseParser
    events: _Events

    @classmethod
    def parse(cls, block: bytes) -> _Head:
        """Read the lines up to and with the empty one."""
        if len(block) > LINE_LIMIT and max(map(len, block.split(b"\n"))) > LINE_LIMIT:
            raise httpx.RemoteProtocolError(f"a line of the head exceeds {LINE_LIMIT} bytes")
        events = _Events()
        parser = httptools.HttpResponseParser(events)
        try:
            parser.feed_data(_normalised(block))
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            raise httpx.RemoteProtocolError(f"illegal head of a reply: {error}") from error
        headers, events.headers = events.headers, []
        known, events.known = events.known, {}
        status = parser.get_status_code()
        if status < 100 or len(headers) > HEADER_COUNT_LIMIT:  # noqa: PLR2004 - three digits
            raise httpx.RemoteProtocolError(f"status {status}, {len(headers)} headers")
        reason = block[13 : block.index(b"\n")].strip()
        return cls(status, block[:8], reason, headers, known, parser, events)


def _normalised(block: bytes) -> bytes:
    """Bring bare line feeds and folded lines into the form that the parser insists on."""
    if b"\n " in block or b"\n\t" in block:
        block = _FOLD.sub(b" ", block)
    if block.count(b"\n") != block.count(b"\r\n"):
        block = _LINE_END.sub(b"\r\n", block)
    return block


class _Counted:
    """A body of known length."""

    def __init__(self, length: int) -> None:
        self.straight = length
        self.complete = not length
        self.surplus = False

    def split(self, data: bytes) -> Sequence[bytes]:
        self.surplus = len(data) > self.straight
        part = data[: self.straight]
        self.skip(len(part))
        return (part,)

    def skip(self, nbytes: int) -> None:
        self.straight -= nbytes
        self.complete = not self.straight

    def end(self) -> None:
        raise httpx.RemoteProtocolError(f"the body ended {self.straight} bytes early")


class _UntilClosed:
    """A body that ends where the connection does."""

    straight = STRAIGHT_LIMIT
    complete = False
    surplus = True  # nothing can follow on this connection

    def split(self, data: bytes) -> Sequence[bytes]:
        return (data,)

    def skip(self, nbytes: int) -> None:
        """Need no count."""

    def end(self) -> None:
        self.complete = True


class _Chunked:
    """A chunked body; trailers are dropped."""

    straight = 0

    def __init__(self, head: _Head) -> None:
        self._parser = head.parser
        self._parser.set_dangerous_leniencies(lenient_spaces_after_chunk_size=True)  # some pad
        self._events = head.events
        self._barren = 0
        self.complete = False
        self.surplus = False

    def split(self, data: bytes) -> Sequence[bytes]:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            if not self._events.complete:
                raise httpx.RemoteProtocolError(f"illegal chunk: {error}") from error
            self._events.surplus = True
        self.complete = self._events.complete
        self.surplus = self._events.surplus
        parts, self._events.body = self._events.body, []
        self._bound(0 if parts else len(data))
        return parts

    def _bound(self, barren: int) -> None:
        """Refuse to read on where the parser only collects, trailers for instance."""
        self._barren = self._barren + barren if barren else 0
        if self._barren > HEAD_LIMIT:
            raise httpx.RemoteProtocolError(f"{self._barren} bytes between two chunks")

    def skip(self, nbytes: int) -> None:
        raise NotImplementedError  # nothing goes straight

    def end(self) -> None:
        raise httpx.RemoteProtocolError("the body ended before its last chunk")


def _framing(method: str, head: _Head) -> _Counted | _Chunked | _UntilClosed:
    codings = head.known.get(b"transfer-encoding")
    lengths = head.known.get(b"content-length")
    if method == "HEAD" or head.status in (204, 304):
        return _Counted(0)
    if codings:
        if lengths or len(codings) > 1 or codings[0].lower() != b"chunked":
            raise httpx.RemoteProtocolError(f"cannot undo the transfer codings {codings}")
        return _Chunked(head)
    if lengths:
        return _Counted(int(lengths[0]))  # digits, and only one: the parser has seen to it
    return _UntilClosed()


def _idle_limit(head: _Head) -> float:
    """Return for how many seconds the server keeps the connection; 0 if it closes it at once."""
    tokens = _tokens(head.known.get(b"connection", ()))
    if b"close" in tokens or head.version != b"HTTP/1.1":
        return 0.0
    announced = _KEEP_ALIVE.search(b",".join(head.known.get(b"keep-alive", ())))
    return int(announced[1]) * _IDLE_SHARE if announced else _FOREVER


def _tokens(values: Sequence[bytes]) -> set[bytes]:
    return {token.strip() for token in b",".join(values).lower().split(b",")}


class Reply:
    """One reply, from its first byte to its last.

    `status` is 0 until the head is complete; `idle_limit` says for how many seconds the
    connection can be kept then, `error` why the body broke off, `news` that whoever waits should
    look. Bytes wait in the reply until they are taken, unless the sink took the body.
    """

    def __init__(
        self, method: str, sink: Sink | None = None, *, idle_limit: float = _FOREVER
    ) -> None:
        self.status = 0
        self.headers: RawHeaders | httpx.Headers = []
        self.extensions: dict[str, object] = {}
        self.begun = False
        self.news = False
        self.complete = False
        self.error: Exception | None = None
        self.idle_limit = idle_limit
        self.unread = 0
        self.on_done: Callable[[], None] | None = None
        self._method = method
        self._offered = sink
        self._sink: Sink | None = None
        self._framing: _Counted | _Chunked | _UntilClosed | None = None
        self._pending = b""
        self._head_bytes = 0
        self._chunks: deque[bytes] = deque()

    @property
    def done(self) -> bool:
        """Whether nothing more will come."""
        return self.complete or self.error is not None

    def finish(self, error: Exception | None = None) -> None:
        """End the reply, broken off by `error` if it is not complete."""
        if not self.complete:
            self.error = self.error or error
        if self.on_done is not None:
            self.on_done()

    def take(self) -> bytes | None:
        """Return the next part of the body, None if none has come."""
        if not self._chunks:
            return None
        part = self._chunks.popleft()
        self.unread -= len(part)
        return part

    def feed(self, data: bytes) -> None:
        """Read bytes off the wire; raises what is wrong with them, and what the sink raises."""
        self.begun = True
        if self._framing is None:
            data = self._read_heads(data)
        if self._framing is not None:
            self._read_body(self._framing, data)

    def room(self) -> memoryview | None:
        """Return the memory that the body goes to, None where it needs reading."""
        if self._sink is None or self._framing is None or not self._framing.straight:
            return None
        return self._sink_room(self._sink)[: min(self._framing.straight, STRAIGHT_LIMIT)]

    def filled(self, nbytes: int) -> None:
        """Note that `nbytes` went into that memory."""
        if self._sink is not None and self._framing is not None:
            self._framing.skip(nbytes)
            self._sink.received(nbytes)
            self.complete = self._framing.complete

    def end(self) -> None:
        """Note that the server sends nothing more; raises unless the reply ends so."""
        if self._framing is None:
            raise httpx.RemoteProtocolError("the server disconnected without a complete reply")
        self._framing.end()
        self.complete = True

    def _read_heads(self, data: bytes) -> bytes:
        """Read interim heads and the final one; return what follows it."""
        start = max(len(self._pending) - 2, 0)
        data = self._pending + data
        while self._framing is None and (end := _HEAD_END.search(data, start)):
            self._begin(data[: end.end()])
            data, start = data[end.end() :], 0
        if self._framing is None:
            self._check_pending(data)
            self._pending = data
        return data

    def _check_pending(self, data: bytes) -> None:
        if not data.startswith(_STATUS_START[: len(data)]):
            raise httpx.RemoteProtocolError(f"not HTTP/1: {data[:20]!r}")
        if self._head_bytes + len(data) > HEAD_LIMIT:
            raise httpx.RemoteProtocolError(f"the head exceeds {HEAD_LIMIT} bytes")

    def _begin(self, block: bytes) -> None:
        self._check_pending(block)
        self._head_bytes += len(block)
        head = _Head.parse(block)
        if head.status < 200:  # noqa: PLR2004 - interim replies; the parser refuses 101
            return
        framing = _framing(self._method, head)
        self.idle_limit = min(self.idle_limit, _idle_limit(head))
        self.headers = head.headers
        self.extensions = {"http_version": head.version, "reason_phrase": head.reason}
        self._pending = b""
        self._framing = framing
        self.status = head.status
        self.news = True
        if self._offered is not None:
            self._offer(self._offered, head)

    def _offer(self, sink: Sink, head: _Head) -> None:
        self.headers = headers = httpx.Headers(head.headers)
        if sink.begin(head.status, headers):
            self._sink = sink
            self.extensions["sink"] = True

    def _read_body(self, framing: _Counted | _Chunked | _UntilClosed, data: bytes) -> None:
        deliver = self._keep if self._sink is None else self._pour
        for part in framing.split(data):
            deliver(part)
        self.complete = framing.complete
        if framing.surplus:
            self.idle_limit = 0.0

    def _keep(self, part: bytes) -> None:
        if part:
            self._chunks.append(part)
            self.unread += len(part)
            self.news = True

    def _pour(self, part: bytes) -> None:
        if self._sink is None:
            return
        view = memoryview(part)
        while view:
            room = self._sink_room(self._sink)[: len(view)]
            room[:] = view[: len(room)]
            self._sink.received(len(room))
            view = view[len(room) :]

    @staticmethod
    def _sink_room(sink: Sink) -> memoryview:
        room = sink.get_buffer()
        if not len(room):
            raise ValueError("the sink offers no room for a body that goes on")
        return room

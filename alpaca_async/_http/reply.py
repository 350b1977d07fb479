"""Parses the reply to one request; its body goes to a sink or a queue. Does no I/O."""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

import httptools
import httpx

from .http1 import FOREVER, Head

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .http1 import RawHeaders

HEAD_LIMIT: Final = 64 * 1024
"""The most bytes accepted in the heads of a reply, including interim ones, or in trailers."""

READ_LIMIT: Final = 1 << 20
"""The most bytes that one read may put into a sink, so that other tasks get to run."""

_MAX_QUOTED: Final = 400
_MAX_QUOTED_BYTES: Final = 20

_HEAD_END: Final = re.compile(rb"\n\r?\n")
_STATUS_START: Final = b"HTTP/1."


class Sink(Protocol):
    """Memory for the body of one reply, handed over as `request.extensions["sink"]`."""

    def begin(self, status: int, headers: httpx.Headers) -> bool:
        """Return whether this sink receives the body; called once, when the head is complete."""
        ...

    def get_buffer(self) -> memoryview:
        """Return a writable view of unsigned bytes, at least one, for the next bytes."""
        ...

    def received(self, nbytes: int) -> None:
        """Note that the first `nbytes` of that view are filled."""
        ...

    def uncounted(self) -> int:
        """Return the number of further bytes of the body that Content-Length does not count.

        Called once, after the bytes that it counts are stored. The result is usually 0.
        """
        ...


class _FixedLength:
    """A body of known length, which a sink may find to be longer than announced."""

    def __init__(self, length: int) -> None:
        self.remaining = length
        self.complete = not length
        self.excess = False
        self.sink: Sink | None = None

    def extract(self, data: bytes) -> Iterator[bytes]:
        """Yield the parts of the body in `data`; each must be stored before the next."""
        while data and not self.complete:
            part, data = data[: self.remaining], data[self.remaining :]
            yield part
            self.advance(len(part))
        self.excess = self.excess or bool(data)

    def advance(self, nbytes: int) -> None:
        """Note that `nbytes` are stored."""
        self.remaining -= nbytes
        if not self.remaining:
            self._extend()
        self.complete = not self.remaining

    def _extend(self) -> None:
        """Expect more bytes than announced if the sink knows that more follow."""
        sink, self.sink = self.sink, None
        if sink is not None and (more := sink.uncounted()):
            self.remaining = more
            self.excess = True  # a server that counts wrongly may send anything afterwards

    def feed_eof(self) -> None:
        raise httpx.RemoteProtocolError(f"the body ended {self.remaining} bytes early")


class _UntilClose:
    """A body that ends when the server closes the connection."""

    remaining = READ_LIMIT  # the length is unknown; this never shortens a read

    def __init__(self) -> None:
        self.complete = False
        self.excess = True  # the connection cannot be reused

    def extract(self, data: bytes) -> Sequence[bytes]:
        return (data,)

    def advance(self, nbytes: int) -> None:
        """Do nothing: the length is unknown."""

    def feed_eof(self) -> None:
        self.complete = True


class _Chunked:
    """A chunked body; trailers are dropped."""

    def __init__(self, head: Head) -> None:
        self._parser = head.parser
        # Some servers pad the chunk size with spaces.
        self._parser.set_dangerous_leniencies(lenient_spaces_after_chunk_size=True)
        self._events = head.events
        self._bytes_without_body = 0
        self.complete = False
        self.excess = False

    def extract(self, data: bytes) -> Sequence[bytes]:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            if not self._events.complete:
                raise httpx.RemoteProtocolError(f"illegal chunk: {error}") from error
            self._events.excess = True
        self.complete = self._events.complete
        self.excess = self._events.excess
        parts, self._events.body = self._events.body, []
        self._limit_bytes_without_body(0 if parts else len(data))
        return parts

    def _limit_bytes_without_body(self, nbytes: int) -> None:
        """Raise when too many bytes come without body data, such as endless trailers."""
        self._bytes_without_body = self._bytes_without_body + nbytes if nbytes else 0
        if self._bytes_without_body > HEAD_LIMIT:
            raise httpx.RemoteProtocolError(f"{self._bytes_without_body} bytes between two chunks")

    def feed_eof(self) -> None:
        raise httpx.RemoteProtocolError("the body ended before its last chunk")


def _framing(method: str, head: Head) -> _FixedLength | _Chunked | _UntilClose:
    """Return the decoder for the way in which the body ends."""
    codings = head.known.get(b"transfer-encoding")
    lengths = head.known.get(b"content-length")
    if method == "HEAD" or head.status in (204, 304):
        return _FixedLength(0)
    if codings:
        if lengths or len(codings) > 1 or codings[0].lower() != b"chunked":
            raise httpx.RemoteProtocolError(f"unsupported transfer codings {codings}")
        return _Chunked(head)
    if lengths:
        return _FixedLength(int(lengths[0]))  # the parser accepts only one, of digits
    return _UntilClose()


class DirectReceive:
    """Receives a body directly into a sink's memory, without a copy."""

    def __init__(self, sink: Sink, framing: _FixedLength | _UntilClose) -> None:
        self._sink = sink
        self._framing = framing
        self._buffer_size = 0

    @property
    def nearly_done(self) -> bool:
        """Whether fewer than `READ_LIMIT` bytes remain; false if the length is unknown."""
        return self._framing.remaining < READ_LIMIT

    @property
    def much_to_come(self) -> bool:
        """Whether more than one read is certain to come; false if the length is unknown."""
        return self._framing.remaining > READ_LIMIT

    def get_buffer(self) -> memoryview:
        """Return the sink's view for the next bytes, limited to `READ_LIMIT` and to the body."""
        buffer = _sink_buffer(self._sink)[: min(self._framing.remaining, READ_LIMIT)]
        self._buffer_size = len(buffer)
        return buffer

    def received(self, nbytes: int) -> bool:
        """Note that the first `nbytes` of the view are filled; return whether it is full."""
        self._sink.received(nbytes)
        self._framing.advance(nbytes)
        return nbytes == self._buffer_size


def _quoted(data: bytes) -> str:
    """Return the start of `data` for an error message: as text if it is text, else its bytes."""
    start = data[:_MAX_QUOTED]
    text = " ".join(start.decode("utf-8", "replace").split())
    return text if text.isprintable() else repr(start[:_MAX_QUOTED_BYTES])


def _sink_buffer(sink: Sink) -> memoryview:
    buffer = sink.get_buffer()
    if not len(buffer):
        raise ValueError("the sink returned an empty buffer before the end of the body")
    return buffer


def _copy_into(sink: Sink, part: bytes) -> None:
    view = memoryview(part)
    while view:
        buffer = _sink_buffer(sink)[: len(view)]
        buffer[:] = view[: len(buffer)]
        sink.received(len(buffer))
        view = view[len(buffer) :]


class Reply:
    """One reply, from its first byte to its last.

    `status` is 0 until the head is complete. `direct` is set when the next bytes can be received
    directly into a sink. `should_wake` tells the connection to wake the waiting task. Body parts
    are queued until `take`, unless the sink took the body.
    """

    def __init__(
        self, method: str, sink: Sink | None = None, *, idle_limit: float = FOREVER
    ) -> None:
        self.status = 0
        self.headers: RawHeaders = []
        self.extensions: dict[str, object] = {}
        self.direct: DirectReceive | None = None
        self.begun = False
        self.should_wake = False
        self._broken = False
        self._error: Exception | None = None
        self._idle_limit = idle_limit
        self.unread = 0
        self.on_done: Callable[[], None] | None = None
        self._method = method
        self._offered_sink = sink
        self._sink: Sink | None = None
        self._framing: _FixedLength | _Chunked | _UntilClose | None = None
        self._pending = b""
        self._head_bytes = 0
        self._chunks: deque[bytes] = deque()

    @property
    def idle_limit(self) -> float:
        """How many seconds the connection can be kept afterwards; 0 if it cannot be reused."""
        unusable = self._framing is not None and self._framing.excess
        return 0.0 if unusable else self._idle_limit

    @property
    def complete(self) -> bool:
        """Whether the whole reply has been received and stored without an error."""
        return self._framing is not None and self._framing.complete and not self._broken

    @property
    def nearly_complete(self) -> bool:
        """Whether the rest of the body fits into one read; false if its length is unknown."""
        return isinstance(self._framing, _FixedLength) and self._framing.remaining <= READ_LIMIT

    @property
    def done(self) -> bool:
        """Whether the reply has ended: complete, or broken off."""
        return self.complete or self._broken

    def finish(self, error: Exception | None = None) -> None:
        """End the reply; `error` is the reason if it broke off."""
        self._broken = error is not None
        self._error = error
        if self.on_done is not None:
            self.on_done()

    def raise_if_broken(self) -> None:
        """Raise the error that broke the reply off, if any, and drop the reference to it.

        The error refers to its stack frames, and these to the reply and its sink. This cycle would
        keep the image in memory until the garbage collector runs.
        """
        if self._broken:
            try:
                raise self._error or httpx.ReadError("the reply broke off")
            finally:
                self._error = None

    def take(self) -> bytes | None:
        """Return the next queued part of the body, or None."""
        if not self._chunks:
            return None
        part = self._chunks.popleft()
        self.unread -= len(part)
        return part

    def feed(self, data: bytes) -> None:
        """Process received bytes; raise `RemoteProtocolError`, or what the sink raises."""
        self.begun = True
        if self._framing is None:
            data = self._read_heads(data)
        if self._framing is not None:
            self._read_body(self._framing, data)

    def feed_eof(self) -> None:
        """Note that the server sends nothing more; raise if the reply is incomplete."""
        if self._framing is None:
            raise httpx.RemoteProtocolError("the server disconnected without a complete reply")
        self._framing.feed_eof()

    def _read_heads(self, data: bytes) -> bytes:
        """Parse the heads of interim replies (1xx) and the final head; return the bytes after."""
        start = max(len(self._pending) - 2, 0)
        data = self._pending + data
        while self._framing is None and (end := _HEAD_END.search(data, start)):
            self._parse_head(data[: end.end()])
            data, start = data[end.end() :], 0
        if self._framing is None:
            self._check_start(data)
            self._pending = data
        return data

    def _check_start(self, data: bytes) -> None:
        """Raise if the part of a head received so far cannot become a valid one."""
        if not data.startswith(_STATUS_START[: len(data)]):
            raise httpx.RemoteProtocolError(f"the reply is not HTTP/1: {_quoted(data)}")
        if self._head_bytes + len(data) > HEAD_LIMIT:
            raise httpx.RemoteProtocolError(f"the head exceeds {HEAD_LIMIT} bytes")

    def _parse_head(self, block: bytes) -> None:
        self._check_start(block)
        self._head_bytes += len(block)
        head = Head.parse(block)
        if head.status < 200:  # noqa: PLR2004 - interim replies; the parser rejects 101
            return
        framing = _framing(self._method, head)
        self._idle_limit = min(self._idle_limit, head.idle_limit)
        self.headers = head.headers
        self.extensions = {"http_version": head.version, "reason_phrase": head.reason}
        self._pending = b""
        self._framing = framing
        self.status = head.status
        self.should_wake = True
        if self._offered_sink is not None:
            self._offer_body(self._offered_sink, head, framing)

    def _offer_body(
        self, sink: Sink, head: Head, framing: _FixedLength | _Chunked | _UntilClose
    ) -> None:
        if sink.begin(head.status, httpx.Headers(head.headers)):
            self._sink = sink
            self.extensions["sink"] = True
            if isinstance(framing, _FixedLength):
                framing.sink = sink
            if not isinstance(framing, _Chunked):
                self.direct = DirectReceive(sink, framing)

    def _read_body(self, framing: _FixedLength | _Chunked | _UntilClose, data: bytes) -> None:
        for part in framing.extract(data):
            if self._sink is not None:
                _copy_into(self._sink, part)
            elif part:
                self._chunks.append(part)
                self.unread += len(part)
                self.should_wake = True

"""The reply to one request, as its bytes come in; the body goes to a sink or waits. Pure."""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

import httptools
import httpx

from .http1 import FOREVER, Head

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .http1 import RawHeaders

HEAD_LIMIT: Final = 64 * 1024
"""The most bytes that the heads of a reply, interim ones included, or its trailers may have."""

READ_LIMIT: Final = 1 << 20
"""The most bytes that one read may put into a sink, so that the loop stays fair."""

_HEAD_END: Final = re.compile(rb"\n\r?\n")
_STATUS_START: Final = b"HTTP/1."


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


class _Counted:
    """A body of known length."""

    def __init__(self, length: int) -> None:
        self.left = length
        self.complete = not length
        self.surplus = False

    def split(self, data: bytes) -> Sequence[bytes]:
        self.surplus = len(data) > self.left
        part = data[: self.left]
        self.skip(len(part))
        return (part,)

    def skip(self, nbytes: int) -> None:
        self.left -= nbytes
        self.complete = not self.left

    def end(self) -> None:
        raise httpx.RemoteProtocolError(f"the body ended {self.left} bytes early")


class _UntilClosed:
    """A body that ends where the connection does."""

    left = READ_LIMIT  # as far as one read is concerned

    def __init__(self) -> None:
        self.complete = False
        self.surplus = True  # nothing can follow on this connection

    def split(self, data: bytes) -> Sequence[bytes]:
        return (data,)

    def skip(self, nbytes: int) -> None:
        """Need no count."""

    def end(self) -> None:
        self.complete = True


class _Chunked:
    """A chunked body; trailers are dropped."""

    def __init__(self, head: Head) -> None:
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

    def end(self) -> None:
        raise httpx.RemoteProtocolError("the body ended before its last chunk")


def _framing(method: str, head: Head) -> _Counted | _Chunked | _UntilClosed:
    """Tell how the body of the reply ends."""
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


class DirectReceive:
    """The way of a body into a sink without a detour."""

    def __init__(self, sink: Sink, framing: _Counted | _UntilClosed) -> None:
        self._sink = sink
        self._framing = framing
        self._offered = 0

    @property
    def nearly_done(self) -> bool:
        """Whether what is still to come fits into one read; never if nobody knows."""
        return self._framing.left < READ_LIMIT

    def room(self) -> memoryview:
        """Return the memory that the next bytes belong into."""
        room = _room(self._sink)[: min(self._framing.left, READ_LIMIT)]
        self._offered = len(room)
        return room

    def filled(self, nbytes: int) -> bool:
        """Note that the first `nbytes` of it are filled, and tell whether that is all the room."""
        self._framing.skip(nbytes)
        self._sink.received(nbytes)
        return nbytes == self._offered


def _room(sink: Sink) -> memoryview:
    room = sink.get_buffer()
    if not len(room):
        raise ValueError("the sink offers no room for a body that goes on")
    return room


def _pour(part: bytes, sink: Sink) -> None:
    """Copy into a sink what came with other bytes."""
    view = memoryview(part)
    while view:
        room = _room(sink)[: len(view)]
        room[:] = view[: len(room)]
        sink.received(len(room))
        view = view[len(room) :]


class Reply:
    """One reply, from its first byte to its last.

    `status` is 0 until the head is complete; `direct` is the way to take, if there is one, for
    bytes that have not been read yet; `idle_limit` says for how many seconds the connection can be
    kept afterwards, `news` that whoever waits should look. Bytes
    wait in the reply until they are taken, unless the sink took the body.
    """

    def __init__(
        self, method: str, sink: Sink | None = None, *, idle_limit: float = FOREVER
    ) -> None:
        self.status = 0
        self.headers: RawHeaders | httpx.Headers = []
        self.extensions: dict[str, object] = {}
        self.direct: DirectReceive | None = None
        self.begun = False
        self.news = False
        self._broken = False
        self._error: Exception | None = None
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
    def complete(self) -> bool:
        """Whether all of it has come and arrived where it belongs."""
        return self._framing is not None and self._framing.complete and not self._broken

    @property
    def done(self) -> bool:
        """Whether nothing more will come."""
        return self.complete or self._broken

    def finish(self, error: Exception | None = None) -> None:
        """End the reply, broken off by `error` if there is one."""
        self._broken = error is not None
        self._error = error
        if self.on_done is not None:
            self.on_done()

    def check(self) -> None:
        """Raise what broke it off, if anything did; from then on it keeps the error no more.

        An error keeps the frames that it came through, they keep the reply and its sink: a frame
        would be held until the garbage collector finds them.
        """
        if self._broken:
            try:
                raise self._error or httpx.ReadError("the reply broke off")
            finally:
                self._error = None

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

    def end(self) -> None:
        """Note that the server sends nothing more; raises unless the reply ends so."""
        if self._framing is None:
            raise httpx.RemoteProtocolError("the server disconnected without a complete reply")
        self._framing.end()

    def _read_heads(self, data: bytes) -> bytes:
        """Read interim heads and the final one; return what follows it."""
        start = max(len(self._pending) - 2, 0)
        data = self._pending + data
        while self._framing is None and (end := _HEAD_END.search(data, start)):
            self._begin(data[: end.end()])
            data, start = data[end.end() :], 0
        if self._framing is None:
            self._check_start(data)
            self._pending = data
        return data

    def _check_start(self, data: bytes) -> None:
        """Refuse a head, as far as it has come, that cannot become a proper one."""
        if not data.startswith(_STATUS_START[: len(data)]):
            raise httpx.RemoteProtocolError(f"not HTTP/1: {data[:20]!r}")
        if self._head_bytes + len(data) > HEAD_LIMIT:
            raise httpx.RemoteProtocolError(f"the head exceeds {HEAD_LIMIT} bytes")

    def _begin(self, block: bytes) -> None:
        self._check_start(block)
        self._head_bytes += len(block)
        head = Head.parse(block)
        if head.status < 200:  # noqa: PLR2004 - interim replies; the parser refuses 101
            return
        framing = _framing(self._method, head)
        self.idle_limit = min(self.idle_limit, head.idle_limit)
        self.headers = head.headers
        self.extensions = {"http_version": head.version, "reason_phrase": head.reason}
        self._pending = b""
        self._framing = framing
        self.status = head.status
        self.news = True
        if self._offered is not None:
            self._offer(self._offered, head, framing)

    def _offer(self, sink: Sink, head: Head, framing: _Counted | _Chunked | _UntilClosed) -> None:
        self.headers = headers = httpx.Headers(head.headers)
        if sink.begin(head.status, headers):
            self._sink = sink
            self.extensions["sink"] = True
            if not isinstance(framing, _Chunked):
                self.direct = DirectReceive(sink, framing)

    def _read_body(self, framing: _Counted | _Chunked | _UntilClosed, data: bytes) -> None:
        for part in framing.split(data):
            if self._sink is not None:
                _pour(part, self._sink)
            elif part:
                self._chunks.append(part)
                self.unread += len(part)
                self.news = True
        if framing.surplus:
            self.idle_limit = 0.0

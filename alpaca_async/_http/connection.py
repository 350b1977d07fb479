"""One HTTP/1.1 connection as an asyncio protocol that receives directly into a sink's memory."""

from __future__ import annotations

import asyncio
import select
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol, cast

import httpx

from .http1 import FOREVER
from .low_water import LOW_WATER, LowWaterMark
from .reading import Pause, Reading

if TYPE_CHECKING:
    from collections.abc import Callable

    from .http1 import Message
    from .reply import DirectReceive, Reply
    from .scheduler import ReadScheduler

_UNREAD_LIMIT: Final = 256 * 1024
_QUICK_ACK: Final[int | None] = getattr(socket, "TCP_QUICKACK", None)  # Linux; lasts for one reply
_SMALL_READ: Final = 64 * 1024
"""Bytes that can be copied often in one iteration of the event loop."""


class Owner(Protocol):
    """Tracks open and idle connections."""

    def add(self, connection: Connection) -> None:
        """Add a new connection."""
        ...

    def put_idle(self, connection: Connection) -> None:
        """Take back a connection that can be reused."""
        ...

    def remove(self, connection: Connection) -> None:
        """Remove a closed connection."""
        ...


class Connection(asyncio.BufferedProtocol):
    """Sends one request at a time and reads its reply.

    One timer serves all timeouts: it checks a deadline that each received byte postpones. So
    requests and reads do not need timers of their own.
    """

    scratch_size = _SMALL_READ

    def __init__(
        self,
        owner: Owner,
        scheduler: ReadScheduler,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
    ) -> None:
        self.closed = False
        self._owner = owner
        self._scheduler = scheduler
        self._loop = loop
        self._socket = sock  # not the transport's, which lacks methods in some event loops
        self._abort: Callable[[], None] = sock.close  # until there is a transport
        self._has_input = _input_check(sock)  # sees what the event loop has not read yet
        self._low_water = LowWaterMark(sock, loop)
        self._scratch = memoryview(bytearray(self.scratch_size))
        self._direct: DirectReceive | None = None
        self._reply: Reply | None = None
        self._waiter: asyncio.Future[bool] | None = None
        self._timeout_error: type[httpx.TimeoutException] = httpx.ReadTimeout
        self._timeout = FOREVER
        self._deadline = FOREVER
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = FOREVER
        self._write_paused = False
        self._sink_error: Exception | None = None

    # Called by the transport and the pool

    def check_usable(self) -> bool:
        """Return whether an idle connection can be reused; close it if not."""
        if not self.closed and (self._loop.time() >= self._deadline or self._has_input()):
            self.close()
        return not self.closed

    async def exchange(
        self, request: Message, reply: Reply, *, write: float | None, read: float | None
    ) -> None:
        """Send a request and wait for the head of its reply; close the connection on failure."""
        self._deadline = FOREVER
        if self.closed:
            raise httpx.ReadError("the connection was closed before the request")
        try:
            self._reply = reply
            self._transport.write(request)
            while self._write_paused and not (reply.status or reply.done):
                await self._wait(write, httpx.WriteTimeout)
            while not (reply.status or reply.done):
                await self._wait(read, httpx.ReadTimeout)
        except BaseException:
            self.abandon(reply)  # the connection may already be idle or serve another request
            raise
        if not reply.status:
            reply.raise_if_broken()

    async def read_body(self, reply: Reply, read: float | None) -> bytes | None:
        """Return the next part of the body of `reply`, or None at its end."""
        while (part := reply.take()) is None:
            reply.raise_if_broken()
            if reply.complete:
                return None
            await self._wait(read, httpx.ReadTimeout)
        if self._reply is reply and reply.unread <= _UNREAD_LIMIT // 2:
            self._reading.resume(Pause.UNREAD)
        return part

    def abandon(self, reply: Reply) -> None:
        """Close the connection if it is still receiving `reply`."""
        if self._reply is reply:
            self.close(httpx.ReadError("the reply was closed before its end"))

    def close(self, error: Exception | None = None) -> None:
        """Close at once; an unfinished reply ends with `error`."""
        if not self.closed:
            self._abort()
            self._mark_closed(error)

    def shut_down_socket(self) -> None:
        """Shut the socket down when its event loop no longer runs and cannot close it."""
        self.closed = True
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    # Called by asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport and register with the owner."""
        self._transport = cast("asyncio.Transport", transport)
        self._abort = self._transport.abort
        self._reading = Reading(self._transport, self._loop)
        if self.closed:  # while it was being made
            self._abort()
        else:
            self._owner.add(self)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's signature
        """Return the sink's buffer if the next bytes belong there, else our own.

        An error of the sink closes the connection once the bytes are there. While libuv waits for
        a buffer, closing would crash the interpreter.
        """
        self._direct = None if self._reply is None else self._reply.direct
        if self._direct is None:
            return self._scratch
        try:
            return self._direct.get_buffer()
        except Exception as error:  # noqa: BLE001 - the sink is foreign code
            self._sink_error = error
            return self._scratch

    def buffer_updated(self, nbytes: int) -> None:
        """Process the bytes that asyncio has written into the buffer."""
        reply = self._reply
        if reply is None or self._sink_error is not None:
            self.close(self._sink_error)  # without an error: no request was sent
            return
        self._deadline = self._loop.time() + self._timeout
        direct, self._direct = self._direct, None  # an idle connection must not keep a frame alive
        try:
            if direct is None:
                self._received_in_scratch(reply, nbytes)
            else:
                self._received_direct(direct, nbytes)
        except Exception as error:  # noqa: BLE001 - the sink is foreign code
            self.close(error)
        else:
            self._after_read(reply)

    def eof_received(self) -> bool:
        """Pass the end of the stream to the reply, and close."""
        if self._reply is not None:
            try:
                self._reply.feed_eof()
            except httpx.RemoteProtocolError as error:
                self.close(self._sink_error or error)
        self.close(self._sink_error)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """End an unfinished reply with an error."""
        if self.closed:
            return
        error_type = httpx.WriteError if self._write_paused else httpx.ReadError
        error = error_type(f"the connection was lost: {exc}")
        error.__cause__ = exc
        self._mark_closed(error)

    def pause_writing(self) -> None:
        """Note that asyncio's write buffer is full."""
        self._write_paused = True

    def resume_writing(self) -> None:
        """Note that the write buffer has room again."""
        self._write_paused = False
        self._wake()

    # Called by the scheduler

    def pause(self) -> None:
        """Stop reading while it is another connection's turn."""
        self._reading.pause(Pause.TURN)

    def resume(self) -> None:
        """Resume reading; the time spent paused does not count towards the read timeout."""
        self._deadline = self._loop.time() + self._timeout
        self._reading.resume(Pause.TURN)

    # Internal

    def _received_in_scratch(self, reply: Reply, nbytes: int) -> None:
        reply.feed(bytes(self._scratch[:nbytes]))
        if not reply.complete:
            _acknowledge(self._socket)
        # When the server closes, TLS drops what it has decrypted while reading is paused.
        if nbytes > _SMALL_READ and reply.direct is not None and reply.direct.much_to_come:
            self._reading.may_be_repeated()

    def _received_direct(self, direct: DirectReceive, nbytes: int) -> None:
        full = direct.received(nbytes)
        if full:
            self._reading.may_be_repeated()
        if direct.nearly_done:
            self._scheduler.remove(self)
            self._low_water.lower()
        elif full:
            self._scheduler.filled_buffer(self)
            if nbytes >= LOW_WATER:
                self._low_water.raise_for_a_while()
        else:
            self._scheduler.emptied_socket(self)

    def _after_read(self, reply: Reply) -> None:
        if reply.complete:
            self._complete(reply)
        elif self._should_pause(reply):
            self._reading.pause(Pause.UNREAD)
        if reply.should_wake:
            reply.should_wake = False
            self._wake()

    def _should_pause(self, reply: Reply) -> bool:
        return reply.unread > _UNREAD_LIMIT

    def _complete(self, reply: Reply) -> None:
        """Become idle, or close if the connection cannot be reused."""
        if not reply.idle_limit or self._transport.get_write_buffer_size():
            self.close()
            return
        self._reply = None
        self._timeout = FOREVER
        self._set_deadline(reply.idle_limit)
        self._owner.put_idle(self)
        reply.finish()
        self._wake()

    def _mark_closed(self, error: Exception | None) -> None:
        self.closed = True
        self._direct = None
        self._sink_error = None
        self._stop_timer()
        self._low_water.stop_timer()
        self._scheduler.remove(self)
        self._owner.remove(self)
        reply, self._reply = self._reply, None
        if reply is not None:
            if error is None and not reply.complete:
                error = httpx.ReadError("the connection was closed")
            reply.finish(error)
        self._wake()

    async def _wait(self, seconds: float | None, error: type[httpx.TimeoutException]) -> None:
        """Wait until woken; raise `error` when no byte is received for `seconds`."""
        self._timeout = FOREVER if seconds is None else seconds
        self._timeout_error = error
        self._set_deadline(self._timeout)
        waiter = self._waiter = self._loop.create_future()
        try:
            in_time = await waiter
        finally:
            if self._waiter is waiter:  # else the next request is already waiting
                self._waiter = None
        if not in_time:
            raise self._timeout_error(f"no data was received for {self._timeout:g} s")

    def _wake(self, in_time: bool = True) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(in_time)

    def _set_deadline(self, seconds: float) -> None:
        """Set the deadline; keep a timer that fires earlier, as it then sets itself again."""
        self._deadline = deadline = self._loop.time() + seconds
        if self._timer is not None and self._timer_due <= deadline:
            return
        self._stop_timer()
        if deadline < FOREVER:
            self._timer_due = deadline
            self._timer = self._loop.call_at(deadline, self._on_timer)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_timer(self) -> None:
        self._timer = None
        if (remaining := self._deadline - self._loop.time()) > 0:
            self._set_deadline(remaining)
        elif self._reply is None:
            self.close()
        elif self._scheduler.is_paused(self):
            self._set_deadline(self._timeout)
        else:
            self._wake(in_time=False)


class TlsConnection(Connection):
    """Reads everything into its own buffer, which holds all that asyncio may have decrypted.

    When the peer closes, asyncio asks for a buffer only once more, and drops what does not fit.
    """

    scratch_size = 512 * 1024

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's signature
        """Return our own buffer; a sink gets a copy."""
        return self._scratch

    def _should_pause(self, reply: Reply) -> bool:
        """Whether to pause; not near the end, because uvloop would lose what it has decrypted."""
        return super()._should_pause(reply) and not reply.nearly_complete


def _acknowledge(sock: socket.socket) -> None:
    """Acknowledge what was received at once, where the system can be told to.

    A server that writes head and body apart may hold the body back until the head is acknowledged
    (Nagle's algorithm), which systems delay by about 40 ms.
    """
    if _QUICK_ACK is not None:
        with suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK, 1)


def _input_check(sock: socket.socket) -> Callable[[], bool]:
    """Return a function that tells whether bytes or the end are waiting in the socket."""
    if not hasattr(select, "poll"):
        return lambda: bool(select.select([sock], [], [], 0)[0])
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return lambda: bool(poll.poll(0))

"""One HTTP/1.1 connection as an asyncio protocol; a sink's memory is filled by the kernel."""

from __future__ import annotations

import asyncio
import select
import socket
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol, cast

import httpx

from .http1 import FOREVER

if TYPE_CHECKING:
    from typing import Self

    from .http1 import Message
    from .reply import DirectReceive, Reply
    from .scheduler import ReadScheduler

_UNREAD_LIMIT: Final = 256 * 1024

# Bytes of a flood that are worth a round of the loop, and seconds for which fewer may wait in the
# socket. Other systems have the option as well, untried.
_LOW_WATER: Final = 512 * 1024 if sys.platform == "linux" else 1
_LOW_WATER_SECONDS: Final = 0.1


class Owner(Protocol):
    """Who is told what becomes of a connection."""

    def opened(self, connection: Connection) -> None:
        """Count a new connection in."""
        ...

    def rests(self, connection: Connection) -> None:
        """Take back a connection that can be used again."""
        ...

    def lost(self, connection: Connection) -> None:
        """Forget a connection that was closed."""
        ...


class Connection(asyncio.BufferedProtocol):
    """Sends one request at a time and reads its reply.

    One loop timer serves all limits: it looks at a deadline that every byte moves, so that
    neither a request nor a read costs a timer.
    """

    scratch_size = 64 * 1024

    def __init__(
        self, owner: Owner, scheduler: ReadScheduler, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.closed = False
        self._owner = owner
        self._scheduler = scheduler
        self._loop = loop
        self._scratch = memoryview(bytearray(self.scratch_size))
        self._lent: DirectReceive | None = None
        self._reply: Reply | None = None
        self._waiter: asyncio.Future[bool] | None = None
        self._complaint: type[httpx.TimeoutException] = httpx.ReadTimeout
        self._patience = FOREVER
        self._deadline = FOREVER
        self._timer: asyncio.TimerHandle | None = None
        self._write_paused = False
        self._read_paused = False
        self._low_water = 1
        self._low_water_timer: asyncio.TimerHandle | None = None

    # What the caller asks for

    def fit(self) -> bool:
        """Tell whether a connection that rested can be used; close it if not."""
        if not self.closed and (self._loop.time() >= self._deadline or self._has_input()):
            self.close()
        return not self.closed

    async def exchange(
        self, request: Message, reply: Reply, *, write: float | None, read: float | None
    ) -> None:
        """Send a request and wait for the head of its reply; closes itself if that fails."""
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
            self.leave(reply)  # the connection may rest already, or be another's
            raise
        if not reply.status:
            reply.check()

    async def more(self, reply: Reply, read: float | None) -> bytes | None:
        """Return the next part of the body of `reply`, None at its end."""
        while (part := reply.take()) is None:
            reply.check()
            if reply.complete:
                return None
            await self._wait(read, httpx.ReadTimeout)
        if self._read_paused and self._reply is reply and reply.unread <= _UNREAD_LIMIT // 2:
            self._read_paused = False
            self._transport.resume_reading()
        return part

    def leave(self, reply: Reply) -> None:
        """Close the connection if `reply` is still on its way."""
        if self._reply is reply:
            self.close(httpx.ReadError("the reply was left before its end"))

    def close(self, error: Exception | None = None) -> None:
        """Close at once; a reply on its way ends with `error`."""
        if not self.closed:
            self._transport.abort()
            self._shut(error)

    def discard(self) -> None:
        """Say farewell for a loop that no longer runs and cannot close."""
        self.closed = True
        with suppress(OSError):
            self._transport.get_extra_info("socket").shutdown(socket.SHUT_RDWR)

    # What asyncio reports

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        self._owner.opened(self)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's signature
        """Lend the sink's memory where the next bytes belong there, else our own."""
        self._lent = None if self._reply is None else self._reply.direct
        if self._lent is None:
            return self._scratch
        try:
            return self._lent.room()
        except Exception as error:  # noqa: BLE001 - the sink is foreign code
            self.close(error)
            return self._scratch

    def buffer_updated(self, nbytes: int) -> None:
        """Read what has come."""
        reply = self._reply
        if reply is None:
            self.close()  # nobody asked
            return
        self._deadline = self._loop.time() + self._patience
        lent, self._lent = self._lent, None  # or a resting connection would keep a frame alive
        try:
            if lent is None:
                reply.feed(bytes(self._scratch[:nbytes]))
            else:
                self._filled(lent, nbytes)
        except Exception as error:  # noqa: BLE001 - the sink is foreign code
            self.close(error)
        else:
            self._react(reply)

    def eof_received(self) -> bool:
        """Let the transport close itself after a reply that ends so."""
        if self._reply is not None:
            try:
                self._reply.end()
            except httpx.RemoteProtocolError as error:
                self.close(error)
        self.close()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """End what is on its way."""
        if self.closed:
            return
        broken = httpx.WriteError if self._write_paused else httpx.ReadError
        error = broken(f"the connection broke: {exc}")
        error.__cause__ = exc
        self._shut(error)

    def pause_writing(self) -> None:
        """Note that the server does not keep up."""
        self._write_paused = True

    def resume_writing(self) -> None:
        """Note that it does again."""
        self._write_paused = False
        self._wake()

    # What the scheduler asks for

    def pause(self) -> None:
        """Read nothing: it is another's turn."""
        self._transport.pause_reading()

    def resume(self) -> None:
        """Read on; the silence until now was not the server's."""
        self._deadline = self._loop.time() + self._patience
        self._transport.resume_reading()

    # Between all of them

    def _filled(self, direct: DirectReceive, nbytes: int) -> None:
        full = direct.filled(nbytes)
        if direct.nearly_done:
            self._scheduler.leave(self)
            self._set_low_water(1)
        elif full:
            self._scheduler.flooded(self)
            if nbytes >= _LOW_WATER:
                self._set_low_water(_LOW_WATER)
        else:
            self._scheduler.drained(self)

    def _set_low_water(self, nbytes: int) -> None:
        """Have the system report for a while only so many bytes, or the end; then any."""
        if nbytes == self._low_water:
            return
        self._low_water = nbytes
        sock = self._transport.get_extra_info("socket")
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, nbytes)
        if self._low_water_timer is not None:
            self._low_water_timer.cancel()
            self._low_water_timer = None
        if nbytes > 1:
            self._low_water_timer = self._loop.call_later(
                _LOW_WATER_SECONDS, self._set_low_water, 1
            )

    def _react(self, reply: Reply) -> None:
        if reply.complete:
            self._complete(reply)
        elif reply.unread > _UNREAD_LIMIT:
            self._read_paused = True
            self._transport.pause_reading()
        if reply.news:
            reply.news = False
            self._wake()

    def _complete(self, reply: Reply) -> None:
        """Rest, or close where the connection cannot be used again."""
        if not reply.idle_limit or self._transport.get_write_buffer_size():
            self.close()
            return
        self._reply = None
        self._patience = FOREVER
        self._set_deadline(reply.idle_limit)
        self._owner.rests(self)
        reply.finish()
        self._wake()

    def _shut(self, error: Exception | None) -> None:
        self.closed = True
        self._lent = None
        for timer in (self._timer, self._low_water_timer):
            if timer is not None:
                timer.cancel()
        self._scheduler.leave(self)
        self._owner.lost(self)
        reply, self._reply = self._reply, None
        if reply is not None:
            if error is None and not reply.complete:
                error = httpx.ReadError("the connection was closed")
            reply.finish(error)
        self._wake()

    def _has_input(self) -> bool:
        """Tell whether something came, be it the end, that the loop has not seen yet."""
        return _readable(self._transport.get_extra_info("socket").fileno())

    async def _wait(self, seconds: float | None, complaint: type[httpx.TimeoutException]) -> None:
        """Wait for news; raise `complaint` when there was no byte for so many seconds."""
        self._patience = FOREVER if seconds is None else seconds
        self._complaint = complaint
        self._set_deadline(self._patience)
        waiter = self._waiter = self._loop.create_future()
        try:
            in_time = await waiter
        finally:
            if self._waiter is waiter:  # else the next request waits already
                self._waiter = None
        if not in_time:
            raise self._complaint(f"no byte for {self._patience:g} s")

    def _wake(self, in_time: bool = True) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(in_time)

    def _set_deadline(self, seconds: float) -> None:
        """Have the timer look in that many seconds; one that looks earlier will do."""
        self._deadline = deadline = self._loop.time() + seconds
        if self._timer is not None:
            if self._timer.when() <= deadline:
                return
            self._timer.cancel()
            self._timer = None
        if deadline < FOREVER:
            self._timer = self._loop.call_at(deadline, self._look)

    def _look(self) -> None:
        self._timer = None
        if (left := self._deadline - self._loop.time()) > 0:
            self._set_deadline(left)
        elif self._reply is None:
            self.close()
        elif self._scheduler.keeps_waiting(self):
            self._set_deadline(self._patience)
        else:
            self._wake(in_time=False)


class TlsConnection(Connection):
    """Reads all through memory of its own, as large as what asyncio may hold decrypted.

    When the peer closes, asyncio asks for memory once more and drops what does not fit in.
    """

    scratch_size = 512 * 1024

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's signature
        """Lend our own memory; a sink gets a copy."""
        return self._scratch


class Body(httpx.AsyncByteStream):
    """The body of a reply as it comes; what a sink took is not repeated."""

    def __init__(self, connection: Connection, reply: Reply, read: float | None) -> None:
        self._connection = connection
        self._reply = reply
        self._read = read

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        try:
            part = await self._connection.more(self._reply, self._read)
        except BaseException:
            await self.aclose()
            raise
        if part is None:
            raise StopAsyncIteration
        return part

    async def aclose(self) -> None:
        """Close the connection unless the reply has come to its end."""
        self._connection.leave(self._reply)


def _readable(descriptor: int) -> bool:
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(0))
    return bool(select.select([descriptor], [], [], 0)[0])

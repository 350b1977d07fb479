"""A proxy that writes a session between clients and a server into a file."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from alpaca_async._address import origin
from alpaca_async._tasks import finish, wait_for_end

from ._connections import ConnectionServer
from ._faults import Peer
from ._message import read_request
from ._recording import MAX_FILE, MAX_REPLY, RecordedExchange, encode, header_line
from ._redaction import recorded_body, redact, secrets_of

if TYPE_CHECKING:
    import os

    from ._message import Request

_READ_SIZE: Final = 1 << 18
_IDLE: Final = 1.0
"""Seconds after a reply from when on a closed connection has nothing to do with that reply."""

logger = logging.getLogger("alpaca_async.testing")


@dataclass
class _Reply:
    """What the server sent since a request."""

    request: Request
    started: float
    data: bytearray = field(default_factory=bytearray)
    first_byte: float | None = None
    last_byte: float | None = None
    closed: bool = False

    def add(self, piece: bytes) -> None:
        """Add bytes that arrived now; those beyond the limit are not kept."""
        now = time.monotonic()
        self.first_byte = self.first_byte or now
        self.last_byte = now
        if len(self.data) + len(piece) > MAX_REPLY:
            self.closed = True
        else:
            self.data += piece

    def end(self) -> None:
        """Note that the server closed the connection."""
        self.closed = self.closed or time.monotonic() < (self.last_byte or self.started) + _IDLE


class RecordingProxy(ConnectionServer):
    """A proxy between Alpaca clients and the server at `target` that records their session.

    Every byte is forwarded unchanged, whether it is correct HTTP or not. The requests, the
    replies and their times are written to the new file `path`, which `ReplayServer` plays. Without
    `pixels`, the pixels of ImageBytes are left out: only their number and SHA-256 are written.
    Credentials and cookies are replaced by stars. The file ends at 2 GiB, with a warning.

    It is an async context manager on the running loop; synchronous callers use `run_in_thread`.
    `target` may start with `https://`; `ssl_context` says which certificates are then trusted.
    Each exchange is appended when the next request arrives on its connection, or that ends.
    """

    def __init__(
        self,
        target: str,
        path: str | os.PathLike[str],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        pixels: bool = True,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(host, port)
        url = urlsplit(origin(target))
        self._target = url.hostname, url.port
        self._ssl = (ssl_context or ssl.create_default_context()) if url.scheme == "https" else None
        self._path = Path(path)
        self._pixels = pixels
        self._written = 0
        self._recorded = 0
        self._lock = asyncio.Lock()
        self._started = 0.0

    @property
    def recorded(self) -> int:
        """How many exchanges are in the file."""
        return self._recorded

    async def _start(self) -> None:
        self._written = 0
        try:
            await finish(asyncio.to_thread(self._create))
            await super()._start()
        except BaseException:
            if self._written:  # else the file is not ours
                await finish(asyncio.to_thread(self._path.unlink))
            raise
        self._started = time.monotonic()

    def _create(self) -> None:
        with self._path.open("xb") as file:
            self._written = file.write(header_line())

    async def _serve(self, client: Peer) -> None:
        request = await read_request(client.reader, client.writer)
        if request is None:
            return
        reply = _Reply(request, time.monotonic())
        try:
            server = Peer(*await asyncio.open_connection(*self._target, ssl=self._ssl))
        except OSError:
            reply.end()
            await self._record(reply)
            raise
        try:
            await self._converse(client, server, reply)
        finally:
            server.close()

    async def _converse(self, client: Peer, server: Peer, reply: _Reply) -> None:
        """Forward both directions; record each reply when the next request arrives."""
        current = [reply]
        forwarding = asyncio.create_task(_forward(server, client, current))
        request: Request | None = reply.request
        try:
            while request is not None:
                await server.send(request.wire)
                request = await read_request(client.reader, client.writer)
                if request is not None:
                    done, current[0] = current[0], _Reply(request, time.monotonic())
                    await finish(self._record(done))
        finally:
            await finish(self._end(forwarding, current))

    async def _end(self, forwarding: asyncio.Task[None], current: list[_Reply]) -> None:
        forwarding.cancel()
        await wait_for_end(forwarding)
        await self._record(current[0])

    async def _record(self, reply: _Reply) -> None:
        """Write an exchange, unless the file is full."""
        async with self._lock:
            line = await asyncio.to_thread(partial(self._line, reply))
            if self._written + len(line) > MAX_FILE:
                if self._written < MAX_FILE:
                    logger.warning(
                        "%s is full: the rest of the session is not recorded", self._path
                    )
                self._written = MAX_FILE
                return
            self._written += await asyncio.to_thread(self._append, line)
            self._recorded += 1

    def _append(self, line: bytes) -> int:
        with self._path.open("ab") as file:
            return file.write(line)

    def _line(self, reply: _Reply) -> bytes:
        request = reply.request
        secrets = secrets_of(request)
        target = request.head.lines[0].split(" ")[1]
        return encode(
            RecordedExchange(
                time=reply.started - self._started,
                latency=(reply.first_byte or reply.started) - reply.started,
                duration=(reply.last_byte or reply.started) - reply.started,
                verb=request.verb,
                target=redact(target.encode("latin-1"), secrets).decode("latin-1"),
                form=redact(request.body, secrets).decode("latin-1"),
                reply=recorded_body(bytes(reply.data), secrets, pixels=self._pixels),
                closed=reply.closed,
            )
        )


async def _forward(server: Peer, client: Peer, current: list[_Reply]) -> None:
    """Forward bytes to the client until the server closes the connection, then close that."""
    while piece := await _read(server.reader):
        current[0].add(piece)
        try:
            await client.send(piece)
        except OSError:  # the client has left
            return
    current[0].end()
    client.close()


async def _read(reader: asyncio.StreamReader) -> bytes:
    """Return the next bytes; none at the end, however the connection ended."""
    try:
        return await reader.read(_READ_SIZE)
    except OSError:
        return b""

"""Sinks, and servers that send exactly the bytes that a test gives them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import httpx

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable
    from ssl import SSLContext

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class MemorySink:
    """Stores a body in memory, through a buffer of `size` bytes."""

    def __init__(self, size: int = 1 << 16, *, willing: bool = True, uncounted: int = 0) -> None:
        self._uncounted = uncounted
        self.began: list[tuple[int, httpx.Headers]] = []
        self.content = bytearray()
        self._willing = willing
        self._buffer = bytearray(size)

    def begin(self, status: int, headers: httpx.Headers) -> bool:
        self.began.append((status, headers))
        return self._willing

    def get_buffer(self) -> memoryview:
        return memoryview(self._buffer)

    def received(self, nbytes: int) -> None:
        self.content += self._buffer[:nbytes]

    def uncounted(self) -> int:
        return self._uncounted


class SinkError(Exception):
    """The error of a `BrokenSink`."""


class BrokenSink(MemorySink):
    """Raises `SinkError` in the given method."""

    def __init__(self, where: str) -> None:
        super().__init__(8)
        self._where = where

    def _raise_in(self, where: str) -> None:
        if where == self._where:
            raise SinkError(where)

    def begin(self, status: int, headers: httpx.Headers) -> bool:
        self._raise_in("begin")
        return super().begin(status, headers)

    def get_buffer(self) -> memoryview:
        self._raise_in("get_buffer")
        return super().get_buffer()

    def received(self, nbytes: int) -> None:
        self._raise_in("received")
        super().received(nbytes)


@dataclass
class Peer:
    """One connection of a scripted server; `number` counts from 0."""

    number: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    requests: list[bytes]

    async def request(self) -> bytes:
        """Read one request; raise `EOFError` if the client has closed."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        request = head + await self.reader.readexactly(length)
        self.requests.append(request)
        return request

    def send(self, *parts: bytes) -> None:
        for part in parts:
            if not self.writer.is_closing():  # uvloop raises if the client has closed
                self.writer.write(part)

    def pause(self) -> None:
        """Stop reading."""
        cast("asyncio.Transport", self.writer.transport).pause_reading()

    async def answer_all(self, reply: bytes = OK) -> None:
        """Send the same reply to every request."""
        while True:
            await self.request()
            self.send(reply)

    async def wait_closed(self) -> None:
        """Wait until the client closes."""
        while await self.reader.read(65536):
            pass


@dataclass
class ScriptedServer:
    """A server on 127.0.0.1 that runs a script for each connection."""

    script: Callable[[Peer], Awaitable[None]]
    url: str = ""
    connections: int = 0
    requests: list[bytes] = field(default_factory=list[bytes])
    tasks: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])

    def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._run(reader, writer))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _run(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(self.connections, reader, writer, self.requests)
        self.connections += 1
        try:
            with suppress(EOFError, OSError):
                await self.script(peer)
                writer.close()
                await writer.wait_closed()
        finally:
            writer.transport.abort()

    async def wait_closed(self) -> None:
        """Wait up to two seconds until all clients have closed."""
        async with asyncio.timeout(2):
            await asyncio.gather(*self.tasks, return_exceptions=True)

    def __truediv__(self, path: str) -> str:
        return f"{self.url}/{path}"


@asynccontextmanager
async def serving(
    script: Callable[[Peer], Awaitable[None]], *, ssl: SSLContext | None = None
) -> AsyncGenerator[ScriptedServer]:
    scripted = ScriptedServer(script)
    server = await asyncio.start_server(scripted.connected, "127.0.0.1", 0, limit=1 << 24, ssl=ssl)
    scripted.url = f"http{'s' if ssl else ''}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield scripted
    finally:
        server.close()
        tasks = tuple(scripted.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # asyncio closes the sockets in the next iteration of the loop


def request(
    url: str,
    method: str = "GET",
    *,
    sink: object | None = None,
    timeout: float | None = 5.0,
    read: float | None = 5.0,
    write: float | None = 5.0,
    data: dict[str, str] | None = None,
    **extensions: object,
) -> httpx.Request:
    """Make a request; `timeout` is used for connecting and for the pool."""
    limits = {"connect": timeout, "pool": timeout, "read": read, "write": write}
    extras = {"timeout": limits, **extensions, **({"sink": sink} if sink is not None else {})}
    return httpx.Request(method, url, data=data, extensions=extras)


async def content(response: httpx.Response) -> bytes:
    """Read the body from the transport, without content decoding."""
    assert isinstance(response.stream, httpx.AsyncByteStream)
    return b"".join([part async for part in response.stream])


async def fetch(transport: httpx.AsyncBaseTransport, *args: str, **options: object) -> bytes:
    return await content(await transport.handle_async_request(request(*args, **options)))  # type: ignore[arg-type]


async def settle() -> None:
    """Give the event loop time to process received data."""
    for _ in range(5):
        await asyncio.sleep(0.002)

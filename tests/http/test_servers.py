"""The transport against third-party servers, and TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import aiohttp.web
import httpx
import pytest
import trustme
import uvicorn

from alpaca_async._http.transport import DirectTransport

from .support import OK, MemorySink, Peer, content, fetch, request, serving

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
    from contextlib import AbstractAsyncContextManager

BODY = bytes(range(256)) * 8192
PARTS = [BODY[at : at + 300_000] for at in range(0, len(BODY), 300_000)]


async def application(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """Echo the body of a PUT; else send BODY, with a length at /counted and chunked elsewhere."""
    message = await receive()
    headers = [(b"content-length", b"%d" % len(BODY))] if scope["path"] == "/counted" else []
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if scope["method"] == "PUT":
        await send({"type": "http.response.body", "body": message["body"]})
        return
    for part in PARTS:
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body"})


class QuietServer(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave the signals to the test runner."""
        yield


@asynccontextmanager
async def by_uvicorn(implementation: str) -> AsyncGenerator[str]:
    config = uvicorn.Config(
        application,
        port=0,
        http=implementation,
        lifespan="off",
        log_level="critical",
        ws="none",
    )
    server = QuietServer(config)
    task = asyncio.create_task(server.serve())
    async with asyncio.timeout(5):
        while not server.started:  # noqa: ASYNC110 - it sets no event
            await asyncio.sleep(0.005)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


@asynccontextmanager
async def by_aiohttp() -> AsyncGenerator[str]:
    async def answer(request: aiohttp.web.Request) -> aiohttp.web.StreamResponse:
        if request.method == "PUT":
            return aiohttp.web.Response(body=await request.read())
        if request.path == "/counted":
            return aiohttp.web.Response(body=BODY)
        response = aiohttp.web.StreamResponse()
        await response.prepare(request)
        for part in PARTS:
            await response.write(part)
        await response.write_eof()
        return response

    application = aiohttp.web.Application(client_max_size=1 << 24)
    application.router.add_route("*", "/{path:.*}", answer)
    runner = aiohttp.web.AppRunner(application)
    await runner.setup()
    site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


class OldHandler(BaseHTTPRequestHandler):
    """HTTP/1.0: the connection closes after each reply."""

    def do_GET(self) -> None:
        self.send_response(200)
        if self.path == "/counted":
            self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Log nothing."""


@asynccontextmanager
async def by_http_server() -> AsyncGenerator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), OldHandler)
    thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.01))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        await asyncio.to_thread(server.shutdown)
        thread.join()
        server.server_close()


SERVERS: dict[str, Callable[[], AbstractAsyncContextManager[str]]] = {
    "uvicorn h11": partial(by_uvicorn, "h11"),
    "uvicorn httptools": partial(by_uvicorn, "httptools"),
    "aiohttp": by_aiohttp,
    "http.server": by_http_server,
}


@pytest.mark.parametrize("name", SERVERS)
async def test_other_servers(name: str) -> None:
    async with SERVERS[name]() as url, DirectTransport() as transport:
        for path in ("counted", "chunked", "counted"):
            sink = MemorySink(1 << 18)
            assert await fetch(transport, f"{url}/{path}") == BODY
            assert await fetch(transport, f"{url}/{path}", sink=sink) == b""
            assert bytes(sink.content) == BODY
            assert await fetch(transport, url, "PUT", data={"Gain": "5"}) == b"Gain=5"
        async with asyncio.TaskGroup() as group:
            for _ in range(12):
                group.create_task(fetch(transport, url, "PUT", data={"a": "b"}))


@pytest.mark.parametrize("name", SERVERS)
async def test_a_large_request(name: str) -> None:
    async with SERVERS[name]() as url, DirectTransport() as transport:
        body = "x" * (40_000 if "uvicorn" in name else 3_000_000)
        assert await fetch(transport, url, "PUT", data={"a": body}) == b"a=" + body.encode()


# TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def client_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)  # pyright: ignore[reportUnknownMemberType]
    return context


@asynccontextmanager
async def by_tls(
    authority: trustme.CA, script: Callable[[Peer], Awaitable[None]], name: str = "127.0.0.1"
) -> AsyncGenerator[str]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(context)  # pyright: ignore[reportUnknownMemberType]
    async with serving(script, ssl=context) as server:
        yield server.url


async def test_tls_both_ways(authority: trustme.CA, client_context: ssl.SSLContext) -> None:
    async def script(peer: Peer) -> None:
        while True:
            echo = await peer.request()
            body = BODY if echo.startswith(b"GET") else echo.rpartition(b"\r\n\r\n")[2]
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body), body)
            await peer.writer.drain()

    async with (
        by_tls(authority, script) as url,
        DirectTransport(verify=client_context) as transport,
    ):
        for _ in range(2):
            sink = MemorySink(1 << 18)
            assert await fetch(transport, url) == BODY
            assert await fetch(transport, url, sink=sink) == b""
            assert bytes(sink.content) == BODY
            assert await fetch(transport, url, "PUT", data={"Gain": "5"}) == b"Gain=5"


async def test_tls_bodies_that_end_with_the_connection(
    authority: trustme.CA, client_context: ssl.SSLContext
) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\n\r\n", BODY)
        await peer.writer.drain()

    async with (
        by_tls(authority, script) as url,
        DirectTransport(verify=client_context) as transport,
    ):
        sink = MemorySink(1 << 18)
        assert await fetch(transport, url) == BODY
        await fetch(transport, url, sink=sink)
        assert bytes(sink.content) == BODY


@contextmanager
def abrupt_tls(authority: trustme.CA, reply: bytes) -> Generator[str]:
    """Answer each connection once and close its socket, from a thread."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)  # pyright: ignore[reportUnknownMemberType]
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    with context.wrap_socket(listener.accept()[0], server_side=True) as peer:
                        peer.recv(65536)
                        peer.sendall(reply)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)


async def test_tls_loses_no_bytes_when_the_end_arrives_with_them(
    authority: trustme.CA, client_context: ssl.SSLContext
) -> None:
    """Asyncio asks only once for a buffer when the end has already arrived."""
    body = BODY[:200_000]
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body

    async def block_loop(*_: object) -> None:
        """Block the loop until the reply and its end have arrived."""
        asyncio.get_running_loop().call_later(0.005, time.sleep, 0.1)

    with abrupt_tls(authority, reply) as url:
        async with DirectTransport(verify=client_context) as transport:
            for _ in range(3):
                sink = MemorySink(1000)
                await fetch(transport, url, sink=sink, trace=block_loop)
                assert bytes(sink.content) == body
                assert await fetch(transport, url, trace=block_loop) == body


async def test_a_broken_tls_connection_is_an_error(
    authority: trustme.CA, client_context: ssl.SSLContext
) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
        await asyncio.sleep(0.02)
        peer.writer.transport.abort()

    async with (
        by_tls(authority, script) as url,
        DirectTransport(verify=client_context) as transport,
    ):
        response = await transport.handle_async_request(request(url))
        with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
            await content(response)


async def test_certificates_are_verified_by_default(authority: trustme.CA) -> None:
    async with by_tls(authority, lambda peer: peer.answer_all()) as url:
        async with DirectTransport() as transport:
            with pytest.raises(httpx.ConnectError) as caught:
                await fetch(transport, url)
            assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)
        async with DirectTransport(verify=False) as transport:
            assert await fetch(transport, url) == b"ok"
            pair = await asyncio.gather(fetch(transport, url), fetch(transport, url))
            assert list(pair) == [b"ok"] * 2


async def test_the_sni_hostname_extension_is_used(
    authority: trustme.CA, client_context: ssl.SSLContext
) -> None:
    async with (
        by_tls(authority, lambda peer: peer.answer_all(), "camera.test") as url,
        DirectTransport(verify=client_context) as transport,
    ):
        assert await fetch(transport, url, sni_hostname="camera.test") == b"ok"
        with pytest.raises(httpx.ConnectError):
            await fetch(transport, url)


async def test_tls_connections_are_reused_and_expire(
    authority: trustme.CA, client_context: ssl.SSLContext
) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)  # pyright: ignore[reportUnknownMemberType]
    async with (
        serving(lambda peer: peer.answer_all(OK), ssl=context) as server,
        DirectTransport(verify=client_context, keepalive_expiry=0.2) as transport,
    ):
        for _ in range(3):
            assert await fetch(transport, server.url) == b"ok"
        assert server.connections == 1
        await server.wait_closed()

from __future__ import annotations

import asyncio
import gc
import os
import select
import socket
import ssl
import threading
import time
from contextlib import contextmanager, suppress
from itertools import pairwise
from typing import TYPE_CHECKING, NoReturn, cast

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alpaca_async._http.call import Origin
from alpaca_async._http.connection import Connection
from alpaca_async._http.transport import DirectTransport, _Connections

from .support import (
    OK,
    BrokenSink,
    MemorySink,
    Peer,
    SinkError,
    content,
    fetch,
    request,
    serving,
    settle,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from alpaca_async._http.pool import Pool

BODY = bytes(range(256)) * 40
BIG = os.urandom(3_000_000)


@pytest.fixture
async def transport() -> AsyncGenerator[DirectTransport]:
    async with DirectTransport() as transport:
        yield transport


def counted(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def chunked(body: bytes, size: int = 50_000) -> bytes:
    parts = [body[n : n + size] for n in range(0, len(body), size)]
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"


async def test_returns_status_headers_and_extensions(transport: DirectTransport) -> None:
    reply = b"HTTP/1.1 404 Nothing here\r\nA: b\r\nA: c\r\nContent-Length: 2\r\n\r\nno"
    async with serving(lambda peer: peer.answer_all(reply)) as server:
        response = await transport.handle_async_request(request(server.url))
        assert response.status_code == 404
        assert response.headers.get_list("a") == ["b", "c"]
        assert response.reason_phrase == "Nothing here"
        assert response.http_version == "HTTP/1.1"
        assert "sink" not in response.extensions
        assert await content(response) == b"no"


async def test_serves_an_httpx_client() -> None:
    async with (
        serving(lambda peer: peer.answer_all(counted(b'{"Value": 1}'))) as server,
        httpx.AsyncClient(transport=DirectTransport(), trust_env=False) as client,
    ):
        assert (await client.get(server / "p", params={"a": "b"})).json() == {"Value": 1}
        async with client.stream("PUT", server / "p", data={"Gain": "5"}) as response:
            assert await response.aread() == b'{"Value": 1}'
        assert server.connections == 1
        assert server.requests[0].startswith(b"GET /p?a=b HTTP/1.1\r\nHost: 127.0.0.1:")
        assert server.requests[1].endswith(b"\r\n\r\nGain=5")


async def test_head_and_body_are_sent_in_one_segment(transport: DirectTransport) -> None:
    async def script(peer: Peer) -> None:
        first = await peer.reader.read(65536)
        peer.requests.append(first)
        peer.send(OK)

    async with serving(script) as server:
        assert await fetch(transport, server.url, "PUT", data={"Duration": "1.0"}) == b"ok"
        assert server.requests[0].endswith(b"Duration=1.0")


async def test_connections_are_reused(transport: DirectTransport) -> None:
    async with serving(lambda peer: peer.answer_all()) as server:
        for _ in range(5):
            assert await fetch(transport, server.url) == b"ok"
        assert server.connections == 1


@pytest.mark.parametrize("method", ["HEAD", "GET"])
async def test_connections_are_reused_after_replies_without_a_body(
    transport: DirectTransport, method: str
) -> None:
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"
    if method == "GET":
        reply = b"HTTP/1.1 204 No Content\r\n\r\n"
    async with serving(lambda peer: peer.answer_all(reply)) as server:
        assert await fetch(transport, server.url, method) == b""
        assert await fetch(transport, server.url, method) == b""
        assert server.connections == 1


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=0\r\nContent-Length: 2\r\n\r\nok",
        OK + b"more than was asked for",
    ],
)
async def test_unusable_connections_are_not_reused(
    transport: DirectTransport, reply: bytes
) -> None:
    async with serving(lambda peer: peer.answer_all(reply)) as server:
        assert await fetch(transport, server.url) == b"ok"
        assert await fetch(transport, server.url, "PUT") == b"ok"
        assert server.connections == 2


async def test_interim_replies_are_skipped(transport: DirectTransport) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        await asyncio.sleep(0.01)
        peer.send(OK)

    async with serving(script) as server:
        assert await fetch(transport, server.url, "PUT") == b"ok"


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-", "disconnected"),
        (b"rubbish\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "illegal head"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "illegal head"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "codings"),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 257 + b"\r\n", "257 headers"),
        (b"HTTP/1.1 200 OK\r\nA: " + b"b" * 70_000, "exceeds"),
    ],
)
async def test_an_invalid_head_is_a_protocol_error(
    transport: DirectTransport, reply: bytes, message: str
) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send(reply)

    async with serving(script) as server:
        with pytest.raises(httpx.RemoteProtocolError, match=message):
            await fetch(transport, server.url)
        assert server.connections == 1


@pytest.mark.parametrize("sink", [None, MemorySink()])
@pytest.mark.parametrize(
    "reply",
    [counted(BODY)[:-1], chunked(BODY)[:-1], chunked(BODY)[:-6] + b"x\r\n"],
    ids=["counted", "chunked", "bad chunk"],
)
async def test_a_truncated_body_is_a_protocol_error(
    transport: DirectTransport, reply: bytes, sink: MemorySink | None
) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send(reply)

    async with serving(script) as server:
        response = await transport.handle_async_request(request(server.url, sink=sink))
        with pytest.raises(httpx.RemoteProtocolError):
            await content(response)


async def test_a_connection_reset_is_a_read_error(transport: DirectTransport) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.writer.transport.abort()
        sock = peer.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    async with serving(script) as server:
        with pytest.raises(httpx.ReadError) as caught:
            await fetch(transport, server.url)
        assert isinstance(caught.value.__cause__, ConnectionResetError)


async def test_a_refused_connection_is_a_connect_error(transport: DirectTransport) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(httpx.ConnectError) as caught:
            await fetch(transport, f"http://127.0.0.1:{unused.getsockname()[1]}")
    assert isinstance(caught.value.__cause__, OSError)


@pytest.mark.parametrize("host", ["no.such.host.invalid", "a" * 64 + ".invalid"])
async def test_an_unknown_host_is_a_connect_error(transport: DirectTransport, host: str) -> None:
    with pytest.raises(httpx.ConnectError):
        await fetch(transport, f"http://{host}/")


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "//127.0.0.1/", "/x", "http:///x"])
async def test_other_schemes_are_rejected(transport: DirectTransport, url: str) -> None:
    with pytest.raises(httpx.UnsupportedProtocol):
        await fetch(transport, url)


async def test_host_names_are_resolved(transport: DirectTransport) -> None:
    async with serving(lambda peer: peer.answer_all()) as server:
        assert await fetch(transport, server.url.replace("127.0.0.1", "localhost")) == b"ok"


@pytest.mark.parametrize("host", ["[::1]", "[::1%251]"])
async def test_ipv6_addresses_and_their_zones(transport: DirectTransport, host: str) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        writer.close()

    try:
        server = await asyncio.start_server(answer, "::1", 0)
    except OSError:
        pytest.skip("no IPv6 here")
    async with server:
        port = server.sockets[0].getsockname()[1]
        assert await fetch(transport, f"http://{host}:{port}/") == b"ok"


async def test_a_request_with_a_synchronous_body_is_rejected(transport: DirectTransport) -> None:
    with pytest.raises(TypeError, match="asynchronous"):
        await transport.handle_async_request(httpx.Request("PUT", "http://h", content=iter([b""])))


async def test_an_illegal_request_opens_no_connection(
    transport: DirectTransport,
) -> None:
    async with serving(lambda peer: peer.answer_all()) as server:
        with pytest.raises(httpx.LocalProtocolError):
            await fetch(transport, server.url, target=b"/a b")
        assert server.connections == 0


async def test_an_asynchronous_body_is_collected(transport: DirectTransport) -> None:
    async def parts() -> AsyncGenerator[bytes]:
        yield b"Gain"
        yield b"=5"

    async with serving(lambda peer: peer.answer_all()) as server:
        sent = httpx.Request("PUT", server.url, content=parts(), headers={"Content-Length": "6"})
        assert await content(await transport.handle_async_request(sent)) == b"ok"
        assert server.requests[0].endswith(b"\r\n\r\nGain=5")


# Sinks and streams


@pytest.mark.parametrize("form", ["counted", "chunked", "until closed"])
async def test_sink_and_stream_get_the_same_bytes(transport: DirectTransport, form: str) -> None:
    until_closed = b"HTTP/1.1 200 OK\r\n\r\n" + BIG
    reply = {"counted": counted(BIG), "chunked": chunked(BIG), "until closed": until_closed}[form]

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send(reply)
        await peer.writer.drain()

    async with serving(script) as server:
        assert await fetch(transport, server.url) == BIG
        sink = MemorySink(100_000)
        response = await transport.handle_async_request(request(server.url, sink=sink))
        assert response.extensions["sink"] is True
        assert await content(response) == b""
        assert bytes(sink.content) == BIG


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    form=st.sampled_from([counted(BODY), chunked(BODY, 3000), b"HTTP/1.0 200 \r\n\r\n" + BODY]),
    cuts=st.lists(st.integers(1, 10_200), max_size=4),
    use_sink=st.booleans(),
)
def test_the_result_does_not_depend_on_segment_boundaries(
    form: bytes, cuts: list[int], use_sink: bool
) -> None:
    edges = [0, *sorted(cuts), len(form)]

    async def script(peer: Peer) -> None:
        await peer.request()
        for start, end in pairwise(edges):
            peer.send(form[start:end])
            await asyncio.sleep(0.001)

    async def main() -> bytes:
        sink = MemorySink(777) if use_sink else None
        async with serving(script) as server, DirectTransport() as transport:
            body = await fetch(transport, server.url, sink=sink)
        return body if sink is None else bytes(sink.content)

    assert asyncio.run(main()) == BODY


async def test_a_sink_that_declines_leaves_the_body_to_the_stream(
    transport: DirectTransport,
) -> None:
    sink = MemorySink(willing=False)
    async with serving(lambda peer: peer.answer_all(counted(BODY))) as server:
        response = await transport.handle_async_request(request(server.url, sink=sink))
        assert "sink" not in response.extensions
        assert await content(response) == BODY
    assert not sink.content


@pytest.mark.parametrize("where", ["begin", "get_buffer", "received"])
@pytest.mark.parametrize("together", [True, False])
async def test_the_stream_raises_the_errors_of_the_sink(
    transport: DirectTransport, where: str, together: bool
) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        reply = counted(BODY)
        edge = len(reply) if together else reply.index(b"\r\n\r\n") + 4
        peer.send(reply[:edge])
        await asyncio.sleep(0.01)
        peer.send(reply[edge:])
        await peer.wait_closed()

    async with serving(script) as server:
        response = await transport.handle_async_request(request(server.url, sink=BrokenSink(where)))
        with pytest.raises(SinkError):
            await content(response)
        await server.wait_closed()


async def test_a_slow_consumer_causes_back_pressure(transport: DirectTransport) -> None:
    sent = asyncio.Event()
    big = bytes(30_000_000)

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send(counted(big))
        await peer.writer.drain()
        sent.set()
        await peer.wait_closed()

    async with serving(script) as server:
        response = await transport.handle_async_request(request(server.url, read=0.05))
        await asyncio.sleep(0.15)
        assert not sent.is_set()
        assert len(await content(response)) == len(big)
        assert sent.is_set()


# Timeouts


async def test_no_reply_is_a_read_timeout(transport: DirectTransport) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.wait_closed()

    async with serving(script) as server:
        start = time.monotonic()
        with pytest.raises(httpx.ReadTimeout):
            await fetch(transport, server.url, read=0.1)
        assert 0.09 < time.monotonic() - start < 1
        await server.wait_closed()


@pytest.mark.parametrize("use_sink", [True, False])
async def test_a_stalled_body_is_a_read_timeout(transport: DirectTransport, use_sink: bool) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send(counted(BODY)[:-1])
        await peer.wait_closed()

    async with serving(script) as server:
        sink = MemorySink() if use_sink else None
        response = await transport.handle_async_request(request(server.url, sink=sink, read=0.1))
        with pytest.raises(httpx.ReadTimeout):
            await content(response)


@pytest.mark.parametrize("use_sink", [True, False])
async def test_a_slow_body_does_not_time_out(transport: DirectTransport, use_sink: bool) -> None:
    reply = counted(b"0123456789")

    async def script(peer: Peer) -> None:
        await peer.request()
        for at in range(len(reply)):
            peer.send(reply[at : at + 1])
            await asyncio.sleep(0.03)

    async with serving(script) as server:
        sink = MemorySink() if use_sink else None
        start = time.monotonic()
        body = await fetch(transport, server.url, sink=sink, read=1.0)
        assert time.monotonic() - start > 1.0
        assert (sink.content if sink else body) == b"0123456789"


async def test_a_shorter_timeout_after_a_longer_one_is_used(transport: DirectTransport) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send(OK)
        await peer.request()
        await peer.wait_closed()

    async with serving(script) as server:
        await fetch(transport, server.url, read=100.0)
        with pytest.raises(httpx.ReadTimeout):
            await fetch(transport, server.url, "PUT", read=0.05)
        assert server.connections == 1


async def test_timeouts_can_be_disabled(transport: DirectTransport) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await asyncio.sleep(0.05)
        peer.send(OK)

    async with serving(script) as server:
        assert await fetch(transport, server.url, read=None, write=None, timeout=None) == b"ok"
        plain = httpx.Request("GET", server.url)
        assert await content(await transport.handle_async_request(plain)) == b"ok"


async def test_a_server_that_does_not_read_is_a_write_timeout(transport: DirectTransport) -> None:
    async def script(peer: Peer) -> None:
        peer.pause()
        await asyncio.sleep(60)

    async with serving(script) as server:
        sent = request(server.url, "PUT", data={"a": "x" * 20_000_000}, write=0.1)
        with pytest.raises(httpx.WriteTimeout):
            await transport.handle_async_request(sent)


async def test_a_close_during_a_write_is_an_error(
    transport: DirectTransport,
) -> None:
    async def script(peer: Peer) -> None:
        await peer.reader.read(1000)

    async with serving(script) as server:
        sent = request(server.url, "PUT", data={"a": "x" * 20_000_000})
        with pytest.raises((httpx.WriteError, httpx.RemoteProtocolError)):
            await transport.handle_async_request(sent)
        assert server.connections == 1


async def test_a_slow_server_gets_the_whole_request(transport: DirectTransport) -> None:
    async def script(peer: Peer) -> None:
        await asyncio.sleep(0.05)
        await peer.request()
        peer.send(OK)

    async with serving(script) as server:
        await fetch(transport, server.url, "PUT", data={"a": "x" * 10_000_000})
        assert server.requests[0].endswith(b"x" * 1000)


async def test_a_reply_before_the_end_of_the_request_is_returned(
    transport: DirectTransport,
) -> None:
    async def script(peer: Peer) -> None:
        await peer.reader.read(1000)
        peer.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        peer.pause()
        await asyncio.sleep(60)

    async with serving(script) as server:
        sent = request(server.url, "PUT", data={"a": "x" * 20_000_000}, write=0.5)
        assert (await transport.handle_async_request(sent)).status_code == 413
        await fetch(transport, server.url)
        assert server.connections == 2


async def test_a_host_that_does_not_answer_is_a_connect_timeout(
    transport: DirectTransport,
) -> None:
    with full_backlog() as port, pytest.raises(httpx.ConnectTimeout):
        await fetch(transport, f"http://127.0.0.1:{port}", timeout=0.1)


def full_backlog() -> _FullBacklog:
    return _FullBacklog()


class _FullBacklog:
    """A port with a full backlog, so that the next connection attempt waits."""

    def __enter__(self) -> int:
        self._sockets = [socket.create_server(("127.0.0.1", 0), backlog=0)]
        address = self._sockets[0].getsockname()
        for _ in range(4):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(address)
            self._sockets.append(client)
        port: int = address[1]
        return port

    def __exit__(self, *_: object) -> None:
        for each in self._sockets:
            each.close()


async def test_a_handshake_that_hangs_is_a_connect_timeout(transport: DirectTransport) -> None:
    async with serving(lambda peer: peer.wait_closed()) as server:
        with pytest.raises(httpx.ConnectTimeout):
            await fetch(transport, server.url.replace("http", "https"), timeout=0.2)


async def test_https_to_a_server_without_tls_is_a_connect_error() -> None:
    async def script(peer: Peer) -> None:
        await peer.reader.read(100)
        peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with serving(script) as server, DirectTransport(verify=False) as transport:
        with pytest.raises(httpx.ConnectError) as caught:
            await fetch(transport, server.url.replace("http", "https"))
        assert isinstance(caught.value.__cause__, ssl.SSLError)


# Retries


async def close_at_second_request(peer: Peer) -> None:
    """Answer the first request; close the first connection at its second request."""
    await peer.request()
    peer.send(OK)
    await peer.request()
    if peer.number:
        peer.send(OK)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_get_is_retried_once_when_an_idle_connection_breaks(
    transport: DirectTransport, method: str
) -> None:
    events: list[str] = []

    async def trace(event: str, info: object) -> None:
        events.append(event)

    async with serving(close_at_second_request) as server:
        await fetch(transport, server.url)
        response = await transport.handle_async_request(request(server.url, method, trace=trace))
        assert response.status_code == 200
        assert (server.connections, len(server.requests)) == (2, 3)
        assert events == ["http11.send_request_headers.started"] * 2


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
async def test_other_methods_are_not_retried(transport: DirectTransport, method: str) -> None:
    async with serving(close_at_second_request) as server:
        await fetch(transport, server.url)
        with pytest.raises(httpx.RemoteProtocolError):
            await fetch(transport, server.url, method)
        await settle()
        assert (server.connections, len(server.requests)) == (1, 2)


async def test_a_get_is_retried_only_once(transport: DirectTransport) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        if not peer.number:
            peer.send(OK)
            await peer.request()

    async with serving(script) as server:
        await fetch(transport, server.url)
        with pytest.raises(httpx.RemoteProtocolError):
            await fetch(transport, server.url)
        assert len(server.requests) == 3


async def test_a_get_is_not_retried_after_a_byte_of_the_reply(
    transport: DirectTransport,
) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send(OK)
        await peer.request()
        peer.send(b"H")

    async with serving(script) as server:
        await fetch(transport, server.url)
        with pytest.raises(httpx.RemoteProtocolError):
            await fetch(transport, server.url)
        assert len(server.requests) == 2


async def test_a_get_on_a_new_connection_is_retried_once(transport: DirectTransport) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        if peer.number:
            peer.send(OK)

    async with serving(script) as server:
        assert await fetch(transport, server.url) == OK[-2:]
        assert len(server.requests) == 2


@pytest.mark.parametrize("kept", [False, True])
async def test_a_get_is_sent_at_most_twice(transport: DirectTransport, kept: bool) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        if kept and not peer.number:
            peer.send(OK)
            await peer.request()

    async with serving(script) as server:
        if kept:
            await fetch(transport, server.url)
            server.requests.clear()
        with pytest.raises(httpx.RemoteProtocolError):
            await fetch(transport, server.url)
        assert len(server.requests) == 2


async def test_a_put_on_a_new_connection_is_not_retried(transport: DirectTransport) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()

    async with serving(script) as server:
        with pytest.raises(httpx.RemoteProtocolError):
            await fetch(transport, server.url, "PUT")
        assert len(server.requests) == 1


async def test_a_refused_connection_is_not_tried_again(
    transport: DirectTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = 0
    connect = transport._connect

    async def count(pool: Pool, origin: Origin, timeout: float | None) -> Connection:
        nonlocal attempts
        attempts += 1
        return await connect(pool, origin, timeout)

    monkeypatch.setattr(transport, "_connect", count)
    with pytest.raises(httpx.ConnectError):
        await fetch(transport, "http://127.0.0.1:1")
    assert attempts == 1


async def test_a_get_is_not_retried_after_a_timeout(transport: DirectTransport) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send(OK)
        await peer.request()
        await peer.wait_closed()

    async with serving(script) as server:
        await fetch(transport, server.url)
        with pytest.raises(httpx.ReadTimeout):
            await fetch(transport, server.url, read=0.05)
        assert len(server.requests) == 2


@pytest.mark.parametrize("last", [b"", b"HTTP/1.1 408 Timeout\r\nContent-Length: 0\r\n\r\n"])
@pytest.mark.parametrize("settled", [True, False])
async def test_a_put_is_not_sent_on_a_connection_that_ended_while_idle(
    transport: DirectTransport, last: bytes, settled: bool
) -> None:
    done = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send(OK)
        if not peer.number:
            await done.wait()
            peer.send(last)

    async with serving(script) as server:
        await fetch(transport, server.url)
        done.set()
        if settled:
            await settle()
        else:  # the bytes have arrived, but the client has not read them yet
            for _ in range(3):
                await asyncio.sleep(0)
        assert await fetch(transport, server.url, "PUT") == b"ok"
        assert server.connections == 2


async def test_a_connection_lost_during_the_trace_is_replaced(transport: DirectTransport) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send(OK)
        if not peer.number:
            await asyncio.sleep(0.02)

    async def trace(event: str, info: object) -> None:
        await asyncio.sleep(0.05)

    async with serving(script) as server:
        await fetch(transport, server.url)
        assert await fetch(transport, server.url, "PUT", trace=trace) == b"ok"
        assert len(server.requests) == 2


async def test_a_new_connection_lost_during_the_trace_is_an_error(
    transport: DirectTransport,
) -> None:
    async def script(peer: Peer) -> None:
        await asyncio.sleep(0.01)

    async def trace(event: str, info: object) -> None:
        await asyncio.sleep(0.05)

    async with serving(script) as server:
        with pytest.raises(httpx.ReadError, match="before the request"):
            await fetch(transport, server.url, "PUT", trace=trace)


async def test_an_error_in_the_trace_closes_the_connection(transport: DirectTransport) -> None:
    async def trace(event: str, info: object) -> None:
        raise SinkError

    async with serving(lambda peer: peer.answer_all()) as server:
        with pytest.raises(SinkError):
            await fetch(transport, server.url, trace=trace)
        await server.wait_closed()
        assert await fetch(transport, server.url) == b"ok"


async def test_the_trace_gets_the_request(transport: DirectTransport) -> None:
    seen: list[tuple[str, object]] = []

    async def trace(event: str, info: dict[str, object]) -> None:
        seen.append((event, info["request"]))

    async with serving(lambda peer: peer.answer_all()) as server:
        sent = request(server.url, "PUT", trace=trace)
        await content(await transport.handle_async_request(sent))
        assert seen == [("http11.send_request_headers.started", sent)]


# Idle connections


async def test_an_idle_connection_expires() -> None:
    async with (
        serving(lambda peer: peer.answer_all()) as server,
        DirectTransport(keepalive_expiry=0.05) as transport,
    ):
        await fetch(transport, server.url)
        await fetch(transport, server.url)
        assert len(server.tasks) == 1
        await asyncio.sleep(0.1)
        assert not server.tasks
        await fetch(transport, server.url)
        assert server.connections == 2


async def test_an_idle_connection_expires_before_the_server_closes_it() -> None:
    reply = b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 2\r\n\r\nok"
    async with (
        serving(lambda peer: peer.answer_all(reply)) as server,
        DirectTransport(keepalive_expiry=100) as transport,
    ):
        await fetch(transport, server.url)
        await asyncio.sleep(0.75)
        assert len(server.tasks) == 1
        await asyncio.sleep(0.15)
        assert not server.tasks


async def test_an_expired_connection_is_not_reused_when_the_timer_is_late() -> None:
    async with (
        serving(lambda peer: peer.answer_all()) as server,
        DirectTransport(keepalive_expiry=0.02) as transport,
    ):
        await fetch(transport, server.url)
        time.sleep(0.03)  # noqa: ASYNC251 - the loop is meant to be late
        await fetch(transport, server.url, "PUT")
        assert server.connections == 2


async def test_unsolicited_bytes_close_an_idle_connection(transport: DirectTransport) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send(OK)
        await asyncio.sleep(0.01)
        peer.send(OK)
        await peer.wait_closed()

    async with serving(script) as server:
        await fetch(transport, server.url)
        await asyncio.sleep(0.03)
        assert not server.tasks


# Closing


async def test_closing_an_unfinished_body_closes_the_connection(transport: DirectTransport) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send(counted(BODY)[:-1])
        await peer.wait_closed()

    async with serving(script) as server:
        response = await transport.handle_async_request(request(server.url))
        await response.aclose()
        await server.wait_closed()
        with pytest.raises(httpx.ReadError):
            await content(response)


async def test_closing_a_complete_body_keeps_the_connection(transport: DirectTransport) -> None:
    async with serving(lambda peer: peer.answer_all()) as server:
        response = await transport.handle_async_request(request(server.url))
        await response.aclose()
        assert await fetch(transport, server.url) == b"ok"
        assert server.connections == 1
        assert await content(response) == b"ok"


async def test_close_ends_running_and_queued_requests() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send(counted(BODY)[: -1 - peer.number * len(BODY)])
        await peer.wait_closed()

    transport = DirectTransport(connections_per_server=2)
    async with serving(script) as server:
        reading = await transport.handle_async_request(request(server.url))
        waiting = asyncio.ensure_future(fetch(transport, server.url))
        await settle()
        queued = asyncio.ensure_future(fetch(transport, server.url))
        await settle()
        await transport.aclose()
        with pytest.raises(httpx.ReadError):
            await content(reading)
        with pytest.raises(httpx.ReadError):
            await waiting
        with pytest.raises(httpx.ConnectError, match="closed"):
            await queued
        await server.wait_closed()


async def test_close_opens_no_connections_for_retries_and_queued_requests() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send(OK)
        await peer.wait_closed()

    transport = DirectTransport(connections_per_server=1)
    async with serving(script) as server:
        assert await fetch(transport, server.url) == b"ok"
        repeatable = asyncio.ensure_future(fetch(transport, server.url))
        await settle()
        queued = asyncio.ensure_future(fetch(transport, server.url))
        await settle()
        await transport.aclose()
        for ended in (repeatable, queued):
            with pytest.raises(httpx.ConnectError, match="closed"):
                await ended
        await server.wait_closed()
        assert server.connections == 1


async def test_close_ends_connection_attempts() -> None:
    transport = DirectTransport()
    async with serving(lambda peer: peer.answer_all()) as server:
        connecting = asyncio.ensure_future(fetch(transport, server.url))
        await asyncio.sleep(0)
        await transport.aclose()
        with pytest.raises(httpx.ConnectError, match="closed"):
            await connecting
        assert not server.requests
        assert await fetch(transport, server.url) == b"ok"
        await transport.aclose()


@contextmanager
def serving_from_a_thread() -> Generator[tuple[str, list[threading.Thread]]]:
    """Answer every request, on connections that outlive the client's loop."""
    listener = socket.create_server(("127.0.0.1", 0))
    peers: list[threading.Thread] = []

    def serve() -> None:
        with suppress(OSError):
            while True:
                peers.append(threading.Thread(target=answer, args=[listener.accept()[0]]))
                peers[-1].start()

    def answer(connection: socket.socket) -> None:
        with connection:
            while connection.recv(65536):
                connection.sendall(OK)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", peers
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # left open when the loop ended
def test_a_transport_can_be_used_in_successive_event_loops() -> None:
    async def twice() -> None:
        assert await fetch(transport, url) == b"ok"
        assert await fetch(transport, url, "PUT") == b"ok"

    transport = DirectTransport()
    with serving_from_a_thread() as (url, peers):
        for _ in range(3):
            asyncio.run(twice())
        asyncio.run(transport.aclose())
        for peer in peers:
            peer.join(1)
        assert [peer.is_alive() for peer in peers] == [False] * 3
    gc.collect()  # asyncio warns about the connections here


def test_a_transport_can_change_to_another_loop_and_back() -> None:
    async def once() -> None:
        assert await fetch(transport, url, "PUT") == b"ok"

    transport = DirectTransport()
    first = asyncio.new_event_loop()
    with serving_from_a_thread() as (url, _):
        first.run_until_complete(once())
        asyncio.run(once_and_closed(transport, url))
        first.run_until_complete(asyncio.sleep(0))  # its connection was closed from the other loop
        first.run_until_complete(once())
        first.run_until_complete(transport.aclose())
    first.close()


async def once_and_closed(transport: DirectTransport, url: str) -> None:
    assert await fetch(transport, url) == b"ok"
    await transport.aclose()


async def test_connection_close_in_the_request_closes_the_connection(
    transport: DirectTransport,
) -> None:
    async with serving(lambda peer: peer.answer_all()) as server:
        sent = httpx.Request("GET", server.url, headers={"Connection": "Close"})
        await content(await transport.handle_async_request(sent))
        await server.wait_closed()


async def test_stale_connections_are_detected_without_poll(
    transport: DirectTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(select, "poll")
    async with serving(lambda peer: peer.answer_all()) as server:
        for _ in range(2):
            assert await fetch(transport, server.url, "PUT") == b"ok"
        assert server.connections == 1


async def test_closing_ignores_a_loop_that_closes_in_the_meantime() -> None:
    class ClosingLoop:
        """Runs when it is asked, but is closed when it is called."""

        def is_running(self) -> bool:
            return True

        def call_soon_threadsafe(self, *_: object) -> NoReturn:
            raise RuntimeError("Event loop is closed")

    transport = DirectTransport()
    connections = _Connections(1)
    transport._by_loop._values[cast("asyncio.AbstractEventLoop", ClosingLoop())] = connections
    left, right = socket.socketpair()
    with left, right:
        loop = asyncio.get_running_loop()
        pool = connections.pool(Origin(tls=False, host="pi", port=1, sni=None))
        pool.add(Connection(pool, connections.scheduler, loop, left))
        await transport.aclose()
        assert right.recv(1) == b""

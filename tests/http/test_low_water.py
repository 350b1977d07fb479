"""During a large download, small portions stay in the socket until a large read is possible."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Final

import httpx
import pytest

from alpaca_async._http.transport import DirectTransport

from .support import OK, MemorySink, Peer, fetch, request, serving, settle

MIB: Final = 1 << 20
BUFFER_SIZE: Final = MIB
HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"


class CountingSink(MemorySink):
    """Counts its reads."""

    def __init__(self) -> None:
        super().__init__(BUFFER_SIZE)
        self.reads = 0

    def received(self, nbytes: int) -> None:
        super().received(nbytes)
        self.reads += 1

    async def has(self, nbytes: int) -> None:
        while len(self.content) < nbytes:
            await settle()


@pytest.mark.skipif(sys.platform != "linux", reason="the option is used on Linux only")
async def test_a_large_download_is_read_in_large_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alpaca_async._http.low_water._TIMEOUT", 30.0)
    body, portion = bytes(range(256)) * (16 * MIB // 256), 1 << 14
    flood = 14 * MIB  # one read of it at least fills its buffer
    portions = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send(HEAD % len(body), body[:flood])
        await portions.wait()
        for at in range(flood, flood + MIB, portion):
            peer.send(body[at : at + portion])
            await asyncio.sleep(0.002)
        peer.send(body[flood + MIB :])

    async with serving(script) as server, DirectTransport() as transport:
        sink = CountingSink()
        task = asyncio.create_task(fetch(transport, server.url, sink=sink))
        await sink.has(flood - MIB // 2)
        before = sink.reads
        portions.set()
        await task
        assert sink.content == body
        assert sink.reads - before < MIB // portion // 2


async def test_small_replies_are_read_after_a_large_download(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("alpaca_async._http.low_water._TIMEOUT", 30.0)

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send(HEAD % (3 * MIB), bytes(3 * MIB))
        await peer.answer_all()

    async with serving(script) as server, DirectTransport() as transport, asyncio.timeout(3):
        await fetch(transport, server.url, sink=MemorySink(BUFFER_SIZE))
        assert await fetch(transport, server.url, read=1) == OK[-2:]
        assert server.connections == 1


@pytest.mark.parametrize("pause", [0.05, 0.3])
async def test_a_download_that_becomes_slow_does_not_time_out(pause: float) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send(HEAD % (4 * MIB), bytes(2 * MIB))
        for _ in range(int(2 // pause)):
            await asyncio.sleep(pause)
            peer.send(bytes(100))
        await peer.wait_closed()

    async with serving(script) as server, DirectTransport() as transport:
        sink = MemorySink(BUFFER_SIZE)
        start = time.monotonic()
        with pytest.raises(httpx.ReadTimeout):
            await fetch(transport, server.url, sink=sink, read=0.5)
        assert len(sink.content) == 2 * MIB + 100 * int(2 // pause)
        assert time.monotonic() - start > 2


async def test_a_stalled_download_times_out() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send(HEAD % (4 * MIB), bytes(2 * MIB))
        await peer.wait_closed()

    async with serving(script) as server, DirectTransport() as transport:
        sink = MemorySink(BUFFER_SIZE)
        start = time.monotonic()
        response = await transport.handle_async_request(request(server.url, sink=sink, read=0.6))
        assert isinstance(response.stream, httpx.AsyncByteStream)
        with pytest.raises(httpx.ReadTimeout):
            await anext(aiter(response.stream))
        assert len(sink.content) == 2 * MIB
        assert time.monotonic() - start < 1.1


async def test_a_truncated_download_is_an_error() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send(HEAD % (4 * MIB), bytes(2 * MIB))

    async with serving(script) as server, DirectTransport() as transport:
        sink = MemorySink(BUFFER_SIZE)
        with pytest.raises(httpx.RemoteProtocolError, match="2097152 bytes early"):
            await fetch(transport, server.url, sink=sink)
        assert len(sink.content) == 2 * MIB

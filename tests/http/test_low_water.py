"""Where more comes than one read takes, small portions are left until they are worth a read."""

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
ROOM: Final = MIB
HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"


class CountingSink(MemorySink):
    """Counts its reads."""

    def __init__(self) -> None:
        super().__init__(ROOM)
        self.reads = 0

    def received(self, nbytes: int) -> None:
        super().received(nbytes)
        self.reads += 1

    async def has(self, nbytes: int) -> None:
        while len(self.content) < nbytes:
            await settle()


@pytest.mark.skipif(sys.platform != "linux", reason="the option is used on Linux only")
async def test_a_flood_is_read_in_large_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alpaca_async._http.connection._LOW_WATER_TIMEOUT", 30.0)
    body, portion = bytes(range(256)) * (4 * MIB // 256), 1 << 14
    portions = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.say(HEAD % len(body), body[: 2 * MIB])
        await portions.wait()
        for at in range(2 * MIB, 3 * MIB, portion):
            peer.say(body[at : at + portion])
            await asyncio.sleep(0.002)
        peer.say(body[3 * MIB :])

    async with serving(script) as server, DirectTransport() as transport:
        sink = CountingSink()
        task = asyncio.create_task(fetch(transport, server.url, sink=sink))
        await sink.has(3 * MIB // 2)
        before = sink.reads
        portions.set()
        await task
        assert sink.content == body
        assert sink.reads - before < MIB // portion // 2


async def test_small_replies_are_read_after_a_flood(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alpaca_async._http.connection._LOW_WATER_TIMEOUT", 30.0)

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.say(HEAD % (3 * MIB), bytes(3 * MIB))
        await peer.answer_all()

    async with serving(script) as server, DirectTransport() as transport, asyncio.timeout(3):
        await fetch(transport, server.url, sink=MemorySink(ROOM))
        assert await fetch(transport, server.url, read=1) == OK[-2:]
        assert server.connections == 1


@pytest.mark.parametrize("pause", [0.05, 0.3])
async def test_a_flood_that_becomes_a_trickle_is_not_silence(pause: float) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.say(HEAD % (4 * MIB), bytes(2 * MIB))
        for _ in range(int(2 // pause)):
            await asyncio.sleep(pause)
            peer.say(bytes(100))
        await peer.gone()

    async with serving(script) as server, DirectTransport() as transport:
        sink = MemorySink(ROOM)
        start = time.monotonic()
        with pytest.raises(httpx.ReadTimeout):
            await fetch(transport, server.url, sink=sink, read=0.5)
        assert len(sink.content) == 2 * MIB + 100 * int(2 // pause)
        assert time.monotonic() - start > 2


async def test_a_flood_that_falls_silent_is_noticed_in_time() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.say(HEAD % (4 * MIB), bytes(2 * MIB))
        await peer.gone()

    async with serving(script) as server, DirectTransport() as transport:
        sink = MemorySink(ROOM)
        start = time.monotonic()
        response = await transport.handle_async_request(request(server.url, sink=sink, read=0.6))
        assert isinstance(response.stream, httpx.AsyncByteStream)
        with pytest.raises(httpx.ReadTimeout):
            await anext(aiter(response.stream))
        assert len(sink.content) == 2 * MIB
        assert time.monotonic() - start < 1.1


async def test_the_end_of_a_flood_is_noticed() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.say(HEAD % (4 * MIB), bytes(2 * MIB))

    async with serving(script) as server, DirectTransport() as transport:
        sink = MemorySink(ROOM)
        with pytest.raises(httpx.RemoteProtocolError, match="2097152 bytes early"):
            await fetch(transport, server.url, sink=sink)
        assert len(sink.content) == 2 * MIB

from __future__ import annotations

import asyncio
import gc
import os
import random
import tracemalloc
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from alpaca_async._http.pool import Pool
from alpaca_async._http.transport import DirectTransport

from .support import MemorySink, Peer, content, fetch, request, serving, settle

if TYPE_CHECKING:
    from alpaca_async._http.connection import Connection

BODY = bytes(range(256)) * 300
BATCH = 120
SOAK = int(os.environ.get("ALPACA_SOAK", "240"))
"""How many requests; ALPACA_SOAK=10000 for a long run."""
MOMENTS = [0, 0, 0.0005, 0.001, 0.002, 0.004, 0.008]


async def clumsy(peer: Peer) -> None:
    """Answer in pieces, counted or chunked, and with pauses."""
    chance = random.Random(peer.number)
    while True:
        await peer.request()
        await asyncio.sleep(chance.choice(MOMENTS))
        if chance.random() < 0.5:
            peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY))
            half, end = BODY[:40_000], BODY[40_000:]
        else:
            peer.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            half = b"%x\r\n%s" % (len(BODY), BODY[:30_000])
            end = BODY[30_000:] + b"\r\n0\r\n\r\n"
        peer.say(half)
        await asyncio.sleep(chance.choice(MOMENTS))
        peer.say(end)


async def trace(event: str, info: object) -> None:
    await asyncio.sleep(0)


def descriptors() -> int:
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


async def one(transport: DirectTransport, url: str, number: int) -> None:
    sink = MemorySink(5000) if number % 2 else None
    extensions = {"trace": trace} if number % 3 else {}
    body = await fetch(transport, url, sink=sink, **extensions)
    assert (body if sink is None else bytes(sink.content)) == BODY


async def cancel_some(transport: DirectTransport, url: str, chance: random.Random) -> None:
    """Send a hundred and twenty requests and cancel most of them at random moments."""
    tasks = [asyncio.create_task(one(transport, url, n)) for n in range(BATCH)]
    while not all(task.done() for task in tasks):
        await asyncio.sleep(chance.choice(MOMENTS) / 2)
        running = [task for task in tasks if not task.done()][:8]
        if running and chance.random() < 0.8:
            chance.choice(running).cancel()
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(end is None or isinstance(end, asyncio.CancelledError) for end in ends), ends
    assert any(end is None for end in ends)
    assert sum(end is not None for end in ends) > BATCH / 3


async def traced(transport: DirectTransport) -> int:
    """Return the bytes that are held when no connection is."""
    await transport.aclose()
    await settle()
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


@pytest.mark.timeout(60 + SOAK / 20)
async def test_cancelling_at_any_moment_leaves_nothing() -> None:
    chance = random.Random(1)
    async with serving(clumsy) as server:
        before = descriptors()
        transport = DirectTransport(connections_per_server=3)
        tracemalloc.start()
        await cancel_some(transport, server.url, chance)
        server.requests.clear()
        memory = await traced(transport)
        for _ in range(SOAK // BATCH):
            await cancel_some(transport, server.url, chance)
            server.requests.clear()
            await settle()
            assert len(server.tasks) <= 3
        assert await traced(transport) - memory < 100_000
        tracemalloc.stop()
        await asyncio.gather(*(one(transport, server.url, n) for n in range(6)))
        await transport.aclose()
        await server.left()
        assert descriptors() == before
        assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_time_limit_of_the_caller_is_as_good_as_a_cancellation() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.gone()

    async with serving(script) as server, DirectTransport(connections_per_server=1) as transport:
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await fetch(transport, server.url)
        await server.left()


@pytest.mark.parametrize("sunk", [True, False])
async def test_a_half_read_connection_is_never_used_again(sunk: bool) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        await peer.gone()

    async with serving(script) as server, DirectTransport() as transport:
        sink = MemorySink() if sunk else None
        response = await transport.handle_async_request(request(server.url, sink=sink))
        task = asyncio.create_task(content(response))
        await settle()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await server.left()


async def test_cancelling_while_writing_closes_the_connection() -> None:
    async def script(peer: Peer) -> None:
        peer.pause()
        await asyncio.sleep(0.05)
        await peer.gone()

    async with serving(script) as server, DirectTransport() as transport:
        sent = request(server.url, "PUT", data={"a": "x" * 20_000_000})
        task = asyncio.create_task(transport.handle_async_request(sent))
        await settle()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_cancelling_when_the_reply_is_there_does_not_close_it_under_the_next_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seconds: list[asyncio.Task[bytes]] = []
    put_idle = Pool.put_idle

    async def cancel_first(event: str, info: object) -> None:
        first.cancel()

    def put_idle_and_take(pool: Pool, connection: Connection) -> None:
        """Let the second request have it before the first learns that its reply is complete."""
        put_idle(pool, connection)
        if not seconds:
            second = fetch(transport, server.url, "PUT", trace=cancel_first)
            seconds.append(asyncio.create_task(second))

    monkeypatch.setattr(Pool, "put_idle", put_idle_and_take)
    async with serving(lambda peer: peer.answer_all()) as server, DirectTransport() as transport:
        first = asyncio.create_task(fetch(transport, server.url))
        with pytest.raises(asyncio.CancelledError):
            await first
        await seconds[0]
        assert server.connections == 1


async def test_cancelling_while_connecting_leaves_no_socket() -> None:
    async with serving(lambda peer: peer.answer_all()) as server, DirectTransport() as transport:
        before = descriptors()
        for rounds in range(8):
            task = asyncio.create_task(fetch(transport, server.url))
            for _ in range(rounds):
                await asyncio.sleep(0)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await transport.aclose()
            await server.left()
        assert descriptors() == before


async def test_a_client_of_httpx_is_as_clean() -> None:
    async with serving(clumsy) as server:
        before = descriptors()
        async with httpx.AsyncClient(transport=DirectTransport(), trust_env=False) as client:
            tasks = [asyncio.create_task(client.get(server.url)) for _ in range(40)]
            for n, task in enumerate(tasks):
                await asyncio.sleep(0.001)
                if n % 4:
                    task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
        for end in ends:
            if isinstance(end, httpx.Response):
                assert end.content == BODY
            else:
                assert isinstance(end, asyncio.CancelledError)
        await server.left()
        assert descriptors() == before

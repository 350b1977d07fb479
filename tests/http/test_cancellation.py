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
"""Number of requests; ALPACA_SOAK=10000 for a long run."""
DELAYS = [0, 0, 0.0005, 0.001, 0.002, 0.004, 0.008]


async def answer_in_pieces(peer: Peer) -> None:
    """Send bodies in pieces, with pauses, with Content-Length or chunked."""
    chance = random.Random(peer.number)
    while True:
        await peer.request()
        await asyncio.sleep(chance.choice(DELAYS))
        if chance.random() < 0.5:
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY))
            half, end = BODY[:40_000], BODY[40_000:]
        else:
            peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            half = b"%x\r\n%s" % (len(BODY), BODY[:30_000])
            end = BODY[30_000:] + b"\r\n0\r\n\r\n"
        peer.send(half)
        await asyncio.sleep(chance.choice(DELAYS))
        peer.send(end)


async def trace(event: str, info: object) -> None:
    await asyncio.sleep(0)


def descriptors() -> int:
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


async def fetch_one(transport: DirectTransport, url: str, number: int) -> None:
    sink = MemorySink(5000) if number % 2 else None
    extensions = {"trace": trace} if number % 3 else {}
    body = await fetch(transport, url, sink=sink, **extensions)
    assert (body if sink is None else bytes(sink.content)) == BODY


async def cancel_some(transport: DirectTransport, url: str, chance: random.Random) -> None:
    """Send 120 requests and cancel most of them at random moments."""
    tasks = [asyncio.create_task(fetch_one(transport, url, n)) for n in range(BATCH)]
    while not all(task.done() for task in tasks):
        await asyncio.sleep(chance.choice(DELAYS) / 2)
        running = [task for task in tasks if not task.done()][:8]
        if running and chance.random() < 0.8:
            chance.choice(running).cancel()
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(end is None or isinstance(end, asyncio.CancelledError) for end in ends), ends
    assert any(end is None for end in ends)
    assert sum(end is not None for end in ends) > BATCH / 3


async def memory_at_rest(transport: DirectTransport) -> int:
    """Return the traced memory in bytes while no connection is open."""
    await transport.aclose()
    await settle()
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


@pytest.mark.timeout(60 + SOAK / 20)
async def test_cancelling_at_any_moment_leaks_nothing() -> None:
    chance = random.Random(1)
    async with serving(answer_in_pieces) as server:
        before = descriptors()
        transport = DirectTransport(connections_per_server=3)
        tracemalloc.start()
        await cancel_some(transport, server.url, chance)
        server.requests.clear()
        memory = await memory_at_rest(transport)
        for _ in range(SOAK // BATCH):
            await cancel_some(transport, server.url, chance)
            server.requests.clear()
            await settle()
            assert len(server.tasks) <= 3
        assert await memory_at_rest(transport) - memory < 100_000
        tracemalloc.stop()
        await asyncio.gather(*(fetch_one(transport, server.url, n) for n in range(6)))
        await transport.aclose()
        await server.wait_closed()
        assert descriptors() == before
        assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_timeout_of_the_caller_closes_the_connection() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.wait_closed()

    async with serving(script) as server, DirectTransport(connections_per_server=1) as transport:
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await fetch(transport, server.url)
        await server.wait_closed()


@pytest.mark.parametrize("use_sink", [True, False])
async def test_a_connection_is_not_reused_after_a_cancelled_body(use_sink: bool) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        await peer.wait_closed()

    async with serving(script) as server, DirectTransport() as transport:
        sink = MemorySink() if use_sink else None
        response = await transport.handle_async_request(request(server.url, sink=sink))
        task = asyncio.create_task(content(response))
        await settle()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await server.wait_closed()


async def test_cancelling_while_writing_closes_the_connection() -> None:
    async def script(peer: Peer) -> None:
        peer.pause()
        await asyncio.sleep(0.05)
        await peer.wait_closed()

    async with serving(script) as server, DirectTransport() as transport:
        sent = request(server.url, "PUT", data={"a": "x" * 20_000_000})
        task = asyncio.create_task(transport.handle_async_request(sent))
        await settle()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_cancelling_after_a_complete_reply_does_not_close_the_reused_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seconds: list[asyncio.Task[bytes]] = []
    put_idle = Pool.put_idle

    async def cancel_first(event: str, info: object) -> None:
        first.cancel()

    def put_idle_and_take(pool: Pool, connection: Connection) -> None:
        """Give the connection to a second request before the first is woken."""
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


async def test_cancelling_while_connecting_leaks_no_socket() -> None:
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
            await server.wait_closed()
        assert descriptors() == before


async def test_cancelling_requests_of_an_httpx_client_leaks_nothing() -> None:
    async with serving(answer_in_pieces) as server:
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
        await server.wait_closed()
        assert descriptors() == before

from __future__ import annotations

import asyncio
import time

import httpx
import pytest

from alpaca_async._http.pool import Pool
from alpaca_async._http.transport import DirectTransport
from tests.virtual_time import in_virtual_time

from .support import OK, MemorySink, Peer, fetch, request, serving, settle


class GatedServer:
    """A server that answers only when told to; `asked` has the requests in order."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._answers = asyncio.Semaphore(0)

    async def __call__(self, peer: Peer) -> None:
        while True:
            head = await peer.request()
            self.asked.append(head.split()[1].decode()[1:])
            await self._answers.acquire()
            peer.send(OK)

    async def answer(self, count: int = 1) -> None:
        for _ in range(count):
            self._answers.release()
        await settle()


def start(
    transport: DirectTransport, url: str, *, bulk: bool = False, timeout: float = 5
) -> asyncio.Task[bytes]:
    sink = MemorySink() if bulk else None
    return asyncio.create_task(fetch(transport, url, sink=sink, timeout=timeout))


async def test_connections_are_limited_and_granted_in_order() -> None:
    gate = GatedServer()
    async with serving(gate) as server, DirectTransport(connections_per_server=2) as transport:
        tasks = [start(transport, server / str(n)) for n in range(6)]
        await settle()
        assert sorted(gate.asked) == ["0", "1"]
        for n in range(2, 6):
            await gate.answer()
            assert gate.asked[-1] == str(n)
        await gate.answer(2)
        assert await asyncio.gather(*tasks) == [b"ok"] * 6
        assert server.connections == 2


def test_at_least_one_connection_is_needed() -> None:
    with pytest.raises(ValueError, match="at least one"):
        DirectTransport(connections_per_server=0)


async def test_servers_do_not_share_a_limit() -> None:
    gate, other = GatedServer(), GatedServer()
    async with (
        serving(gate) as first,
        serving(other) as second,
        DirectTransport(connections_per_server=1) as transport,
    ):
        tasks = [start(transport, first / "a"), start(transport, second / "b")]
        await settle()
        assert (gate.asked, other.asked) == (["a"], ["b"])
        await gate.answer()
        await other.answer()
        await asyncio.gather(*tasks)


@pytest.mark.parametrize("connections", [3, 4])
async def test_bulk_requests_leave_half_of_the_connections_to_the_others(connections: int) -> None:
    gate = GatedServer()
    async with (
        serving(gate) as server,
        DirectTransport(connections_per_server=connections) as transport,
    ):
        bulk = [start(transport, server / f"bulk{n}", bulk=True) for n in range(4)]
        await settle()
        assert sorted(gate.asked) == ["bulk0", "bulk1"]
        small = start(transport, server / "small")
        await settle()
        assert gate.asked[-1] == "small"
        await gate.answer(6)
        await asyncio.gather(small, *bulk)
        assert gate.asked[3:] == ["bulk2", "bulk3"]


async def test_the_longest_waiter_with_a_free_slot_is_next() -> None:
    gate = GatedServer()
    async with serving(gate) as server, DirectTransport(connections_per_server=2) as transport:
        tasks = [start(transport, server / "bulk0", bulk=True)]
        await settle()
        tasks.append(start(transport, server / "small0"))
        await settle()
        names = ("bulk1", "small1", "bulk2", "small2")
        tasks += [start(transport, server / name, bulk="bulk" in name) for name in names]
        await settle()
        await gate.answer()  # bulk0 ends, bulk1 has waited longest
        assert gate.asked[2:] == ["bulk1"]
        await gate.answer()  # small0 ends, and only one bulk request may run
        assert gate.asked[3:] == ["small1"]
        await gate.answer()  # bulk1 ends
        assert gate.asked[4:] == ["bulk2"]
        await gate.answer(3)
        await asyncio.gather(*tasks)
        assert gate.asked[5:] == ["small2"]


async def test_the_only_connection_serves_bulk_requests_too() -> None:
    async with (
        serving(lambda peer: peer.answer_all()) as server,
        DirectTransport(connections_per_server=1) as transport,
    ):
        sink = MemorySink()
        await fetch(transport, server.url, sink=sink)
        assert sink.content == b"ok"


async def test_waiting_for_a_connection_times_out() -> None:
    gate = GatedServer()
    async with serving(gate) as server, DirectTransport(connections_per_server=1) as transport:
        first = start(transport, server / "a")
        await settle()
        began = time.monotonic()
        with pytest.raises(httpx.PoolTimeout):
            await start(transport, server / "b", timeout=0.05)
        assert 0.04 < time.monotonic() - began < 1
        await gate.answer()
        await first
        third = start(transport, server / "c")
        await settle()
        await gate.answer()
        assert await third == b"ok"
        assert gate.asked == ["a", "c"]


async def test_a_cancelled_waiter_is_skipped() -> None:
    gate = GatedServer()
    async with serving(gate) as server, DirectTransport(connections_per_server=1) as transport:
        first, second, third = (start(transport, server / name) for name in "abc")
        await settle()
        second.cancel()
        await gate.answer(2)
        assert list(await asyncio.gather(first, third)) == [b"ok"] * 2
        assert gate.asked == ["a", "c"]


@pytest.mark.parametrize("granted_first", [True, False])
async def test_a_slot_granted_to_a_cancelled_waiter_is_passed_on(granted_first: bool) -> None:
    pool = Pool(1)
    slot = await pool.acquire_slot(bulk=False, timeout=None)
    second = asyncio.create_task(pool.acquire_slot(bulk=False, timeout=None))
    third = asyncio.create_task(pool.acquire_slot(bulk=False, timeout=None))
    await settle()
    for step in (slot.release, second.cancel) if granted_first else (second.cancel, slot.release):
        step()
    async with asyncio.timeout(1):
        (await third).release()
    assert second.cancelled()
    (await pool.acquire_slot(bulk=True, timeout=0)).release()


async def test_a_slot_is_released_once() -> None:
    pool = Pool(1)
    slot = await pool.acquire_slot(bulk=False, timeout=None)
    slot.release()
    slot.release()
    await pool.acquire_slot(bulk=False, timeout=None)
    with pytest.raises(httpx.PoolTimeout):
        await pool.acquire_slot(bulk=False, timeout=0.01)


async def test_a_closed_pool_grants_nothing_more_to_cancelled_waiters() -> None:
    pool = Pool(1)
    slot = await pool.acquire_slot(bulk=False, timeout=None)
    waiters = [asyncio.create_task(pool.acquire_slot(bulk=False, timeout=None)) for _ in range(2)]
    await settle()
    waiters[0].cancel()
    pool.close()
    slot.release()
    ends = await asyncio.gather(*waiters, return_exceptions=True)
    assert [type(end) for end in ends] == [asyncio.CancelledError, httpx.ConnectError]


async def test_a_failed_request_releases_its_slot() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()

    async with serving(script) as server, DirectTransport(connections_per_server=1) as transport:
        for _ in range(3):
            with pytest.raises(httpx.RemoteProtocolError):
                await fetch(transport, server.url)


async def test_an_unfinished_body_occupies_its_connection() -> None:
    more = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send(OK[:-1])
        await more.wait()
        peer.send(OK[-1:])
        await peer.answer_all()

    async with serving(script) as server, DirectTransport(connections_per_server=1) as transport:
        response = await transport.handle_async_request(request(server.url))
        second = start(transport, server.url)
        await settle()
        assert len(server.requests) == 1
        more.set()
        assert await second == b"ok"
        assert isinstance(response.stream, httpx.AsyncByteStream)
        assert b"".join([part async for part in response.stream]) == b"ok"
        assert server.connections == 1


async def test_the_end_of_a_request_does_not_disturb_the_next_one() -> None:
    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            peer.send(OK[:-1])
            await asyncio.sleep(0.005)
            peer.send(OK[-1:])

    async with serving(script) as server, DirectTransport(connections_per_server=1) as transport:
        async with asyncio.timeout(2):
            fetched = await asyncio.gather(*(fetch(transport, server.url) for _ in range(4)))
        assert list(fetched) == [b"ok"] * 4
        assert server.connections == 1


async def answer_slowly(peer: Peer) -> None:
    """Answer as over a link with 300 ms."""
    while True:
        await peer.request()
        await asyncio.sleep(0.3)
        peer.send(OK)


@in_virtual_time
async def test_connections_over_a_slow_link_are_kept() -> None:
    async with serving(answer_slowly) as server, DirectTransport() as transport:
        for together in (1, 1, 2, 1, 3, 3, 1):
            await asyncio.gather(*(fetch(transport, server / "x") for _ in range(together)))
        assert server.connections == 3


@in_virtual_time
async def test_a_server_that_has_become_slow_is_not_forgotten() -> None:
    """What is usual follows the last replies, so that a link may become slow."""
    delays = iter([0.0] * 20)

    async def answer(peer: Peer) -> None:
        while True:
            await peer.request()
            await asyncio.sleep(next(delays, 0.3))
            peer.send(OK)

    async with serving(answer) as server, DirectTransport() as transport:
        for _ in range(40):
            await fetch(transport, server / "x")
        before = server.connections
        for _ in range(2):
            await asyncio.gather(*(fetch(transport, server / "x") for _ in range(2)))
        assert server.connections == before + 1

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpaca_async._http.reply import READ_LIMIT
from alpaca_async._http.scheduler import SILENCE_LIMIT, ReadScheduler
from alpaca_async._http.transport import DirectTransport

from .support import MemorySink, Peer, fetch, serving, settle

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

LONG: Final = 300.0
TURN: Final = 0.04
ROOM: Final = 1024
FLOOD: Final = bytes(range(256)) * 16384
HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(FLOOD)


class Listener:
    """Notes whether it may read."""

    def __init__(self) -> None:
        self.paused = False

    def pause(self) -> None:
        assert not self.paused
        self.paused = True

    def resume(self) -> None:
        assert self.paused
        self.paused = False


def all_flooded(count: int) -> tuple[ReadScheduler, list[Listener]]:
    """Return a scheduler that the first reads by, and who was flooded, in that order."""
    scheduler, readers = ReadScheduler(), [Listener() for _ in range(count)]
    for reader in readers:
        scheduler.filled_buffer(reader)
    return scheduler, readers


def paused(readers: list[Listener]) -> list[bool]:
    return [reader.paused for reader in readers]


def last(monkeypatch: pytest.MonkeyPatch, turn: float, patience: float = LONG) -> None:
    """Let a turn last so many seconds, or so many of silence."""
    monkeypatch.setattr("alpaca_async._http.scheduler.TURN_LIMIT", turn)
    monkeypatch.setattr("alpaca_async._http.scheduler.SILENCE_LIMIT", patience)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    last(monkeypatch, TURN)


@pytest.mark.usefixtures("short")
async def test_one_alone_is_never_paused() -> None:
    scheduler, reader = ReadScheduler(), Listener()
    for _ in range(5):
        scheduler.filled_buffer(reader)
        await asyncio.sleep(TURN / 2)
        assert not reader.paused


async def test_the_next_reads_when_one_leaves() -> None:
    scheduler, readers = all_flooded(3)
    assert paused(readers) == [False, True, True]
    scheduler.remove(readers[0])
    assert paused(readers) == [False, False, True]
    scheduler.filled_buffer(readers[0])
    assert paused(readers) == [True, False, True]
    scheduler.remove(readers[1])
    assert paused(readers) == [True, False, False]
    scheduler.remove(readers[2])
    assert paused(readers) == [False, False, False]


@pytest.mark.parametrize("before", ["filled_buffer", "emptied_socket"])
async def test_the_next_reads_when_nothing_comes_any_more(before: str) -> None:
    scheduler, readers = all_flooded(3)
    getattr(scheduler, before)(readers[0])
    assert paused(readers) == [False, True, True]
    await asyncio.sleep(SILENCE_LIMIT * 8)
    assert paused(readers) == [False, False, False]


async def test_the_silence_of_others_ends_no_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    last(monkeypatch, LONG, 0.05)
    scheduler, readers = all_flooded(3)
    scheduler.remove(readers[0])
    for _ in range(5):
        scheduler.emptied_socket(readers[0])
        scheduler.filled_buffer(readers[1])
        await asyncio.sleep(0.02)
    assert paused(readers) == [False, False, True]


@pytest.mark.parametrize("comes", ["filled_buffer", "emptied_socket"])
async def test_a_turn_goes_on_where_more_comes_soon(
    comes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    last(monkeypatch, LONG, 0.05)
    scheduler, readers = all_flooded(2)
    for _ in range(5):
        getattr(scheduler, comes)(readers[0])
        await asyncio.sleep(0.02)
    assert paused(readers) == [False, True]


async def test_the_last_of_a_round_keeps_its_turn() -> None:
    scheduler, readers = all_flooded(2)
    scheduler.remove(readers[0])
    await asyncio.sleep(SILENCE_LIMIT * 5)
    other = Listener()
    scheduler.filled_buffer(other)
    assert other.paused


async def test_who_has_read_all_waits_for_nobody_if_nobody_waits() -> None:
    scheduler, readers = all_flooded(1)
    scheduler.emptied_socket(readers[0])
    other = Listener()
    scheduler.filled_buffer(other)
    assert not other.paused


async def test_who_reads_less_than_it_could_waits_for_nobody() -> None:
    scheduler, flood, trickle = ReadScheduler(), Listener(), Listener()
    scheduler.filled_buffer(flood)
    scheduler.emptied_socket(trickle)
    assert not trickle.paused
    other = Listener()
    scheduler.filled_buffer(other)
    scheduler.emptied_socket(trickle)
    assert other.paused


@pytest.mark.usefixtures("short")
async def test_a_turn_ends() -> None:
    scheduler, readers = all_flooded(3)
    await asyncio.sleep(TURN * 1.5)
    assert paused(readers) == [False, False, True]
    scheduler.filled_buffer(readers[0])
    assert paused(readers) == [True, False, True]
    await asyncio.sleep(TURN)
    assert paused(readers) == [True, False, False]


async def test_turns_are_shorter_where_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    last(monkeypatch, 0.02)
    monkeypatch.setattr("alpaca_async._http.scheduler.ROUND_LIMIT", 0.1)
    _, readers = all_flooded(101)
    await asyncio.sleep(0.1)
    assert sum(paused(readers)) < 90


async def test_an_early_end_gives_the_next_a_whole_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    last(monkeypatch, 0.2)
    scheduler, readers = all_flooded(3)
    await asyncio.sleep(0.1)
    scheduler.remove(readers[0])
    await asyncio.sleep(0.15)
    assert paused(readers) == [False, False, True]


@pytest.mark.usefixtures("short")
async def test_nobody_keeps_the_rest_waiting_for_long() -> None:
    _, readers = all_flooded(3)
    await asyncio.sleep(TURN * 4)
    assert paused(readers) == [False, False, False]


async def test_who_leaves_is_not_paused_and_keeps_nobody_waiting() -> None:
    scheduler, readers = all_flooded(3)
    scheduler.remove(readers[1])
    assert paused(readers) == [False, False, True]
    scheduler.remove(readers[0])
    assert paused(readers) == [False, False, False]
    scheduler.remove(readers[2])
    scheduler.remove(Listener())


@given(
    st.lists(
        st.tuples(st.sampled_from(["filled_buffer", "emptied_socket", "remove"]), st.integers(0, 4))
    )
)
def test_somebody_reads_and_everybody_comes_to_it(steps: list[tuple[str, int]]) -> None:
    async def act() -> None:
        scheduler, readers = ReadScheduler(), [Listener() for _ in range(5)]
        for step, number in steps:
            reader = readers[number]
            if step == "remove" or not reader.paused:
                getattr(scheduler, step)(reader)
            assert paused(readers) == [scheduler.is_paused(one) for one in readers]
            assert not all(paused(readers))
        for reader in readers * len(readers):
            if not reader.paused:
                scheduler.remove(reader)
        assert not any(paused(readers))

    asyncio.run(act())


# On sockets


class Rooms(MemorySink):
    """Notes in a list that it shares with others when it is filled, and much more is to come."""

    def __init__(self, log: list[Rooms]) -> None:
        super().__init__(ROOM)
        self._log = log

    def received(self, nbytes: int) -> None:
        super().received(nbytes)
        if len(FLOOD) - len(self.content) > READ_LIMIT:
            self._log.append(self)


async def flood(peer: Peer) -> None:
    """Send without end, as far as one room is concerned."""
    await peer.request()
    peer.say(HEAD, FLOOD)
    await peer.gone()


async def stop_after_a_room(peer: Peer, go_on: asyncio.Event | None = None) -> None:
    """Send as much as a read asks for, and not a byte more; less than that later on."""
    await peer.request()
    peer.say(HEAD)
    await settle()
    peer.say(FLOOD[:ROOM])
    if go_on is not None:
        await go_on.wait()
        peer.say(FLOOD[ROOM : ROOM + 10])
    await peer.gone()


@pytest.fixture
async def transport() -> AsyncGenerator[DirectTransport]:
    async with DirectTransport() as transport:
        yield transport


@asynccontextmanager
async def stuck(
    transport: DirectTransport,
    monkeypatch: pytest.MonkeyPatch,
    turn: float = LONG,
    patience: float = LONG,
) -> AsyncGenerator[asyncio.Task[bytes]]:
    """Give the task whose turn it is, and who will not read more."""
    last(monkeypatch, turn, patience)
    async with serving(stop_after_a_room) as server:
        sink = MemorySink(ROOM)
        task = asyncio.create_task(fetch(transport, server.url, sink=sink, read=LONG))
        try:
            while len(sink.content) < ROOM:
                await settle()
            yield task
        finally:
            task.cancel()
            await asyncio.wait([task])


async def test_floods_are_read_one_at_a_time(transport: DirectTransport) -> None:
    log: list[Rooms] = []
    sinks = [Rooms(log) for _ in range(4)]
    async with serving(flood) as one, serving(flood) as two:
        urls = [one.url, two.url] * 2
        await asyncio.gather(
            *(fetch(transport, u, sink=s) for u, s in zip(urls, sinks, strict=True))
        )
    assert [bytes(sink.content) for sink in sinks] == [FLOOD] * 4
    assert len(log) > 2 * len(FLOOD) // ROOM
    assert sum(one is not other for one, other in pairwise(log)) < len(log) / 20


async def test_the_end_of_a_frame_ends_its_turn(
    transport: DirectTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    last(monkeypatch, LONG)
    sinks = [MemorySink(1 << 20) for _ in range(3)]
    async with serving(flood) as one, serving(flood) as two, asyncio.timeout(3):
        urls = [one.url, two.url, one.url]
        await asyncio.gather(
            *(fetch(transport, u, sink=s) for u, s in zip(urls, sinks, strict=True))
        )


async def test_calls_do_not_wait_for_a_turn(
    transport: DirectTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stuck(transport, monkeypatch), serving(flood) as server:
        sinks = [MemorySink(ROOM) for _ in range(2)]
        tasks = [asyncio.create_task(fetch(transport, server.url, sink=sink)) for sink in sinks]
        await settle()
        before = [len(sink.content) for sink in sinks]
        assert await fetch(transport, server.url) == FLOOD
        assert [len(sink.content) for sink in sinks] == before
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def test_small_frames_do_not_wait_for_a_turn(
    transport: DirectTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = FLOOD[: READ_LIMIT + ROOM]

    async def guide(peer: Peer) -> None:
        await peer.answer_all(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(frame) + frame)

    async with stuck(transport, monkeypatch), serving(guide) as server:
        sink = MemorySink(1 << 16)
        await fetch(transport, server.url, sink=sink)
        assert sink.content == frame


@pytest.mark.parametrize(("turn", "patience"), [(0.05, LONG), (LONG, 0.05)])
async def test_who_falls_silent_does_not_hold_the_others_up_for_long(
    transport: DirectTransport, monkeypatch: pytest.MonkeyPatch, turn: float, patience: float
) -> None:
    async with stuck(transport, monkeypatch, turn, patience), serving(flood) as server:
        sink = MemorySink(ROOM)
        start = time.monotonic()
        await fetch(transport, server.url, sink=sink)
        assert sink.content == FLOOD
        assert time.monotonic() - start < 1


async def test_who_has_read_all_there_is_holds_nobody_up(
    transport: DirectTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    last(monkeypatch, LONG)
    little = asyncio.Event()
    little.set()
    script = partial(stop_after_a_room, go_on=little)
    async with serving(script) as first, serving(flood) as second:
        sinks = [MemorySink(ROOM) for _ in range(2)]
        reading = asyncio.create_task(fetch(transport, first.url, sink=sinks[0], read=LONG))
        while len(sinks[0].content) < ROOM + 10:
            await settle()
        await fetch(transport, second.url, sink=sinks[1])
        assert sinks[1].content == FLOOD
        reading.cancel()
        await asyncio.wait([reading])


async def test_the_others_read_on_when_one_is_cancelled(
    transport: DirectTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stuck(transport, monkeypatch) as reading, serving(flood) as server:
        sinks = [MemorySink(ROOM) for _ in range(2)]
        first, second = [
            asyncio.create_task(fetch(transport, server.url, sink=sink)) for sink in sinks
        ]
        await settle()
        first.cancel()
        await settle()
        assert (first.cancelled(), second.done()) == (True, False)
        reading.cancel()
        await second
        assert sinks[1].content == FLOOD


async def test_to_wait_for_a_turn_is_not_the_silence_of_a_server(
    transport: DirectTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stuck(transport, monkeypatch, turn=0.3), serving(flood) as server:
        sink = MemorySink(ROOM)
        await fetch(transport, server.url, sink=sink, read=0.1)
        assert sink.content == FLOOD


async def test_the_silence_of_a_server_begins_with_its_turn(
    transport: DirectTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = asyncio.Event()

    script = partial(stop_after_a_room, go_on=go_on)
    async with stuck(transport, monkeypatch, turn=0.38), serving(script) as server:
        sink = MemorySink(ROOM)
        asyncio.get_running_loop().call_later(0.49, go_on.set)
        with pytest.raises(httpx.ReadTimeout):
            await fetch(transport, server.url, sink=sink, read=0.2)
        assert len(sink.content) == ROOM + 10


async def test_silence_after_a_turn_is_the_silence_of_a_server(
    transport: DirectTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        stuck(transport, monkeypatch, turn=0.2),
        serving(stop_after_a_room) as server,
        asyncio.timeout(2),
    ):
        with pytest.raises(httpx.ReadTimeout):
            await fetch(transport, server.url, sink=MemorySink(ROOM), read=0.1)


async def test_close_ends_those_that_wait_for_their_turn(
    transport: DirectTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stuck(transport, monkeypatch) as reading, serving(flood) as server:
        waiting = asyncio.create_task(fetch(transport, server.url, sink=MemorySink(ROOM)))
        await settle()
        await transport.aclose()
        for task in (reading, waiting):
            with pytest.raises(httpx.ReadError):
                await task
        await server.left()

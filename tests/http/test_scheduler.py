from __future__ import annotations

import asyncio
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
from tests.virtual_time import in_virtual_time

from .support import MemorySink, Peer, fetch, serving, settle

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

LONG: Final = 300.0
TURN: Final = 0.04
BUFFER_SIZE: Final = 1024
LARGE_BODY: Final = bytes(range(256)) * 16384
HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(LARGE_BODY)


class FakeReader:
    """Records whether it is paused."""

    def __init__(self) -> None:
        self.paused = False

    def pause(self) -> None:
        assert not self.paused
        self.paused = True

    def resume(self) -> None:
        assert self.paused
        self.paused = False


def filled_readers(count: int) -> tuple[ReadScheduler, list[FakeReader]]:
    """Return a scheduler, and readers that filled their buffers in this order; the first reads."""
    scheduler, readers = ReadScheduler(), [FakeReader() for _ in range(count)]
    for reader in readers:
        scheduler.filled_buffer(reader)
    return scheduler, readers


def paused(readers: list[FakeReader]) -> list[bool]:
    return [reader.paused for reader in readers]


def set_limits(monkeypatch: pytest.MonkeyPatch, turn: float, silence: float = LONG) -> None:
    """Set the limits of a turn and of silence, in seconds."""
    monkeypatch.setattr("alpaca_async._http.scheduler.TURN_LIMIT", turn)
    monkeypatch.setattr("alpaca_async._http.scheduler.SILENCE_LIMIT", silence)


@pytest.fixture
def short_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    set_limits(monkeypatch, TURN)


@pytest.mark.usefixtures("short_turns")
@in_virtual_time
async def test_a_single_reader_is_never_paused() -> None:
    scheduler, reader = ReadScheduler(), FakeReader()
    for _ in range(5):
        scheduler.filled_buffer(reader)
        await asyncio.sleep(TURN / 2)
        assert not reader.paused


@in_virtual_time
async def test_removing_a_reader_starts_the_next_turn() -> None:
    scheduler, readers = filled_readers(3)
    assert paused(readers) == [False, True, True]
    scheduler.remove(readers[0])
    assert paused(readers) == [False, False, True]
    scheduler.filled_buffer(readers[0])
    assert paused(readers) == [True, False, True]
    scheduler.remove(readers[1])
    assert paused(readers) == [True, False, False]
    scheduler.remove(readers[2])
    assert paused(readers) == [False, False, False]


@pytest.mark.parametrize("event", ["filled_buffer", "emptied_socket"])
@in_virtual_time
async def test_silence_starts_the_next_turn(event: str) -> None:
    scheduler, readers = filled_readers(3)
    getattr(scheduler, event)(readers[0])
    assert paused(readers) == [False, True, True]
    await asyncio.sleep(SILENCE_LIMIT * 8)
    assert paused(readers) == [False, False, False]


@in_virtual_time
async def test_other_readers_do_not_affect_the_silence_timer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_limits(monkeypatch, LONG, 0.05)
    scheduler, readers = filled_readers(3)
    scheduler.remove(readers[0])
    for _ in range(5):
        scheduler.emptied_socket(readers[0])
        scheduler.filled_buffer(readers[1])
        await asyncio.sleep(0.02)
    assert paused(readers) == [False, False, True]


@pytest.mark.parametrize("event", ["filled_buffer", "emptied_socket"])
@in_virtual_time
async def test_a_turn_continues_while_data_arrives(
    event: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_limits(monkeypatch, LONG, 0.05)
    scheduler, readers = filled_readers(2)
    for _ in range(5):
        getattr(scheduler, event)(readers[0])
        await asyncio.sleep(0.02)
    assert paused(readers) == [False, True]


@in_virtual_time
async def test_the_last_reader_of_a_round_keeps_its_turn() -> None:
    scheduler, readers = filled_readers(2)
    scheduler.remove(readers[0])
    await asyncio.sleep(SILENCE_LIMIT * 5)
    other = FakeReader()
    scheduler.filled_buffer(other)
    assert other.paused


@in_virtual_time
async def test_an_emptied_socket_ends_the_turn_when_no_reader_waits() -> None:
    scheduler, readers = filled_readers(1)
    scheduler.emptied_socket(readers[0])
    other = FakeReader()
    scheduler.filled_buffer(other)
    assert not other.paused


@in_virtual_time
async def test_a_slow_reader_is_not_paused() -> None:
    scheduler, fast, slow = ReadScheduler(), FakeReader(), FakeReader()
    scheduler.filled_buffer(fast)
    scheduler.emptied_socket(slow)
    assert not slow.paused
    other = FakeReader()
    scheduler.filled_buffer(other)
    scheduler.emptied_socket(slow)
    assert other.paused


@pytest.mark.usefixtures("short_turns")
@in_virtual_time
async def test_a_turn_ends_at_its_limit() -> None:
    scheduler, readers = filled_readers(3)
    await asyncio.sleep(TURN * 1.5)
    assert paused(readers) == [False, False, True]
    scheduler.filled_buffer(readers[0])
    assert paused(readers) == [True, False, True]
    await asyncio.sleep(TURN)
    assert paused(readers) == [True, False, False]


@in_virtual_time
async def test_turns_are_shorter_when_many_readers_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    set_limits(monkeypatch, 0.02)
    monkeypatch.setattr("alpaca_async._http.scheduler.ROUND_LIMIT", 0.1)
    _, readers = filled_readers(101)
    await asyncio.sleep(0.1)
    assert sum(paused(readers)) < 90


@in_virtual_time
async def test_a_turn_is_not_shortened_by_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    set_limits(monkeypatch, 0.2)
    scheduler, readers = filled_readers(3)
    await asyncio.sleep(0.1)
    scheduler.remove(readers[0])
    await asyncio.sleep(0.15)
    assert paused(readers) == [False, False, True]


@pytest.mark.parametrize(("waiting", "seconds"), [(1, 0.25), (8, 0.25), (100, 0.02)])
@in_virtual_time
async def test_a_turn_takes_a_quarter_of_a_second_or_a_share_of_two(
    monkeypatch: pytest.MonkeyPatch, waiting: int, seconds: float
) -> None:
    monkeypatch.setattr("alpaca_async._http.scheduler.SILENCE_LIMIT", LONG)
    _, readers = filled_readers(1 + waiting)
    # The first turn begins when only one reader waits.
    await asyncio.sleep(0.251 if waiting > 1 else 0)
    second = readers[2] if waiting > 1 else readers[1]
    await asyncio.sleep(seconds * 0.9)
    assert second.paused
    await asyncio.sleep(seconds * 0.2)
    assert not second.paused


@in_virtual_time
async def test_a_turn_ends_after_two_milliseconds_of_silence() -> None:
    _, readers = filled_readers(2)
    await asyncio.sleep(0.0015)
    assert readers[1].paused
    await asyncio.sleep(0.001)
    assert not readers[1].paused


@in_virtual_time
async def test_the_limit_of_a_turn_that_ended_early_does_not_end_a_later_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("alpaca_async._http.scheduler.SILENCE_LIMIT", LONG)
    scheduler, (first, second) = filled_readers(2)
    scheduler.remove(first)
    assert not second.paused
    await asyncio.sleep(0.3)
    scheduler.filled_buffer(first)
    assert first.paused
    await asyncio.sleep(0.3)
    assert not first.paused


@pytest.mark.usefixtures("short_turns")
@in_virtual_time
async def test_every_reader_gets_a_turn() -> None:
    _, readers = filled_readers(3)
    await asyncio.sleep(TURN * 4)
    assert paused(readers) == [False, False, False]


@in_virtual_time
async def test_a_removed_reader_is_not_paused() -> None:
    scheduler, readers = filled_readers(3)
    scheduler.remove(readers[1])
    assert paused(readers) == [False, False, True]
    scheduler.remove(readers[0])
    assert paused(readers) == [False, False, False]
    scheduler.remove(readers[2])
    scheduler.remove(FakeReader())


@given(
    st.lists(
        st.tuples(st.sampled_from(["filled_buffer", "emptied_socket", "remove"]), st.integers(0, 4))
    )
)
def test_one_reader_is_always_active_and_none_starves(steps: list[tuple[str, int]]) -> None:
    async def act() -> None:
        scheduler, readers = ReadScheduler(), [FakeReader() for _ in range(5)]
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


class LoggingSink(MemorySink):
    """Appends itself to a shared log at each read, except near the end of the body."""

    def __init__(self, log: list[LoggingSink]) -> None:
        super().__init__(BUFFER_SIZE)
        self._log = log

    def received(self, nbytes: int) -> None:
        super().received(nbytes)
        if len(LARGE_BODY) - len(self.content) > READ_LIMIT:
            self._log.append(self)


async def send_large_body(peer: Peer) -> None:
    """Send a body that is much larger than the sink's buffer."""
    await peer.request()
    peer.send(HEAD, LARGE_BODY)
    await peer.wait_closed()


async def stop_after_one_read(peer: Peer, go_on: asyncio.Event | None = None) -> None:
    """Send exactly one buffer; after `go_on`, send ten bytes more."""
    await peer.request()
    peer.send(HEAD)
    await settle()
    peer.send(LARGE_BODY[:BUFFER_SIZE])
    if go_on is not None:
        await go_on.wait()
        peer.send(LARGE_BODY[BUFFER_SIZE : BUFFER_SIZE + 10])
    await peer.wait_closed()


@pytest.fixture
async def transport() -> AsyncGenerator[DirectTransport]:
    async with DirectTransport() as transport:
        yield transport


@asynccontextmanager
async def stalled_reader(
    transport: DirectTransport,
    monkeypatch: pytest.MonkeyPatch,
    turn: float = LONG,
    silence: float = LONG,
) -> AsyncGenerator[asyncio.Task[bytes]]:
    """Yield a task that has the turn, but whose server has stopped sending."""
    set_limits(monkeypatch, turn, silence)
    async with serving(stop_after_one_read) as server:
        sink = MemorySink(BUFFER_SIZE)
        task = asyncio.create_task(fetch(transport, server.url, sink=sink, read=LONG))
        try:
            while len(sink.content) < BUFFER_SIZE:
                await settle()
            yield task
        finally:
            task.cancel()
            await asyncio.wait([task])


async def test_large_downloads_are_read_one_at_a_time(transport: DirectTransport) -> None:
    log: list[LoggingSink] = []
    sinks = [LoggingSink(log) for _ in range(4)]
    async with serving(send_large_body) as one, serving(send_large_body) as two:
        urls = [one.url, two.url] * 2
        await asyncio.gather(
            *(fetch(transport, u, sink=s) for u, s in zip(urls, sinks, strict=True))
        )
    assert [bytes(sink.content) for sink in sinks] == [LARGE_BODY] * 4
    assert len(log) > 2 * len(LARGE_BODY) // BUFFER_SIZE
    assert sum(one is not other for one, other in pairwise(log)) < len(log) / 20


async def test_the_end_of_a_frame_ends_its_turn(
    transport: DirectTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_limits(monkeypatch, LONG)
    sinks = [MemorySink(1 << 20) for _ in range(3)]
    async with serving(send_large_body) as one, serving(send_large_body) as two, asyncio.timeout(3):
        urls = [one.url, two.url, one.url]
        await asyncio.gather(
            *(fetch(transport, u, sink=s) for u, s in zip(urls, sinks, strict=True))
        )


async def test_small_calls_do_not_wait_for_a_turn(
    transport: DirectTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stalled_reader(transport, monkeypatch), serving(send_large_body) as server:
        sinks = [MemorySink(BUFFER_SIZE) for _ in range(2)]
        tasks = [asyncio.create_task(fetch(transport, server.url, sink=sink)) for sink in sinks]
        await settle()
        before = [len(sink.content) for sink in sinks]
        assert await fetch(transport, server.url) == LARGE_BODY
        assert [len(sink.content) for sink in sinks] == before
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def test_small_frames_do_not_wait_for_a_turn(
    transport: DirectTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = LARGE_BODY[: READ_LIMIT + BUFFER_SIZE]

    async def guide(peer: Peer) -> None:
        await peer.answer_all(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(frame) + frame)

    async with stalled_reader(transport, monkeypatch), serving(guide) as server:
        sink = MemorySink(1 << 16)
        await fetch(transport, server.url, sink=sink)
        assert sink.content == frame


@pytest.mark.parametrize(("turn", "silence"), [(0.05, LONG), (LONG, 0.05)])
async def test_a_stalled_server_does_not_block_the_others(
    transport: DirectTransport, monkeypatch: pytest.MonkeyPatch, turn: float, silence: float
) -> None:
    async with (
        stalled_reader(transport, monkeypatch, turn, silence),
        serving(send_large_body) as server,
    ):
        sink = MemorySink(BUFFER_SIZE)
        await fetch(transport, server.url, sink=sink)
        assert sink.content == LARGE_BODY


async def test_an_emptied_socket_does_not_block_the_others(
    transport: DirectTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_limits(monkeypatch, LONG)
    go_on = asyncio.Event()
    go_on.set()
    script = partial(stop_after_one_read, go_on=go_on)
    async with serving(script) as first, serving(send_large_body) as second:
        sinks = [MemorySink(BUFFER_SIZE) for _ in range(2)]
        reading = asyncio.create_task(fetch(transport, first.url, sink=sinks[0], read=LONG))
        while len(sinks[0].content) < BUFFER_SIZE + 10:
            await settle()
        await fetch(transport, second.url, sink=sinks[1])
        assert sinks[1].content == LARGE_BODY
        reading.cancel()
        await asyncio.wait([reading])


async def test_the_others_continue_when_one_is_cancelled(
    transport: DirectTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        stalled_reader(transport, monkeypatch) as reading,
        serving(send_large_body) as server,
    ):
        sinks = [MemorySink(BUFFER_SIZE) for _ in range(2)]
        first, second = [
            asyncio.create_task(fetch(transport, server.url, sink=sink)) for sink in sinks
        ]
        await settle()
        first.cancel()
        await settle()
        assert (first.cancelled(), second.done()) == (True, False)
        reading.cancel()
        await second
        assert sinks[1].content == LARGE_BODY


async def test_waiting_for_a_turn_does_not_count_towards_the_read_timeout(
    transport: DirectTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stalled_reader(transport, monkeypatch, turn=0.3), serving(send_large_body) as server:
        sink = MemorySink(BUFFER_SIZE)
        await fetch(transport, server.url, sink=sink, read=0.1)
        assert sink.content == LARGE_BODY


async def test_the_read_timeout_restarts_with_the_turn(
    transport: DirectTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = asyncio.Event()

    script = partial(stop_after_one_read, go_on=go_on)
    async with stalled_reader(transport, monkeypatch, turn=0.38), serving(script) as server:
        sink = MemorySink(BUFFER_SIZE)
        asyncio.get_running_loop().call_later(0.49, go_on.set)
        with pytest.raises(httpx.ReadTimeout):
            await fetch(transport, server.url, sink=sink, read=0.2)
        assert len(sink.content) == BUFFER_SIZE + 10


async def test_a_stalled_server_times_out_after_its_turn(
    transport: DirectTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        stalled_reader(transport, monkeypatch, turn=0.2),
        serving(stop_after_one_read) as server,
        asyncio.timeout(2),
    ):
        with pytest.raises(httpx.ReadTimeout):
            await fetch(transport, server.url, sink=MemorySink(BUFFER_SIZE), read=0.1)


async def test_close_ends_paused_downloads(
    transport: DirectTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        stalled_reader(transport, monkeypatch) as reading,
        serving(send_large_body) as server,
    ):
        waiting = asyncio.create_task(fetch(transport, server.url, sink=MemorySink(BUFFER_SIZE)))
        await settle()
        await transport.aclose()
        for task in (reading, waiting):
            with pytest.raises(httpx.ReadError):
                await task
        await server.wait_closed()

"""One iteration of the event loop reads little, however much has arrived, on every loop."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections import Counter
from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, cast

import pytest

from alpaca_async._http.reading import Pause, Reading
from alpaca_async._http.transport import DirectTransport
from tests.loops import on_each_loop, run

from .support import MemorySink, fetch
from .test_tls import new_identity

if TYPE_CHECKING:
    from collections.abc import Generator

MIB: Final = 1 << 20
SIZE: Final = 24 * MIB


class Transport:
    """Records whether it reads."""

    def __init__(self) -> None:
        self.reads = True
        self.resumed = 0

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True
        self.resumed += 1


def paused_transport() -> tuple[Transport, Reading]:
    transport = Transport()
    return transport, Reading(cast("Any", transport), asyncio.get_running_loop())


async def test_reading_resumes_with_the_last_reason() -> None:
    transport, reading = paused_transport()
    reading.pause(Pause.TURN)
    reading.pause(Pause.UNREAD)
    reading.resume(Pause.TURN)
    assert not transport.reads
    reading.resume(Pause.TURN)
    assert not transport.reads
    reading.resume(Pause.UNREAD)
    assert transport.reads


async def test_what_was_not_paused_is_not_resumed() -> None:
    transport, reading = paused_transport()
    reading.resume(Pause.UNREAD)
    assert not transport.resumed


async def test_a_loop_that_reads_once_in_each_iteration_is_not_paused() -> None:
    transport, reading = paused_transport()
    for _ in range(5):
        reading.may_be_repeated()
        assert transport.reads
        await asyncio.sleep(0)
    assert not transport.resumed


async def test_a_loop_that_repeats_full_reads_is_paused_until_its_next_iteration() -> None:
    transport, reading = paused_transport()
    reading.may_be_repeated()
    reading.may_be_repeated()
    assert [transport.reads] == [False]
    await asyncio.sleep(0)
    assert [transport.reads] == [True]
    reading.may_be_repeated()  # from now on the first full read is the only one
    assert not transport.reads


async def test_the_next_iteration_does_not_end_a_wait_for_the_turn() -> None:
    transport, reading = paused_transport()
    reading.may_be_repeated()
    reading.may_be_repeated()
    reading.pause(Pause.TURN)
    await asyncio.sleep(0)
    assert not transport.reads
    reading.resume(Pause.TURN)
    assert transport.reads


class SlowSink(MemorySink):
    """Counts what an iteration reads; takes so long that the next data has arrived."""

    def __init__(self) -> None:
        super().__init__(MIB)
        self.iteration = 0
        self.reads: Counter[int] = Counter()  # those that filled the buffer
        self.nbytes: Counter[int] = Counter()
        asyncio.get_running_loop().call_soon(self.count)

    def count(self) -> None:
        self.iteration += 1
        if len(self.content) < SIZE:
            asyncio.get_running_loop().call_soon(self.count)

    def received(self, nbytes: int) -> None:
        super().received(nbytes)
        self.reads[self.iteration] += nbytes == MIB
        self.nbytes[self.iteration] += nbytes
        until = perf_counter() + 0.003
        while perf_counter() < until:
            pass


@contextmanager
def flooding(count: int, context: ssl.SSLContext | None = None) -> Generator[str]:
    """Serve `count` bodies from threads, as fast as the sockets take them."""

    def serve(plain: socket.socket) -> None:
        with plain if context is None else context.wrap_socket(plain, server_side=True) as peer:
            peer.recv(65536)
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE)
            peer.sendall(bytes(SIZE))

    def listen() -> None:
        threads = [threading.Thread(target=serve, args=listener.accept()[:1]) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepting = threading.Thread(target=listen)
        accepting.start()
        yield f"http{'s' if context else ''}://127.0.0.1:{listener.getsockname()[1]}"
        accepting.join()


@on_each_loop
@pytest.mark.parametrize("count", [1, 3])
def test_an_iteration_reads_two_full_buffers_at_most(loop: str, count: int) -> None:
    async def main(url: str) -> list[SlowSink]:
        sinks = [SlowSink() for _ in range(count)]
        async with DirectTransport(connections_per_server=6) as transport, asyncio.timeout(30):
            await asyncio.gather(*(fetch(transport, url, sink=sink) for sink in sinks))
        return sinks

    with flooding(count) as url:
        sinks = run(main(url), loop)
    for sink in sinks:
        assert len(sink.content) == SIZE
        assert max(sink.reads.values()) <= 2
        assert sum(reads > 1 for reads in sink.reads.values()) <= 1


@on_each_loop
def test_an_iteration_decrypts_little(loop: str) -> None:
    identity = new_identity()
    trusting = ssl.create_default_context(cadata=identity.authority.cert_pem.bytes().decode())

    async def main(url: str) -> SlowSink:
        sink = SlowSink()
        async with DirectTransport(verify=trusting) as transport, asyncio.timeout(30):
            await fetch(transport, url, sink=sink)
        return sink

    with flooding(1, identity.server) as url:
        sink = run(main(url), loop)
    assert len(sink.content) == SIZE
    assert max(sink.nbytes.values()) <= 2 * MIB  # all of the last MiB, lest its end be lost

"""One object in several event loops that run at the same time, each in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future, wait
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import pytest

from alpaca_async import AlpacaClient, AsyncCamera, ExposureAborted, Image, TransportError
from alpaca_async._loops import PerLoop, Turns
from alpaca_async.testing import SimulatedCamera, SimulatorServer, run_in_thread
from tests.conditions import until

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator, Iterator

T = TypeVar("T")


class LoopInThread:
    """An event loop that runs in a thread."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()

    def start(self, work: Coroutine[object, object, T]) -> Future[T]:
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def run(self, work: Coroutine[object, object, T]) -> T:
        return self.start(work).result(20)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


@contextmanager
def two_loops() -> Generator[tuple[LoopInThread, LoopInThread]]:
    loops = LoopInThread(), LoopInThread()
    try:
        yield loops
    finally:
        for loop in loops:
            loop.close()


@pytest.fixture
def simulated() -> SimulatedCamera:
    return SimulatedCamera(width=400, height=300, readout_time=0.02, initially_connected=True)


@pytest.fixture
def address(simulated: SimulatedCamera) -> Iterator[str]:
    with run_in_thread(SimulatorServer([simulated])) as server:
        yield server.address


async def poll(camera: AsyncCamera, stop: threading.Event) -> int:
    polls = 0
    while not stop.is_set():
        await camera.get_status()
        polls += 1
    return polls


def test_no_call_is_lost_while_two_loops_use_one_camera(
    address: str, simulated: SimulatedCamera
) -> None:
    camera = AsyncCamera(address)
    stop = threading.Event()
    with two_loops() as (one, other):
        polling = other.start(poll(camera, stop))
        for _ in range(8):
            assert isinstance(one.run(camera.expose(0.05)), Image)
        stop.set()
        assert polling.result(20) > 8
        one.run(camera.aclose())
    assert not simulated.count("abortexposure")


def test_both_loops_poll_at_the_same_time(address: str) -> None:
    async def ask(camera: AsyncCamera) -> None:
        for _ in range(200):
            await camera.get_ccd_temperature()

    camera = AsyncCamera(address)
    with two_loops() as loops:
        futures = [loop.start(ask(camera)) for loop in loops]
        wait(futures, 30)
        assert [future.exception() for future in futures] == [None, None]
        loops[0].run(camera.aclose())


def test_an_abort_in_one_loop_ends_the_exposure_in_the_other(
    address: str, simulated: SimulatedCamera
) -> None:
    client = AlpacaClient()
    with two_loops() as (one, other):
        exposing = one.start(client.camera(address).expose(60))
        while not simulated.count("startexposure"):
            pass
        other.run(client.camera(address).abort_exposure())
        assert isinstance(exposing.exception(20), ExposureAborted)
        other.run(client.aclose())


def test_closing_in_one_loop_aborts_what_runs_in_the_other(
    address: str, simulated: SimulatedCamera
) -> None:
    client = AlpacaClient()
    with two_loops() as (one, other):
        exposing = one.start(client.camera(address).expose(60))
        while not simulated.count("startexposure"):
            pass
        other.run(client.aclose())
        assert isinstance(exposing.exception(0), TransportError)
    assert simulated.count("abortexposure") == 1


def test_frames_are_set_one_after_the_other_from_both_loops(
    address: str, simulated: SimulatedCamera
) -> None:
    camera = AsyncCamera(address)

    async def change(binning: int) -> None:
        for _ in range(5):
            await camera.reset_frame(binning, binning)

    with two_loops() as loops:
        futures = [loop.start(change(binning)) for loop, binning in zip(loops, (1, 2), strict=True)]
        for future in futures:
            future.result(20)
        loops[0].run(camera.aclose())
    assert (simulated.bin_x, simulated.num_x) in {(1, 400), (2, 200)}


def test_a_turn_goes_on_to_the_next_loop_that_is_alive() -> None:
    turns = Turns()
    order: list[str] = []

    async def hold(name: str, inside: threading.Event, leave: threading.Event) -> None:
        async with turns():
            order.append(name)
            inside.set()
            await until(leave.is_set)

    leave, inside, later = threading.Event(), threading.Event(), threading.Event()
    with two_loops() as (one, other):
        first = one.start(hold("first", inside, leave))
        inside.wait(10)
        given_up = one.start(hold("given up", threading.Event(), leave))
        second = other.start(hold("second", later, leave))
        given_up.cancel()
        one.run(asyncio.sleep(0.01))  # the cancellation is a callback of that loop
        leave.set()
        first.result(10)
        second.result(10)
    assert order == ["first", "second"]


def test_values_of_closed_loops_are_discarded() -> None:
    discarded: list[object] = []
    made = iter(range(9))
    values = PerLoop(lambda: next(made), discarded.append)

    async def get() -> int:
        return values.get() + values.get()

    assert asyncio.run(get()) == 0
    assert asyncio.run(get()) == 2
    assert discarded == [0]
    assert values.values() == [1]

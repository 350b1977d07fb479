"""What `CameraHosts` costs beside a `CameraGroup`: time, memory, and the death of a worker."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING, Final

from alpaca_async import CameraAddress, CameraGroup, ExposureRequest
from alpaca_async._optional import load
from alpaca_async.ray import CameraHost, CameraHosts

from .measure import MIB
from .nodes import PAGE, Told, cluster, simulators, tell

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from alpaca_async._group.member import Then

BIG: Final = (6224, 4168)
FRAME: Final = 2 * BIG[0] * BIG[1]
"""Bytes of a frame of 16-bit pixels."""
_NODES: Final = 2
_CAMERAS: Final = 8
_SHORT: Final = 0.01
"""Seconds of an exposure of which only the download counts."""
_LONG: Final = 60.0
"""Seconds of an exposure that does not end by itself."""
_SAMPLE_INTERVAL: Final = 0.01


def print_overhead(runs: int) -> None:
    """Compare the time of a 26-megapixel frame through a group and through a worker."""
    with cluster(2):
        asyncio.run(_overhead(runs))


async def _overhead(runs: int) -> None:
    with simulators(1, 1, BIG, noise=False) as (server,):
        address = CameraAddress(server.address)
        host = CameraHost([address], resource="host0")
        async with CameraGroup([address]) as group, CameraHosts([host]) as hosts:
            await group.connect()
            await hosts.connect()
            plain: list[float] = []
            remote: list[float] = []
            differences: list[float] = []
            fetches: list[float] = []
            puts: list[float] = []
            copies: list[float] = []
            for _ in range(runs + 1):
                begun = perf_counter()
                (image,) = await group.expose_all(_SHORT)
                plain.append(perf_counter() - begun)
                del image
                begun = perf_counter()
                (stored,) = await hosts.expose_all(_SHORT)
                remote.append(perf_counter() - begun)
                begun = perf_counter()
                pixels = (await stored.get()).data
                fetches.append(perf_counter() - begun)
                puts.append(_duration_of(partial(load("ray", extra="ray").put, pixels)))
                copies.append(_duration_of(pixels.copy))
                del stored, pixels
                differences.append(remote[-1] - plain[-1])
    for name, times in (
        ("group", plain[1:]),
        ("worker", remote[1:]),
        ("difference", differences[1:]),
        ("get() on another node", fetches[1:]),
        ("ray.put() alone", puts[1:]),
        ("numpy's copy", copies[1:]),
    ):
        print(
            f"26 megapixels, {name}: median {1e3 * median(times):.0f} ms,"
            f" {1e3 * min(times):.0f} to {1e3 * max(times):.0f}"
        )


def _duration_of(function: Callable[[], object]) -> float:
    """Return how many seconds a function takes, its result not freed."""
    begun = perf_counter()
    result = function()
    seconds = perf_counter() - begun
    del result
    return seconds


@dataclass(slots=True)
class Peak:
    """The largest growth since the beginning, in bytes, of each and at the same time of both."""

    workers: int = 0
    store: int = 0
    total: int = 0


def print_memory(rounds: int) -> None:
    """Print how much the memory of workers and object stores grows by frames of 26 megapixels."""
    with (
        cluster(_NODES, store=_CAMERAS * 2 * FRAME),
        simulators(2, _CAMERAS // 2, BIG) as servers,
    ):
        hosts = [
            CameraHost(
                [CameraAddress(server.address, n) for n in range(_CAMERAS // _NODES)],
                resource=f"host{number}",
            )
            for number, server in enumerate(servers)
        ]
        for name, then in (("images", None), ("then", tell)):
            peak = asyncio.run(memory_of(hosts, rounds, then))
            print(
                f"{name}: {_CAMERAS} cameras of 26 megapixels, {rounds} rounds: at most"
                f" {_frames(peak.total)} frames a camera,"
                f" {_frames(peak.workers)} in the workers, {_frames(peak.store)} in the stores"
                f" ({peak.total / MIB:.0f} MiB)",
                flush=True,
            )


def _frames(size: int) -> str:
    return f"{size / FRAME / _CAMERAS:.2f}"


async def memory_of(hosts: list[CameraHost], rounds: int, then: Then | None) -> Peak:
    """Return how much the memory of the workers, and of what they have stored, grows."""
    async with CameraHosts(hosts) as cameras:
        await cameras.connect()
        with _sampled(await _processes_of(cameras)) as peak:
            async with cameras.exposures(_SHORT, count=rounds, then=then) as stream:
                async for outcomes in stream:
                    assert not any(outcome.error for outcome in outcomes)
                    await asyncio.sleep(0.2)  # a program that looks at its frames for a moment
        return peak


async def _processes_of(cameras: CameraHosts) -> list[int]:
    """Return the processes of the workers, without an exposure."""
    with TemporaryDirectory() as folder:
        await cameras.expose(ExposureRequest(_SHORT, prepare=partial(_note_process, folder)))
        return [int(path.name) for path in Path(folder).iterdir()]  # noqa: ASYNC240 - a few names


async def _note_process(folder: str) -> None:
    (Path(folder) / str(os.getpid())).touch()
    raise RuntimeError("no exposure: only the process is of interest")


@contextmanager
def _sampled(processes: list[int]) -> Generator[Peak]:
    """Yield the peak of the memory, measured in a thread until the end of the block."""
    peak, ended = Peak(), threading.Event()
    begin = _used(processes)

    def sample() -> None:
        while not ended.wait(_SAMPLE_INTERVAL):
            now = _used(processes)
            workers, store = now[0] - begin[0], now[1] - begin[1]
            peak.workers = max(peak.workers, workers)
            peak.store = max(peak.store, store)
            peak.total = max(peak.total, workers + store)

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()


def _used(processes: list[int]) -> tuple[int, int]:
    """Return the memory of the processes of their own, and what they use of shared memory."""
    each = [Path(f"/proc/{process}/statm").read_text().split() for process in processes]
    shared = sum(int(fields[2]) for fields in each)
    return (sum(int(fields[1]) for fields in each) - shared) * PAGE, shared * PAGE


def print_deaths(deaths: int) -> None:
    """Print how long it takes until a killed worker's frames are errors, and until it is back."""
    with cluster(2), simulators(4, 12, (64, 48)) as servers:
        hosts = [
            CameraHost(
                [CameraAddress(server.address, n) for n in range(12)], resource=f"host{number % 2}"
            )
            for number, server in enumerate(servers)
        ]
        asyncio.run(_deaths(hosts, deaths))


async def _deaths(hosts: list[CameraHost], deaths: int) -> None:
    noticed: list[float] = []
    back: list[float] = []
    async with CameraHosts(hosts) as cameras:
        await cameras.connect()
        for _ in range(deaths):
            (first, *_) = await cameras.expose(_SHORT, then=tell)
            assert isinstance(first.result, Told)
            async with cameras.outcomes(_LONG) as stream:
                waiting = asyncio.ensure_future(anext(stream))
                await asyncio.sleep(1.0)
                killed = perf_counter()
                os.kill(first.result.pid, signal.SIGKILL)
                await waiting
                noticed.append(perf_counter() - killed)
            outcomes = await cameras.expose(_SHORT, then=tell, prepare_timeout=60)
            back.append(perf_counter() - killed)
            assert not any(outcome.error for outcome in outcomes)
    for name, times in (
        ("the first of its frames is an error", noticed),
        ("all 48 cameras have their next frame", back),
    ):
        print(
            f"a worker with 12 cameras is killed: {name} after {median(times):.1f} s,"
            f" {min(times):.1f} to {max(times):.1f}"
        )

"""An array of simulated cameras on Ray: `python -m benchmarks.array --cameras 900`.

Starts a cluster of some nodes on this machine and cameras in processes of their own. Takes rounds
at given times, and prints what they cost: frames, start skew, requests, processor time, memory. A
round is one `expose` with `at=`; each frame is processed by `then=` in its worker.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from alpaca_async import CameraAddress, CameraGroup
from alpaca_async._optional import load
from alpaca_async.ray import CameraHost, CameraHosts

from .server import ROOT
from .simulator import Simulator

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Sequence

    from alpaca_async import Exposure, Image

_STORE: Final = 300_000_000
_LEAD: Final = 2.0
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_MIB: Final = 2**20
_BIG: Final = (6224, 4168)
_SHORT: Final = 0.01
"""Seconds of an exposure of which only the download counts."""


class Told(NamedTuple):
    """What `then` tells of a frame and of the process that took it."""

    started: float
    pid: int
    resident: int


@dataclass(slots=True)
class Round:
    """One round: its frames, the spread of their starts, and its costs."""

    frames: int
    errors: list[str]
    skew: float
    """Seconds from the first to the last start, by the middles of the StartExposure requests."""
    late: float
    """Seconds from the given time to the median start."""
    seconds: float
    driver_cpu: float
    workers: dict[int, int] = field(default_factory=dict[int, int])


async def tell(_: CameraAddress, image: Image[Exposure]) -> Told:
    """Look at a frame in its worker, and return a few numbers."""
    await image.statistics()
    return Told(image.exposure.started.timestamp(), os.getpid(), resident())


def resident() -> int:
    """Return the resident memory of this process without what it shares, in bytes."""
    _, all_pages, shared = map(int, Path("/proc/self/statm").read_text().split()[:3])
    return (all_pages - shared) * _PAGE


@contextmanager
def cluster(nodes: int) -> Generator[None]:
    """Run a head and `nodes` other nodes on this machine, with the resources host0, host1, ..."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray, utilities = load("ray", extra="ray"), load("ray.cluster_utils", extra="ray")
    head = {"num_cpus": 1, "object_store_memory": _STORE, "include_dashboard": False}
    started: Any = utilities.Cluster(initialize_head=True, head_node_args=head)
    for number in range(nodes):
        resources = {f"host{number}": 1}
        started.add_node(num_cpus=1, resources=resources, object_store_memory=_STORE)
    ray.init(address=started.address, log_to_driver=False, logging_level="ERROR")
    try:
        yield
    finally:
        ray.shutdown()
        started.shutdown()


@contextmanager
def simulators(
    processes: int, cameras: int, frame: tuple[int, int], *, noise: bool = True
) -> Generator[list[Simulator]]:
    """Run `cameras` cameras in each of some processes."""
    arguments = map(str, (cameras, *frame, int(noise)))
    command = [sys.executable, "-m", "benchmarks.simulator", *arguments]
    with ExitStack() as stack:
        running = [
            stack.enter_context(
                subprocess.Popen(  # noqa: S603 - this very package
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True
                )
            )
            for _ in range(processes)
        ]
        yield [Simulator(process) for process in running]


async def take_round(expose: Callable[[datetime], Awaitable[Sequence[Any]]], lead: float) -> Round:
    """Take one round that starts `lead` seconds from now."""
    at = datetime.now(UTC) + timedelta(seconds=lead)
    begun, cpu = perf_counter(), process_time()
    outcomes = await expose(at)
    told = [outcome.result for outcome in outcomes if outcome.error is None]
    starts = [each.started for each in told]
    return Round(
        frames=len(told),
        errors=[str(outcome.error) for outcome in outcomes if outcome.error is not None],
        skew=max(starts) - min(starts),
        late=median(starts) - at.timestamp(),
        seconds=perf_counter() - begun - lead,
        driver_cpu=process_time() - cpu,
        workers={each.pid: each.resident for each in told},
    )


async def measure(options: argparse.Namespace, servers: list[Simulator]) -> None:
    """Connect, take the rounds, and print a line for each."""
    each = options.cameras // options.servers
    addresses = [[CameraAddress(s.address, n) for n in range(each)] for s in servers]
    per_worker = len(addresses) // options.workers
    hosts = [
        CameraHost(
            [address for server in addresses[first : first + per_worker] for address in server],
            resource=f"host{number % options.nodes}",
        )
        for number, first in enumerate(range(0, len(addresses), per_worker))
    ]
    begun = perf_counter()
    async with CameraHosts(hosts) as cameras:
        connected = await cameras.connect(timeout=120)
        failed = [str(outcome.error) for outcome in connected if outcome.error is not None]
        print(f"connected {len(connected)} cameras on {len(hosts)} workers", end="")
        print(f" in {perf_counter() - begun:.1f} s, {len(failed)} errors", *failed[:3])

        async def expose(at: datetime) -> Sequence[Any]:
            return await cameras.expose(
                options.exposure, at=at, then=tell, prepare_timeout=60, ready_timeout=60
            )

        for number in range(options.rounds):
            before = perf_counter()
            this_round = await take_round(expose, _LEAD)
            print_round(number, this_round, servers)
            if number + 1 < options.rounds:
                await asyncio.sleep(max(0.0, options.interval - (perf_counter() - before)))


def print_round(number: int, this_round: Round, servers: list[Simulator]) -> None:
    """Print what a round was, and what the cameras saw of it."""
    arrived = [start for server in servers for start in server.starts()]
    memory = sorted(this_round.workers.values())
    print(
        f"round {number}: {this_round.frames} frames, {len(this_round.errors)} errors,"
        f" skew {1e3 * this_round.skew:.0f} ms"
        f" (by the cameras {1e3 * (max(arrived) - min(arrived)):.0f} ms),"
        f" median start {1e3 * this_round.late:.0f} ms after the time,"
        f" {this_round.seconds:.1f} s from the time to the last result,"
        f" driver {this_round.driver_cpu:.2f} s CPU,"
        f" a worker {memory[len(memory) // 2] / _MIB:.0f} MiB,"
        f" driver {resident() / _MIB:.0f} MiB",
        *this_round.errors[:3],
        flush=True,
    )


async def overhead(runs: int) -> None:
    """Compare the time of a 26-megapixel frame through a group and through a worker."""
    with simulators(1, 1, _BIG, noise=False) as (server,):
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
                puts.append(duration_of(partial(load("ray", extra="ray").put, pixels)))
                copies.append(duration_of(pixels.copy))
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


def duration_of(function: Callable[[], object]) -> float:
    """Return how many seconds a function takes, its result not freed."""
    begun = perf_counter()
    result = function()
    seconds = perf_counter() - begun
    del result
    return seconds


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the arguments, start everything, and measure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.array", description=__doc__)
    parser.add_argument("--cameras", type=int, default=48)
    parser.add_argument("--servers", type=int, default=4, help="processes of simulated cameras")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--nodes", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--interval", type=float, default=5.0, help="seconds between rounds")
    parser.add_argument("--exposure", type=float, default=1.0)
    parser.add_argument("--overhead", type=int, default=0, metavar="RUNS", help="only that")
    parser.add_argument("--size", type=json.loads, default=[64, 48], metavar="[WIDTH,HEIGHT]")
    options = parser.parse_args(arguments)
    with cluster(options.nodes):
        if options.overhead:
            asyncio.run(overhead(options.overhead))
            return
        each = options.cameras // options.servers
        with simulators(options.servers, each, tuple(options.size)) as servers:
            asyncio.run(measure(options, servers))


if __name__ == "__main__":
    main()

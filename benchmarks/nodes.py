"""A Ray cluster and simulated cameras on this machine, and what a worker tells of a frame."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from alpaca_async._optional import load

from .server import ROOT
from .simulator import Simulator

if TYPE_CHECKING:
    from collections.abc import Generator

    from alpaca_async import CameraAddress, Exposure, Image

PAGE: Final = os.sysconf("SC_PAGE_SIZE")
STORE: Final = 300_000_000
"""Bytes of the object store of each node."""


@contextmanager
def cluster(nodes: int, *, store: int = STORE) -> Generator[None]:
    """Run a head and `nodes` other nodes on this machine, with the resources host0, host1, ..."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray, utilities = load("ray", extra="ray"), load("ray.cluster_utils", extra="ray")
    head = {"num_cpus": 1, "object_store_memory": store, "include_dashboard": False}
    started: Any = utilities.Cluster(initialize_head=True, head_node_args=head)
    for number in range(nodes):
        resources = {f"host{number}": 1}
        started.add_node(num_cpus=1, resources=resources, object_store_memory=store)
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


class Told(NamedTuple):
    """What `then` tells of a frame and of the process that took it."""

    started: float
    pid: int
    resident: int


async def tell(_: CameraAddress, image: Image[Exposure]) -> Told:
    """Look at a frame in its worker, and return a few numbers."""
    await image.statistics()
    return Told(image.exposure.started.timestamp(), os.getpid(), resident())


def resident() -> int:
    """Return the resident memory of this process without what it shares, in bytes."""
    _, all_pages, shared = map(int, Path("/proc/self/statm").read_text().split()[:3])
    return (all_pages - shared) * PAGE

"""A soak test on a bad network: `python -m benchmarks.soak --help`.

Many cameras take frames and answer calls at once, behind a proxy that injects random faults. About
one operation in twenty is cancelled. The servers run in another process, so that only the client's
memory is measured. It is measured between the rounds, when no operation is running.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import gc
import os
import random
import subprocess
import sys
import threading
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, Final

from anyio import to_thread

from alpaca_async import AlpacaClient, AlpacaError, Timeouts
from alpaca_async.testing import FaultProxy, SimulatedCamera, SimulatorServer

from .loops import LOOPS
from .night import night
from .server import ROOT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Iterator, Sequence

    from alpaca_async import AsyncCamera

FAULTS: Final = {
    "reset_on_connect": 0.005,
    "reset_before": 0.003,
    "close_before": 0.003,
    "reset_after": 0.003,
    "reset_midway": 0.003,
    "close_midway": 0.003,
    "close_idle": 0.02,
    "silence": 0.0015,
    "lose_reply": 0.0015,
    "stall": 0.0015,
    "missing_chunk": 0.001,
    "drip": 0.001,
    "delay": 0.01,
    "slow": 0.01,
    "garbage": 0.002,
    "endless_head": 0.001,
    "http_503_html": 0.003,
    "truncated_json": 0.003,
    "deep_nesting": 0.001,
    "oversized_json": 0.0005,
    "short_image": 0.01,
    "huge_image": 0.01,
    "image_error": 0.01,
}
OPTIONS: Final[dict[str, dict[str, Any]]] = {
    "delay": {"seconds": 0.05},
    "slow": {"bytes_per_second": 1e6},
}
LIMITS: Final = Timeouts(establish=1.0, reply=0.5, long=0.5, stall=0.5)
CANCELLED_SHARE: Final = 0.05
"""Share of the operations that are cancelled, after at most `CANCELLED_WITHIN` seconds."""
CANCELLED_WITHIN: Final = {"call": 0.002, "frame": 0.05}
TIME_LIMITS: Final = {"call": 4.0, "frame": 30.0}
"""Seconds in which an operation must end: the sum of its timeouts, with time for slow machines."""
MAX_GROWTH: Final = 0.03
"""Allowed growth of memory after the first tenth, as a fraction."""
MIB: Final = 2**20
_M_MMAP_THRESHOLD: Final = -3


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The amount of work, which is split into equal rounds."""

    cameras: int = 8
    frames: int = 3000
    calls: int = 30_000
    rounds: int = 50
    seed: int = 1


@dataclass(slots=True)
class Findings:
    """The results of a run."""

    outcomes: Counter[str] = field(default_factory=Counter[str])
    longest: dict[str, float] = field(default_factory=dict[str, float])
    memory: list[int] = field(default_factory=list[int])
    sockets_left: int = 0
    tasks_left: int = 0
    threads_left: int = 0

    @property
    def growth(self) -> float:
        """The largest growth of memory after the first tenth, as a fraction."""
        after = self.memory[max(len(self.memory) // 10 - 1, 0) :]
        return max(after) / after[0] - 1

    def failures(self) -> list[str]:
        """Return a message for each check that failed."""
        left = (self.sockets_left, self.tasks_left, self.threads_left)
        return [
            *(
                f"the longest {kind} took {longest:.1f} s, limit {TIME_LIMITS[kind]:.1f} s"
                for kind, longest in self.longest.items()
                if longest > TIME_LIMITS[kind]
            ),
            # Threads of earlier work in the same process may end meanwhile.
            *([f"left open: {left} sockets, tasks, threads"] if max(left) > 0 else []),
            *([f"memory grew by {self.growth:.1%}"] if self.growth > MAX_GROWTH else []),
        ]


class SoakRun:
    """One run of a plan against the cameras at `address`."""

    def __init__(self, plan: Plan, address: str) -> None:
        self.findings = Findings()
        self._plan = plan
        self._address = address
        self._random = random.Random(plan.seed)  # noqa: S311 - not for security

    async def run(self) -> Findings:
        sockets = _sockets()
        connections = 2 * self._plan.cameras  # one for each caller, so that none waits for another
        async with AlpacaClient(timeouts=LIMITS, connections_per_server=connections) as client:
            cameras = [client.camera(self._address, n) for n in range(self._plan.cameras)]
            for number in range(self._plan.rounds):
                await self._round(cameras)
                gc.collect()
                self.findings.memory.append(_resident_bytes())
                print(f"\rround {number + 1}", end="", file=sys.stderr, flush=True)
        await asyncio.sleep(0.1)
        self.findings.sockets_left = _sockets() - sockets
        self.findings.tasks_left = len(asyncio.all_tasks()) - 1
        return self.findings

    async def _round(self, cameras: list[AsyncCamera]) -> None:
        """Run one round; a fast camera takes a larger part of it than a slow one."""
        frames = iter(range(self._plan.frames // self._plan.rounds))
        calls = iter(range(self._plan.calls // self._plan.rounds))
        async with asyncio.TaskGroup() as group:
            for camera in cameras:
                group.create_task(self._take_frames(camera, frames))
                group.create_task(self._call(camera, calls))

    async def _take_frames(self, camera: AsyncCamera, turns: Iterator[int]) -> None:
        for _ in turns:
            await self._do("frame", lambda: camera.expose(0.01))

    async def _call(self, camera: AsyncCamera, turns: Iterator[int]) -> None:
        calls: list[Callable[[], Awaitable[object]]] = [
            camera.get_image_ready,
            camera.get_ccd_temperature,
            camera.get_status,
            lambda: camera.set_gain(self._random.randrange(100)),
            camera.get_description,
        ]
        for number in turns:
            await self._do("call", calls[number % len(calls)])

    async def _do(self, kind: str, operation: Callable[[], Awaitable[object]]) -> None:
        chosen = self._random.random() < CANCELLED_SHARE
        limit = self._random.uniform(0.0, CANCELLED_WITHIN[kind]) if chosen else None
        own = asyncio.timeout(limit)
        begun = monotonic()
        try:
            async with own:
                await operation()
        except (AlpacaError, TimeoutError) as error:
            outcome = "cancelled" if own.expired() else type(error).__name__
        else:
            outcome = "done"
        self.findings.outcomes[f"{kind} {outcome}"] += 1
        taken = monotonic() - begun
        self.findings.longest[kind] = max(self.findings.longest.get(kind, 0.0), taken)


def soak(plan: Plan) -> Findings:
    """Run `plan` in a new event loop."""
    _return_freed_memory()
    threads = threading.active_count()
    with _serving(plan) as address:
        findings = asyncio.run(SoakRun(plan, address).run())
        deadline = monotonic() + 5.0
        while threading.active_count() > threads and monotonic() < deadline:
            sleep(0.01)
        findings.threads_left = threading.active_count() - threads
    return findings


@contextmanager
def _serving(plan: Plan) -> Generator[str]:
    command = [sys.executable, "-m", "benchmarks.soak", "--cameras", str(plan.cameras)]
    with subprocess.Popen(  # noqa: S603 - this very module
        [*command, "--seed", str(plan.seed), "--serve"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        text=True,
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()


async def _serve(plan: Plan) -> None:
    """Serve the cameras behind the proxy until stdin is closed."""
    cameras = [
        SimulatedCamera(
            width=320,
            height=240,
            stars=0,
            noise=False,
            readout_time=0.0,
            initially_connected=True,
            seed=number,
        )
        for number in range(plan.cameras)
    ]
    async with (
        SimulatorServer(cameras) as server,
        FaultProxy(server.address, seed=plan.seed) as proxy,
    ):
        for name, probability in FAULTS.items():
            proxy.add(name, probability=probability, **OPTIONS.get(name, {}))
        print(proxy.address, flush=True)
        await to_thread.run_sync(sys.stdin.read)


def _sockets() -> int:
    links = Path("/proc/self/fd").iterdir()
    return sum(str(link.readlink()).startswith("socket:") for link in links if link.is_symlink())


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _return_freed_memory() -> None:
    """Make glibc return the memory of freed frames at once: its reserve would count as growth."""
    with suppress(AttributeError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, 64 * 1024)


def report(findings: Findings) -> str:
    """Return the results as text."""
    step = max(len(findings.memory) // 10, 1)
    memory = " ".join(f"{nbytes / MIB:.1f}" for nbytes in findings.memory[step - 1 :: step])
    left = findings.sockets_left, findings.tasks_left, findings.threads_left
    return "\n".join(
        [
            *(f"{count:8} {outcome}" for outcome, count in sorted(findings.outcomes.items())),
            *(f"{s:8.2f} s longest {kind}" for kind, s in sorted(findings.longest.items())),
            f"MiB after each tenth: {memory}; growth {findings.growth:+.2%} after the first",
            "{:8} sockets, {} tasks, {} threads left open".format(*left),
        ]
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    for each in fields(Plan):
        parser.add_argument(f"--{each.name}", type=int, default=each.default)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--night", action="store_true", help="one camera takes --frames in a night")
    parser.add_argument("--loop", choices=LOOPS, default=LOOPS[0], help="for --night")
    options = vars(parser.parse_args(arguments))
    serve, by_night, loop = (options.pop(name) for name in ("serve", "night", "loop"))
    plan = Plan(**options)
    if serve:
        asyncio.run(_serve(plan))
        return
    if by_night:
        found = night(plan.frames, plan.seed, loop)
        text, failures = str(found), found.failures()
    else:
        findings = soak(plan)
        text, failures = report(findings), findings.failures()
    print(f"\n{text}")
    if failures:
        sys.exit("; ".join(failures))


if __name__ == "__main__":
    main()

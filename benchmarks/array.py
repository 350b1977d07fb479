"""An array of simulated cameras on Ray: `python -m benchmarks.array --cameras 900`.

Starts a cluster of some nodes on this machine and cameras in processes of their own. Takes rounds
at given times, and prints what they cost: frames, start skew, requests, processor time, memory. A
round is one `expose` with `at=`; each frame is processed by `then=` in its worker. `--overhead`,
`--memory` and `--deaths` measure one thing each instead.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from statistics import median
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any, Final

from alpaca_async import CameraAddress
from alpaca_async.ray import CameraHost, CameraHosts

from . import array_costs
from .measure import MIB
from .nodes import cluster, resident, simulators, tell

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from .simulator import Simulator

_LEAD: Final = 2.0


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
        f" a worker {memory[len(memory) // 2] / MIB:.0f} MiB,"
        f" driver {resident() / MIB:.0f} MiB",
        *this_round.errors[:3],
        flush=True,
    )


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
    parser.add_argument("--size", type=json.loads, default=[64, 48], metavar="[WIDTH,HEIGHT]")
    parser.add_argument("--overhead", type=int, default=0, metavar="RUNS", help="only that")
    parser.add_argument("--memory", type=int, default=0, metavar="ROUNDS", help="only that")
    parser.add_argument("--deaths", type=int, default=0, metavar="DEATHS", help="only that")
    options = parser.parse_args(arguments)
    if options.overhead:
        array_costs.print_overhead(options.overhead)
    elif options.memory:
        array_costs.print_memory(options.memory)
    elif options.deaths:
        array_costs.print_deaths(options.deaths)
    else:
        _print_rounds(options)


def _print_rounds(options: argparse.Namespace) -> None:
    each = options.cameras // options.servers
    with (
        cluster(options.nodes),
        simulators(options.servers, each, tuple(options.size)) as servers,
    ):
        asyncio.run(measure(options, servers))


if __name__ == "__main__":
    main()

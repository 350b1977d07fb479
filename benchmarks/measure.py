"""The method of measurement: variants alternate, several runs, the median counts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from statistics import median
from time import perf_counter, process_time
from typing import Final, Literal, NamedTuple, TypeAlias, TypeVar

T = TypeVar("T")
Work: TypeAlias = Callable[[], Awaitable[object]]

MIB: Final = 2**20
TICK: Final = 0.001


@dataclass(frozen=True, slots=True)
class Scale:
    """Sizes and counts; frames are `(width, height)`.

    `quiet` is the time without downloads in seconds. `memory` is in bytes: so much is allocated and
    freed before each group, 0 for none. A group and its servers need about as much.
    """

    runs: int = 9
    few_runs: int = 5
    many_runs: int = 21
    frame: tuple[int, int] = (9576, 6388)
    many_cameras_frame: tuple[int, int] = (6248, 4176)
    json_frame: tuple[int, int] = (3000, 2000)
    guider_frame: tuple[int, int] = (1024, 1024)
    cameras: int = 8
    group: int = 48
    frames_each: int = 4
    calls: int = 500
    guider_frames: int = 50
    quiet: float = 0.5
    memory: int = 2**31


FULL: Final = Scale()
QUICK: Final = Scale(
    runs=3,
    few_runs=1,
    many_runs=3,
    frame=(2400, 1600),
    many_cameras_frame=(1600, 1200),
    json_frame=(800, 600),
    frames_each=3,
    group=6,
    calls=100,
    guider_frames=15,
    memory=2**27,
)


@dataclass(frozen=True, slots=True)
class Bound:
    """The limit of `figure`, which is the ratio or our own figure."""

    figure: Literal["ratio", "ours"]
    sign: Literal["<=", ">="]
    limit: float

    def holds(self, value: float) -> bool:
        return value <= self.limit if self.sign == "<=" else value >= self.limit


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table: what is measured for us and for another variant, once in each run."""

    what: str
    unit: str
    ours: list[float]
    other: str
    theirs: list[float]
    bound: Bound | None = None

    @property
    def ratios(self) -> list[float]:
        """Ours divided by theirs, run by run."""
        return [a / b for a, b in zip(self.ours, self.theirs, strict=True)]

    @property
    def judged(self) -> list[float]:
        """The values that the bound applies to, run by run; the ratios without a bound."""
        return self.ours if self.bound and self.bound.figure == "ours" else self.ratios

    @property
    def met(self) -> bool | None:
        """Whether the median is within the bound; None without a bound."""
        return None if self.bound is None else self.bound.holds(median(self.judged))


class Cost(NamedTuple):
    """Wall-clock time and processor time, in seconds."""

    wall: float
    cpu: float


async def cost(work: Work) -> Cost:
    """Return the cost of `work`, without the time to free its result."""
    wall, cpu = perf_counter(), process_time()
    result = await work()
    spent = Cost(perf_counter() - wall, process_time() - cpu)
    del result
    return spent


async def interleave(
    runs: int, variants: dict[str, Callable[[], Awaitable[T]]]
) -> dict[str, list[T]]:
    """Run every variant once as a warm-up, then all of them alternately, `runs` times."""
    for variant in variants.values():
        await variant()
    results: dict[str, list[T]] = {name: [] for name in variants}
    for _ in range(runs):
        for name, variant in variants.items():
            results[name].append(await variant())
    return results


async def costs(runs: int, variants: dict[str, Work]) -> dict[str, list[Cost]]:
    """Return the cost of each variant, measured alternately."""
    return await interleave(runs, {name: _costing(work) for name, work in variants.items()})


def _costing(work: Work) -> Callable[[], Awaitable[Cost]]:
    return lambda: cost(work)


def blocking(function: Callable[[], object]) -> Work:
    """Return `function` as work that blocks the event loop, which is otherwise unused here."""

    async def work() -> object:
        return function()

    return work


def walls(some: list[Cost], unit: float) -> list[float]:
    return [each.wall * unit for each in some]


def cpus(some: list[Cost], unit: float) -> list[float]:
    return [each.cpu * unit for each in some]


def rates(some: list[Cost], amount: float) -> list[float]:
    return [amount / each.wall for each in some]


async def largest_gap(work: Work) -> float:
    """Return the longest time in ms between two wake-ups of a task that sleeps for 1 ms."""
    ticker = _Ticker()
    async with asyncio.TaskGroup() as group:
        group.create_task(ticker.run())
        await asyncio.sleep(TICK)
        await work()
        ticker.over = True
    return ticker.largest * 1e3


class _Ticker:
    over = False
    largest = 0.0

    async def run(self) -> None:
        last = perf_counter()
        while not self.over:
            await asyncio.sleep(TICK)
            now = perf_counter()
            self.largest = max(self.largest, now - last)
            last = now

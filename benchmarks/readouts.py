"""Rows about noticing an image, on simulated cameras whose readout times vary by a tenth."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from statistics import mean, median, quantiles
from time import monotonic
from typing import TYPE_CHECKING, Final

from alpaca_async import AlpacaClient
from alpaca_async.testing import SimulatedCamera, SimulatorServer, run_in_thread

from .measure import Bound, Row

if TYPE_CHECKING:
    from alpaca_async import AsyncCamera

    from .measure import Scale

_MS: Final = 1e3
_READOUTS: Final = {0.05: 1, 0.5: 1, 2.0: 4, 5.0: 8}
"""The readout times, and with how many cameras: how soon images are noticed after a readout that
may end in any part of a second depends on chance, so it needs many frames."""
_JITTER: Final = 0.1
_EXPOSURE: Final = 1.0
_LONG_EXPOSURE: Final = 8.0
_LONG_READOUT: Final = 0.68
"""The worst case of the pauses that grow with the time waited: just after a poll."""
_LEARNING: Final = 2
_POLLS: Final = ("devicestate", "imageready", "camerastate")


@dataclass(slots=True)
class _Frames:
    """What was measured, once for each frame."""

    late: list[float] = field(default_factory=list[float])
    polls: list[float] = field(default_factory=list[float])
    seconds: list[float] = field(default_factory=list[float])

    def add(self, other: _Frames) -> None:
        self.late += other.late
        self.polls += other.polls
        self.seconds += other.seconds


async def readout(scale: Scale) -> list[Row]:
    """How late images are noticed, by one client and by clients that know nothing of the camera."""
    frames = scale.guider_frames // 2
    short = [_measure(*each, _EXPOSURE, frames) for each in _READOUTS.items()]
    long = _measure(_LONG_READOUT, 1, _LONG_EXPOSURE, max(frames // 3, 1))
    *results, (ours, theirs) = await asyncio.gather(*short, long)
    rows = [row for name, pair in zip(_READOUTS, results, strict=True) for row in _rows(name, pair)]
    what = f"expose({_LONG_EXPOSURE:g}), readout {_LONG_READOUT:g} s"
    rates = [3600 / mean(ours.seconds)], [3600 / mean(theirs.seconds)]
    bound = Bound("ratio", ">=", 1.03)
    return [*rows, Row(what, "frames/h", rates[0], "growing pauses", rates[1], bound)]


def _rows(readout: float, pair: tuple[_Frames, _Frames]) -> list[Row]:
    ours, theirs = pair
    what = f"readout {readout:g} s +- 10 %"

    def row(figure: str, unit: str, one: list[float], other: list[float], limit: float) -> Row:
        return Row(f"{what}, {figure}", unit, one, "growing pauses", other, _at_most(limit))

    return [
        row("lateness, median", "ms", [median(ours.late)], [median(theirs.late)], 30.0),
        row("lateness, p95", "ms", [_p95(ours.late)], [_p95(theirs.late)], 100.0),
        row("polls per exposure", "polls", [mean(ours.polls)], [mean(theirs.polls)], 8.0),
    ]


def _at_most(limit: float) -> Bound:
    return Bound("ours", "<=", limit)


def _p95(values: list[float]) -> float:
    return quantiles(values, n=20, method="inclusive")[-1] if len(values) > 1 else values[0]


async def _measure(
    readout: float, cameras: int, duration: float, frames: int
) -> tuple[_Frames, _Frames]:
    """Take frames with clients that learn, and at the same time with a new one for each frame."""
    ours, theirs = _Frames(), _Frames()
    with run_in_thread(SimulatorServer([_simulated() for _ in range(cameras + 1)])) as server:
        async with asyncio.TaskGroup() as tasks:
            for number in range(cameras):
                times = _readout_times(readout, number, frames)
                start = number / cameras  # so that not all need the event loop at once
                tasks.create_task(_learning(server, number, start, duration, times, ours))
            times = _readout_times(readout, 0, frames)
            tasks.create_task(_ignorant(server, cameras, duration, times, theirs))
    return ours, theirs


def _readout_times(readout: float, number: int, frames: int) -> list[float]:
    dice = random.Random(f"{readout} {number}")  # noqa: S311 - not for security
    return [readout * dice.uniform(1 - _JITTER, 1 + _JITTER) for _ in range(_LEARNING + frames)]


async def _learning(
    server: SimulatorServer,
    number: int,
    start: float,
    duration: float,
    times: list[float],
    found: _Frames,
) -> None:
    await asyncio.sleep(start)
    async with AlpacaClient() as client:
        camera = client.camera(server.address, number)
        frames = [await _frame(camera, server.cameras[number], duration, time) for time in times]
    for frame in frames[_LEARNING:]:
        found.add(frame)


async def _ignorant(
    server: SimulatorServer, number: int, duration: float, times: list[float], found: _Frames
) -> None:
    for time in times[_LEARNING:]:
        async with AlpacaClient() as client:
            camera = client.camera(server.address, number)
            found.add(await _frame(camera, server.cameras[number], duration, time))


def _simulated() -> SimulatedCamera:
    return SimulatedCamera(width=64, height=48, initially_connected=True)


async def _frame(
    camera: AsyncCamera, simulated: SimulatedCamera, duration: float, readout: float
) -> _Frames:
    simulated.readout_time = readout
    simulated.requests.clear()
    begun = monotonic()
    await camera.expose(duration)
    seconds = monotonic() - begun
    assert simulated.exposure is not None
    members = [request.member for request in simulated.requests]
    download = simulated.requests[members.index("imagearray")]
    camera_clock_zero = monotonic() - simulated.now
    late = (download.time - camera_clock_zero - simulated.exposure.read) * _MS
    return _Frames([late], [float(sum(map(members.count, _POLLS)))], [seconds])

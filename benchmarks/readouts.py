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
_READOUTS: Final = (0.05, 0.5, 2.0, 5.0)
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


async def readout(scale: Scale) -> list[Row]:
    """How late images are noticed, by one client and by clients that know nothing of the camera."""
    frames = scale.guider_frames // 2
    short = [_measure(readout, _EXPOSURE, frames) for readout in _READOUTS]
    long = _measure(_LONG_READOUT, _LONG_EXPOSURE, max(frames // 3, 1))
    *results, (ours, theirs) = await asyncio.gather(*short, long)
    rows = [row for name, pair in zip(_READOUTS, results, strict=True) for row in _rows(name, pair)]
    what = f"expose({_LONG_EXPOSURE:g}), readout {_LONG_READOUT:g} s"
    rates = [3600 / seconds for seconds in ours.seconds], [3600 / s for s in theirs.seconds]
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


async def _measure(readout: float, duration: float, frames: int) -> tuple[_Frames, _Frames]:
    """Take frames with a client that learns, and at the same time with a new one for each frame."""
    return await asyncio.gather(
        _learning(readout, duration, frames), _ignorant(readout, duration, frames)
    )


async def _learning(readout: float, duration: float, frames: int) -> _Frames:
    dice, found = random.Random(readout), _Frames()  # noqa: S311 - not for security
    simulated = _simulated()
    with run_in_thread(SimulatorServer([simulated])) as server:
        async with AlpacaClient() as client:
            camera = client.camera(server.address)
            for number in range(_LEARNING + frames):
                simulated.readout_time = readout * dice.uniform(1 - _JITTER, 1 + _JITTER)
                await _frame(camera, simulated, duration, found if number >= _LEARNING else None)
    return found


async def _ignorant(readout: float, duration: float, frames: int) -> _Frames:
    dice, found = random.Random(readout), _Frames()  # noqa: S311 - not for security
    simulated = _simulated()
    with run_in_thread(SimulatorServer([simulated])) as server:
        for number in range(_LEARNING + frames):
            simulated.readout_time = readout * dice.uniform(1 - _JITTER, 1 + _JITTER)
            async with AlpacaClient() as client:
                camera = client.camera(server.address)
                await _frame(camera, simulated, duration, found if number >= _LEARNING else None)
    return found


def _simulated() -> SimulatedCamera:
    return SimulatedCamera(width=64, height=48, initially_connected=True)


async def _frame(
    camera: AsyncCamera, simulated: SimulatedCamera, duration: float, found: _Frames | None
) -> None:
    simulated.requests.clear()
    begun = monotonic()
    await camera.expose(duration)
    if found is None or simulated.exposure is None:
        return
    members = [request.member for request in simulated.requests]
    download = simulated.requests[members.index("imagearray")]
    camera_clock_zero = monotonic() - simulated.now
    found.late.append((download.time - camera_clock_zero - simulated.exposure.read) * _MS)
    found.polls.append(float(sum(map(members.count, _POLLS))))
    found.seconds.append(monotonic() - begun)

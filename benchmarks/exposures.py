"""Rows about exposures on simulated cameras: start skew, overhead per frame, cancellation."""

from __future__ import annotations

import asyncio
import random
from functools import partial
from statistics import median, quantiles
from time import perf_counter
from typing import TYPE_CHECKING, Final

from alpaca_async import AlpacaClient, CameraGroup

from .measure import Bound, Row, blocking, costs, walls
from .peers import BlockingClient
from .server import HOST, Content, serving
from .simulator import simulating

if TYPE_CHECKING:
    from alpaca_async import AsyncCamera

    from .measure import Scale, Work
    from .simulator import Simulator

_MS: Final = 1e3
_SMALL: Final = (64, 48)
_EXPOSURE: Final = 0.2
_SHORT: Final = 0.1
_WORK: Final = 0.05


async def starts(scale: Scale) -> list[Row]:
    """The time between the first and the last start of a group's exposures."""
    skews: list[float] = []
    commands: list[float] = []
    with simulating(scale.group, _SMALL) as simulator:
        async with AlpacaClient() as client:
            cameras = [client.camera(simulator.address, n) for n in range(scale.group)]
            async with CameraGroup(cameras) as group:
                await group.expose(_EXPOSURE)
                for _ in range(scale.runs):
                    skews.append(await _skew(group, simulator) * _MS)
                    commands.append(await _commands(cameras) * _MS)
    what = f"{scale.group} cameras, first to last start"
    limit = Bound("ours", "<=", 50.0)
    return [Row(what, "ms", skews, "as many abort_exposure() at once", commands, limit)]


async def _skew(group: CameraGroup, simulator: Simulator) -> float:
    for outcome in await group.expose(_EXPOSURE):
        assert outcome.image is not None, outcome.error
    arrived = simulator.starts()
    return max(arrived) - min(arrived)


async def _commands(cameras: list[AsyncCamera]) -> float:
    start = perf_counter()
    await asyncio.gather(*(camera.abort_exposure() for camera in cameras))
    return perf_counter() - start


async def sequence(scale: Scale) -> list[Row]:
    """The time that `exposures` adds to each frame while the caller works on the previous one."""
    added: list[float] = []
    downloads: list[float] = []
    with simulating(1, _SMALL) as simulator:
        async with AlpacaClient() as client:
            camera = client.camera(simulator.address)
            await camera.expose(_EXPOSURE)
            for _ in range(scale.few_runs):
                download = await _download(camera)
                per_frame = await _sequence(camera, scale.guider_frames)
                downloads.append(download * _MS)
                added.append((per_frame - _EXPOSURE - download) * _MS)
    what = "exposures(), overhead per frame"
    limit = Bound("ours", "<=", 20.0)
    return [Row(what, "ms", added, "the download alone", downloads, limit)]


async def _download(camera: AsyncCamera) -> float:
    """Return the seconds of a first download, for which the simulated camera draws its image."""
    times: list[float] = []
    for _ in range(5):
        await camera.start_exposure(_EXPOSURE)
        await camera.wait_image_ready()
        start = perf_counter()
        await camera.get_image()
        times.append(perf_counter() - start)
    return median(times)


async def _sequence(camera: AsyncCamera, frames: int) -> float:
    """Return the seconds per frame, without the first frame."""
    start = 0.0
    async with camera.exposures(_EXPOSURE, count=frames + 1) as images:
        await anext(images)
        start = perf_counter()
        async for _ in images:
            await asyncio.sleep(_WORK)
    return (perf_counter() - start - _WORK) / frames


async def large(scale: Scale) -> list[Row]:
    """The time that `expose` takes beyond the exposure and the download of a large frame.

    The memory of the frame is provided during the exposure, except for the first one.
    """
    with (
        serving(Content("camera", scale.frame)) as (port,),
        BlockingClient(port, scale.frame) as baseline,
    ):
        async with AlpacaClient() as client:
            camera = client.camera(f"{HOST}:{port}")
            variants: dict[str, Work] = {
                "baseline": blocking(baseline.download),
                "ours": partial(camera.expose, _SHORT),
            }
            found = await costs(scale.runs, variants)
    floors = walls(found["baseline"], _MS)
    beyond = [
        ours - _SHORT * _MS - floor
        for ours, floor in zip(walls(found["ours"], _MS), floors, strict=True)
    ]
    what, limit = f"expose({_SHORT}), beyond exposure and download", Bound("ours", "<=", 60.0)
    return [Row(what, "ms", beyond, "recv_into, blocking", floors, limit)]


async def cancelling(scale: Scale) -> list[Row]:
    """The time until a cancelled `expose` has aborted its exposure and ended."""
    generator = random.Random(4)  # noqa: S311 - not for security
    ends: list[float] = []
    aborts: list[float] = []
    with simulating(1, _SMALL) as simulator:
        async with AlpacaClient() as client:
            camera = client.camera(simulator.address)
            whole = await _expose(camera)
            for _ in range(scale.few_runs):
                moments = [generator.uniform(0, whole) for _ in range(scale.calls // 3)]
                some = [await _cancelled(camera, moment) for moment in moments]
                ends.append(quantiles(some, n=100, method="inclusive")[98] * _MS)
                aborts.append(await _commands([camera]) * _MS)
    what, other = "cancelled expose(), time to end, p99", "abort_exposure() alone"
    return [Row(what, "ms", ends, other, aborts, Bound("ours", "<=", 100.0))]


async def _expose(camera: AsyncCamera) -> float:
    await camera.expose(_WORK)
    start = perf_counter()
    await camera.expose(_WORK)
    return perf_counter() - start


async def _cancelled(camera: AsyncCamera, moment: float) -> float:
    task = asyncio.create_task(camera.expose(_WORK))
    await asyncio.sleep(moment)
    start = perf_counter()
    task.cancel()
    await asyncio.wait([task])
    return perf_counter() - start

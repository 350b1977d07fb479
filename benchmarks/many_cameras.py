"""Rows about many cameras at once: the rate of downloads, and the latency of calls."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle
from statistics import median, quantiles
from time import perf_counter
from typing import TYPE_CHECKING, Final

from alpaca_async import AlpacaClient

from . import wire
from .child import touch_memory
from .measure import Bound, Row, interleave
from .server import HOST, Content, serving

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from alpaca_async import AsyncCamera

    from .measure import Scale, Work

_POLL: Final = 0.1
_FAST_POLL: Final = 0.01
_LIMIT: Final = 25.0


@dataclass(slots=True)
class Result:
    """The rate of all cameras together in MB/s, and the time of each small call in ms."""

    rate: float = 0.0
    polls: list[float] = field(default_factory=list[float])
    aborts: list[float] = field(default_factory=list[float])


async def own_servers(scale: Scale) -> list[Row]:
    """Each camera on its own server."""
    ports = [Content("image", scale.many_cameras_frame)] * scale.cameras
    with serving(*ports) as found:
        addresses = [(f"{HOST}:{port}", 0) for port in found]
        return await _measure("own servers", addresses, scale)


async def one_server(scale: Scale) -> list[Row]:
    """All cameras on one server."""
    with serving(Content("image", scale.many_cameras_frame)) as (port,):
        addresses = [(f"{HOST}:{port}", number) for number in range(scale.cameras)]
        return await _measure("one server", addresses, scale)


async def at_once(scale: Scale) -> list[Row]:
    """One frame of every camera of one server, requested at the same moment and kept.

    They are compared with as many frames of one camera, one after the other. Memory that was not
    used just before is slower, therefore these are kept, too. Another row drops them.
    """
    size = wire.nbytes(scale.many_cameras_frame)
    with serving(Content("image", scale.many_cameras_frame)) as (port,):
        async with AlpacaClient() as client:
            cameras = [client.camera(f"{HOST}:{port}", number) for number in range(scale.cameras)]
            variants: dict[str, Callable[[], Awaitable[Result]]] = {
                "all": partial(_polled, cameras, _each_at_once, size),
                "kept": partial(_polled, cameras, _in_a_row, size),
                "dropped": partial(_polled, cameras, _in_a_row_dropped, size),
            }
            found = await interleave(scale.runs, variants)
    what = f"{scale.cameras} cameras, one frame each at once, get_image_array()"
    rates, kept, dropped = (
        [each.rate for each in found[name]] for name in ("all", "kept", "dropped")
    )
    polls, polls_alone = ([_p99(each.polls) for each in found[name]] for name in ("all", "kept"))
    other = "one camera, as many in a row"
    return [
        Row(what, "MB/s", rates, other, kept, Bound("ratio", ">=", 0.95)),
        Row(what, "MB/s", rates, f"{other}, each dropped", dropped),
        Row(f"{what}, polls p99", "ms", polls, other, polls_alone, Bound("ours", "<=", _LIMIT)),
    ]


async def _measure(name: str, addresses: list[tuple[str, int]], scale: Scale) -> list[Row]:
    size = wire.nbytes(scale.many_cameras_frame) / 1e6
    async with AlpacaClient() as client:
        cameras = [client.camera(*address) for address in addresses]
        variants: dict[str, Callable[[], Awaitable[Result]]] = {}
        for member in ("get_image_array", "get_image"):
            for number, some in (("one", cameras[:1]), ("all", cameras)):
                variants[f"{number} {member}"] = partial(
                    _downloads, some, member, scale.frames_each, size
                )
        variants["quiet"] = partial(_quiet, cameras, scale.quiet)
        found = await interleave(scale.many_runs, variants)
    rows: list[Row] = []
    for member in ("get_image_array", "get_image"):
        what = f"{len(cameras)} cameras, {name}, {member}()"
        rows += _rows(what, found[f"all {member}"], found[f"one {member}"], found["quiet"])
    return rows


def _rows(what: str, together: list[Result], alone: list[Result], quiet: list[Result]) -> list[Row]:
    polls, quiet_polls = ([_p99(each.polls) for each in some] for some in (together, quiet))
    usual, quiet_usual = ([median(each.polls) for each in some] for some in (together, quiet))
    aborts, quiet_aborts = ([max(each.aborts) for each in some] for some in (together, quiet))
    rates, rate_alone = ([each.rate for each in some] for some in (together, alone))
    at_most, no_load = Bound("ours", "<=", _LIMIT), "without downloads"
    return [
        Row(what, "MB/s", rates, "one camera alone", rate_alone, Bound("ratio", ">=", 0.9)),
        Row(f"{what}, polls median", "ms", usual, no_load, quiet_usual),
        Row(f"{what}, polls p99", "ms", polls, no_load, quiet_polls, at_most),
        Row(f"{what}, abort", "ms", aborts, no_load, quiet_aborts, at_most),
    ]


def _p99(some: list[float]) -> float:
    return quantiles(some, n=100, method="inclusive")[98]


async def _downloads(cameras: list[AsyncCamera], member: str, frames: int, size: float) -> Result:
    result = Result()
    over = asyncio.Event()
    async with asyncio.TaskGroup() as watchers:
        _watch(watchers, cameras, result, over)
        start = perf_counter()
        async with asyncio.TaskGroup() as downloads:
            for camera in cameras:
                downloads.create_task(_download(camera, member, frames))
        result.rate = frames * len(cameras) * size / (perf_counter() - start)
        over.set()
    return result


async def _polled(
    cameras: list[AsyncCamera],
    download: Callable[[list[AsyncCamera]], Awaitable[list[object]]],
    size: int,
) -> Result:
    """Return the rate of `download`, and the times of the polls of one camera meanwhile."""
    touch_memory(len(cameras) * size)
    result = Result()
    over = asyncio.Event()
    async with asyncio.TaskGroup() as watchers:
        poll = cameras[-1].get_image_ready
        watchers.create_task(_every(_FAST_POLL, 0.0, poll, result.polls, over))
        start = perf_counter()
        frames = await download(cameras)
        result.rate = len(frames) * size / 1e6 / (perf_counter() - start)
        over.set()
    return result


async def _each_at_once(cameras: list[AsyncCamera]) -> list[object]:
    return list(await asyncio.gather(*(camera.get_image_array() for camera in cameras)))


async def _in_a_row(cameras: list[AsyncCamera]) -> list[object]:
    return [await cameras[0].get_image_array() for _ in cameras]


async def _in_a_row_dropped(cameras: list[AsyncCamera]) -> list[object]:
    return [(await cameras[0].get_image_array()).nbytes for _ in cameras]


async def _quiet(cameras: list[AsyncCamera], seconds: float) -> Result:
    result = Result()
    over = asyncio.Event()
    async with asyncio.TaskGroup() as watchers:
        _watch(watchers, cameras, result, over)
        await asyncio.sleep(seconds)
        over.set()
    return result


def _watch(
    watchers: asyncio.TaskGroup, cameras: list[AsyncCamera], result: Result, over: asyncio.Event
) -> None:
    """Poll each camera every `_POLL` seconds, evenly staggered, and abort one at a time."""
    for number, camera in enumerate(cameras):
        phase = _POLL * number / len(cameras)
        poll = _every(_POLL, phase, camera.get_image_ready, result.polls, over)
        watchers.create_task(poll)
    turns = cycle(cameras)

    async def abort() -> None:
        await next(turns).abort_exposure()

    watchers.create_task(_every(_POLL, _POLL / 10, abort, result.aborts, over))


async def _every(
    period: float, phase: float, call: Work, took: list[float], over: asyncio.Event
) -> None:
    """Repeat a call until `over`, at least once; append the ms of each to `took`."""
    await asyncio.sleep(phase)
    while True:
        start = perf_counter()
        await call()
        took.append((perf_counter() - start) * 1e3)
        if over.is_set():
            return
        await asyncio.sleep(period)


async def _download(camera: AsyncCamera, member: str, frames: int) -> None:
    for _ in range(frames):
        await getattr(camera, member)()

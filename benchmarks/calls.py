"""Rows about small calls, and about the small frames of a guider."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import cycle, islice
from typing import TYPE_CHECKING, Final

import aiohttp
import httpx

from alpaca_async import AlpacaClient

from . import wire
from .measure import Bound, Row, blocking, costs, cpus, rates, walls
from .peers import HAS_ALPYCA, BlockingClient, aiohttp_ready, alpyca_camera, httpx_ready, url
from .server import HOST, Content, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from alpaca_async import AsyncCamera

    from .measure import Cost, Scale, Work
    from .peers import AlpycaCamera

CAMERAS: Final = 10
IN_FLIGHT: Final = 50
CONNECTIONS: Final = 4

_OURS: Final = "get_image_ready()"
_AIOHTTP: Final = "aiohttp, get and json.loads"
_HTTPX: Final = "httpx, get and json.loads"
_ALPYCA: Final = "alpyca, ImageReady"
_RAW: Final = "plain socket, blocking"


async def one_by_one(scale: Scale) -> list[Row]:
    """get_image_ready(), one call after the other."""
    count = scale.calls
    with serving(Content("calls")) as (port,), BlockingClient(port, (1, 1)) as raw:
        address = url(port, wire.READY_PATH)
        async with (
            AlpacaClient() as client,
            aiohttp.ClientSession() as session,
            httpx.AsyncClient() as stock,
        ):
            camera = client.camera(f"{HOST}:{port}")
            variants: dict[str, Work] = {
                _OURS: partial(_repeat, camera.get_image_ready, count),
                _AIOHTTP: partial(_repeat, partial(aiohttp_ready, session, address), count),
                _HTTPX: partial(_repeat, partial(httpx_ready, stock, address), count),
                _RAW: blocking(partial(_repeat_blocking, raw.ready, count)),
            }
            if HAS_ALPYCA:
                is_ready = partial(_is_ready, alpyca_camera(port))
                variants[_ALPYCA] = blocking(partial(_repeat_blocking, is_ready, count))
            found = await costs(scale.runs, variants)
    return _rows("one by one", count, found)


async def in_flight(scale: Scale) -> list[Row]:
    """get_image_ready() on ten cameras of one server, fifty calls in flight."""
    count = scale.calls // IN_FLIGHT * IN_FLIGHT
    limits = httpx.Limits(max_connections=CONNECTIONS)
    with serving(Content("calls")) as (port,), ThreadPoolExecutor(IN_FLIGHT) as threads:
        address = url(port, wire.READY_PATH)
        async with (
            AlpacaClient(connections_per_server=CONNECTIONS) as client,
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit_per_host=CONNECTIONS)
            ) as session,
            httpx.AsyncClient(limits=limits, timeout=60) as stock,
        ):
            cameras = [client.camera(f"{HOST}:{port}", number) for number in range(CAMERAS)]
            ready = [camera.get_image_ready for camera in cameras]
            variants: dict[str, Work] = {
                _OURS: partial(_concurrently, ready, count),
                _AIOHTTP: partial(_concurrently, [partial(aiohttp_ready, session, address)], count),
                _HTTPX: partial(_concurrently, [partial(httpx_ready, stock, address)], count),
            }
            if HAS_ALPYCA:
                slow = [alpyca_camera(port, number) for number in range(CAMERAS)]
                variants[_ALPYCA] = blocking(partial(_in_threads, threads, slow, count))
            found = await costs(scale.runs, variants)
    return _rows(f"{IN_FLIGHT} in flight, {CONNECTIONS} connections", count, found)


async def guider(scale: Scale) -> list[Row]:
    """Polls and frames of one megapixel, over our transport, over httpx's own, and the baseline."""
    frames, frame = scale.guider_frames, scale.guider_frame
    over_httpx, baseline = "the same over httpx.AsyncClient()", "recv_into, blocking"
    with serving(Content("image", frame)) as (port,), BlockingClient(port, frame) as raw:
        async with (
            httpx.AsyncClient() as stock,
            AlpacaClient() as client,
            AlpacaClient(http=stock) as injected,
        ):
            ours, theirs = (each.camera(f"{HOST}:{port}") for each in (client, injected))
            variants: dict[str, Work] = {
                "ours": partial(_guide, ours, frames),
                over_httpx: partial(_guide, theirs, frames),
                baseline: blocking(partial(_guide_blocking, raw, frames)),
            }
            found = await costs(scale.runs, variants)
    our_rates = rates(found.pop("ours"), frames)
    bounds = {over_httpx: Bound("ratio", ">=", 6.0)}
    return [
        Row(
            "guider, 1 megapixel",
            "frames/s",
            our_rates,
            other,
            rates(cost, frames),
            bounds.get(other),
        )
        for other, cost in found.items()
    ]


def _rows(how: str, count: int, found: dict[str, list[Cost]]) -> list[Row]:
    what, each = f"{_OURS}, {how}", 1e6 / count
    ours = found.pop(_OURS)
    bounds = {_AIOHTTP: Bound("ratio", "<=", 1.0)}
    clock = [
        Row(what, "us", walls(ours, each), name, walls(theirs, each), bounds.get(name))
        for name, theirs in found.items()
    ]
    theirs = cpus(found[_AIOHTTP], each)
    return [*clock, Row(f"{what}, CPU", "us", cpus(ours, each), _AIOHTTP, theirs)]


async def _repeat(call: Work, count: int) -> None:
    for _ in range(count):
        await call()


def _repeat_blocking(call: Callable[[], object], count: int) -> None:
    for _ in range(count):
        call()


async def _concurrently(calls: Sequence[Work], count: int) -> None:
    workers = islice(cycle(calls), IN_FLIGHT)
    await asyncio.gather(*(_repeat(call, count // IN_FLIGHT) for call in workers))


def _in_threads(threads: ThreadPoolExecutor, cameras: list[AlpycaCamera], count: int) -> None:
    assert all(threads.map(_is_ready, islice(cycle(cameras), count)))


def _is_ready(camera: AlpycaCamera) -> bool:
    return camera.ImageReady


async def _guide(camera: AsyncCamera, frames: int) -> None:
    for _ in range(frames):
        assert await camera.get_image_ready()
        await camera.get_image_array()


def _guide_blocking(client: BlockingClient, frames: int) -> None:
    for _ in range(frames):
        client.ready()
        client.download()

"""Rows about one image at a time."""

from __future__ import annotations

import asyncio
import ssl
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

import aiohttp
import httpx
import numpy as np
import trustme

from alpaca_async import AlpacaClient
from alpaca_async._download import transposition

from . import wire
from .child import in_child
from .loops import running
from .measure import (
    MIB,
    Bound,
    Row,
    blocking,
    costs,
    cpus,
    interleave,
    largest_gap,
    rates,
    walls,
)
from .peers import HAS_ALPYCA, BlockingClient, aiohttp_array, httpx_array, httpx_content, url
from .server import HOST, Content, serving

if TYPE_CHECKING:
    from alpaca_async import AsyncCamera

    from .child import Footprint
    from .measure import Cost, Scale, Work
    from .wire import Frame

BASELINE = "recv_into, blocking"
MS = 1e3


async def array(scale: Scale) -> list[Row]:
    """get_image_array(): one frame in ASCOM's axis order."""
    size = wire.nbytes(scale.frame)
    with serving(Content("image", scale.frame)) as (port,), BlockingClient(port, scale.frame) as b:
        async with AlpacaClient() as client:
            camera = client.camera(f"{HOST}:{port}")
            assert np.array_equal(await camera.get_image_array(), b.download())
            variants: dict[str, Work] = {
                "baseline": blocking(b.download),
                "ours": camera.get_image_array,
                "discard": blocking(b.discard),
            }
            found = await costs(scale.runs, variants)
        peaks = await _peaks(scale.few_runs, port, scale.frame, ours="array", theirs="baseline")
    ours, baseline = found["ours"], found["baseline"]
    what = "get_image_array()"
    at_most = Bound("ours", "<=", (size + 8 * MIB) / MIB)
    return [
        Row(what, "ms", walls(ours, MS), BASELINE, walls(baseline, MS), Bound("ratio", "<=", 1.15)),
        Row(
            f"{what}, CPU",
            "ms",
            cpus(ours, MS),
            BASELINE,
            cpus(baseline, MS),
            Bound("ratio", "<=", 1.3),
        ),
        Row(f"{what}, memory", "MiB", *_pair(peaks, BASELINE), at_most),
        Row(
            what, "ms", walls(ours, MS), "server alone, bytes dropped", walls(found["discard"], MS)
        ),
    ]


async def image(scale: Scale) -> list[Row]:
    """get_image(): one frame in rows, transposed by the extension and by numpy."""
    size = wire.nbytes(scale.frame)
    with serving(Content("image", scale.frame)) as (port,), BlockingClient(port, scale.frame) as b:
        async with AlpacaClient() as client:
            camera = client.camera(f"{HOST}:{port}")
            assert np.array_equal((await camera.get_image()).data, b.download_rows())
            variants: dict[str, Work] = {
                "baseline": blocking(b.download),
                "ours": camera.get_image,
                "by numpy": partial(_transposed_by_numpy, camera),
                "numpy": blocking(b.download_rows),
            }
            found = await costs(scale.runs, variants)
        peaks = await _peaks(
            scale.few_runs, port, scale.frame, ours="image", theirs="baseline rows"
        )
    ours = walls(found["ours"], MS)
    what, rows = "get_image()", f"{BASELINE}, ascontiguousarray"
    at_most = Bound("ours", "<=", (2 * size + 16 * MIB) / MIB)
    return [
        *_transposed("extension", found["ours"], found["baseline"], wall=1.5, cpu=2.2),
        *_transposed("numpy", found["by numpy"], found["baseline"], wall=2.5, cpu=5.0),
        Row(what, "ms", ours, rows, walls(found["numpy"], MS)),
        Row(f"{what}, memory", "MiB", *_pair(peaks, rows), at_most),
        *await _requested_types(scale),
    ]


async def _transposed_by_numpy(camera: AsyncCamera) -> object:
    with patch.object(transposition, "compiled", None):
        return await camera.get_image()


def _transposed(
    name: str, ours: list[Cost], baseline: list[Cost], *, wall: float, cpu: float
) -> list[Row]:
    """Return the rows of one way to transpose; none if it is not installed."""
    if name == "extension" and transposition.compiled is None:
        return []
    what, limits = (
        f"get_image(), by {name}",
        (Bound("ratio", "<=", wall), Bound("ratio", "<=", cpu)),
    )
    return [
        Row(what, "ms", walls(ours, MS), BASELINE, walls(baseline, MS), limits[0]),
        Row(f"{what}, CPU", "ms", cpus(ours, MS), BASELINE, cpus(baseline, MS), limits[1]),
    ]


async def stalls(scale: Scale) -> list[Row]:
    """The longest time for which a download blocks the event loop."""
    image_port, json_port = Content("image", scale.frame), Content("json", scale.json_frame)
    with (
        serving(image_port, json_port) as ports,
        BlockingClient(ports[0], scale.frame) as blocking_client,
    ):
        async with AlpacaClient() as client:
            binary, text = (client.camera(f"{HOST}:{port}") for port in ports)
            works: dict[str, Work] = {
                "get_image_array()": binary.get_image_array,
                "get_image()": binary.get_image,
                "get_image() of JSON": text.get_image,
                "": partial(asyncio.to_thread, blocking_client.download),
            }
            found = await interleave(
                scale.runs, {name: partial(largest_gap, work) for name, work in works.items()}
            )
    idle, limit = found.pop(""), Bound("ours", "<=", 20.0)
    return [
        Row(f"event loop stall, {name}", "ms", ours, f"{BASELINE}, in a thread", idle, limit)
        for name, ours in found.items()
    ]


async def tls(scale: Scale) -> list[Row]:
    """get_image_array() over TLS."""
    authority = trustme.CA()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "server.pem")
        authority.issue_cert(HOST).private_key_and_cert_chain_pem.write_to_path(path)
        context = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
        with (
            serving(Content("image", scale.frame, str(path))) as (port,),
            BlockingClient(port, scale.frame, context) as baseline,
        ):
            async with AlpacaClient(verify=context) as client:
                camera = client.camera(f"https://{HOST}:{port}")
                variants: dict[str, Work] = {
                    "baseline": blocking(baseline.download),
                    "ours": camera.get_image_array,
                }
                found = await costs(scale.few_runs, variants)
    amount = wire.nbytes(scale.frame) / 1e6
    ours, theirs = (rates(found[name], amount) for name in ("ours", "baseline"))
    limit = Bound("ratio", ">=", 0.6)
    return [Row("get_image_array(), TLS", "MB/s", ours, f"ssl {BASELINE}", theirs, limit)]


async def alpyca(scale: Scale) -> list[Row]:
    """get_image() and the call that alpyca's documentation recommends, each in a new process.

    Both return a transposed view.
    """
    if not HAS_ALPYCA:
        return []
    with serving(Content("image", scale.frame)) as (port,):
        peaks = await _peaks(scale.few_runs, port, scale.frame, ours="view", theirs="alpyca")
    what, name = "get_image(contiguous=False)", "alpyca, np.array(ImageArray).T"
    ours, theirs = ([each.wall * MS for each in some] for some in peaks)
    return [
        Row(f"{what}, fresh process", "ms", ours, name, theirs, Bound("ratio", "<=", 0.1)),
        Row(f"{what}, memory", "MiB", *_pair(peaks, name), Bound("ratio", "<=", 1 / 3)),
    ]


async def others(scale: Scale) -> list[Row]:
    """get_image_array() compared with other clients that download the same bytes."""
    with serving(Content("image", scale.frame)) as (port,):
        address = url(port, wire.IMAGE_PATH)
        async with (
            AlpacaClient() as client,
            aiohttp.ClientSession() as session,
            httpx.AsyncClient() as stock,
        ):
            variants: dict[str, Work] = {
                "ours": client.camera(f"{HOST}:{port}").get_image_array,
                "aiohttp, streamed into an array": partial(aiohttp_array, session, address),
                "httpx, aiter_raw() into an array": partial(httpx_array, stock, address),
                "httpx, response.content": partial(httpx_content, stock, address),
            }
            found = await costs(scale.few_runs, variants)
    ours = walls(found.pop("ours"), MS)
    return [
        Row("get_image_array()", "ms", ours, name, walls(some, MS)) for name, some in found.items()
    ]


async def _requested_types(scale: Scale) -> list[Row]:
    """get_image(dtype="camera"), which is uint16, of pixels that are sent in three types."""
    contents: dict[str, Content] = {
        "UInt16": Content("image", scale.frame),
        "Int32": Content("int32", scale.frame),
        "Byte": Content("byte", scale.frame),
    }
    with serving(*contents.values()) as ports:
        async with AlpacaClient() as client:
            works: dict[str, Work] = {}
            for name, port in zip(contents, ports, strict=True):
                camera = client.camera(f"{HOST}:{port}")
                converted = partial(camera.get_image, dtype="camera")
                assert (await converted()).data.dtype == np.uint16
                works |= {name: camera.get_image, f"{name}, camera": converted}
            found = await costs(scale.runs, works)
    return [
        Row(
            f'get_image(dtype="camera") of {name}',
            "ms",
            walls(found[f"{name}, camera"], MS),
            f"get_image() of {name}",
            walls(found[name], MS),
            Bound("ratio", "<=", 1.1) if name != "Byte" else None,  # the array is twice as large
        )
        for name in contents
    ]


async def _peaks(
    runs: int, port: int, frame: Frame, *, ours: str, theirs: str
) -> tuple[list[Footprint], list[Footprint]]:
    found: dict[str, list[Footprint]] = {ours: [], theirs: []}
    for _ in range(runs):
        for variant, some in found.items():
            some.append(in_child(variant, port, frame, running()))
    return found[ours], found[theirs]


def _pair(
    peaks: tuple[list[Footprint], list[Footprint]], name: str
) -> tuple[list[float], str, list[float]]:
    ours, theirs = ([each.peak / MIB for each in some] for some in peaks)
    return ours, name, theirs

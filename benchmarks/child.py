"""One image in a process of its own: `python -m benchmarks.child WAY PORT WIDTH HEIGHT`.

Prints the seconds that it took, and the bytes by which the process grew at the most beyond what
it had when it was connected and had made one small call.
"""

from __future__ import annotations

import asyncio
import gc
import json
import re
import subprocess
import sys
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Final, NamedTuple

from alpaca_async import AlpacaClient

from .measure import blocking
from .peers import BlockingClient, alpyca_camera, alpyca_image
from .server import HOST, ROOT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .measure import Work
    from .wire import Frame

_STATUS: Final = Path("/proc/self/status")
_RESET: Final = Path("/proc/self/clear_refs")
MEASURABLE: Final = _RESET.exists()
_FORGET_PEAK: Final = "5"


class Footprint(NamedTuple):
    """Seconds, and bytes beyond the idle client's at the peak."""

    wall: float
    peak: int


def in_child(way: str, port: int, frame: Frame) -> Footprint:
    """Run one of `WAYS` in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.child", way, str(port), *map(str, frame)]
    done = subprocess.run(command, stdout=subprocess.PIPE, cwd=ROOT, check=True)  # noqa: S603
    wall, peak = json.loads(done.stdout)
    return Footprint(wall, peak)


def touch_memory(nbytes: int) -> None:
    """Have the machine provide memory, and give it back to the system, which hands it out again.

    On a virtual machine the first touch of a page can cost the host a hundred times what the
    copy into it does; whoever is measured first would pay for the others.
    """
    script = f"import numpy; numpy.ones({nbytes}, numpy.uint8)"
    subprocess.run([sys.executable, "-c", script], check=True)  # noqa: S603 - a number alone


def _kilobytes(field: str) -> int:
    found = re.search(rf"^{field}:\s*(\d+) kB$", _STATUS.read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1])


async def _footprint(work: Work) -> Footprint:
    gc.collect()
    _RESET.write_text(_FORGET_PEAK)
    idle = _kilobytes("VmRSS")
    start = perf_counter()
    result = await work()
    wall = perf_counter() - start
    peak = _kilobytes("VmHWM")
    del result
    return Footprint(wall, (peak - idle) * 1024)


async def _array(port: int, _frame: Frame) -> Footprint:
    async with AlpacaClient() as client:
        camera = client.camera(f"{HOST}:{port}")
        await camera.get_image_ready()
        return await _footprint(camera.get_image_array)


async def _image(port: int, _frame: Frame) -> Footprint:
    async with AlpacaClient() as client:
        camera = client.camera(f"{HOST}:{port}")
        await camera.get_image_ready()
        return await _footprint(camera.get_image)


async def _view(port: int, _frame: Frame) -> Footprint:
    async with AlpacaClient() as client:
        camera = client.camera(f"{HOST}:{port}")
        await camera.get_image_ready()
        return await _footprint(partial(camera.get_image, contiguous=False))


async def _floor(port: int, frame: Frame) -> Footprint:
    with BlockingClient(port, frame) as client:
        client.ready()
        return await _footprint(blocking(client.download))


async def _floor_rows(port: int, frame: Frame) -> Footprint:
    with BlockingClient(port, frame) as client:
        client.ready()
        return await _footprint(blocking(client.download_rows))


async def _alpyca(port: int, _frame: Frame) -> Footprint:
    camera = alpyca_camera(port)
    assert camera.ImageReady
    return await _footprint(blocking(lambda: alpyca_image(camera)))


WAYS: Final[dict[str, Callable[[int, Frame], Awaitable[Footprint]]]] = {
    "array": _array,
    "image": _image,
    "view": _view,
    "floor": _floor,
    "floor rows": _floor_rows,
    "alpyca": _alpyca,
}


async def _run(way: str, port: str, width: str, height: str) -> Footprint:
    return await WAYS[way](int(port), (int(width), int(height)))


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_run(*sys.argv[1:]))))

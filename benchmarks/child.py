"""Downloads one image in a new process.

`python -m benchmarks.child LOOP VARIANT PORT WIDTH HEIGHT`

Prints the seconds of the download, and the peak of the resident memory minus its idle value, in
bytes. Idle means connected, after one small call.
"""

from __future__ import annotations

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

from .loops import LOOPS, run
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
    """Seconds of the download, and peak memory minus idle memory in bytes."""

    wall: float
    peak: int


def in_child(variant: str, port: int, frame: Frame, loop: str = LOOPS[0]) -> Footprint:
    """Run one of `VARIANTS` in a new process, on an event loop of the module `loop`."""
    arguments = map(str, (loop, variant, port, *frame))
    command = [sys.executable, "-m", "benchmarks.child", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, cwd=ROOT, check=True)  # noqa: S603
    wall, peak = json.loads(done.stdout)
    return Footprint(wall, peak)


def touch_memory(nbytes: int) -> None:
    """Allocate, write and free `nbytes`, so that the host has provided this memory already.

    On a virtual machine the first access to a page can take a hundred times as long as the copy
    into it. The variant that is measured first would be slower for that reason.
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


async def _baseline(port: int, frame: Frame) -> Footprint:
    with BlockingClient(port, frame) as client:
        client.ready()
        return await _footprint(blocking(client.download))


async def _baseline_rows(port: int, frame: Frame) -> Footprint:
    with BlockingClient(port, frame) as client:
        client.ready()
        return await _footprint(blocking(client.download_rows))


async def _alpyca(port: int, _frame: Frame) -> Footprint:
    camera = alpyca_camera(port)
    assert camera.ImageReady
    return await _footprint(blocking(lambda: alpyca_image(camera)))


VARIANTS: Final[dict[str, Callable[[int, Frame], Awaitable[Footprint]]]] = {
    "array": _array,
    "image": _image,
    "view": _view,
    "baseline": _baseline,
    "baseline rows": _baseline_rows,
    "alpyca": _alpyca,
}


async def _run(variant: str, port: str, width: str, height: str) -> Footprint:
    return await VARIANTS[variant](int(port), (int(width), int(height)))


if __name__ == "__main__":
    print(json.dumps(run(_run(*sys.argv[2:]), sys.argv[1])))

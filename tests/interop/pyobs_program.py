"""A pyobs camera and a client of it, run by `test_programs.py`; prints what it found as JSON."""

import asyncio
import json
import sys
from collections.abc import Awaitable
from importlib import import_module
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "docs/examples/pyobs"))

po: Any = import_module("pyobs.interfaces")
LocalComm: Any = import_module("pyobs.comm.local").LocalComm
Module: Any = import_module("pyobs.modules").Module
ModuleState: Any = import_module("pyobs.utils.enums").ModuleState
ImageType: Any = import_module("pyobs.utils.enums").ImageType
iers: Any = import_module("astropy.utils.iers")
AlpacaCamera: Any = import_module("alpaca_camera").AlpacaCamera
# Tests download nothing, and accept an old table of the earth's rotation.
iers.conf.auto_download = False
iers.conf.auto_max_age = None

FILENAMES = "/cache/{IMAGETYP}-{FRAMENUM|string:04d}.fits"


async def error_of(awaitable: Awaitable[object]) -> str:
    """Return the type of the error that an awaitable raises."""
    (result,) = await asyncio.gather(awaitable, return_exceptions=True)
    return type(result).__name__


async def main(address: str, folder: str) -> dict[str, object]:
    """Expose with settings, take a dark, abort, cancel, and ask for what cannot be."""
    root = {"class": "pyobs.vfs.LocalFile", "root": folder}
    files = {"class": "pyobs.vfs.VirtualFileSystem", "roots": {"cache": root, "pyobs": root}}
    camera = AlpacaCamera(address, comm=LocalComm("camera"), vfs=files, filenames=FILENAMES)
    client = Module(comm=LocalComm("client"), vfs=files)
    await client.open()
    await camera.open()
    await camera.set_state(ModuleState.READY)
    async with client.comm.proxy("camera", po.ICamera) as remote:
        found = await use(remote)
    await camera.close()
    await client.close()
    return found


async def use(remote: Any) -> dict[str, object]:  # noqa: ANN401 - pyobs is not typed here
    """Drive the camera through pyobs's communication."""
    await remote.set_exposure_time(0.05)
    await remote.set_gain(100)
    await remote.set_binning(2, 2)
    await remote.set_window(100, 50, 200, 100)
    light = await remote.grab_data()
    await remote.set_image_type(ImageType.DARK)
    dark = await remote.grab_data()
    await remote.set_cooling(True, -5.0)
    await remote.set_exposure_time(60)
    exposing = asyncio.ensure_future(remote.grab_data())
    await asyncio.sleep(1)
    await remote.abort()
    aborted = await error_of(exposing)
    exposing = asyncio.ensure_future(remote.grab_data())
    await asyncio.sleep(1)
    exposing.cancel()
    cancelled = await error_of(exposing)
    return {
        "light": light,
        "dark": dark,
        "aborted": aborted,
        "cancelled": cancelled,
        "bad binning": await error_of(remote.set_binning(9, 9)),
        "bad gain": await error_of(remote.set_gain(1000)),
    }


print(json.dumps(asyncio.run(main(*sys.argv[1:]))))  # noqa: T201

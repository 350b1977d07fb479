"""A program with Qt's event loop, run by `test_programs.py`; prints what it found as JSON."""

import asyncio
import json
import sys
from importlib import import_module
from typing import Any

from alpaca_async import AlpacaClient

QtCore: Any = import_module("PySide6.QtCore")
qasync: Any = import_module("qasync")


async def main(address: str) -> dict[str, object]:
    """Expose, cancel an exposure, and download several images at once."""
    async with AlpacaClient() as client:
        camera = client.camera(address)
        await camera.connect()
        image = await camera.expose(0.05)
        exposing = asyncio.create_task(camera.expose(60))
        while int(await camera.get_camera_state()) == 0:  # noqa: ASYNC110 - a camera has no events
            await asyncio.sleep(0.01)
        exposing.cancel()
        ended = await asyncio.gather(exposing, return_exceptions=True)
        await camera.expose(0.01)
        images = await asyncio.gather(*(camera.get_image() for _ in range(3)))
        return {
            "shapes": [each.data.shape for each in (image, *images)],
            "cancelled": isinstance(ended[0], asyncio.CancelledError),
            "state": int(await camera.get_camera_state()),
        }


if __name__ == "__main__":
    application = QtCore.QCoreApplication(sys.argv)
    with qasync.QEventLoop(application) as loop:
        print(json.dumps(loop.run_until_complete(main(sys.argv[1]))))  # noqa: T201

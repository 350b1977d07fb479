"""Draw stretches.jpg: one simulated frame in every stretch, side by side."""

from __future__ import annotations

import asyncio
from pathlib import Path

import PIL.Image

from alpaca_async import AlpacaClient, Image, SensorType, preview
from alpaca_async.testing import SimulatedCamera, SimulatorServer

STRETCHES: tuple[preview.Stretch, ...] = ("auto", "asinh", "percentile", "zscale")
SIZE = 340


async def frame() -> Image:
    """Return a frame of the simulated sky, in colour."""
    simulated = SimulatedCamera(width=1500, height=1000, sensor=SensorType.COLOR)
    async with SimulatorServer([simulated]) as server, AlpacaClient() as client:
        camera = client.camera(server.address)
        await camera.connect()
        return await camera.expose(10.0)


def draw(image: Image) -> PIL.Image.Image:
    """Return the nebula in every stretch, one beside the other."""
    strip = PIL.Image.new("RGB", (len(STRETCHES) * SIZE, SIZE))
    for number, stretch in enumerate(STRETCHES):
        picture = preview.render(image, stretch=stretch).crop((600, 0, 1500, 900))
        smaller = picture.resize((SIZE, SIZE), PIL.Image.Resampling.LANCZOS)
        strip.paste(smaller, (number * SIZE, 0))
    return strip


if __name__ == "__main__":
    draw(asyncio.run(frame())).save(Path(__file__).with_name("stretches.jpg"), quality=85)

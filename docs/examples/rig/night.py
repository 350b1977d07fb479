"""A night with two cameras behind one filter wheel: L, R, G and B frames, and flats at dawn."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from itertools import count, cycle

from alpaca_async import AlpacaClient, CameraGroup, ExposureRequest, GuideDirections

FILTERS = ("L", "R", "G", "B")


class Unsafe(Exception):
    """It is not safe to observe."""


class Rig:
    """The devices, and what they do in a night."""

    def __init__(self, client: AlpacaClient, address: str) -> None:
        self.cameras = [client.camera(address, number) for number in (0, 1)]
        self.wheel = client.filter_wheel(address)
        self.focuser = client.focuser(address)
        self.cover = client.cover_calibrator(address)
        self.monitor = client.safety_monitor(address)
        self.numbers = count(1)

    async def connect(self) -> None:
        """Connect all devices. The focuser must be where L is in focus."""
        for device in (*self.cameras, self.wheel, self.focuser, self.cover, self.monitor):
            await device.connect()
        await self.wheel.move_to("L")
        names, offsets = await self.wheel.get_names(), await self.wheel.get_focus_offsets()
        best = await self.focuser.get_position() - offsets[names.index("L")]
        self.focus = {name: best + offset for name, offset in zip(names, offsets, strict=True)}

    async def watch_safety(self) -> None:
        """Raise `Unsafe` when it is not safe."""
        async with self.monitor.watch(interval=0.5) as states:
            async for safe in states:
                if not safe:
                    raise Unsafe

    async def dither(self) -> None:
        """Move the telescope a little, in a random direction."""
        await self.cameras[0].pulse_guide(random.choice(list(GuideDirections)), 500)
        await self.cameras[0].wait_pulse_guide(timeout=5)

    async def take(self, label: str, filter_name: str, requests: list[ExposureRequest]) -> None:
        """Take three frames with each camera, and save them while the next ones are exposed."""
        await self.wheel.move_to(filter_name)
        await self.focuser.move_to(self.focus[filter_name])
        async with CameraGroup(self.cameras) as group, group.exposures(requests, count=3) as rounds:
            async for outcomes in rounds:
                number = next(self.numbers)
                for outcome in outcomes:
                    name = f"{label}_{filter_name}_{number:04}_{outcome.device_number}.fits"
                    if outcome.image is None:
                        print(name, "failed:", outcome.error)
                    else:
                        await outcome.image.save_fits(name)

    async def observe(self, target: str, seconds: float, dawn: datetime) -> None:
        """Take frames of `target` through one filter after the other, until dawn."""
        await self.cover.open_cover()
        for name in cycle(FILTERS):
            if datetime.now(UTC) >= dawn:
                break
            header = {"OBJECT": target, "FILTER": name, "FOCUSPOS": self.focuser.get_position}
            first = ExposureRequest(seconds, header=header, prepare=self.dither)
            second = ExposureRequest(seconds, header=header)
            await self.take("light", name, [first, second])

    async def take_flats(self) -> None:
        """Take flats with the light of the closed cover."""
        await self.cover.close_cover()
        await self.cover.calibrator_on(await self.cover.get_max_brightness() // 2)
        for name in FILTERS:
            flat = ExposureRequest(1.0, header={"IMAGETYP": "Flat Frame", "FILTER": name})
            await self.take("flat", name, [flat, flat])


async def run_night(rig: Rig, target: str, seconds: float, dawn: datetime) -> None:
    """Observe, then take flats. However that ends, close the cover and turn off its light."""
    await rig.connect()
    if not await rig.monitor.is_safe():
        raise Unsafe
    try:
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(rig.watch_safety())
            await rig.observe(target, seconds, dawn)
            watching.cancel()
        await rig.take_flats()
    finally:
        await rig.cover.close_cover()
        await rig.cover.calibrator_off()


async def main() -> None:
    """Run a night of one minute."""
    dawn = datetime.now(UTC) + timedelta(minutes=1)
    try:
        async with AlpacaClient() as client:
            await run_night(Rig(client, "192.168.1.20:11111"), "M 51", 2.0, dawn)
    except* Unsafe:
        print("It is not safe to observe.")


if __name__ == "__main__":
    asyncio.run(main())

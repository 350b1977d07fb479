"""The cooler of a camera: cools down and warms up slowly, whoever asked for it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from alpaca_async._errors import AlpacaError

from .models import CoolingView
from .operation import Operation

if TYPE_CHECKING:
    from alpaca_async._camera import AsyncCamera
    from alpaca_async._workflows.cooling import CoolingPace, CoolingProgress

    from .changes import Changes
    from .models import CoolingOrder


class Cooler:
    """Carries out one temperature ramp at a time; one that is stopped holds the temperature."""

    def __init__(self, camera: AsyncCamera, changes: Changes, pace: CoolingPace) -> None:
        self.set_point: float | None = None
        """The last known one, in °C; None while the cooler is off."""
        self._camera = camera
        self._changes = changes
        self._pace = pace
        self._order: CoolingOrder | None = None
        self._progress: CoolingProgress | None = None
        self._operation = Operation(changes)

    def view(self) -> CoolingView:
        """Return the current state."""
        running = self._operation.running
        return CoolingView(
            order=self._order if running else None,
            progress=self._progress if running else None,
            set_point=self.set_point,
            wanted=None if self._order is None else self._order.set_point,
            error=self._operation.error,
        )

    async def start(self, order: CoolingOrder) -> None:
        """Begin a ramp; one that runs ends first."""

        async def run() -> None:
            self._order, self._progress = order, None
            if order.set_point is None:
                await self._camera.warm_up(
                    rate=order.rate, progress=self._on_progress, pace=self._pace
                )
            else:
                await self._camera.cool_to(
                    order.set_point, rate=order.rate, progress=self._on_progress, pace=self._pace
                )

        await self._operation.start(run)

    async def close(self) -> None:
        """End the ramp, if there is one: the cooler then holds the temperature."""
        await self._operation.close()

    async def run(self, interval: float) -> None:
        """Read the set point every `interval` seconds: another program may change it."""
        while True:
            with suppress(AlpacaError):  # its status says that the camera does not answer
                self.set_point = await self._read_set_point()
            await asyncio.sleep(interval)

    async def _read_set_point(self) -> float | None:
        info = await self._camera.get_info()
        if not info.can_set_ccd_temperature or not await self._camera.get_cooler_on():
            return None
        return await self._camera.get_ccd_temperature_setpoint()

    def _on_progress(self, progress: CoolingProgress) -> None:
        self._progress = progress
        self.set_point = progress.set_point
        self._changes.notify()

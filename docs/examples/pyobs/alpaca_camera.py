"""A camera module for pyobs 2.19."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pyobs.interfaces as po
from pyobs.images import Image
from pyobs.modules.camera.basecamera import BaseCamera
from pyobs.utils import exceptions as exc

from alpaca_async import AlpacaError, AsyncCamera, ExposureAborted, Reconnect, TransportError, fits


class AlpacaCamera(BaseCamera, po.IWindow, po.IBinning, po.ICooling, po.IGain, po.IAbortable):
    """A camera of an Alpaca server; a camera that was lost is reconnected before it exposes."""

    def __init__(self, address: str, device_number: int = 0, **kwargs: Any) -> None:
        BaseCamera.__init__(self, **kwargs)
        self._camera = AsyncCamera(address, device_number)
        self._is_lost = False
        self._window = (0, 0, 0, 0)  # unbinned pixels
        self._binning = (1, 1)
        self.add_background_task(self._publish_temperatures, True)

    async def open(self) -> None:
        await self._camera.connect()
        await self._camera.reset_frame()
        info = await self._camera.get_info()
        self._window = (0, 0, info.camera_x_size or 0, info.camera_y_size or 0)
        sizes = [po.Binning(size, size) for size in range(1, (info.max_bin_x or 1) + 1)]
        await self.comm.set_capabilities(po.IWindow, po.WindowCapabilities(*self._window))
        await self.comm.set_capabilities(po.IBinning, po.BinningCapabilities(sizes))
        await BaseCamera.open(self)
        await self._publish_settings()

    async def close(self) -> None:
        await BaseCamera.close(self)
        await self._camera.aclose()

    async def set_window(self, left: int, top: int, width: int, height: int, **_: Any) -> None:
        await self._set_frame((left, top, width, height), self._binning)

    async def set_binning(self, x: int, y: int, **_: Any) -> None:
        await self._set_frame(self._window, (x, y))

    async def _set_frame(self, window: tuple[int, int, int, int], binning: tuple[int, int]) -> None:
        (left, top, width, height), (x, y) = window, binning
        origin = {"start_x": left // x, "start_y": top // y}
        size = {"num_x": width // x, "num_y": height // y}
        await self._apply(self._camera.set_frame(bin_x=x, bin_y=y, **origin, **size))
        self._window, self._binning = window, binning
        await self._publish_settings()

    async def set_gain(self, gain: float, **_: Any) -> None:
        await self._apply(self._camera.select_gain(int(gain)))
        await self._publish_settings()

    async def set_offset(self, offset: float, **_: Any) -> None:
        await self._apply(self._camera.select_offset(int(offset)))
        await self._publish_settings()

    async def _apply(self, change: Any) -> None:
        try:
            await change
        except ValueError as error:
            raise exc.InvalidArgumentError(str(error)) from error

    async def set_cooling(self, enabled: bool, setpoint: float, **_: Any) -> None:
        if enabled:
            await self._camera.set_ccd_temperature_setpoint(setpoint)
        await self._camera.set_cooler_on(enabled)

    async def _publish_settings(self) -> None:
        settings = await self._camera.get_settings()
        await self.comm.set_state(po.IWindow, po.WindowState(*self._window))
        await self.comm.set_state(po.IBinning, po.BinningState(*self._binning))
        await self.comm.set_state(po.IGain, po.GainState(settings.gain or 0, settings.offset or 0))

    async def _publish_temperatures(self) -> None:
        while True:
            try:
                await self._publish_cooling()
            except AlpacaError as error:
                logging.getLogger(__name__).warning("no temperatures: %s", error)
            await asyncio.sleep(5)

    async def _publish_cooling(self) -> None:
        status, settings = await self._camera.get_status(), await self._camera.get_settings()
        values = {"CCD": status.ccd_temperature, "Back": status.heat_sink_temperature}
        known = [
            po.SensorReading(name, value) for name, value in values.items() if value is not None
        ]
        power = status.cooler_power and round(status.cooler_power)
        is_on = await self._camera.get_cooler_on()
        cooling = po.CoolingState(settings.ccd_temperature_setpoint, power, is_on)
        await self.comm.set_state(po.ITemperatures, po.TemperaturesState(known))
        await self.comm.set_state(po.ICooling, cooling)

    async def _expose(self, exposure_time: float, open_shutter: bool, abort_event: Any) -> Image:
        try:
            if self._is_lost:
                await self._camera.reconnect(Reconnect(timeout=60))
                self._is_lost = False
            image = await self._camera.expose(exposure_time, light=open_shutter)
        except ExposureAborted as error:
            raise exc.AbortedError("the exposure was aborted") from error
        except AlpacaError as error:
            self._is_lost |= isinstance(error, TransportError)
            raise exc.GrabImageError(str(error)) from error
        pyobs_keywords = {"XORGSUBF": self._window[0], "YORGSUBF": self._window[1]}
        result = Image(image.data, header=fits.header(image, pyobs_keywords))
        self.set_biassec_trimsec(result.header, *self._window)
        return result

    async def _abort_exposure(self) -> None:
        await self._camera.abort_exposure()

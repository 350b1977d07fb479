"""A camera as a detector for step scans and fly scans."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from ophyd_async.core import (
    DetectorTriggerLogic,
    StandardDetector,
    TriggerInfo,
    WatchableAsyncStatus,
    WatcherUpdate,
    soft_signal_rw,
)

from alpaca_async._camera import AsyncCamera
from alpaca_async._protocol.pixeltype import pixel_type

from .acquisition import Acquisition
from .writer import FrameWriter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from numpy.typing import DTypeLike
    from ophyd_async.core import DeviceMock, PathProvider, SignalR, SignalRW

    from alpaca_async._camera import AlpacaClient
    from alpaca_async._protocol.pixeltype import PixelType

    _Update: TypeAlias = WatcherUpdate[int] | BaseException | None


class AlpacaDetector(StandardDetector):
    """A camera for bluesky, which writes the frames of each stage to a new HDF5 file.

    The signals are `exposure_time` in seconds, and the settings `gain`, `offset` and `binning`.
    Setting `binning` keeps the part of the sensor that is read. Signals that the camera supports
    are in the configuration of each run.

    `paths` is a `PathProvider` of ophyd-async. All frames have the `dtype`, by default that of the
    camera's MaxADU. With `fits=True` each frame is also saved as FITS, beside the HDF5 file. When
    the RunEngine pauses, the exposure is aborted; it is repeated after the pause. An error of the
    camera ends the plan at once. With `client` the camera uses the connections of that client.
    Otherwise it has its own: close them with `await detector.camera.aclose()`.
    """

    def __init__(
        self,
        address: str,
        paths: PathProvider,
        device_number: int = 0,
        *,
        name: str = "",
        client: AlpacaClient | None = None,
        dtype: DTypeLike | Literal["camera"] | PixelType = "camera",
        fits: bool = False,
    ) -> None:
        pixels = pixel_type(dtype)
        self.camera = camera = AsyncCamera(address, device_number, client=client)
        self.exposure_time = soft_signal_rw(float, initial_value=1.0, units="s", precision=3)
        self.gain = _setting(camera.get_gain, camera.set_gain)
        self.offset = _setting(camera.get_offset, camera.set_offset)
        self.binning = _setting(camera.get_bin_x, self._set_binning)
        writer = FrameWriter(camera, pixels, paths, fits=fits)
        self._acquisition = Acquisition(camera, pixels, self.exposure_time, writer)
        trigger = _Trigger(self.exposure_time, self._acquisition)
        self.add_detector_logics(trigger, self._acquisition, writer)
        super().__init__(name=name)

    async def connect(
        self,
        mock: bool | DeviceMock[Any] = False,
        timeout: float = 10.0,
        force_reconnect: bool = False,
    ) -> None:
        """Connect the camera, unless this is a mock."""
        await super().connect(mock, timeout, force_reconnect)  # pyright: ignore[reportUnknownMemberType] - a generic without arguments
        if not mock:
            await self.camera.connect(timeout=timeout)
            self._config_signals = await self._configuration()

    @WatchableAsyncStatus.wrap
    async def trigger(self) -> AsyncIterator[WatcherUpdate[int]]:
        """Take one exposure."""
        await self._acquisition.ensure_stopped()
        async for update in self._until_end(super().trigger()):
            yield update

    @WatchableAsyncStatus.wrap
    async def complete(self) -> AsyncIterator[WatcherUpdate[int]]:
        """Wait for the frames of a fly scan."""
        async for update in self._until_end(super().complete()):  # pyright: ignore[reportUnknownArgumentType] - it has no annotation
            yield update

    async def pause(self) -> None:
        """Abort the exposure; bluesky repeats the trigger after the pause."""
        await self._acquisition.ensure_stopped()

    async def resume(self) -> None:
        """Do nothing: the trigger that follows begins a new exposure."""

    async def _until_end(
        self, frames: WatchableAsyncStatus[int]
    ) -> AsyncIterator[WatcherUpdate[int]]:
        """Yield updates until `frames` is done, or the exposures stop; raise the camera's error.

        `StandardDetector` waits for frames alone, and would report a timeout later.
        """
        updates: asyncio.Queue[_Update] = asyncio.Queue()

        def put(*_: Any, **fields: Any) -> None:  # noqa: ANN401 - the fields of a WatcherUpdate
            updates.put_nowait(WatcherUpdate(**fields))

        async with frames:
            frames.watch(put)
            frames.add_callback(lambda _: updates.put_nowait(frames.exception()))
            with self._acquisition.reporting_to(updates.put_nowait):
                while (update := await updates.get()) is not None:
                    if isinstance(update, BaseException):
                        raise update
                    yield update

    async def _set_binning(self, binning: int) -> None:
        await self.camera.set_frame(bin_x=binning, bin_y=binning)

    async def _configuration(self) -> tuple[SignalR[int] | SignalR[float], ...]:
        """Return the signals whose members the camera implements."""
        settings = await self.camera.get_settings()
        optional = {self.gain: settings.gain, self.offset: settings.offset}
        known = [signal for signal, value in optional.items() if value is not None]
        return (self.exposure_time, self.binning, *known)


def _setting(
    getter: Callable[[], Awaitable[int]], setter: Callable[[int], Awaitable[None]]
) -> SignalRW[int]:
    """Return a signal that reads from the camera and sets it."""

    async def put(value: int | None) -> None:
        if value is None:
            raise ValueError("a camera has no default for this setting")
        await setter(value)

    return soft_signal_rw(int, getter=getter, setter=put)


class _Trigger(DetectorTriggerLogic):
    def __init__(self, duration: SignalRW[float], acquisition: Acquisition) -> None:
        self._duration = duration
        self._acquisition = acquisition

    async def prepare_internal(self, num: int, livetime: float, deadtime: float) -> None:
        if livetime:
            await self._duration.set(livetime)
        self._acquisition.count = num
        self._acquisition.pause = deadtime

    async def default_trigger_info(self) -> TriggerInfo:
        return TriggerInfo(livetime=await self._duration.get_value())

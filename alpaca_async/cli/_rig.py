"""The devices beside a camera that commands use: wheel, cover with calibrator, focuser."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Self, TypeAlias

import typer

from alpaca_async._enums import CalibratorStatus, CoverStatus

from ._console import print_note
from ._server import connected, server_address
from ._usage import UsageError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from alpaca_async._accessories.cover_calibrator import AsyncCoverCalibrator
    from alpaca_async._accessories.filter_wheel import AsyncFilterWheel
    from alpaca_async._accessories.focuser import AsyncFocuser
    from alpaca_async._camera import AlpacaClient, AsyncCamera

    from ._access import Access

Filter: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--filter",
        metavar="NAME|POSITION",
        help="Move the filter wheel there first. Default: the present filter.",
        show_default=False,
    ),
]


@dataclass(frozen=True, slots=True)
class Rig:
    """A camera, and the first device of each other type that its server has."""

    camera: AsyncCamera
    wheel: AsyncFilterWheel | None
    cover: AsyncCoverCalibrator | None
    focuser: AsyncFocuser | None

    @classmethod
    async def of(cls, client: AlpacaClient, server: str, number: int) -> Self:
        """Return the rig with camera `number` of `server`."""
        devices = await client.get_configured_devices(server)
        first: dict[str, int] = {}
        for device in sorted(devices, key=lambda device: device.device_number):
            first.setdefault(device.device_type.lower(), device.device_number)
        wheel, cover, focuser = map(first.get, ("filterwheel", "covercalibrator", "focuser"))
        return cls(
            client.camera(server, number),
            None if wheel is None else client.filter_wheel(server, wheel),
            None if cover is None else client.cover_calibrator(server, cover),
            None if focuser is None else client.focuser(server, focuser),
        )


@asynccontextmanager
async def rig_at(address: str, number: int, access: Access) -> AsyncGenerator[Rig]:
    """Yield the rig with a camera; its devices are not connected yet."""
    async with server_address(address) as server, access.client() as client:
        yield await Rig.of(client, server, number)


@asynccontextmanager
async def connected_all(
    *devices: AsyncCamera | AsyncFilterWheel | AsyncCoverCalibrator | AsyncFocuser | None,
    keep: bool,
) -> AsyncGenerator[None]:
    """Connect those of `devices` that exist for the block, as `connected` does."""
    async with AsyncExitStack() as stack:
        for device in devices:
            if device is not None:
                await stack.enter_async_context(connected(device, keep=keep))
        yield


async def select_filter(wheel: AsyncFilterWheel | None, wanted: str | None) -> str | None:
    """Move `wheel` to the filter `wanted`, if any; return the name of the filter in place."""
    if wheel is None:
        if wanted is not None:
            raise UsageError("--filter: the server has no filter wheel")
        return None
    names = await wheel.get_names()
    if wanted is not None:
        is_position = wanted not in names and wanted.isascii() and wanted.isdecimal()
        await wheel.move_to(int(wanted) if is_position else wanted)
    position = await wheel.get_position()
    return names[position] if 0 <= position < len(names) else None


@asynccontextmanager
async def closed(cover: AsyncCoverCalibrator | None) -> AsyncGenerator[None]:
    """Keep `cover` closed during the block, and open it afterwards if it was open.

    After an error or Ctrl-C it stays closed, which is safe. Does nothing without a cover.
    """
    state = CoverStatus.NOT_PRESENT if cover is None else await cover.get_cover_state()
    if cover is None or state is CoverStatus.NOT_PRESENT:
        yield
        return
    await cover.close_cover()
    yield
    if state is CoverStatus.OPEN:
        await cover.open_cover()


@asynccontextmanager
async def dark(cover: AsyncCoverCalibrator | None) -> AsyncGenerator[None]:
    """Keep `cover` closed and its calibrator off during the block."""
    async with closed(cover):
        if cover is not None and await _may_shine(cover):
            await cover.calibrator_off()
        yield


@asynccontextmanager
async def lit(cover: AsyncCoverCalibrator | None, brightness: int | None) -> AsyncGenerator[None]:
    """Turn the calibrator on during the block, by default at its largest brightness.

    Raises `UsageError` if a brightness is given and there is no calibrator.
    """
    if cover is None or await cover.get_calibrator_state() is CalibratorStatus.NOT_PRESENT:
        if brightness is not None:
            raise UsageError("--brightness: the server has no calibrator")
        print_note("there is no calibrator: using the ambient light")
        yield
        return
    async with closed(cover):
        if brightness is None:
            brightness = await cover.get_max_brightness()
        try:
            await cover.calibrator_on(brightness)
            yield
        finally:
            await cover.calibrator_off()


async def _may_shine(cover: AsyncCoverCalibrator) -> bool:
    return await cover.get_calibrator_state() not in {
        CalibratorStatus.NOT_PRESENT,
        CalibratorStatus.OFF,
    }

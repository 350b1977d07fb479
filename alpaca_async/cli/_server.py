"""Access to a camera: address arguments, the built-in simulator, connecting."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias, TypedDict

import typer

from alpaca_async._address import origin
from alpaca_async._errors import AlpacaError

from ._console import print_note
from ._extras import SIMULATOR
from ._usage import UsageError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from alpaca_async._camera import AsyncCamera
    from alpaca_async._device.device import AsyncDevice

    from ._access import Access

Address: TypeAlias = Annotated[
    str,
    typer.Argument(
        metavar="ADDRESS",
        help="HOST, HOST:PORT, http(s)://HOST:PORT, or 'sim' for a simulated camera.",
        show_default=False,
    ),
]

Device: TypeAlias = Annotated[
    int,
    typer.Option("--device", "-d", min=0, metavar="N", help="Device number of the camera."),
]

Keep: TypeAlias = Annotated[
    bool,
    typer.Option("--keep", help="Leave the camera connected that this command has connected."),
]

AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class SkyOptions(TypedDict):
    """Arguments of `SimulatedCamera` for its sky and its sensor."""

    stars: int
    sky_brightness: float
    hot_pixel_fraction: float


SIMULATED_SKY: Final = SkyOptions(stars=1500, sky_brightness=30.0, hot_pixel_fraction=1e-5)
"""The nebula is visible after two seconds, and hot pixels do not hide it."""

_DISCONNECT_TIMEOUT: Final = 10.0

logger = logging.getLogger("alpaca_async")


@asynccontextmanager
async def server_address(address: str) -> AsyncGenerator[str]:
    """Yield `address`; for `sim`, run a simulated rig and yield its address.

    The simulated devices are connected. Raises `UsageError` if `address` is not valid.
    """
    if address != SIMULATOR:
        yield check_address(address)
        return
    from alpaca_async.testing import (  # noqa: PLC0415 - an extra
        SimulatedCamera,
        SimulatedRig,
        SimulatorServer,
    )

    rig = SimulatedRig([SimulatedCamera(**SIMULATED_SKY, initially_connected=True)])
    async with SimulatorServer(rig.devices) as server:
        yield server.address


def check_address(address: str) -> str:
    """Return `address`; raise `UsageError` if it is not valid."""
    try:
        origin(address)
    except ValueError as error:
        raise UsageError(str(error)) from None
    return address


@asynccontextmanager
async def camera_at(address: str, number: int, access: Access) -> AsyncGenerator[AsyncCamera]:
    """Yield the camera without connecting or disconnecting it."""
    async with server_address(address) as server, access.client() as client:
        yield client.camera(server, number)


@asynccontextmanager
async def connected(device: AsyncDevice, *, keep: bool = False) -> AsyncGenerator[None]:
    """Connect `device` for the block; disconnect it only if it was not connected before.

    With `keep` it stays connected: another program may have begun to use it meanwhile. What was
    done is printed, unless there is an error to print.
    """
    if await device.get_connected():
        yield
        return
    await device.connect()
    try:
        yield
    finally:
        if not keep:
            await _disconnect(device)
    name = f"{device.device_type} {device.device_number}"
    print_note(f"connected {name}" if keep else f"connected {name}, and disconnected it again")


async def _disconnect(device: AsyncDevice) -> None:
    """Disconnect; only log a failure, because the work itself has succeeded or failed already."""
    try:
        await device.disconnect(timeout=_DISCONNECT_TIMEOUT)
    except AlpacaError as error:
        logger.warning("the %s could not be disconnected: %s", device.device_type, error)

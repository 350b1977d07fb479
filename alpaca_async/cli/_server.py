"""The way to a camera and back: the embedded simulator, connecting, disconnecting."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias, TypedDict

import typer

from alpaca_async._address import origin
from alpaca_async._camera import AlpacaClient
from alpaca_async._errors import AlpacaError

from ._usage import WrongUsage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from alpaca_async._camera import AsyncCamera

SIMULATOR: Final = "sim"
"""The address of a simulated camera that lives as long as the command."""

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
    typer.Option("--device", "-d", min=0, metavar="N", help="The camera's number on its server."),
]

AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


class Sky(TypedDict):
    """What `SimulatedCamera` is told about its sky and its sensor."""

    stars: int
    sky_brightness: float
    hot_pixel_fraction: float


GOOD_NIGHT: Final = Sky(stars=1500, sky_brightness=30.0, hot_pixel_fraction=1e-5)
"""A sky that shows its nebula in two seconds, and a sensor that does not outshine it."""

_DISCONNECT_LIMIT: Final = 10.0

logger = logging.getLogger("alpaca_async")


def extras_for(address: str) -> tuple[str, ...]:
    """Return the extras that it takes to reach `address`."""
    return ("testing",) if address == SIMULATOR else ()


@asynccontextmanager
async def reachable(address: str) -> AsyncGenerator[str]:
    """Yield `address`, or for `sim` that of a server that runs meanwhile; its camera is connected.

    `WrongUsage` for what is no address.
    """
    if address != SIMULATOR:
        yield checked(address)
        return
    from alpaca_async.testing import SimulatedCamera, SimulatorServer  # noqa: PLC0415 - an extra

    async with SimulatorServer([SimulatedCamera(**GOOD_NIGHT, initially_connected=True)]) as server:
        yield server.address


def checked(address: str) -> str:
    """Return `address` if it is one."""
    try:
        origin(address)
    except ValueError as error:
        raise WrongUsage(str(error)) from None
    return address


@asynccontextmanager
async def camera_at(address: str, number: int) -> AsyncGenerator[AsyncCamera]:
    """Yield a camera as it is, connected or not."""
    async with reachable(address) as place, AlpacaClient() as client:
        yield client.camera(place, number)


@asynccontextmanager
async def connected(camera: AsyncCamera) -> AsyncGenerator[None]:
    """Connect `camera` unless it is connected, and leave it as it was found."""
    if await camera.get_connected():
        yield
        return
    await camera.connect()
    try:
        yield
    finally:
        await _disconnect(camera)


async def _disconnect(camera: AsyncCamera) -> None:
    """Disconnect; what was done with the camera counts more than a failure to leave it."""
    try:
        await camera.disconnect(timeout=_DISCONNECT_LIMIT)
    except AlpacaError as error:
        logger.warning("the camera could not be disconnected: %s", error)

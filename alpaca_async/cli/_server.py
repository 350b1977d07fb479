"""Access to a camera: its arguments, the built-in simulator, connecting."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final, Self, TypeAlias, TypedDict

import typer

from alpaca_async._address import origin
from alpaca_async._errors import AlpacaError

from ._access import Access
from ._console import print_note
from ._extras import SIMULATOR
from ._numbers import decimal
from ._usage import UsageError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from alpaca_async._camera import AsyncCamera
    from alpaca_async._device.device import AsyncDevice

    Connect: TypeAlias = Callable[[AsyncDevice], Awaitable[None]]

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
    typer.Option("--keep", help="Leave connected what this command has connected."),
]

Interval: TypeAlias = Annotated[
    float,
    typer.Option(
        "--interval",
        "-i",
        parser=decimal(0.01),
        metavar="SECONDS",
        help="Time between two readings.",
    ),
]

AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The camera that a command is about, and how to reach it."""

    address: str
    number: int
    access: Access
    keep: bool = False
    """Whether what the command connects stays connected."""

    @property
    def arguments(self) -> str:
        """What names the camera in another command, such as `127.0.0.1:11111 -d 1`."""
        return f"{self.address} -d {self.number}" if self.number else self.address

    @classmethod
    def of(
        cls,
        address: str,
        number: int,
        user: str | None,
        pins: list[str] | None,
        *,
        keep: bool = False,
    ) -> Self:
        """Return the target that the arguments describe; ask for the password if needed.

        Raises `MissingExtra`, and the errors of `Access.to`.
        """
        access = Access.to([address], user, pins)
        return cls(address=address, number=number, access=access, keep=keep)


class SkyOptions(TypedDict):
    """Arguments of `SimulatedCamera` for its sky and its sensor."""

    stars: int
    sky_brightness: float
    hot_pixel_fraction: float


SIMULATED_SKY: Final = SkyOptions(stars=1500, sky_brightness=30.0, hot_pixel_fraction=1e-5)
"""The nebula is visible after two seconds, and hot pixels do not hide it."""

_ENDS_WITH_THE_COMMAND: Final = (
    "this simulated camera ends with the command; to keep one: alpaca-async sim"
)
_DISCONNECT_TIMEOUT: Final = 10.0

_NAMES: Final = {"filterwheel": "filter wheel", "covercalibrator": "cover"}
"""What devices are called where that is not their type."""

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

    print_note(_ENDS_WITH_THE_COMMAND)
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
async def camera_at(target: Target) -> AsyncGenerator[AsyncCamera]:
    """Yield the camera without connecting or disconnecting it."""
    async with server_address(target.address) as server, target.access.client() as client:
        yield client.camera(server, target.number)


@asynccontextmanager
async def connections(*, keep: bool) -> AsyncGenerator[Connect]:
    """Yield a function that connects a device, unless it is connected, for the block.

    With `keep` they stay connected: other programs may have begun to use them meanwhile. What was
    done is printed, unless there is an error to print.
    """
    connected: list[AsyncDevice] = []

    async def connect(device: AsyncDevice) -> None:
        if not await device.get_connected():
            await device.connect()
            connected.append(device)

    try:
        yield connect
    finally:
        if not keep:
            for device in reversed(connected):
                await _disconnect(device)
    if connected:
        print_note(_connections_made(connected, keep=keep))


def name_of(device: AsyncDevice) -> str:
    """Return for example `filter wheel 0`."""
    return f"{_NAMES.get(device.device_type, device.device_type)} {device.device_number}"


def _connections_made(devices: Sequence[AsyncDevice], *, keep: bool) -> str:
    *others, last = map(name_of, devices)
    names = f"{', '.join(others)} and {last}" if others else last
    if keep:
        return f"connected {names}"
    return f"connected {names}, and disconnected {'them' if others else 'it'} again"


async def _disconnect(device: AsyncDevice) -> None:
    """Disconnect; only log a failure, because the work itself has succeeded or failed already."""
    try:
        await device.disconnect(timeout=_DISCONNECT_TIMEOUT)
    except AlpacaError as error:
        logger.warning("%s could not be disconnected: %s", name_of(device), error)

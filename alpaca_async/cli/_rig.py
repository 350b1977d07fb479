"""The devices beside a camera that commands use: wheel, cover with calibrator, focuser."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias, TypeVar

import typer

from alpaca_async._device.cached_facts import optional
from alpaca_async._enums import CalibratorStatus, CoverStatus
from alpaca_async._errors import AlpacaError

from ._console import print_note
from ._server import connections, name_of, server_address
from ._usage import UsageError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection, Sequence

    from alpaca_async._accessories.cover_calibrator import AsyncCoverCalibrator
    from alpaca_async._accessories.filter_wheel import AsyncFilterWheel
    from alpaca_async._accessories.focuser import AsyncFocuser
    from alpaca_async._camera import AlpacaClient, AsyncCamera
    from alpaca_async._session.management import ConfiguredDevice

    from ._server import Connect, Target

D = TypeVar("D")

Filter: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--filter",
        metavar="NAME|POSITION",
        help="Move the filter wheel there first. Default: the present filter.",
        show_default=False,
    ),
]

CAMERA: Final = "camera"
WHEEL: Final = "filterwheel"
COVER: Final = "covercalibrator"
FOCUSER: Final = "focuser"

logger = logging.getLogger("alpaca_async")


@dataclass(frozen=True, slots=True)
class Rig:
    """A camera, and those of the devices that belong to it which a command uses."""

    target: Target
    camera: AsyncCamera
    wheel: AsyncFilterWheel | None
    cover: AsyncCoverCalibrator | None
    focuser: AsyncFocuser | None

    def header(self) -> dict[str, Any]:
        """Return the keywords for what is in front of the camera, read during each exposure.

        A device that does not answer then costs its keyword, and a warning is logged.
        """
        header: dict[str, Any] = {}
        if self.wheel is not None:
            header["FILTER"] = partial(filter_in_place, self.wheel)
        if self.focuser is not None:
            header["FOCUSPOS"] = partial(optional, self.focuser.get_position)
        return header

    def existing(self, device: D | None, missing: str) -> D:
        """Return `device`; if there is none, raise `UsageError`, beginning with `missing`."""
        if device is None:
            raise UsageError(f"{missing} belongs to camera {self.camera.device_number}")
        return device


@asynccontextmanager
async def rig_at(
    target: Target, needed: Collection[str], *, wanted: Collection[str] = ()
) -> AsyncGenerator[Rig]:
    """Yield the rig with a camera; what it has of the types `needed` and `wanted` is connected.

    A device that is only wanted, and cannot be connected, is left out, and a warning is logged.
    """
    async with (
        server_address(target.address) as server,
        target.access.client() as client,
        connections(keep=target.keep) as connect,
    ):
        camera = client.camera(server, target.number)
        if CAMERA in needed:  # the first, because its errors say most about a wrong address
            await connect(camera)
        devices: dict[str, Any] = {}
        for kind, device in (await _companions(client, camera, needed)).items():
            if kind in needed:
                await connect(device)
            elif kind not in wanted or not await _can_connect(connect, device):
                continue
            devices[kind] = device
        yield Rig(target, camera, devices.get(WHEEL), devices.get(COVER), devices.get(FOCUSER))


async def _companions(
    client: AlpacaClient, camera: AsyncCamera, needed: Collection[str]
) -> dict[str, Any]:
    """Return the devices that belong to `camera`, by their type.

    If the server cannot list its devices, that is no error if only the camera is needed.
    """
    try:
        configured = await client.get_configured_devices(camera.server)
    except AlpacaError as error:
        if set(needed) != {CAMERA}:
            raise
        logger.warning("the devices beside the camera are unknown: %s", error)
        return {}
    make = {
        WHEEL: client.filter_wheel,
        COVER: client.cover_calibrator,
        FOCUSER: client.focuser,
    }
    numbers = {kind: belonging(configured, kind, camera.device_number) for kind in make}
    return {
        kind: make[kind](camera.server, number)
        for kind, number in numbers.items()
        if number is not None
    }


def belonging(devices: Sequence[ConfiguredDevice], kind: str, camera: int) -> int | None:
    """Return the number of the device of a type that belongs to the camera with number `camera`.

    That is the only one of this type; of several, the one with the number of the camera.
    """
    numbers = {each.device_number for each in devices if each.device_type.lower() == kind}
    if len(numbers) == 1:
        return numbers.pop()
    return camera if camera in numbers else None


async def _can_connect(connect: Connect, device: Any) -> bool:  # noqa: ANN401 - of any type
    try:
        await connect(device)
    except AlpacaError as error:
        logger.warning("%s is not used: %s", name_of(device), error)
        return False
    return True


async def select_filter(rig: Rig, wanted: str | None) -> None:
    """Move the filter wheel to a filter; None leaves it where it is."""
    if wanted is not None:
        await move_to_filter(rig.existing(rig.wheel, "--filter: no filter wheel"), wanted)


async def move_to_filter(wheel: AsyncFilterWheel, wanted: str) -> None:
    """Move `wheel` to a filter, given by its name or its position."""
    is_position = wanted.isascii() and wanted.isdecimal() and wanted not in await wheel.get_names()
    await wheel.move_to(int(wanted) if is_position else wanted)


async def filter_in_place(wheel: AsyncFilterWheel) -> str | None:
    """Return the name of the filter in place; None while the wheel moves."""
    names, position = await wheel.get_names(), await wheel.get_position()
    return names[position] if 0 <= position < len(names) else None


async def print_if_closed(rig: Rig) -> None:
    """Say so if the cover is closed."""
    if rig.cover is not None and await _state_of(rig.cover) is CoverStatus.CLOSED:
        print_note(f"no light reaches the camera: {_closed_cover(rig)}")


@asynccontextmanager
async def closed(rig: Rig) -> AsyncGenerator[None]:
    """Keep the cover closed during the block, and open it afterwards if it was open.

    After an error or Ctrl-C it stays closed, which is safe, and that is printed. Does nothing
    without a cover.
    """
    cover = rig.cover
    state = CoverStatus.NOT_PRESENT if cover is None else await cover.get_cover_state()
    if cover is None or state is CoverStatus.NOT_PRESENT:
        yield
        return
    try:
        await cover.close_cover()
        yield
    except BaseException:
        state = await _state_of(cover)
        is_closed = state is CoverStatus.CLOSED
        print_note(_closed_cover(rig) if is_closed else f"the cover is {word_for(state)}")
        raise
    if state is CoverStatus.OPEN:
        await cover.open_cover()


def _closed_cover(rig: Rig) -> str:
    command = f"alpaca-async move {rig.target.arguments} --cover open"
    return f"the cover is closed; to open it: {command}"


async def _state_of(cover: AsyncCoverCalibrator) -> CoverStatus:
    """Return the state of `cover`; unknown if it cannot be read."""
    try:
        return await cover.get_cover_state()
    except AlpacaError:
        return CoverStatus.UNKNOWN


def word_for(state: CoverStatus) -> str:
    """Return for example `closed`, or `not present`."""
    return state.name.lower().replace("_", " ")


@asynccontextmanager
async def dark(rig: Rig) -> AsyncGenerator[None]:
    """Keep the cover closed and its calibrator off during the block."""
    cover = rig.cover
    async with closed(rig):
        if cover is not None and await _may_shine(cover):
            await cover.calibrator_off()
        yield


@asynccontextmanager
async def lit(rig: Rig, brightness: int | None) -> AsyncGenerator[None]:
    """Turn the calibrator on during the block, by default at its largest brightness.

    Raises `UsageError` if a brightness is given and there is no calibrator.
    """
    cover = rig.cover
    if cover is None or await cover.get_calibrator_state() is CalibratorStatus.NOT_PRESENT:
        if brightness is not None:
            rig.existing(None, "--brightness: no calibrator")
        print_note("there is no calibrator: using the ambient light")
        yield
        return
    async with closed(rig):
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

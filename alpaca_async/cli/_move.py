"""`alpaca-async move`: moves the devices beside a camera, or prints where they are."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from alpaca_async._device.cached_facts import optional

from ._access import Pins, User  # noqa: TC001 - typer evaluates them
from ._console import print_line, report_errors
from ._event_loop import run
from ._rig import COVER, FOCUSER, WHEEL, Rig, filter_in_place, move_to_filter, rig_at, word_for
from ._server import Address, Device, Keep, Target

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator


class CoverGoal(StrEnum):
    """Values of `--cover`."""

    OPEN = "open"
    CLOSE = "close"


def move(
    address: Address,
    filter: Annotated[  # noqa: A002 - the field's word
        str | None,
        typer.Option(metavar="NAME|POSITION", help="Move the wheel there.", show_default=False),
    ] = None,
    focuser: Annotated[
        int | None,
        typer.Option(min=0, metavar="POSITION", help="Move the focuser there.", show_default=False),
    ] = None,
    cover: Annotated[
        CoverGoal | None,
        typer.Option(metavar="open|close", help="Open or close the cover.", show_default=False),
    ] = None,
    keep: Keep = False,
    device: Device = 0,
    user: User = None,
    pin: Pins = None,
) -> None:
    """Move the filter wheel, the focuser and the cover.

    Prints where they are. Without --filter, --focuser and --cover nothing moves. Ctrl-C stops the
    focuser and the cover.
    """
    with report_errors():
        target = Target.of(address, device, user, pin, keep=keep)
        run(_move(target, filter, focuser, cover))


async def _move(
    target: Target, wanted_filter: str | None, position: int | None, cover: CoverGoal | None
) -> None:
    goals = {WHEEL: wanted_filter, FOCUSER: position, COVER: cover}
    moving = {kind for kind, goal in goals.items() if goal is not None}
    async with rig_at(target, moving, wanted=() if moving else goals) as rig:
        for movement in list(_movements(rig, wanted_filter, position, cover)):
            await movement()
        await _print_positions(rig)


def _movements(
    rig: Rig, wanted_filter: str | None, position: int | None, cover: CoverGoal | None
) -> Iterator[Callable[[], Awaitable[None]]]:
    """Yield the movements; raise `UsageError` for a device that does not exist."""
    if wanted_filter is not None:
        wheel = rig.existing(rig.wheel, "--filter: no filter wheel")
        yield partial(move_to_filter, wheel, wanted_filter)
    if position is not None:
        yield partial(rig.existing(rig.focuser, "--focuser: no focuser").move_to, position)
    if cover is not None:
        device = rig.existing(rig.cover, "--cover: no cover")
        yield device.open_cover if cover is CoverGoal.OPEN else device.close_cover


async def _print_positions(rig: Rig) -> None:
    if rig.wheel is not None:
        names = ", ".join(await rig.wheel.get_names())
        print_line(f"filter: {await filter_in_place(rig.wheel) or 'moving'} (of {names})")
    if rig.focuser is not None:
        position = await optional(rig.focuser.get_position)
        print_line(f"focuser: {'unknown' if position is None else position}")
    if rig.cover is not None:
        print_line(f"cover: {word_for(await rig.cover.get_cover_state())}")
    if not (rig.wheel or rig.focuser or rig.cover):
        rig.existing(None, "no filter wheel, focuser or cover")

"""`alpaca-async focus`: moves the focuser to where the stars are smallest."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from alpaca_async._autofocus import autofocus

from ._access import Pins, User  # noqa: TC001 - typer evaluates them
from ._console import Interrupted, print_json_line, print_line, report_errors
from ._event_loop import run
from ._frames import Duration, FullFrameBinning, Gain  # noqa: TC001 - typer evaluates them
from ._rig import CAMERA, FOCUSER, WHEEL, Filter, rig_at, select_filter
from ._server import Address, AsJson, Device, Keep, Target
from ._settings import Settings

if TYPE_CHECKING:
    from alpaca_async._autofocus import FocusPoint, FocusResult


@dataclass(frozen=True, slots=True, kw_only=True)
class FocusOptions:
    """The arguments of the command."""

    duration: float
    step: int
    points: int
    filter: str | None
    settings: Settings
    as_json: bool


def focus(  # noqa: PLR0913, PLR0917 - one parameter for each option
    address: Address,
    duration: Duration = 2.0,
    step: Annotated[
        int, typer.Option("--step", min=1, metavar="STEPS", help="Distance between two positions.")
    ] = 50,
    points: Annotated[
        int, typer.Option("--points", min=5, max=99, metavar="COUNT", help="Number of positions.")
    ] = 9,
    filter: Filter = None,  # noqa: A002 - the field's word
    binning: FullFrameBinning = None,
    gain: Gain = None,
    keep: Keep = False,
    as_json: AsJson = False,
    device: Device = 0,
    user: User = None,
    pin: Pins = None,
) -> None:
    """Move the focuser to where the stars are smallest.

    One exposure is taken at each of several positions around the present one. All are approached
    from below, because of backlash. The focuser returns to where it was after an error or Ctrl-C.
    """
    with report_errors():
        target = Target.of(address, device, user, pin, keep=keep)
        options = FocusOptions(
            duration=duration,
            step=step,
            points=points,
            filter=filter,
            settings=Settings(binning=binning, gain=gain),
            as_json=as_json,
        )
        run(_focus(target, options))


async def _focus(target: Target, options: FocusOptions) -> None:
    needed = {CAMERA, FOCUSER} if options.filter is None else {CAMERA, FOCUSER, WHEEL}
    async with rig_at(target, needed) as rig:
        focuser = rig.existing(rig.focuser, "no focuser")
        await options.settings.apply(rig.camera)
        await select_filter(rig, options.filter)
        show = _print_point_as_json if options.as_json else _print_point
        try:
            result = await autofocus(
                rig.camera,
                focuser,
                options.duration,
                step=options.step,
                points=options.points,
                progress=show,
            )
        except asyncio.CancelledError:
            position = await focuser.get_position()
            raise Interrupted(f"interrupted; the focuser is at {position}") from None
    if options.as_json:
        print_json_line({"best_position": result.position, "hfd": round(result.hfd, 3)})
    else:
        _print_result(result)


def _print_result(result: FocusResult) -> None:
    was_measured = result.position in {point.position for point in result.points}
    fitted = "" if was_measured else " (fit)"
    print_line(f"best focus at {result.position}{fitted}, with stars of {result.hfd:.2f} pixels")


def _print_point(point: FocusPoint) -> None:
    size = "too few stars" if point.hfd is None else f"{point.hfd:.2f} pixels"
    print_line(f"{point.position}: {size}, {point.stars} stars")


def _print_point_as_json(point: FocusPoint) -> None:
    print_json_line(asdict(point))

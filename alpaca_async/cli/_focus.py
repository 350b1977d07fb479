"""`alpaca-async focus`: moves the focuser to where the stars are smallest."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

import numpy as np
import typer

from ._access import Pins, User  # noqa: TC001 - typer evaluates them
from ._console import Interrupted, print_json_line, print_line, report_errors
from ._event_loop import run
from ._frames import Duration, FullFrameBinning, Gain  # noqa: TC001 - typer evaluates them
from ._rig import CAMERA, FOCUSER, WHEEL, Filter, rig_at, select_filter
from ._server import Address, AsJson, Device, Keep, Target
from ._settings import Settings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from alpaca_async._accessories.focuser import AsyncFocuser
    from alpaca_async._camera import AsyncCamera

_MIN_MEASURED: Final = 4
"""A parabola fits any three points."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What was measured at a position of the focuser."""

    position: int
    hfd: float | None
    """The half-flux diameter of the stars, in pixels; None if there were too few."""
    stars: int


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
        await _focus_or_return(rig.camera, focuser, options)


async def _focus_or_return(
    camera: AsyncCamera, focuser: AsyncFocuser, options: FocusOptions
) -> None:
    """Move to the best position; after an error or Ctrl-C, back to the present one."""
    start = await focuser.get_position()
    try:
        samples = await _measure(camera, focuser, options, start)
        best, diameter = best_focus(samples)
        await _approach(focuser, best, options.step)
    except asyncio.CancelledError:
        await focuser.move_to(start)
        raise Interrupted(f"interrupted; the focuser is back at {start}") from None
    except Exception:
        await focuser.move_to(start)
        raise
    if options.as_json:
        print_json_line({"best_position": best, "hfd": round(diameter, 3)})
    else:
        fitted = "" if best in {sample.position for sample in samples} else " (fit)"
        print_line(f"best focus at {best}{fitted}, with stars of {diameter:.2f} pixels")


async def _measure(
    camera: AsyncCamera, focuser: AsyncFocuser, options: FocusOptions, centre: int
) -> list[Sample]:
    lowest = centre - options.points // 2 * options.step
    positions = [lowest + options.step * index for index in range(options.points)]
    largest = await focuser.get_max_step()
    if positions[0] < 0 or positions[-1] > largest:
        raise ValueError(
            f"the positions {positions[0]} to {positions[-1]} are not between 0 and {largest}: "
            "use a smaller --step, or move the focuser first"
        )
    await _approach(focuser, positions[0], options.step)
    samples: list[Sample] = []
    for position in positions:
        await focuser.move_to(position)
        found = await (await camera.expose(options.duration)).statistics()
        samples.append(Sample(position, found.hfd, found.stars))
        _print_sample(samples[-1], as_json=options.as_json)
    return samples


async def _approach(focuser: AsyncFocuser, position: int, distance: int) -> None:
    """Move to `position` from below, so that the backlash is always on the same side."""
    await focuser.move_to(max(position - distance, 0))
    await focuser.move_to(position)


def best_focus(samples: list[Sample]) -> tuple[int, float]:
    """Return the best position, and the diameter of the stars there.

    The diameter follows a hyperbola, so that its square follows a parabola. Raises `ValueError`
    if too few positions have stars, or if the best position is not between them.
    """
    measured = [(sample.position, sample.hfd) for sample in samples if sample.hfd is not None]
    if len(measured) < _MIN_MEASURED:
        raise ValueError(
            f"only {len(measured)} of {len(samples)} positions have measurable stars: expose for "
            "longer, or use a smaller --step"
        )
    positions = np.array([position for position, _ in measured], float)
    centre = float(positions.mean())
    squares = np.array([hfd**2 for _, hfd in measured], float)
    fit: NDArray[np.float64] = np.polyfit(positions - centre, squares, 2)
    curvature, slope, level = map(float, fit)
    best = centre - slope / (2 * curvature) if curvature > 0 else math.inf
    if not positions[0] < best < positions[-1]:
        smallest = float(positions[squares.argmin()])
        raise ValueError(
            "the best focus is not between the positions; the stars are smallest at "
            f"{smallest:.0f}: move the focuser there, or use a larger --step"
        )
    smallest = level - slope**2 / (4 * curvature)
    return round(best), math.sqrt(max(smallest, 0.0))


def _print_sample(sample: Sample, *, as_json: bool) -> None:
    if as_json:
        print_json_line({"position": sample.position, "hfd": sample.hfd, "stars": sample.stars})
        return
    size = "too few stars" if sample.hfd is None else f"{sample.hfd:.2f} pixels"
    print_line(f"{sample.position}: {size}, {sample.stars} stars")

"""Autofocus: moves the focuser to where the stars are smallest."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
from anyio import CancelScope

from ._errors import AlpacaError, InvalidValueException, OperationFailed
from ._protocol.values import check_index

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ._accessories.focuser import AsyncFocuser
    from ._camera import AsyncCamera

_MIN_POINTS: Final = 5
_MIN_MEASURED: Final = 4
"""A parabola fits any three points."""

logger = logging.getLogger("alpaca_async")


@dataclass(frozen=True, slots=True, kw_only=True)
class FocusPoint:
    """What was measured at one position of the focuser."""

    position: int
    """Steps."""
    hfd: float | None
    """The half-flux diameter of the stars, in pixels; None if there were too few."""
    stars: int
    """Number of stars measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FocusResult:
    """The best position of the focuser, and what it follows from."""

    position: int
    """Steps; the focuser is there."""
    hfd: float
    """The half-flux diameter of the stars there, in pixels, according to the fit."""
    points: tuple[FocusPoint, ...]
    """What was measured, by ascending position."""


FocusCallback: TypeAlias = Callable[[FocusPoint], None]


async def autofocus(
    camera: AsyncCamera,
    focuser: AsyncFocuser,
    duration: float,
    *,
    step: int = 50,
    points: int = 9,
    progress: FocusCallback | None = None,
) -> FocusResult:
    """Move an absolute focuser to where the stars are smallest, and wait until it is there.

    One exposure of `duration` seconds is taken at each of `points` positions, at least 5 and
    `step` steps apart, around the present one, and its stars are measured as by
    `Image.statistics`. The best position is the vertex of a hyperbola through their half-flux
    diameters. All positions are approached from below, so that the backlash is always on the same
    side. `progress` is called in the event loop with each point.

    After an error, or if the call is cancelled, the exposure is aborted and the focuser returns to
    where it was, which is waited for; a second cancellation halts it.

    Raises:
        InvalidValueException: the focuser has not all of these positions; it was not moved.
        NotImplementedException: the focuser is relative and has no positions.
        OperationFailed: too few positions have measurable stars, or the best position is not
            between them; or what `AsyncCamera.expose` and `AsyncFocuser.move_to` raise.
    """
    _check_at_least("step", step, 1)
    _check_at_least("points", points, _MIN_POINTS)
    start = await focuser.get_position()
    lowest = start - points // 2 * step
    positions = range(lowest, lowest + points * step, step)
    await _check_range(focuser, positions)
    try:
        await focuser.move_to(_below(lowest, step))
        measured = [await _measure(camera, focuser, duration, at, progress) for at in positions]
        result = _best_focus(focuser, measured)
        await _approach(focuser, result.position, step)
    except (Exception, asyncio.CancelledError):
        await _return(focuser, start, step)
        raise
    return result


def fit_hyperbola(measured: Sequence[tuple[int, float]]) -> tuple[float, float]:
    """Return the position and the diameter at the vertex of a hyperbola through the points.

    The square of the diameter follows a parabola. Without a minimum, the position is infinite.
    """
    positions = np.array([position for position, _ in measured], float)
    centre = float(positions.mean())
    squares = np.array([diameter**2 for _, diameter in measured], float)
    fit: NDArray[np.float64] = np.polyfit(positions - centre, squares, 2)
    curvature, slope, level = map(float, fit)
    if curvature <= 0:
        return math.inf, math.nan
    smallest = level - slope**2 / (4 * curvature)
    return centre - slope / (2 * curvature), math.sqrt(max(smallest, 0.0))


def _best_focus(focuser: AsyncFocuser, points: Sequence[FocusPoint]) -> FocusResult:
    measured = [(point.position, point.hfd) for point in points if point.hfd is not None]
    if len(measured) < _MIN_MEASURED:
        raise _failure(
            focuser,
            f"only {len(measured)} of {len(points)} positions have measurable stars: expose for "
            "longer, or use a smaller step",
        )
    best, diameter = fit_hyperbola(measured)
    if not measured[0][0] < best < measured[-1][0]:
        smallest, _ = min(measured, key=lambda pair: pair[1])
        raise _failure(
            focuser,
            "the best focus is not between the positions; the stars are smallest at "
            f"{smallest}: move the focuser there, or use a larger step",
        )
    return FocusResult(position=round(best), hfd=diameter, points=tuple(points))


async def _measure(
    camera: AsyncCamera,
    focuser: AsyncFocuser,
    duration: float,
    position: int,
    progress: FocusCallback | None,
) -> FocusPoint:
    await focuser.move_to(position)
    found = await (await camera.expose(duration)).statistics()
    point = FocusPoint(position=position, hfd=found.hfd, stars=found.stars)
    if progress is not None:
        progress(point)
    return point


async def _check_range(focuser: AsyncFocuser, positions: range) -> None:
    largest = await focuser.get_max_step()
    if positions[0] < 0 or positions[-1] > largest:
        error = InvalidValueException(
            0x401,
            f"the positions {positions[0]} to {positions[-1]} are not between 0 and {largest}: "
            "use a smaller step, or move the focuser first",
        )
        raise error.at(focuser.server, _member(focuser))


async def _approach(focuser: AsyncFocuser, position: int, distance: int) -> None:
    """Move to `position` from below."""
    await focuser.move_to(_below(position, distance))
    await focuser.move_to(position)


def _below(position: int, distance: int) -> int:
    return max(position - distance, 0)


async def _return(focuser: AsyncFocuser, start: int, distance: int) -> None:
    """Try to move to `start`, also if an anyio scope is cancelled."""
    with CancelScope(shield=True):
        try:
            await _approach(focuser, start, distance)
        except AlpacaError as error:
            logger.warning("the focuser could not return to position %d: %s", start, error)


def _failure(focuser: AsyncFocuser, reason: str) -> OperationFailed:
    return OperationFailed(reason, server=focuser.server, member=_member(focuser))


def _member(focuser: AsyncFocuser) -> str:
    return f"focuser/{focuser.device_number}/position"


def _check_at_least(name: str, number: int, smallest: int) -> None:
    if check_index(name, number) < smallest:
        raise ValueError(f"{name} must be at least {smallest}, not {number}")

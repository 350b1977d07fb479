"""Measures the half-flux radius of one star. Pure.

Lengths are in units of the grid.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from .star_aperture import Aperture, find_aperture

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .star_grids import Grid, Window

_WINDOW: Final = 2.25
"""The window extends so many sides of the box from its middle."""
MAX_SKY: Final = 0.25
"""What is around a star is brighter than the sky of the frame by at most this fraction of the star.
Around a bright part of a large star is the rest of it."""
_MIN_SIGNAL_TO_NOISE: Final = 8.0
_SECTORS: Final = 8
_MIN_FAINT_HALF: Final = 0.25
"""The least share of the light in the fainter half of the sectors, half of it if all are equal."""
_FINE_STEPS: Final = 17
"""The radius of a small aperture is divided into so many steps ..."""
_MAX_FINE: Final = 5
"""... but a unit of the grid into no more than so many."""
_SLOPE_RANGE: Final = 0.4
"""The slope of the brightness is taken over this fraction of the radius, on both sides."""
_MAX_STEEPNESS: Final = 1.39
"""That of a Gaussian; noise may make it larger."""


class Star(NamedTuple):
    """A star that was measured."""

    row: float
    column: float
    radius: float
    """Its light is within this distance."""
    half_flux_radius: float
    brightness: float
    """The mean within the half-flux radius."""
    signal_to_noise: float
    """Of its light."""

    def scaled(self, factor: float) -> Star:
        """Return the star in a unit that is smaller by `factor`."""
        return Star(
            self.row * factor,
            self.column * factor,
            self.radius * factor,
            self.half_flux_radius * factor,
            self.brightness,
            self.signal_to_noise,
        )


def measure(grid: Grid, row: float, column: float, box: float) -> Star | None:
    """Return the star near the middle of a box; None if there is none that can be measured."""
    window = grid.window(row, column, round(_WINDOW * box) + 1)
    if not window.values.size or not np.isfinite(window.values).all():
        return None
    aperture = find_aperture(window, row, column, box, grid.redundancy)
    return aperture and _star(window, aperture, grid)


def _star(window: Window, aperture: Aperture, grid: Grid) -> Star | None:
    """Return what is in the aperture; None if it is faint, sharp, not round, or part of more."""
    rows, columns, light = _fine_light(window.values - aperture.around.level, aperture)
    error = _error_of_light(aperture, grid.redundancy)
    signal_to_noise = float(light.sum()) / max(error, np.finfo(float).tiny)
    if signal_to_noise < _MIN_SIGNAL_TO_NOISE:
        return None
    if not _is_round(np.arctan2(rows, columns), light, error):
        return None
    radius = _half_flux_radius(np.hypot(rows, columns), light, grid.variance)
    brightness = float(light.sum()) / 2 / (np.pi * radius**2)
    if not radius > 0 or aperture.around.level > MAX_SKY * brightness:
        return None
    middle = window.row + aperture.row, window.column + aperture.column
    return Star(*middle, aperture.radius, radius, brightness, signal_to_noise)


def _half_flux_radius(
    distances: NDArray[np.float64], light: NDArray[np.float64], variance: float
) -> float:
    """Return the radius of half the light before the grid widened it by a variance."""
    radius = _radius_of_half(distances, light)
    squared = radius**2 - variance * _steepness(distances, light, radius)
    return float(np.sqrt(max(squared, 0)))


def _steepness(distances: NDArray[np.float64], light: NDArray[np.float64], radius: float) -> float:
    """Return by what fraction the brightness falls for each fraction by which the radius grows.

    A variance that is added along each axis moves light across the circle of half the light
    where the brightness falls there: it enlarges the square of the radius by so many variances.
    Thus a Gaussian is widened most, and of a disc only the edge.
    """
    inner = light[np.abs(distances / radius - 1 + _SLOPE_RANGE / 2) < _SLOPE_RANGE / 2].mean()
    outer = light[np.abs(distances / radius - 1 - _SLOPE_RANGE / 2) < _SLOPE_RANGE / 2].mean()
    slope = (inner - outer) / (inner + outer) * 2 / _SLOPE_RANGE
    return float(np.clip(slope, 0, _MAX_STEEPNESS)) if np.isfinite(slope) else 0.0


def _error_of_light(aperture: Aperture, redundancy: float) -> float:
    """Return the standard error of the light in the aperture: of its values, and of the sky."""
    area = np.pi * aperture.radius**2
    return float(
        aperture.around.noise
        * np.sqrt(redundancy * (area + area**2 / max(1, aperture.around.samples)))
    )


def _is_round(angles: NDArray[np.float64], light: NDArray[np.float64], error: float) -> bool:
    """Return whether the light is on all sides."""
    sectors = (angles * (_SECTORS / (2 * np.pi)) + _SECTORS).astype(np.intp) % _SECTORS
    faint_half = np.sort(np.bincount(sectors, light, _SECTORS))[: _SECTORS // 2].sum()
    return bool(faint_half > _MIN_FAINT_HALF * light.sum() - error)


def _radius_of_half(distances: NDArray[np.float64], light: NDArray[np.float64]) -> float:
    order = np.argsort(distances)
    sums: NDArray[np.float64] = np.cumsum(light[order])
    # Half of a value's own light counts as within its distance.
    within: NDArray[np.float64] = np.maximum.accumulate(sums - light[order] / 2)
    return float(np.interp(float(sums[-1]) / 2, within, distances[order]))


def _fine_light(
    signal: NDArray[np.float64], aperture: Aperture
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return row and column from the middle, and light, at finer steps within the aperture."""
    factor = min(_MAX_FINE, max(1, round(_FINE_STEPS / aperture.radius)))
    top, rows = _fine_steps(aperture.row, aperture.radius, signal.shape[0], factor)
    left, columns = _fine_steps(aperture.column, aperture.radius, signal.shape[1], factor)
    part = signal[top : top + len(rows) // factor, left : left + len(columns) // factor]
    fine = _interpolation(len(rows), factor) @ part @ _interpolation(len(columns), factor).T
    inside = rows[:, np.newaxis] ** 2 + columns**2 <= aperture.radius**2
    row, column = np.nonzero(inside)
    return rows[row], columns[column], fine[inside] / factor**2


def _fine_steps(
    middle: float, radius: float, size: int, factor: int
) -> tuple[int, NDArray[np.float64]]:
    """Return the first value of the part around a star, and its steps from the star's middle."""
    start, stop = max(0, int(middle - radius) - 2), min(size, int(middle + radius) + 4)
    steps = (np.arange((stop - start) * factor) - (factor - 1) / 2) / factor
    return start, steps + (start - middle)


def _interpolation(count: int, factor: int) -> NDArray[np.float64]:
    """Return the matrix that divides values into `factor` steps, `count` in all.

    Cubic convolution, because linear interpolation would widen a star.
    """
    positions = (np.arange(count) - (factor - 1) / 2) / factor
    x = np.abs(positions[:, np.newaxis] - np.arange(count // factor))
    near = (1.5 * x - 2.5) * x**2 + 1
    far = ((2.5 - 0.5 * x) * x - 4) * x + 2
    weights: NDArray[np.float64] = np.where(x <= 1, near, np.where(x < 2, far, 0))  # noqa: PLR2004 - where they end
    return weights

"""Finds the middle of a star, how far it extends, and the sky around it. Pure.

Lengths are in units of the grid.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .star_grids import Window

_FIRST_RADIUS: Final = 1.5
"""The radius of the first aperture, in sides of the box."""
_ROUNDS: Final = 5
_SAME: Final = 0.02
"""An aperture that changes by less than this fraction of its radius is good enough."""
_FADED_SIGMAS: Final = 2.0
"""The star ends where a ring is less bright than this many standard errors of its mean ..."""
_FADED_FRACTION: Final = 0.005
"""... or than this fraction of the brightest ring."""
_MARGIN: Final = 1.4
"""Light is summed up to so many times the radius at which the star fades into the noise."""
_ANNULUS: Final = 2.0
"""The sky is measured from there to so many times that radius."""
_MIN_SKY_VALUES: Final = 20
_SAMPLES: Final = 500
"""The median of about so many values tells which others to leave out."""
_MAX_DEVIATIONS: Final = 4.5
"""Values that differ from the sky by more median deviations belong to other stars."""
_CLIPPED_SIGMA: Final = 1.015
"""Standard deviation of noise, in the standard deviations that are left by clipping it there."""


class Sky(NamedTuple):
    """What is around a star."""

    level: float
    noise: float
    samples: int
    """How many values this was measured from."""


class Aperture(NamedTuple):
    """A circle in a window, in values from the first one, and the sky around it."""

    row: float
    column: float
    radius: float
    around: Sky


def find_aperture(
    window: Window, row: float, column: float, box: float, redundancy: float
) -> Aperture | None:
    """Return the aperture around the star in a box; None if its light does not fade."""
    aperture = _aperture_of(window, row, column, _FIRST_RADIUS * box)
    for _ in range(_ROUNDS):
        improved = _improve(window.values, aperture, redundancy)
        if improved is None or _is_same(aperture, improved):
            return improved
        aperture = improved
    return aperture


def _aperture_of(window: Window, row: float, column: float, radius: float) -> Aperture:
    middle = row - window.row, column - window.column
    around = window.values[_distances(window.values.shape, *middle) > radius]
    return Aperture(*middle, radius, _sky(around if around.size else window.values))


def _is_same(one: Aperture, other: Aperture) -> bool:
    changes = (abs(before - after) for before, after in zip(one[:3], other[:3], strict=True))
    return max(changes) < _SAME * other.radius


def _improve(values: NDArray[np.float64], aperture: Aperture, redundancy: float) -> Aperture | None:
    """Return the aperture around the light in this one; None if the light does not fade."""
    signal = values - aperture.around.level
    middle = _centroid(signal, aperture)
    if middle is None:
        return None
    distances = _distances(values.shape, *middle)
    end = _faded_at(signal, distances, aperture, redundancy)
    if end is None:
        return None
    radius = _MARGIN * end
    around = values[(distances > radius) & (distances <= _ANNULUS * radius)]
    if around.size < _MIN_SKY_VALUES:
        return None
    return Aperture(*middle, radius, _sky(around))


def _distances(shape: tuple[int, ...], row: float, column: float) -> NDArray[np.float64]:
    rows, columns = np.arange(shape[0]) - row, np.arange(shape[1]) - column
    return np.sqrt((rows**2)[:, np.newaxis] + columns**2)


def _sky(values: NDArray[np.float64]) -> Sky:
    """Return mean, noise and number of the values that are not of other stars."""
    sample = values[:: 1 + values.size // _SAMPLES]
    median = np.median(sample)
    typical = np.median(np.abs(sample - median))
    deviations = np.abs(values - median)
    limit = _MAX_DEVIATIONS * (typical or deviations.mean())
    near = values[deviations <= limit]
    return Sky(float(near.mean()), _CLIPPED_SIGMA * float(near.std()), near.size)


def _centroid(signal: NDArray[np.float64], aperture: Aperture) -> tuple[float, float] | None:
    """Return the centroid of the light in the aperture, None if it is outside."""
    distances = _distances(signal.shape, aperture.row, aperture.column)
    radius = aperture.radius / _MARGIN  # noise moves the centroid by the square of the radius
    light = np.where(distances <= radius, signal, 0)
    if not light.sum() > 0:
        return None
    row, column = _middle(light.sum(axis=1)), _middle(light.sum(axis=0))
    moved = np.hypot(row - aperture.row, column - aperture.column)
    return (row, column) if moved < radius else None


def _middle(light: NDArray[np.float64]) -> float:
    positions = np.arange(len(light), dtype=np.float64)
    return float((light * positions).sum() / light.sum())


def _faded_at(
    signal: NDArray[np.float64],
    distances: NDArray[np.float64],
    aperture: Aperture,
    redundancy: float,
) -> float | None:
    """Return the radius at which the star fades into the noise, None if it does not.

    The search begins at the ring that has most of the light, beyond the hole of a ring.
    """
    rings = distances.astype(np.intp).ravel()
    counts = np.maximum(np.bincount(rings), 1)
    sums = np.bincount(rings, signal.ravel())
    brightness = sums / counts
    start = int(sums[: max(1, round(aperture.radius))].argmax())
    noise = _FADED_SIGMAS * aperture.around.noise * np.sqrt(redundancy / counts)
    faint = _FADED_FRACTION * brightness[: start + 1].max()
    faded = np.flatnonzero((brightness < np.maximum(noise, faint))[start : _reach(distances)])
    return start + int(faded[0]) + 0.5 if faded.size else None


def _reach(distances: NDArray[np.float64]) -> int:
    """Return the number of rings that are complete within the window."""
    edges = distances[0], distances[-1], distances[:, 0], distances[:, -1]
    return int(min(edge.min() for edge in edges))

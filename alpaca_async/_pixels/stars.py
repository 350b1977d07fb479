"""Star sharpness: the half-flux diameters of the brightest stars. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from .star_candidates import candidates
from .star_cells import cell_means, filter_skies, remove_hot_pixels
from .star_grids import CELL_SIZE, CellGrid, PixelGrid
from .star_size import MAX_SKY, Star, measure
from .star_sky import SIGMA_PER_MAD, noise_level, sky_level

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from .star_candidates import Candidate
    from .star_grids import Grid

_MAX_STARS: Final = 50
_MAX_ATTEMPTS: Final = 300
_MAX_FAILURES: Final = 60
"""After so many boxes without a star, others of that size are skipped, as in a bright nebula."""
_FAINT_SIGMAS: Final = 3.0
_MUCH_LARGER: Final = 4
_MAX_PIXEL_BOX: Final = 4
"""Stars in boxes of up to so many cells are measured in pixels, larger ones in cells."""
_MAX_NOISE_ERROR: Final = 0.025
"""The largest error of the median that may come from noise, as a fraction of the median."""
_MAX_SPREAD_ERROR: Final = 0.08
"""The largest that may come from stars that differ, as they do all over a field."""
_ERROR_OF_MEDIAN: Final = 1.25
"""The error of the median of normally distributed values, in errors of their mean."""
_ERROR_PER_NOISE: Final = 0.4
"""The error of a diameter, as a fraction of it, for a noise-to-signal ratio of 1."""


@np.errstate(all="ignore")  # what is not finite, or too large for float32, is no star
def half_flux_diameters(
    pixels: NDArray[Any],
    full_scale: float,
    period: tuple[int, int] = (1, 1),
    check: Callable[[], object] = lambda: None,
) -> list[float]:
    """Return the diameters, in pixels, of at most the 50 brightest stars.

    `pixels` has the shape `(height, width)` or `(height, width, planes)`, `period` is the number
    of rows and columns after which the filters of a mosaic repeat. `full_scale` is the value of a
    saturated pixel. Stars that are saturated, at the border, or too faint are left out. The list is
    empty if the error of the median diameter could exceed 5 %. `check` is called regularly, and may
    raise to cancel the work.
    """
    if abs(pixels.strides[0]) < abs(pixels.strides[1]):  # read memory sequentially
        turned = pixels.swapaxes(0, 1)  # this keeps the diameters
        return half_flux_diameters(turned, full_scale, (period[1], period[0]), check)
    if min(pixels.shape) < 1 or min(pixels.shape[:2]) < CELL_SIZE:
        return []
    usable: list[Star] = []
    for star in _find_stars(pixels, period, check):
        if not _is_saturated(star, pixels, full_scale):
            usable.append(star)
        if len(usable) == _MAX_STARS:
            break
    diameters = [2 * star.half_flux_radius for star in usable]
    return diameters if diameters and _is_certain(usable) else []


def _is_certain(stars: list[Star]) -> bool:
    """Return whether the median half-flux radius of the stars means something."""
    radii = np.array([star.half_flux_radius for star in stars])
    spread = SIGMA_PER_MAD * np.median(np.abs(radii / np.median(radii) - 1))
    noise = _ERROR_PER_NOISE / np.median([star.signal_to_noise for star in stars])
    per_star = _ERROR_OF_MEDIAN / math.sqrt(len(stars))
    return bool(noise * per_star <= _MAX_NOISE_ERROR and spread * per_star <= _MAX_SPREAD_ERROR)


def _find_stars(
    pixels: NDArray[Any], period: tuple[int, int], check: Callable[[], object]
) -> Iterator[Star]:
    """Yield the stars, the most significant first, in units of pixels."""
    pixel_grid, cell_grid = _grids(pixels, period, check)
    light = cell_grid.light
    noise = noise_level(light)
    if not noise > 0:
        return
    found: list[Star] = []
    failed: list[Candidate] = []
    for candidate in candidates(light, noise):
        if len(found) + len(failed) >= _MAX_ATTEMPTS:
            return
        if _is_tried_enough(candidate, failed) or _is_known(candidate, found):
            continue
        check()
        star = _measure(pixel_grid if candidate.box <= _MAX_PIXEL_BOX else cell_grid, candidate)
        if (
            star is None
            or _is_sky_uneven(star, pixel_grid.sky)
            or any(_overlap(star, other) for other in found)
            or (_is_faint(star, noise) and _is_piece(candidate, failed))
        ):
            failed.append(candidate)
            continue
        found.append(star)
        yield star


def _is_tried_enough(candidate: Candidate, failed: list[Candidate]) -> bool:
    return sum(other.box == candidate.box for other in failed) >= _MAX_FAILURES


def _is_faint(star: Star, noise: float) -> bool:
    """Return whether the star is hardly brighter than the noise of a pixel."""
    return star.brightness < _FAINT_SIGMAS * noise * CELL_SIZE


def _is_piece(candidate: Candidate, failed: list[Candidate]) -> bool:
    """Return whether a box is within a much larger one that could not be measured.

    A piece of a bright ring does not fade where the ring goes on. A piece of a faint one does.
    """
    return any(
        candidate.box * _MUCH_LARGER <= other.box
        and max(abs(candidate.row - other.row), abs(candidate.column - other.column)) < other.box
        for other in failed
    )


def _grids(
    pixels: NDArray[Any], period: tuple[int, int], check: Callable[[], object]
) -> tuple[PixelGrid, CellGrid]:
    means = cell_means(pixels, check)
    sky = sky_level(means)
    light = means - sky
    unknown = ~np.isfinite(light)
    if unknown.any():
        light[unknown] = np.nan
    check()
    filters = filter_skies(pixels)
    remove_hot_pixels(light, pixels, filters)
    return PixelGrid(pixels, period, sky, filters), CellGrid(light)


def _measure(grid: Grid, candidate: Candidate) -> Star | None:
    """Return the star in a box in units of pixels, None if there is none."""
    to_grid = CELL_SIZE / grid.scale
    row, column, box = (to_grid * length for length in candidate[1:])
    star = measure(grid, row, column, box)
    return star and star.scaled(grid.scale)


def _is_known(candidate: Candidate, found: list[Star]) -> bool:
    """Return whether the candidate is a part of a star that was found, or a box around it."""
    row, column, box = (length * CELL_SIZE for length in candidate[1:])
    return any(
        math.hypot(row - star.row, column - star.column) < star.radius
        or max(abs(row - star.row), abs(column - star.column)) < box / 2
        for star in found
    )


def _is_sky_uneven(star: Star, sky: NDArray[np.float32]) -> bool:
    """Return whether the star may be part of one that is so large that it was taken for sky."""
    row, column, reach = (length / CELL_SIZE for length in (star.row, star.column, 2 * star.radius))
    rows, columns = (
        slice(max(0, int(middle - reach)), int(middle + reach) + 1) for middle in (row, column)
    )
    return bool(np.ptp(sky[rows, columns]) > MAX_SKY * star.brightness)


def _overlap(one: Star, other: Star) -> bool:
    distance = math.hypot(one.row - other.row, one.column - other.column)
    return distance < max(one.radius, other.radius)


def _is_saturated(star: Star, pixels: NDArray[Any], full_scale: float) -> bool:
    """Return whether more pixels are saturated than there are hot ones in a usual camera."""
    top, left = (max(0, int(middle - star.radius)) for middle in (star.row, star.column))
    bottom, right = (int(middle + star.radius) + 1 for middle in (star.row, star.column))
    part = pixels[top:bottom, left:right]
    return int(np.count_nonzero(part >= full_scale)) > 1 + part.size // 1000

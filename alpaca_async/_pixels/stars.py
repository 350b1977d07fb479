"""How sharp the stars are: the half-flux diameters of the brightest. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_TILE: Final = 32
"""Rows and columns; in each tile only the brightest pixel can be a star."""
_STEP: Final = 4
"""Every so many-th row and column is looked at for the background of a tile."""
_RADIUS: Final = 16
"""How far around its brightest pixel a star is looked at."""
_RING: Final = 2
"""The width of the border that gives the background of a star."""
_CORE: Final = 4
"""How far around its brightest pixel the centre of a star is looked for."""
_NORMAL: Final = 1.4826
_THRESHOLD: Final = 10.0
"""How many standard deviations of the noise a star stands out."""
_SPREAD: Final = 0.1
"""The least part of the brightest pixel that those beside it have: a hot pixel is alone."""
_MOST: Final = 50
_CANDIDATES: Final = 500


def half_flux_diameters(pixels: NDArray[Any], full_scale: float) -> list[float]:
    """Return the diameters, in pixels, of at most 50 of the brightest stars of `(height, width)`.

    Saturated stars, stars at the border and hot pixels are left out.
    """
    if abs(pixels.strides[0]) < abs(pixels.strides[1]):
        return half_flux_diameters(pixels.T, full_scale)  # a circle stays one
    diameters: list[float] = []
    for row, column, noise in _candidates(pixels, full_scale):
        diameter = _diameter(_window(pixels, row, column), noise, full_scale)
        if diameter is not None:
            diameters.append(diameter)
        if len(diameters) == _MOST:
            break
    return diameters


def _candidates(pixels: NDArray[Any], full_scale: float) -> Iterator[tuple[int, int, float]]:
    """Yield row and column of what stands out, brightest first, and the noise around it."""
    down, across = pixels.shape[0] // _TILE, pixels.shape[1] // _TILE
    if not down or not across:
        return
    tiles = pixels[: down * _TILE, : across * _TILE].reshape(down, _TILE, across, _TILE)
    heights, noise = _heights(tiles, full_scale)
    order = np.argsort(heights, axis=None)[::-1][:_CANDIDATES]
    for place in order[heights.flat[order] > _THRESHOLD * noise]:
        tile_row, tile_column = divmod(int(place), across)
        tile = tiles[tile_row, :, tile_column]
        row, column = divmod(int(tile.argmax()), _TILE)
        yield tile_row * _TILE + row, tile_column * _TILE + column, noise


@np.errstate(invalid="ignore")  # what is not a number stands out nowhere
def _heights(tiles: NDArray[Any], full_scale: float) -> tuple[NDArray[np.float64], float]:
    """Return how far the brightest pixel of each tile is above its background, and the noise."""
    down, _, across, _ = tiles.shape
    rows = tiles.max(axis=1)  # the long way of memory first
    brightest = rows.max(axis=2).astype(float)
    sample = tiles[:, ::_STEP, :, ::_STEP].transpose(0, 2, 1, 3).reshape(down, across, -1)
    sky = np.median(sample.astype(float), axis=2)
    noise = _NORMAL * float(np.nanmedian(np.abs(sample - sky[..., np.newaxis])))
    heights = np.where(brightest < full_scale, brightest - sky, 0)
    return np.where(heights > 0, heights, 0), noise


def _window(pixels: NDArray[Any], row: int, column: int) -> NDArray[np.float64]:
    top, left = max(row - _RADIUS, 0), max(column - _RADIUS, 0)
    window = pixels[top : row + _RADIUS + 1, left : column + _RADIUS + 1]
    return window.astype(np.float64)


def _diameter(window: NDArray[np.float64], noise: float, full_scale: float) -> float | None:
    """Return the half-flux diameter of the star in the middle, None if there is none."""
    middle = slice(_RADIUS - 1, _RADIUS + 2)
    if window.shape != (2 * _RADIUS + 1,) * 2 or not window.max() < full_scale:
        return None
    light = window - _border_median(window)
    peak = light[_RADIUS, _RADIUS]
    beside = (light[middle, middle].sum() - peak) / 8
    if peak < light[middle, middle].max() or beside < _SPREAD * peak:
        return None
    distances = _distances(light)
    inside = distances <= _extent(light, distances, noise, peak)
    return _half_flux_radius(distances[inside], light[inside]) * 2


def _border_median(window: NDArray[np.float64]) -> float:
    border = np.ones(window.shape, dtype=bool)
    border[_RING:-_RING, _RING:-_RING] = False
    return float(np.median(window[border]))


def _distances(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far each pixel is from the centre of the light."""
    rows, columns = np.mgrid[-_RADIUS : _RADIUS + 1, -_RADIUS : _RADIUS + 1].astype(float)
    core = np.where(np.hypot(rows, columns) <= _CORE, light.clip(0), 0)
    row, column = ((core * places).sum() / core.sum() for places in (rows, columns))
    distances: NDArray[np.float64] = np.hypot(rows - row, columns - column)
    return distances


def _extent(
    light: NDArray[np.float64], distances: NDArray[np.float64], noise: float, peak: float
) -> float:
    """Return the radius at which the star is lost in the noise."""
    rings = distances.astype(int).ravel()
    flux = np.bincount(rings, light.ravel()).astype(np.float64)
    brightness = flux / np.maximum(np.bincount(rings), 1)
    least = max(noise / 2, peak / 500)
    radii = range(min(len(brightness), _RADIUS))
    return float(next((radius for radius in radii if brightness[radius] < least), _RADIUS))


def _half_flux_radius(distances: NDArray[np.float64], light: NDArray[np.float64]) -> float:
    order = np.argsort(distances)
    flux: NDArray[np.float64] = light[order].cumsum()
    # Half of a pixel lies within its distance from the centre.
    within = flux - light[order] / 2
    return cast("float", np.interp(float(flux[-1]) / 2, within, distances[order]))

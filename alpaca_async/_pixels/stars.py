"""Star sharpness: the half-flux diameters of the brightest stars. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_TILE_SIZE: Final = 32
"""Rows and columns of a tile; only the brightest pixel of each tile is a candidate."""
_SAMPLE_STEP: Final = 4
"""The background of a tile is estimated from every fourth row and column."""
_WINDOW_RADIUS: Final = 16
"""The window of a star extends this many pixels from its brightest pixel."""
_BORDER: Final = 2
"""The width of the window's border, whose median is the background of a star."""
_CENTROID_RADIUS: Final = 4
"""The centroid of a star is computed within this distance of its brightest pixel."""
_SIGMA_PER_MAD: Final = 1.4826
"""Standard deviation of normally distributed noise, in median absolute deviations."""
_MIN_SIGMAS: Final = 10.0
"""The minimum height of a star above its background, in standard deviations of the noise."""
_MIN_NEIGHBOUR_RATIO: Final = 0.1
"""The minimum mean of the eight neighbours, as a fraction of the peak: rejects hot pixels."""
_MAX_STARS: Final = 50
_MAX_CANDIDATES: Final = 500


def half_flux_diameters(pixels: NDArray[Any], full_scale: float) -> list[float]:
    """Return the diameters, in pixels, of at most the 50 brightest stars.

    `pixels` has the shape `(height, width)`. Saturated stars, stars at the border and hot pixels
    are left out.
    """
    if abs(pixels.strides[0]) < abs(pixels.strides[1]):
        return half_flux_diameters(pixels.T, full_scale)  # transposing keeps the diameters
    diameters: list[float] = []
    for row, column, noise in _candidates(pixels, full_scale):
        diameter = _diameter(_window(pixels, row, column), noise, full_scale)
        if diameter is not None:
            diameters.append(diameter)
        if len(diameters) == _MAX_STARS:
            break
    return diameters


def _candidates(pixels: NDArray[Any], full_scale: float) -> Iterator[tuple[int, int, float]]:
    """Yield row, column and the noise of the frame for each candidate, highest first."""
    down, across = pixels.shape[0] // _TILE_SIZE, pixels.shape[1] // _TILE_SIZE
    if not down or not across:
        return
    tiles = pixels[: down * _TILE_SIZE, : across * _TILE_SIZE].reshape(
        down, _TILE_SIZE, across, _TILE_SIZE
    )
    heights, noise = _peak_heights(tiles, full_scale)
    order = np.argsort(heights, axis=None)[::-1][:_MAX_CANDIDATES]
    for index in order[heights.flat[order] > _MIN_SIGMAS * noise]:
        tile_row, tile_column = divmod(int(index), across)
        tile = tiles[tile_row, :, tile_column]
        row, column = divmod(int(tile.argmax()), _TILE_SIZE)
        yield tile_row * _TILE_SIZE + row, tile_column * _TILE_SIZE + column, noise


@np.errstate(invalid="ignore")  # NaN is never a candidate
def _peak_heights(tiles: NDArray[Any], full_scale: float) -> tuple[NDArray[np.float64], float]:
    """Return the height of each tile's brightest pixel above its background, and the noise."""
    down, _, across, _ = tiles.shape
    rows = tiles.max(axis=1)  # the longest stride first: faster
    brightest = rows.max(axis=2).astype(float)
    sample = (
        tiles[:, ::_SAMPLE_STEP, :, ::_SAMPLE_STEP].transpose(0, 2, 1, 3).reshape(down, across, -1)
    )
    sky = np.median(sample.astype(float), axis=2)
    noise = _SIGMA_PER_MAD * float(np.nanmedian(np.abs(sample - sky[..., np.newaxis])))
    heights = np.where(brightest < full_scale, brightest - sky, 0)
    return np.where(heights > 0, heights, 0), noise


def _window(pixels: NDArray[Any], row: int, column: int) -> NDArray[np.float64]:
    top, left = max(row - _WINDOW_RADIUS, 0), max(column - _WINDOW_RADIUS, 0)
    window = pixels[top : row + _WINDOW_RADIUS + 1, left : column + _WINDOW_RADIUS + 1]
    return window.astype(np.float64)


def _diameter(window: NDArray[np.float64], noise: float, full_scale: float) -> float | None:
    """Return the half-flux diameter of the star in the middle, None if it is not a star."""
    middle = slice(_WINDOW_RADIUS - 1, _WINDOW_RADIUS + 2)
    if window.shape != (2 * _WINDOW_RADIUS + 1,) * 2 or not window.max() < full_scale:
        return None
    signal = window - _border_median(window)
    peak = signal[_WINDOW_RADIUS, _WINDOW_RADIUS]
    neighbours = (signal[middle, middle].sum() - peak) / 8
    if peak < signal[middle, middle].max() or neighbours < _MIN_NEIGHBOUR_RATIO * peak:
        return None
    distances = _distances(signal)
    inside = distances <= _star_radius(signal, distances, noise, peak)
    return _half_flux_radius(distances[inside], signal[inside]) * 2


def _border_median(window: NDArray[np.float64]) -> float:
    border = np.ones(window.shape, dtype=bool)
    border[_BORDER:-_BORDER, _BORDER:-_BORDER] = False
    return float(np.median(window[border]))


def _distances(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the distance of each pixel from the centroid."""
    rows, columns = np.mgrid[
        -_WINDOW_RADIUS : _WINDOW_RADIUS + 1, -_WINDOW_RADIUS : _WINDOW_RADIUS + 1
    ].astype(float)
    core = np.where(np.hypot(rows, columns) <= _CENTROID_RADIUS, signal.clip(0), 0)
    row, column = ((core * positions).sum() / core.sum() for positions in (rows, columns))
    distances: NDArray[np.float64] = np.hypot(rows - row, columns - column)
    return distances


def _star_radius(
    signal: NDArray[np.float64], distances: NDArray[np.float64], noise: float, peak: float
) -> float:
    """Return the radius at which the star fades into the noise."""
    rings = distances.astype(int).ravel()
    flux = np.bincount(rings, signal.ravel()).astype(np.float64)
    brightness = flux / np.maximum(np.bincount(rings), 1)
    threshold = max(noise / 2, peak / 500)
    radii = range(min(len(brightness), _WINDOW_RADIUS))
    return float(
        next((radius for radius in radii if brightness[radius] < threshold), _WINDOW_RADIUS)
    )


def _half_flux_radius(distances: NDArray[np.float64], signal: NDArray[np.float64]) -> float:
    order = np.argsort(distances)
    flux: NDArray[np.float64] = signal[order].cumsum()
    # Half of a pixel's own flux counts as within its distance from the centre.
    within = flux - signal[order] / 2
    return cast("float", np.interp(float(flux[-1]) / 2, within, distances[order]))

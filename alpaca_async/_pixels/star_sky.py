"""The brightness of the sky and its noise, in a grid of cells. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_Float = TypeVar("_Float", np.float32, np.float64)

SIGMA_PER_MAD: Final = 1.4826
"""Standard deviation of normally distributed noise, in median absolute deviations."""
_TILE_SIZE: Final = 64
"""Rows and columns of a tile, in cells: several times the size of a large star."""
_SAMPLE_STEP: Final = 3
"""The sky of a tile is estimated from every third row and column."""
_MAX_DEVIATIONS: Final = 3.7
"""Cells that differ from the median by more median deviations are stars, not sky."""
_NOISE_SAMPLES: Final = 1 << 18
_MIN_NOISE: Final = 1e-5
"""The least noise, as a fraction of the brightest value: simulated frames have none."""


def sky_level(cells: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the sky at each cell: from tile to tile it changes linearly."""
    step = _SAMPLE_STEP if min(cells.shape) >= _TILE_SIZE else 1
    tiles = _tiles(replace_unknown(cells[::step, ::step]), _TILE_SIZE // step)
    medians = np.median(tiles, axis=2)
    deviations = np.abs(tiles - medians[..., np.newaxis])
    limits = _MAX_DEVIATIONS * np.median(deviations, axis=2)
    sky = np.where(deviations <= limits[..., np.newaxis], tiles, medians[..., np.newaxis])
    rows, columns = (
        _interpolation(size, count) for size, count in zip(cells.shape, medians.shape, strict=True)
    )
    level: NDArray[np.float32] = rows @ np.median(sky, axis=2) @ columns.T
    return level


def noise_level(light: NDArray[np.float32]) -> float:
    """Return the standard deviation of the noise; 0 if all values are equal, or none is known.

    Neighbours differ by the noise, but not by what changes slowly: a large star, or a nebula.
    """
    step = max(1, light.size // _NOISE_SAMPLES)
    sample = light[::step]
    differences = np.diff(sample, axis=1)
    differences = differences[np.isfinite(differences)]
    if not differences.size:
        return 0.0
    noise = SIGMA_PER_MAD * float(np.median(np.abs(differences))) / np.sqrt(2)
    return float(max(noise, _MIN_NOISE * np.nanmax(light)))


def replace_unknown(values: NDArray[_Float]) -> NDArray[_Float]:
    """Replace NaN and infinity by the median of the others."""
    known = np.isfinite(values)
    if known.all():
        return values
    typical = np.median(values[known]) if known.any() else 0
    return np.where(known, values, typical).astype(values.dtype)


def _tiles(cells: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Return the values of each tile: an array of the shape (down, across, values)."""
    down, across = (max(1, round(length / size)) for length in cells.shape)
    height, width = cells.shape[0] // down, cells.shape[1] // across
    tiles = cells[: down * height, : across * width].reshape(down, height, across, width)
    return tiles.swapaxes(1, 2).reshape(down, across, -1)


def _interpolation(size: int, count: int) -> NDArray[Any]:
    """Return the weight of each of `count` tiles (columns) at each of `size` cells (rows).

    At the borders the change between the two nearest tiles goes on.
    """
    if count == 1:
        return np.ones((size, 1), np.float32)
    positions = (np.arange(size) + 0.5) * (count / size) - 0.5  # 0 is the middle of the first tile
    first = np.clip(positions.astype(np.intp), 0, count - 2)
    weights = np.zeros((size, count), np.float32)
    weights[np.arange(size), first] = first + 1 - positions
    weights[np.arange(size), first + 1] = positions - first
    return weights

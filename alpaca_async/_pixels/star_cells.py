"""Cells of 4 x 4 pixels: their means, and their light without hot pixels. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from .block_means import block_means
from .star_grids import CELL_SIZE
from .star_sky import noise_level, replace_unknown

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

_ROWS_PER_CHECK: Final = 512
_SAMPLES: Final = 64
"""The sky of a filter is the median of pixels from about so many rows and columns."""
_BRIGHT_SIGMAS: Final = 5.0
"""Hot pixels are looked for in cells so many standard deviations above the sky."""
_MAX_BRIGHT: Final = 1 << 18
_HOT_SHARE: Final = 0.75
"""A hot pixel has more than this share of the light of its cell."""


def cell_means(pixels: NDArray[Any], check: Callable[[], object]) -> NDArray[np.float32]:
    """Return the mean of each complete cell, of all planes together."""
    strips: list[NDArray[np.float32]] = []
    for start in range(0, len(pixels) - CELL_SIZE + 1, _ROWS_PER_CHECK):
        check()
        strip = pixels[start : start + _ROWS_PER_CHECK]
        strips.append(block_means(strip, (1, 1), (CELL_SIZE, CELL_SIZE))[0, 0].mean(axis=0))
    return np.concatenate(strips)


def filter_skies(pixels: NDArray[Any]) -> NDArray[np.float64]:
    """Return how much brighter the sky is at each pixel of a cell than on average.

    Each filter has the same places in every cell.
    """
    tiles = _tiles(pixels)
    down, across = (max(1, tiles.shape[axis] // _SAMPLES) for axis in (0, 2))
    sample = tiles[::down, :, ::across].mean(axis=4, dtype=np.float64)
    skies = np.median(replace_unknown(sample), axis=(0, 2))
    difference: NDArray[np.float64] = skies - skies.mean()
    return difference


def remove_hot_pixels(
    light: NDArray[np.float32], pixels: NDArray[Any], filters: NDArray[np.float64]
) -> None:
    """Give bright cells whose light is that of one pixel the mean light of their other pixels."""
    bright = np.flatnonzero(light > _BRIGHT_SIGMAS * noise_level(light))[:_MAX_BRIGHT]
    rows, columns = np.divmod(bright, light.shape[1])
    cells = _tiles(pixels)[rows, :, columns].mean(axis=3, dtype=np.float64) - filters
    means = light.flat[bright].astype(np.float64)
    skies = cells.mean(axis=(1, 2)) - means
    sums = means * CELL_SIZE**2
    highest = cells.max(axis=(1, 2), initial=-np.inf) - skies
    hot = highest > _HOT_SHARE * sums
    light.flat[bright[hot]] = ((sums - highest) / (CELL_SIZE**2 - 1))[hot]


def _tiles(pixels: NDArray[Any]) -> NDArray[Any]:
    """Return the pixels of complete cells, (down, row in a cell, across, column in it, plane)."""
    down, across = (size // CELL_SIZE for size in pixels.shape[:2])
    complete = pixels[: down * CELL_SIZE, : across * CELL_SIZE]
    return complete.reshape(down, CELL_SIZE, across, CELL_SIZE, -1)

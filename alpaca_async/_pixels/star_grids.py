"""The light that stars are measured in: of each pixel, or of each cell of 4 x 4 pixels. Pure.

Light is what is brighter than the sky of the frame there.
Positions count from the edge of the frame: the middle of the first value is at 0.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import numpy as np

from .star_sky import SIGMA_PER_MAD

if TYPE_CHECKING:
    from numpy.typing import NDArray

CELL_SIZE: Final = 4
"""Rows and columns of a cell: a multiple of the period of every filter pattern."""
_PIXEL_VARIANCE: Final = 1 / 12
"""Pixels of size 1 widen the variance of a star by this, along each axis."""
_HOT_SIGMAS: Final = 8.0
_MAX_HOT_NEIGHBOURS: Final = 0.1
"""The mean of a hot pixel's neighbours is less than this fraction of it."""


class Window(NamedTuple):
    """A part of a grid."""

    values: NDArray[np.float64]
    row: float
    """The position of the first value."""
    column: float


class Grid(Protocol):
    """Values at equal distances."""

    @property
    def scale(self) -> int:
        """The distance of two values, in pixels."""
        ...

    @property
    def variance(self) -> float:
        """By how much the grid widens the variance of a star, along each axis."""
        ...

    @property
    def redundancy(self) -> float:
        """How many neighbouring values have the information of one with independent noise."""
        ...

    def window(self, row: float, column: float, radius: int) -> Window:
        """Return the values up to `radius` from a position, as far as the frame extends."""
        ...


@dataclass(frozen=True, slots=True)
class PixelGrid:
    """The light of each pixel: of all planes the mean, or the mean of one period of the filters."""

    pixels: NDArray[Any]
    period: tuple[int, int]
    """Rows and columns after which the filters of a mosaic repeat."""
    sky: NDArray[np.float32]
    """The sky at each cell."""
    filters: NDArray[np.float64]
    """How much brighter the sky is at each pixel of a cell than on average."""

    @property
    def scale(self) -> int:
        """The distance of two values, in pixels."""
        return 1

    @property
    def variance(self) -> float:
        """By how much a square of one period widens a star."""
        return _PIXEL_VARIANCE * (self.period[0] ** 2 + self.period[1] ** 2) / 2

    @property
    def redundancy(self) -> float:
        """Means of neighbouring periods have most pixels in common."""
        return float(self.period[0] * self.period[1])

    def window(self, row: float, column: float, radius: int) -> Window:
        """Return the light near a position, without hot pixels."""
        top, left, part = _crop(self.pixels, row, column, radius)
        values = part.astype(np.float64)
        if values.ndim > 2:  # noqa: PLR2004 - rows, columns
            values = values.mean(axis=2)
        values -= _tiled(self.filters, top, left, values.shape)
        values -= self.sky[int(row) // CELL_SIZE, int(column) // CELL_SIZE]
        _remove_hot_pixels(values)
        means = _box_sums(values, self.period) / (self.period[0] * self.period[1])
        return Window(means, top + self.period[0] / 2, left + self.period[1] / 2)


@dataclass(frozen=True, slots=True)
class CellGrid:
    """The light of each cell: the mean of its pixels."""

    light: NDArray[np.float32]

    @property
    def scale(self) -> int:
        """The distance of two values, in pixels."""
        return CELL_SIZE

    @property
    def variance(self) -> float:
        """By how much a cell widens a star."""
        return _PIXEL_VARIANCE

    @property
    def redundancy(self) -> float:
        """Cells have no pixels in common."""
        return 1.0

    def window(self, row: float, column: float, radius: int) -> Window:
        """Return the light near a position."""
        top, left, part = _crop(self.light, row, column, radius)
        return Window(part.astype(np.float64), top + 0.5, left + 0.5)


def _crop(
    values: NDArray[Any], row: float, column: float, radius: int
) -> tuple[int, int, NDArray[Any]]:
    top, left = max(int(row) - radius, 0), max(int(column) - radius, 0)
    return top, left, values[top : int(row) + radius + 1, left : int(column) + radius + 1]


def _tiled(
    cell: NDArray[np.float64], top: int, left: int, shape: tuple[int, ...]
) -> NDArray[np.float64]:
    """Return what a repeated cell has in a part of the frame."""
    rows, columns = np.arange(shape[0]) + top, np.arange(shape[1]) + left
    return cell[np.ix_(rows % CELL_SIZE, columns % CELL_SIZE)]


def _remove_hot_pixels(values: NDArray[np.float64]) -> None:
    """Replace pixels that are far brighter than all around them by the mean of those."""
    inner = values[1:-1, 1:-1]
    around = (_box_sums(values, (3, 3)) - inner) / 8
    sample = values[::2, ::2]
    sky = float(np.median(sample))
    noise = SIGMA_PER_MAD * float(np.median(np.abs(sample - sky)))
    hot = inner - sky > _HOT_SIGMAS * noise
    hot &= around - sky < _MAX_HOT_NEIGHBOURS * (inner - sky)
    inner[hot] = around[hot]


def _box_sums(values: NDArray[np.float64], box: tuple[int, int]) -> NDArray[np.float64]:
    """Return the sums of all boxes of so many rows and columns."""
    height, width = (max(values.shape[axis] - box[axis] + 1, 0) for axis in range(2))
    sums = np.zeros((height, values.shape[1]))
    for row in range(box[0]):
        sums += values[row : row + height]
    total = np.zeros((height, width))
    for column in range(box[1]):
        total += sums[:, column : column + width]
    return total

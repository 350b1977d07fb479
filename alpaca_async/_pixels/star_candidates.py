"""Where stars may be, and about how large: the brightest boxes of several sizes. Pure."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from .star_sky import SIGMA_PER_MAD

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BOXES: Final = (2, 4, 8, 16, 32)
"""Sides of the boxes, in cells."""
_MIN_SIGMAS: Final = 6.0
"""The least brightness of a box, in standard deviations of the noise of its mean."""
_MAX_BRIGHT: Final = 20_000
_MAX_PEAKS: Final = 1000
_MIN_SAMPLES: Final = 100
_MAX_SAMPLES: Final = 1 << 18


class Candidate(NamedTuple):
    """A box that is brighter than those around it."""

    significance: float
    """Its brightness, in standard deviations of the noise of its mean."""
    row: float
    """The row of its middle, in cells."""
    column: float
    box: int
    """Its side, in cells."""


def candidates(light: NDArray[np.float32], noise: float) -> list[Candidate]:
    """Return the boxes that are brighter than those around them, the most significant first.

    `light` has the cells without the sky. A star is the most significant in the box that it
    fills: in smaller ones light is missing, in larger ones there is more noise. Thus the light of a
    ring comes first as a whole, and later in pieces.
    """
    found: list[Candidate] = []
    for box in _BOXES:
        means = _means_of_squares(light)
        if not means.size:
            break
        found += _peaks(means, noise / box, box)
        light = means[::2, ::2]
    return sorted(found, reverse=True)


def _means_of_squares(light: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean of each value, the one to the right, and the two below."""
    down = light[1:] + light[:-1]
    means = (down[:, 1:] + down[:, :-1]).astype(np.float32, copy=False)
    means *= np.float32(0.25)
    return means


def _peaks(means: NDArray[np.float32], noise: float, box: int) -> list[Candidate]:
    bright = np.flatnonzero(means > _MIN_SIGMAS * max(noise, _spread(means)))
    bright = _brightest(means, bright, _MAX_BRIGHT)
    peaks = _brightest(means, bright[_is_peak(means, bright)], _MAX_PEAKS)
    rows, columns = np.divmod(peaks, means.shape[1])
    step = box / 2  # from one box to the next
    return [
        Candidate(float(height) / noise, (row + 1) * step, (column + 1) * step, box)
        for height, row, column in zip(
            means.flat[peaks], rows.tolist(), columns.tolist(), strict=True
        )
    ]


def _brightest(
    means: NDArray[np.float32], indices: NDArray[np.intp], count: int
) -> NDArray[np.intp]:
    if len(indices) <= count:
        return indices
    return indices[np.argpartition(means.flat[indices], -count)[-count:]]


def _spread(means: NDArray[np.float32]) -> float:
    """Return how much darker than the sky boxes are: by noise, and by what the sky has of its own.

    Boxes brighter than the sky do not count, because large stars touch most of the large boxes.
    """
    sample = means[:: max(1, means.size // _MAX_SAMPLES)]
    darker = sample[sample < 0]
    return SIGMA_PER_MAD * float(np.median(-darker)) if darker.size > _MIN_SAMPLES else 0.0


def _is_peak(values: NDArray[np.float32], indices: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Return which of the values are not smaller than any of their neighbours."""
    rows, columns = np.divmod(indices, values.shape[1])
    peaks = np.ones(indices.shape, bool)
    for down, right in product((-1, 0, 1), repeat=2):
        near = values[
            np.clip(rows + down, 0, values.shape[0] - 1),
            np.clip(columns + right, 0, values.shape[1] - 1),
        ]
        peaks &= ~(near > values.flat[indices])  # NaN is no brighter neighbour
    return peaks

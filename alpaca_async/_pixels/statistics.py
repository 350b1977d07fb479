"""What an image is like in numbers. Pure, for a worker thread."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from .block_means import block_means
from .mosaic import mosaic_of
from .saturation import full_scale
from .stars import half_flux_diameters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from .picture import Picture

_COUNTABLE: Final = 1 << 16
"""Different values that are counted one by one."""
_PIECE: Final = 1 << 18
"""Pixels that are looked at at a time: they stay in the cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageStatistics:
    """What the pixels of an image are like, of all planes together; in ADU unless said otherwise.

    What is not a number, or infinite, is left out.
    """

    minimum: float
    maximum: float
    mean: float
    median: float
    mad: float
    """Median absolute deviation; 1.4826 of it are a standard deviation, if that is noise."""
    saturated: int
    """Pixels at or above MaxADU, or the largest number of 8 or 16 bits if that is unknown."""
    stars: int
    """Stars that were measured, at most the 50 brightest that are not saturated."""
    hfd: float | None
    """The median of their half-flux diameters, in pixels; None without stars."""


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """How many pixels have which values: `counts[i]` from `edges[i]` to `edges[i + 1]`."""

    counts: NDArray[np.int64]
    edges: NDArray[np.float64]
    """One more than there are counts; the last bin includes its upper edge."""


class _Values(NamedTuple):
    """Different values in ascending order, and how often each occurs."""

    values: NDArray[np.float64]
    counts: NDArray[np.int64]


def statistics(image: Picture, check: Callable[[], object]) -> ImageStatistics:
    """Return the statistics; calls `check` now and then, which may raise."""
    found = _counted(image.data, check)
    values, counts = found
    median = _median(found)
    full = full_scale(image)
    diameters = _diameters(image, full)
    return ImageStatistics(
        minimum=float(values[0]),
        maximum=float(values[-1]),
        mean=float(np.average(values, weights=counts)),
        median=median,
        mad=_median(_sorted(np.abs(values - median), counts)),
        saturated=int(counts[values >= full].sum()),
        stars=len(diameters),
        hfd=float(np.median(diameters)) if diameters else None,
    )


def histogram(image: Picture, bins: int, check: Callable[[], object]) -> Histogram:
    """Return the histogram from the least to the largest value."""
    values, counts = _counted(image.data, check)
    found, edges = np.histogram(values, bins, weights=counts)
    return Histogram(found.astype(np.int64), edges)


def _counted(data: NDArray[Any], check: Callable[[], object]) -> _Values:
    low, high = data.min(), data.max()
    if data.dtype.kind in "iu" and int(high) - int(low) < _COUNTABLE:
        counts = np.zeros(int(high) - int(low) + 1, np.int64)
        unsigned = f"u{data.dtype.itemsize}"  # differences may be too large for the signed type
        for piece in _pieces(data):
            check()
            places = (piece - low).view(unsigned).astype(np.intp).ravel()
            counts += np.bincount(places, minlength=len(counts))
        present = np.flatnonzero(counts)
        values: NDArray[np.float64] = present.astype(np.float64)
        return _Values(values + float(low), counts[present])
    finite = data[np.isfinite(data)].astype(float)
    if not finite.size:
        return _Values(np.array([math.nan]), np.array([1]))
    finite.sort()
    return _Values(finite, np.ones(finite.size, np.int64))


def _pieces(data: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yield all pixels, in the order of memory."""
    lines = data.swapaxes(0, 1) if abs(data.strides[0]) < abs(data.strides[1]) else data
    step = max(1, _PIECE // (lines.size // len(lines)))
    return (lines[start : start + step] for start in range(0, len(lines), step))


def _sorted(values: NDArray[np.float64], counts: NDArray[np.int64]) -> _Values:
    order = np.argsort(values)
    return _Values(values[order], counts[order])


def _median(found: _Values) -> float:
    below = np.cumsum(found.counts)
    total = int(below[-1])
    middle = np.searchsorted(below, [(total - 1) // 2, total // 2], side="right")
    return float(found.values[middle].mean())


def _diameters(image: Picture, full: float) -> list[float]:
    mosaic = mosaic_of(image)
    if mosaic is not None:
        # The filters make a chequerboard of every star: a repetition of them is one pixel.
        means = block_means(image.data, mosaic.period, (1, 1))
        size = math.sqrt(math.prod(mosaic.period))
        return [size * each for each in half_flux_diameters(means.mean(axis=(0, 1, 2)), full)]
    if image.data.ndim > 2:  # noqa: PLR2004 - rows, columns
        return half_flux_diameters(image.data.mean(axis=2, dtype=np.float32), full)
    return half_flux_diameters(image.data, full)

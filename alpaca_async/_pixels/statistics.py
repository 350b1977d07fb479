"""Statistics and the histogram of an image. Pure, and slow: call it in a worker thread."""

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

    from .image_like import ImageLike

_MAX_COUNTED_RANGE: Final = 1 << 16
"""Integers in a range up to this width are counted with `bincount`, others are sorted."""
_CHUNK_PIXELS: Final = 1 << 18
"""Pixels counted at a time: few enough to stay in the processor's cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageStatistics:
    """Statistics of the pixels of an image, of all planes together.

    Values are in ADU unless stated otherwise. NaN and infinity are ignored.
    """

    minimum: float
    maximum: float
    mean: float
    median: float
    mad: float
    """Median absolute deviation; for pure noise, 1.4826 times this is the standard deviation."""
    saturated: int
    """Pixels at or above MaxADU, or if that is unknown, the largest 8- or 16-bit value."""
    stars: int
    """Number of stars measured: at most the 50 brightest that are not saturated."""
    hfd: float | None
    """The median of their half-flux diameters, in pixels; None without stars."""


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """A histogram of pixel values: `counts[i]` pixels from `edges[i]` to `edges[i + 1]`."""

    counts: NDArray[np.int64]
    edges: NDArray[np.float64]
    """One more than `counts` has; the last bin includes its upper edge."""


class _ValueCounts(NamedTuple):
    """Distinct values in ascending order, and how often each occurs."""

    values: NDArray[np.float64]
    counts: NDArray[np.int64]


def statistics(image: ImageLike, check: Callable[[], object]) -> ImageStatistics:
    """Return the statistics; calls `check` regularly, which may raise to cancel the work."""
    value_counts = _count_values(image.data, check)
    values, counts = value_counts
    median = _median(value_counts)
    saturated_value = full_scale(image)
    diameters = _star_diameters(image, saturated_value)
    return ImageStatistics(
        minimum=float(values[0]),
        maximum=float(values[-1]),
        mean=float(np.average(values, weights=counts)),
        median=median,
        mad=_median(_sort_values(np.abs(values - median), counts)),
        saturated=int(counts[values >= saturated_value].sum()),
        stars=len(diameters),
        hfd=float(np.median(diameters)) if diameters else None,
    )


def histogram(image: ImageLike, bins: int, check: Callable[[], object]) -> Histogram:
    """Return the histogram from the smallest to the largest value."""
    values, counts = _count_values(image.data, check)
    bin_counts, edges = np.histogram(values, bins, weights=counts)
    return Histogram(bin_counts.astype(np.int64), edges)


def _count_values(data: NDArray[Any], check: Callable[[], object]) -> _ValueCounts:
    low, high = data.min(), data.max()
    if data.dtype.kind in "iu" and int(high) - int(low) < _MAX_COUNTED_RANGE:
        counts = np.zeros(int(high) - int(low) + 1, np.int64)
        unsigned = f"u{data.dtype.itemsize}"  # the difference may overflow the signed type
        for chunk in _chunks(data):
            check()
            indices = (chunk - low).view(unsigned).astype(np.intp).ravel()
            counts += np.bincount(indices, minlength=len(counts))
        present = np.flatnonzero(counts)
        values: NDArray[np.float64] = present.astype(np.float64)
        return _ValueCounts(values + float(low), counts[present])
    finite = data[np.isfinite(data)].astype(float)
    if not finite.size:
        return _ValueCounts(np.array([math.nan]), np.array([1]))
    finite.sort()
    return _ValueCounts(finite, np.ones(finite.size, np.int64))


def _chunks(data: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yield all pixels, in memory order."""
    lines = data.swapaxes(0, 1) if abs(data.strides[0]) < abs(data.strides[1]) else data
    step = max(1, _CHUNK_PIXELS // (lines.size // len(lines)))
    return (lines[start : start + step] for start in range(0, len(lines), step))


def _sort_values(values: NDArray[np.float64], counts: NDArray[np.int64]) -> _ValueCounts:
    order = np.argsort(values)
    return _ValueCounts(values[order], counts[order])


def _median(value_counts: _ValueCounts) -> float:
    below = np.cumsum(value_counts.counts)
    total = int(below[-1])
    middle = np.searchsorted(below, [(total - 1) // 2, total // 2], side="right")
    return float(value_counts.values[middle].mean())


def _star_diameters(image: ImageLike, saturated_value: float) -> list[float]:
    mosaic = mosaic_of(image)
    if mosaic is not None:
        # Filters turn stars into a chequerboard, so each period of the pattern becomes one pixel.
        means = block_means(image.data, mosaic.period, (1, 1))
        size = math.sqrt(math.prod(mosaic.period))
        return [
            size * each for each in half_flux_diameters(means.mean(axis=(0, 1, 2)), saturated_value)
        ]
    if image.data.ndim > 2:  # noqa: PLR2004 - rows, columns
        return half_flux_diameters(image.data.mean(axis=2, dtype=np.float32), saturated_value)
    return half_flux_diameters(image.data, saturated_value)

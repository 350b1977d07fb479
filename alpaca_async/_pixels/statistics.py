"""Statistics and the histogram of an image. Pure, and slow: call it in a worker thread."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from alpaca_async._tables import ShownAsTable

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
_LARGE: Final = 1e290
_LARGE_SCALE: Final = 2.0**64
"""Values of frames with larger ones are divided by this, so that their sums are finite."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageStatistics(ShownAsTable):
    """Statistics of the pixels of an image, of all planes together.

    Values are in ADU unless stated otherwise. NaN and infinity are ignored; without any other
    pixel, values are NaN.
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
    """The median of their half-flux diameters, in pixels; None without stars.

    A circle of this diameter around the middle of a star contains half of its light. `stars` is 0
    and this is None if the stars are too few and too faint for an error of less than 5 %.
    """


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """A histogram of pixel values: `counts[i]` pixels from `edges[i]` to `edges[i + 1]`.

    NaN and infinity are not counted.
    """

    counts: NDArray[np.int64]
    edges: NDArray[np.float64]
    """One more than `counts` has; the last bin includes its upper edge."""


class _ValueCounts(NamedTuple):
    """Distinct finite values in ascending order, and how often each occurs."""

    values: NDArray[np.float64]
    """In units of `scale`, so that their sums and differences are finite."""
    counts: NDArray[np.int64]
    scale: float


def statistics(image: ImageLike, check: Callable[[], object]) -> ImageStatistics:
    """Return the statistics; calls `check` regularly, which may raise to cancel the work."""
    value_counts = _count_values(image.data, check)
    saturated_value = full_scale(image)
    diameters = _star_diameters(image, saturated_value, check)
    return ImageStatistics(
        **_describe(value_counts),
        saturated=_count_from(value_counts, saturated_value),
        stars=len(diameters),
        hfd=float(np.median(diameters)) if diameters else None,
    )


def histogram(image: ImageLike, bins: int, check: Callable[[], object]) -> Histogram:
    """Return the histogram from the smallest to the largest value."""
    values, counts, scale = _count_values(image.data, check)
    limits = _histogram_range(values, bins)
    bin_counts, edges = np.histogram(values, bins, limits, weights=counts)
    largest = np.finfo(np.float64).max / scale
    return Histogram(bin_counts.astype(np.int64), edges.clip(-largest, largest) * scale)


def _describe(value_counts: _ValueCounts) -> dict[str, float]:
    values, counts, scale = value_counts
    if not values.size:
        return dict.fromkeys(("minimum", "maximum", "mean", "median", "mad"), math.nan)
    median = _median(values, counts)
    deviations = np.abs(values - median)
    order = np.argsort(deviations)
    scaled = {
        "minimum": float(values[0]),
        "maximum": float(values[-1]),
        "mean": float(np.average(values, weights=counts)),
        "median": median,
        "mad": _median(deviations[order], counts[order]),
    }
    return {name: value * scale for name, value in scaled.items()}


def _count_from(value_counts: _ValueCounts, limit: float) -> int:
    """Return the number of values at or above a limit."""
    values, counts, scale = value_counts
    return int(counts[values >= limit / scale].sum())


def _histogram_range(values: NDArray[np.float64], bins: int) -> tuple[float, float]:
    """Return the smallest and the largest value, farther apart if bins between had no width."""
    if not values.size:
        return 0, 1
    low, high = float(values[0]), float(values[-1])
    if low == high:
        low, high = low - 0.5, high + 0.5
    missing = 2 * bins * math.ulp(max(abs(low), abs(high))) - (high - low)
    return (low - missing, high + missing) if missing > 0 else (low, high)


def _count_values(data: NDArray[Any], check: Callable[[], object]) -> _ValueCounts:
    if data.size and data.dtype.kind in "iu":
        low, high = _limits(data)
        if high - low < _MAX_COUNTED_RANGE:
            return _count_integers(data, low, high, check)
    return _sort_values(data, check)


def _limits(data: NDArray[Any]) -> tuple[int, int]:
    """Return a range that has all values, as narrow as is worth looking for."""
    if data.dtype.kind == "u" and data.dtype.itemsize <= 2:  # noqa: PLR2004 - 16 bits
        return 0, np.iinfo(data.dtype).max
    return int(data.min()), int(data.max())


def _count_integers(
    data: NDArray[Any], low: int, high: int, check: Callable[[], object]
) -> _ValueCounts:
    counts = np.zeros(high - low + 1, np.int64)
    unsigned = f"u{data.dtype.itemsize}"  # the difference may overflow the signed type
    for chunk in _chunks(data):
        check()
        offsets = (chunk - data.dtype.type(low)).view(unsigned) if low else chunk
        counts += np.bincount(offsets.astype(np.intp).ravel(), minlength=len(counts))
    present = np.flatnonzero(counts)
    return _ValueCounts(present.astype(np.float64) + float(low), counts[present], 1.0)


def _sort_values(data: NDArray[Any], check: Callable[[], object]) -> _ValueCounts:
    values = data[np.isfinite(data)].astype(np.float64)
    check()
    values.sort()
    check()
    largest = max(abs(values[0]), abs(values[-1])) if values.size else 0
    scale = _LARGE_SCALE if largest > _LARGE else 1.0
    values /= scale
    return _ValueCounts(values, np.ones(values.size, np.int64), scale)


def _chunks(data: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yield all pixels, in memory order."""
    lines = data.swapaxes(0, 1) if abs(data.strides[0]) < abs(data.strides[1]) else data
    step = max(1, _CHUNK_PIXELS // (lines.size // len(lines)))
    return (lines[start : start + step] for start in range(0, len(lines), step))


def _median(values: NDArray[np.float64], counts: NDArray[np.int64]) -> float:
    below = np.cumsum(counts)
    total = int(below[-1])
    middle = np.searchsorted(below, [(total - 1) // 2, total // 2], side="right")
    return float(values[middle].mean())


def _star_diameters(
    image: ImageLike, saturated_value: float, check: Callable[[], object]
) -> list[float]:
    mosaic = mosaic_of(image)
    period = mosaic.period if mosaic else (1, 1)
    return half_flux_diameters(image.data, saturated_value, period, check)

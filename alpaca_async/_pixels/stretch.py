"""From linear pixels to a picture in which faint stars show. Pure."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias

import numpy as np

from alpaca_async._optional import load

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Pixels: TypeAlias = NDArray[np.float32]
    Curve: TypeAlias = Callable[[Pixels], Pixels]

Stretch: TypeAlias = Literal["auto", "asinh", "percentile", "zscale"]
"""How the values of pixels become greys.

`auto` makes the sky dark grey, and bends what is above it so that faint and bright stars show;
`asinh` does so with another curve, and makes the 99.9th percentile white; `percentile` is linear
from the 0.25th to the 99.75th percentile; `zscale` is linear between the limits of astropy's
ZScale, and needs the extra `fits`.
"""

_SKY: Final = 0.16
"""The grey that the background becomes, of 1 for white."""
_BELOW_SKY: Final = 3.5
"""The black point below the background, in standard deviations of the noise."""
_BISECTIONS: Final = 40
_PERCENTILES: Final = (0.25, 99.75)
_NORMAL: Final = 1.4826
"""Standard deviations in a median absolute deviation, of normally distributed noise."""
_CLIP: Final = 2.5
"""What is farther from the sky than so many median deviations is not background."""
_ROUNDS: Final = 3
_BRIGHT: Final = 0.1
"""A background above this part of the full scale is light, beside which the offset is little."""
_WHITE: Final = 99.9
"""The percentile that `asinh` makes white."""
_HUGE: Final = 1e30
"""More than this is taken for infinity, so that differences and their inverses are finite."""
_ROUNDED: Final = np.float32(0.5)
_ROWS: Final = 16
"""Rows that are computed at a time: they stay in the cache."""
_SAMPLE: Final = 1 << 14
"""Pixels of a plane that the statistics look at."""


class _Sample(NamedTuple):
    """What is known of the pixels, with all backgrounds made equal."""

    values: NDArray[np.float64]
    sky: float
    noise: float
    highest: float
    full_scale: float


class _Scale(NamedTuple):
    """The values that become 0 and 1, and what bends those between them."""

    black: float
    white: float
    curve: Curve


def stretch(planes: Pixels, full_scale: float, kind: Stretch = "auto") -> NDArray[np.uint8]:
    """Return `(planes, height, width)` as 8-bit pixels `(height, width[, planes])`.

    The backgrounds of all planes become the same grey; black, white and the curve between
    them are common to all. A picture without any difference is black (0 or less), white
    (`full_scale` or more) or grey. What is not a number is as dark as the darkest pixel.
    """
    finite = _balanced(_finite(planes), full_scale)
    samples = _sampled(finite)
    skies = _backgrounds(samples)
    sky, lowest, highest = float(skies.mean()), float(finite.min()), float(finite.max())
    if highest - lowest < 1 / _HUGE:
        grey = np.full_like(finite, 255 * _flat_grey(sky, full_scale) + _ROUNDED)
        return _shown(grey.astype(np.uint8))
    noise = _noise(samples - skies, highest - lowest)
    known = _Sample(samples - skies + sky, sky, noise, highest, full_scale)
    black, white, curve = _SCALES[kind](known)
    blacks = (skies + (black - sky)).astype(np.float32)[..., np.newaxis]
    factor = np.float32(1 / max(white - black, 1 / _HUGE))
    picture = np.empty(finite.shape, np.uint8)
    for start in range(0, finite.shape[1], _ROWS):
        rows = slice(start, start + _ROWS)
        levels = (finite[:, rows] - blacks) * factor
        greys = curve(levels.clip(0, 1, out=levels)) * np.float32(255)
        np.add(greys, _ROUNDED, out=picture[:, rows], casting="unsafe")
    return _shown(picture)


def _auto(known: _Sample) -> _Scale:
    black, white = _above_noise(known, known.highest)
    sky = (known.sky - black) / (white - black)
    return _Scale(black, white, partial(_lifted, sky=sky))


def _asinh(known: _Sample) -> _Scale:
    black, white = _above_noise(known, float(np.percentile(known.values, _WHITE)))
    steepness = _steepness((known.sky - black) / (white - black))

    def bent(levels: Pixels) -> Pixels:
        levels *= np.float32(steepness)
        np.arcsinh(levels, out=levels)
        levels *= np.float32(1 / math.asinh(steepness))
        return levels

    return _Scale(black, white, bent)


def _steepness(sky: float) -> float:
    """Return the `a` for which asinh(a * sky) / asinh(a) is the dark grey; 1 is nearly straight."""
    low, high = 1.0, 1e12
    for _ in range(_BISECTIONS):
        middle = math.sqrt(low * high)
        too_steep = math.asinh(middle * sky) > _SKY * math.asinh(middle)
        low, high = (low, middle) if too_steep else (middle, high)
    return low


def _percentile(known: _Sample) -> _Scale:
    black, white = np.percentile(known.values, _PERCENTILES)
    return _Scale(float(black), float(white), _straight)


def _zscale(known: _Sample) -> _Scale:
    interval: Any = load("astropy.visualization.interval", extra="fits").ZScaleInterval()
    black, white = interval.get_limits(known.values)
    return _Scale(float(black), float(white), _straight)


_SCALES: Final[dict[Stretch, Callable[[_Sample], _Scale]]] = {
    "auto": _auto,
    "asinh": _asinh,
    "percentile": _percentile,
    "zscale": _zscale,
}
STRETCHES: Final = tuple(_SCALES)


def _above_noise(known: _Sample, brightest: float) -> tuple[float, float]:
    """Return a black below the noise, and what is brightest as white."""
    black = known.sky - _BELOW_SKY * known.noise
    # Noise alone stays dark as well, unless there is nothing brighter that a pixel could be.
    least = min(black + _BELOW_SKY * known.noise / _SKY, known.full_scale)
    return black, max(brightest, least)


def _finite(planes: Pixels) -> Pixels:
    """Return the planes with the smallest number for what is none, the largest for infinity."""
    if planes.min() > -_HUGE and planes.max() < _HUGE:  # neither holds of what is no number
        return planes
    valid = np.abs(planes) < _HUGE
    known = planes[valid] if valid.any() else np.zeros(1, np.float32)
    finite: Pixels = np.where(np.isnan(planes), known.min(), planes)
    return finite.clip(known.min(), known.max(), out=finite)


def _balanced(planes: Pixels, full_scale: float) -> Pixels:
    """Return the planes of a bright picture, such as a flat, multiplied to equal brightness."""
    skies = np.median(_sampled(planes), axis=1)
    if len(planes) == 1 or skies.min() < _BRIGHT * full_scale:
        return planes
    factors: Pixels = (skies.mean() / skies).astype(np.float32)
    balanced: Pixels = planes * factors[:, np.newaxis, np.newaxis]
    return balanced


def _sampled(planes: Pixels) -> NDArray[np.float64]:
    pixels = planes.reshape(len(planes), -1)
    # An odd step visits other columns in every row.
    step = max(1, pixels.shape[1] // _SAMPLE) | 1
    return pixels[:, ::step].astype(np.float64)


def _backgrounds(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sky of each plane, finer than the steps of whole numbers."""
    return np.array([[_background(plane)] for plane in samples])


def _background(plane: NDArray[np.float64]) -> float:
    """Return the mean of what is close to the sky, and as dark as it is bright.

    Stars and nebulae only brighten: the darker pixels tell how far noise goes.
    """
    sky = float(np.median(plane))
    for _ in range(_ROUNDS):
        darker = sky - plane[plane <= sky]
        sky = float(plane[np.abs(plane - sky) <= _CLIP * float(np.median(darker))].mean())
    return sky


def _noise(deviations: NDArray[np.float64], contrast: float) -> float:
    """Return the standard deviation of the background, and never 0."""
    sizes = np.abs(deviations)
    # The median is 0 if most pixels are equal, as in frames of few bits or without noise.
    return _NORMAL * float(np.median(sizes)) or float(sizes.mean()) or contrast / 1000


def _flat_grey(value: float, full_scale: float) -> float:
    if value <= 0:
        return 0
    return 1 if value >= full_scale else _SKY


def _straight(levels: Pixels) -> Pixels:
    return levels


def _lifted(levels: Pixels, sky: float) -> Pixels:
    """Bend levels of 0 to 1 so that `sky` becomes the dark grey; a brighter sky stays.

    The curve is the midtones transfer function: steep where it is dark, 0 and 1 kept.
    """
    if sky >= _SKY:
        return levels
    midtone = np.float32(max(sky * (_SKY - 1) / ((2 * _SKY - 1) * sky - _SKY), 1 / _HUGE))
    bent = levels * (midtone - 1)
    bent /= levels * (2 * midtone - 1) - midtone
    return bent


def _shown(planes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return planes[0] if len(planes) == 1 else np.ascontiguousarray(np.moveaxis(planes, 0, 2))

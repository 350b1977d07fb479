"""Stretches linear pixels to an 8-bit picture in which faint stars are visible. Pure."""

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
"""How pixel values are converted to grey levels.

`auto` makes the sky dark grey, and applies a midtones curve so that faint and bright stars are
visible; `asinh` does the same with an asinh curve, and makes the 99.9th percentile white;
`percentile` is linear from the 0.25th to the 99.75th percentile; `zscale` is linear between the
limits of astropy's ZScale, and needs the extra `fits`.
"""

_SKY_GREY: Final = 0.16
"""The grey level of the background; 1 is white."""
_BLACK_SIGMAS: Final = 3.5
"""How far the black point is below the background, in standard deviations of the noise."""
_BISECTIONS: Final = 40
_PERCENTILES: Final = (0.25, 99.75)
_SIGMA_PER_MAD: Final = 1.4826
"""Standard deviation of normally distributed noise, in median absolute deviations."""
_CLIP_DEVIATIONS: Final = 2.5
"""Pixels farther from the sky than this many median deviations are not background."""
_CLIP_ROUNDS: Final = 3
_BRIGHT_SKY: Final = 0.1
"""Above this fraction of full scale the background is light, and the camera's offset negligible."""
_WHITE_PERCENTILE: Final = 99.9
"""The percentile that `asinh` makes white."""
_MAX_FINITE: Final = 1e30
"""Larger values count as infinity, so that differences and their reciprocals stay finite."""
_HALF: Final = np.float32(0.5)
_ROWS_PER_BLOCK: Final = 16
"""Rows computed at a time: few enough to stay in the processor's cache."""
_SAMPLE_PIXELS: Final = 1 << 14
"""About as many pixels of each plane are sampled for the statistics."""


class _PixelStatistics(NamedTuple):
    """Statistics of the sampled pixels, after the backgrounds of all planes were made equal."""

    values: NDArray[np.float64]
    sky: float
    noise: float
    highest: float
    full_scale: float


class _Scale(NamedTuple):
    """The values that become 0 and 1, and the curve between them."""

    black: float
    white: float
    curve: Curve


def stretch(planes: Pixels, full_scale: float, kind: Stretch = "auto") -> NDArray[np.uint8]:
    """Return `(planes, height, width)` as 8-bit pixels `(height, width[, planes])`.

    The backgrounds of all planes become the same grey; all planes share the black point, the
    white point and the curve. A uniform picture becomes black (0 or less), white (`full_scale`
    or more) or grey. NaN becomes as dark as the darkest pixel.
    """
    finite = _balance_planes(_replace_non_finite(planes), full_scale)
    samples = _sample(finite)
    skies = _backgrounds(samples)
    sky, lowest, highest = float(skies.mean()), float(finite.min()), float(finite.max())
    if highest - lowest < 1 / _MAX_FINITE:
        grey = np.full_like(finite, 255 * _uniform_grey(sky, full_scale) + _HALF)
        return _planes_last(grey.astype(np.uint8))
    noise = _noise(samples - skies, highest - lowest)
    measured = _PixelStatistics(samples - skies + sky, sky, noise, highest, full_scale)
    black, white, curve = _SCALES[kind](measured)
    blacks = (skies + (black - sky)).astype(np.float32)[..., np.newaxis]
    factor = np.float32(1 / max(white - black, 1 / _MAX_FINITE))
    picture = np.empty(finite.shape, np.uint8)
    for start in range(0, finite.shape[1], _ROWS_PER_BLOCK):
        rows = slice(start, start + _ROWS_PER_BLOCK)
        levels = (finite[:, rows] - blacks) * factor
        greys = curve(levels.clip(0, 1, out=levels)) * np.float32(255)
        np.add(greys, _HALF, out=picture[:, rows], casting="unsafe")
    return _planes_last(picture)


def _auto(measured: _PixelStatistics) -> _Scale:
    black, white = _above_noise(measured, measured.highest)
    sky = (measured.sky - black) / (white - black)
    return _Scale(black, white, partial(_midtones_transfer, sky=sky))


def _asinh(measured: _PixelStatistics) -> _Scale:
    black, white = _above_noise(measured, float(np.percentile(measured.values, _WHITE_PERCENTILE)))
    steepness = _steepness((measured.sky - black) / (white - black))

    def curved(levels: Pixels) -> Pixels:
        levels *= np.float32(steepness)
        np.arcsinh(levels, out=levels)
        levels *= np.float32(1 / math.asinh(steepness))
        return levels

    return _Scale(black, white, curved)


def _steepness(sky: float) -> float:
    """Return the `a` for which asinh(a * sky) / asinh(a) is `_SKY_GREY`; 1 is nearly linear."""
    low, high = 1.0, 1e12
    for _ in range(_BISECTIONS):
        middle = math.sqrt(low * high)
        too_steep = math.asinh(middle * sky) > _SKY_GREY * math.asinh(middle)
        low, high = (low, middle) if too_steep else (middle, high)
    return low


def _percentile(measured: _PixelStatistics) -> _Scale:
    black, white = np.percentile(measured.values, _PERCENTILES)
    return _Scale(float(black), float(white), _linear)


def _zscale(measured: _PixelStatistics) -> _Scale:
    interval: Any = load("astropy.visualization.interval", extra="fits").ZScaleInterval()
    black, white = interval.get_limits(measured.values)
    return _Scale(float(black), float(white), _linear)


_SCALES: Final[dict[Stretch, Callable[[_PixelStatistics], _Scale]]] = {
    "auto": _auto,
    "asinh": _asinh,
    "percentile": _percentile,
    "zscale": _zscale,
}
STRETCHES: Final = tuple(_SCALES)


def _above_noise(measured: _PixelStatistics, brightest: float) -> tuple[float, float]:
    """Return the black point below the noise, and the white point, normally `brightest`."""
    black = measured.sky - _BLACK_SIGMAS * measured.noise
    # A frame of noise alone stays dark too, unless that needs a white point above full scale.
    min_white = min(black + _BLACK_SIGMAS * measured.noise / _SKY_GREY, measured.full_scale)
    return black, max(brightest, min_white)


def _replace_non_finite(planes: Pixels) -> Pixels:
    """Replace NaN by the smallest finite value, and clip infinities to the finite range."""
    if planes.min() > -_MAX_FINITE and planes.max() < _MAX_FINITE:  # both are false for NaN
        return planes
    is_finite = np.abs(planes) < _MAX_FINITE
    valid = planes[is_finite] if is_finite.any() else np.zeros(1, np.float32)
    finite: Pixels = np.where(np.isnan(planes), valid.min(), planes)
    return finite.clip(valid.min(), valid.max(), out=finite)


def _balance_planes(planes: Pixels, full_scale: float) -> Pixels:
    """Scale the planes of a bright picture, such as a flat, to equal brightness."""
    skies = np.median(_sample(planes), axis=1)
    if len(planes) == 1 or skies.min() < _BRIGHT_SKY * full_scale:
        return planes
    factors: Pixels = (skies.mean() / skies).astype(np.float32)
    balanced: Pixels = planes * factors[:, np.newaxis, np.newaxis]
    return balanced


def _sample(planes: Pixels) -> NDArray[np.float64]:
    pixels = planes.reshape(len(planes), -1)
    # With an odd step the sampled columns differ from row to row.
    step = max(1, pixels.shape[1] // _SAMPLE_PIXELS) | 1
    return pixels[:, ::step].astype(np.float64)


def _backgrounds(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sky level of each plane, with a resolution finer than one ADU."""
    return np.array([[_background(plane)] for plane in samples])


def _background(plane: NDArray[np.float64]) -> float:
    """Return the mean of the pixels near the sky level, clipped symmetrically.

    Stars and nebulae only make pixels brighter, so the range of the noise is estimated from the
    pixels darker than the sky.
    """
    sky = float(np.median(plane))
    for _ in range(_CLIP_ROUNDS):
        darker = sky - plane[plane <= sky]
        sky = float(
            plane[np.abs(plane - sky) <= _CLIP_DEVIATIONS * float(np.median(darker))].mean()
        )
    return sky


def _noise(deviations: NDArray[np.float64], contrast: float) -> float:
    """Return the standard deviation of the background, never 0."""
    sizes = np.abs(deviations)
    # The median is 0 if most pixels are equal, as in frames with few bits or without noise.
    return _SIGMA_PER_MAD * float(np.median(sizes)) or float(sizes.mean()) or contrast / 1000


def _uniform_grey(value: float, full_scale: float) -> float:
    if value <= 0:
        return 0
    return 1 if value >= full_scale else _SKY_GREY


def _linear(levels: Pixels) -> Pixels:
    return levels


def _midtones_transfer(levels: Pixels, sky: float) -> Pixels:
    """Map levels of 0 to 1 so that `sky` becomes `_SKY_GREY`; a brighter sky is unchanged.

    The midtones transfer function is steep at dark levels, and keeps 0 and 1.
    """
    if sky >= _SKY_GREY:
        return levels
    midtone = np.float32(
        max(sky * (_SKY_GREY - 1) / ((2 * _SKY_GREY - 1) * sky - _SKY_GREY), 1 / _MAX_FINITE)
    )
    curved = levels * (midtone - 1)
    curved /= levels * (2 * midtone - 1) - midtone
    return curved


def _planes_last(planes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return planes[0] if len(planes) == 1 else np.ascontiguousarray(np.moveaxis(planes, 0, 2))

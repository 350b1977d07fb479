"""From linear pixels to a picture in which faint stars show. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SKY: Final = 0.16
"""The grey that the background becomes, of 1 for white."""
_BELOW_SKY: Final = 3.5
"""The black point below the background, in standard deviations of the noise."""
_NORMAL: Final = 1.4826
"""Standard deviations in a median absolute deviation, of normally distributed noise."""
_HUGE: Final = 1e30
"""More than this is taken for infinity, so that differences and their inverses are finite."""
_SAMPLE: Final = 1 << 16
"""Pixels of a plane that the statistics look at."""


def stretch(planes: NDArray[np.float32], full_scale: float) -> NDArray[np.uint8]:
    """Return `(planes, height, width)` as 8-bit pixels `(height, width[, planes])`.

    The backgrounds of all planes become the same dark grey; black, white and the curve between
    them are common to all. A picture without any difference is black (0 or less), white
    (`full_scale` or more) or grey. What is not a number is
    as dark as the darkest pixel.
    """
    finite = _finite(planes)
    samples = _sample(finite)
    skies = np.median(samples, axis=1, keepdims=True)
    sky, lowest, highest = float(skies.mean()), float(finite.min()), float(finite.max())
    if highest - lowest < 1 / _HUGE:
        return _picture(np.full_like(finite, _flat_grey(sky, full_scale)))
    noise = _noise(samples - skies, highest - lowest)
    black = sky - _BELOW_SKY * noise
    # Noise alone stays dark as well, unless there is nothing brighter that a pixel could be.
    white = max(highest, min(black + _BELOW_SKY * noise / _SKY, full_scale))
    blacks = (skies + (black - sky)).astype(np.float32)
    levels = (finite - blacks[..., np.newaxis]) * np.float32(1 / (white - black))
    return _picture(_lifted(levels.clip(0, 1, out=levels), (sky - black) / (white - black)))


def _finite(planes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the planes with the smallest number for what is none, the largest for infinity."""
    valid = np.abs(planes) < _HUGE
    if valid.all():
        return planes
    known = planes[valid] if valid.any() else np.zeros(1, np.float32)
    return np.where(np.isnan(planes), known.min(), planes).clip(known.min(), known.max())


def _sample(planes: NDArray[np.float32]) -> NDArray[np.float64]:
    pixels = planes.reshape(len(planes), -1)
    # An odd step visits other columns in every row.
    step = max(1, pixels.shape[1] // _SAMPLE) | 1
    return pixels[:, ::step].astype(np.float64)


def _noise(deviations: NDArray[np.float64], contrast: float) -> float:
    """Return the standard deviation of the background, and never 0."""
    sizes = np.abs(deviations)
    # The median is 0 if most pixels are equal, as in frames of few bits or without noise.
    return _NORMAL * float(np.median(sizes)) or float(sizes.mean()) or contrast / 1000


def _flat_grey(value: float, full_scale: float) -> float:
    if value <= 0:
        return 0
    return 1 if value >= full_scale else _SKY


def _lifted(levels: NDArray[np.float32], sky: float) -> NDArray[np.float32]:
    """Bend levels of 0 to 1 so that `sky` becomes the dark grey; a brighter sky stays.

    The curve is the midtones transfer function: steep where it is dark, 0 and 1 kept.
    """
    if sky >= _SKY:
        return levels
    midtone = np.float32(max(sky * (_SKY - 1) / ((2 * _SKY - 1) * sky - _SKY), 1 / _HUGE))
    bent = levels * (midtone - 1)
    bent /= levels * (2 * midtone - 1) - midtone
    return bent


def _picture(levels: NDArray[np.float32]) -> NDArray[np.uint8]:
    grey = (levels * np.float32(255) + np.float32(0.5)).astype(np.uint8)
    return grey[0] if len(grey) == 1 else np.ascontiguousarray(np.moveaxis(grey, 0, 2))

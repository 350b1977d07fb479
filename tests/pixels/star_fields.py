"""Frames with stars whose half-flux diameters are known."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

FINE = 7
"""Stars are drawn at so many steps per pixel."""
FWHM = 2.3548
"""Of a Gaussian, in standard deviations."""


@dataclass(frozen=True, kw_only=True)
class Star:
    """A star out of focus: a disc, or with a central obstruction a ring, blurred by the air."""

    radius: float
    obstruction: float = 0.0
    """Inner radius, as a fraction of the radius."""
    seeing: float = 2.0
    """Full width at half maximum of the blur, in pixels; 0 for none."""

    @property
    def reach(self) -> int:
        """No light is farther from the middle than so many pixels."""
        return math.ceil(self.radius + 2.5 * self.seeing + 2)

    @property
    def diameter(self) -> float:
        """The half-flux diameter of the light itself."""
        return _diameters(self)[0]

    @property
    def diameter_on_pixels(self) -> float:
        """The half-flux diameter of the light that square pixels have spread."""
        return _diameters(self)[1]

    @cache  # noqa: B019 - a few stars, and small pictures
    def pixels(self, down: float = 0.0, right: float = 0.0) -> NDArray[np.float64]:
        """Return a picture with a peak of 1, its middle so far from that of the middle pixel."""
        light = _draw(self, down, right)[0]
        size = len(light) // FINE
        picture: NDArray[np.float64] = light.reshape(size, FINE, size, FINE).sum(axis=(1, 3))
        picture /= picture.max()
        picture.flags.writeable = False
        return picture


@cache
def _diameters(star: Star) -> tuple[float, float]:
    light, distances = _draw(star, 0.0, 0.0)
    on_pixels = light
    for axis in range(2):
        shifts = range(-(FINE // 2), FINE // 2 + 1)
        on_pixels = np.mean([np.roll(on_pixels, shift, axis) for shift in shifts], axis=0)
    order = np.argsort(distances, axis=None)
    return (
        _half_flux_diameter(light, distances, order),
        _half_flux_diameter(on_pixels, distances, order),
    )


def _draw(star: Star, down: float, right: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    size = (2 * star.reach + 1) * FINE
    steps = (np.arange(size) + 0.5) / FINE - star.reach - 0.5
    distances = np.hypot((steps - down)[:, np.newaxis], steps - right)
    sharp = (distances <= star.radius) & (distances >= star.radius * star.obstruction)
    if not star.seeing:
        return sharp.astype(np.float64), distances
    whole = _fast_size(size)
    blur, half_blur = (
        np.exp(-2 * (math.pi * star.seeing / FWHM * frequencies) ** 2)
        for frequencies in (np.fft.fftfreq(whole, 1 / FINE), np.fft.rfftfreq(whole, 1 / FINE))
    )
    waves = np.fft.rfft2(sharp, (whole, whole)) * np.outer(blur, half_blur)
    light: NDArray[np.float64] = np.fft.irfft2(waves, (whole, whole))[:size, :size]
    return light.clip(0), distances


def _fast_size(size: int) -> int:
    """Return the next larger size whose only factors are 2, 3 and 5."""
    while 30**12 % size:
        size += 1
    return size


def _half_flux_diameter(
    light: NDArray[np.float64], distances: NDArray[np.float64], order: NDArray[np.intp]
) -> float:
    sums = np.cumsum(light.ravel()[order])
    return 2 * float(np.interp(0.5, sums / sums[-1], distances.ravel()[order]))


def is_right(found: float | None, star: Star) -> bool:
    """Return whether a diameter is that of the star within 5 %.

    The sharpest stars are some percent wider on pixels than by themselves; what is between
    is right.
    """
    lowest, highest = sorted((star.diameter, star.diameter_on_pixels))
    return found is not None and 0.95 * lowest <= found <= 1.05 * highest


def positions(star: Star, shape: tuple[int, int]) -> list[tuple[float, float]]:
    """Return where stars fit that do not touch, each at another position within its pixel."""
    step = 3 * star.reach + 12
    rows, columns = ([*range(step // 2 + 1, size - step // 2, step)] for size in shape)
    rng = np.random.default_rng(1)
    shifts = (-0.4, -0.2, 0.0, 0.2, 0.4)
    return [
        (row + float(rng.choice(shifts)), column + float(rng.choice(shifts)))
        for row in rows
        for column in columns
    ]


def starlight(
    star: Star, peak: float, shape: tuple[int, int] = (400, 500), limit: int = 12
) -> NDArray[np.float64]:
    """Return the light of stars of one shape, and of 0.7 to 1.4 times the peak."""
    light = np.zeros(shape)
    rng = np.random.default_rng(2)
    for row, column in positions(star, shape)[:limit]:
        add(light, star, row, column, peak * float(rng.uniform(0.7, 1.4)))
    return light


def add(light: NDArray[np.float64], star: Star, row: float, column: float, peak: float) -> None:
    """Add a star to a frame."""
    middle = round(row), round(column)
    picture = peak * star.pixels(
        *(round(each, 1) for each in (row - middle[0], column - middle[1]))
    )
    rows, columns = (slice(place - star.reach, place + star.reach + 1) for place in middle)
    light[rows, columns] += picture


def expose(
    light: NDArray[np.float64], *, sky: float = 300.0, noise: float = 5.0, seed: int = 3
) -> NDArray[Any]:
    """Return a frame of 16 bits with the noise of light (1 electron per ADU) and of reading."""
    rng = np.random.default_rng(seed)
    frame = rng.poisson(light + sky) + rng.normal(0, noise, light.shape)
    return frame.round().clip(0, 65535).astype("<u2")

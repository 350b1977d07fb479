"""The simulated sky: stars, a nebula, background light. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

Float: TypeAlias = "NDArray[np.float32]"

# A dipper in one corner and a pair of stars in another; they show the orientation of an image.
_ASTERISM: Final = (
    (0.12, 0.14, 1.0),
    (0.20, 0.11, 0.8),
    (0.26, 0.15, 0.7),
    (0.33, 0.19, 0.5),
    (0.35, 0.29, 0.7),
    (0.46, 0.30, 0.7),
    (0.47, 0.18, 1.0),
    (0.84, 0.72, 1.4),
    (0.86, 0.75, 0.5),
)
_BRIGHTEST: Final = 12000.0
_FAINTEST: Final = 40.0

# A nebula of Gaussians: centre and width as fractions of the frame, brightness relative to
# the sky.
_NEBULA: Final = (
    (0.68, 0.38, 0.13, 0.10, 0.6),
    (0.74, 0.46, 0.05, 0.08, 0.5),
    (0.60, 0.30, 0.06, 0.04, 0.4),
)
_SKY_COLOUR: Final = np.array([0.30, 0.33, 0.37])
_NEBULA_COLOUR: Final = np.array([0.62, 0.16, 0.22])

_FAINT_EDGE: Final = 0.02
_MAX_RADIUS: Final = 80.0


@dataclass(frozen=True, slots=True)
class Area:
    """A rectangle of unbinned pixels."""

    x: int
    y: int
    width: int
    height: int

    def columns(self, step: int) -> Iterator[Area]:
        """Split the area into parts of `step` columns; the last may be narrower."""
        for x in range(0, self.width, step):
            yield Area(self.x + x, self.y, min(step, self.width - x), self.height)


@dataclass(frozen=True, slots=True, eq=False)
class Sky:
    """The light on a sensor of `width` x `height` pixels."""

    width: int
    height: int
    background: float
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    flux: NDArray[np.float64]
    colour: NDArray[np.float64]
    """Fractions of red, green and blue in each star's light; they add up to one."""

    @classmethod
    def random(cls, *, width: int, height: int, background: float, stars: int, seed: int) -> Sky:
        """Place stars at random, many faint and few bright, plus a fixed asterism."""
        rng = np.random.default_rng([seed, 1])
        fixed = np.array(_ASTERISM[:stars]).reshape(-1, 3)
        scattered = rng.random((stars - len(fixed), 2))
        flux = _FAINTEST * (1.0 - rng.random(len(scattered))) ** -1.1
        red = rng.normal(0.0, 0.08, stars)
        colour = np.column_stack([1 / 3 + red, np.full(stars, 1 / 3), 1 / 3 - red])
        return cls(
            width=width,
            height=height,
            background=background,
            x=np.concatenate([fixed[:, 0], scattered[:, 0]]) * width,
            y=np.concatenate([fixed[:, 1], scattered[:, 1]]) * height,
            flux=np.concatenate([fixed[:, 2], np.minimum(flux / _BRIGHTEST, 2.0)]) * _BRIGHTEST,
            colour=np.clip(colour, 0.05, None) / np.clip(colour, 0.05, None).sum(1)[:, None],
        )

    def light(
        self,
        area: Area,
        filters: NDArray[np.float64],
        shift: tuple[float, float],
        seeing: float,
    ) -> Float:
        """Return electrons per second in each pixel of `area`, shape `(width, height)`.

        `filters[i, j]` is the transmission of red, green and blue at pixel `(i, j)` of the area;
        the pattern repeats. `shift` moves the stars, in pixels; `seeing` is their full width
        at half maximum.
        """
        rate = self._diffuse(area, filters)
        for star in self._stars_near(area, shift):
            self._add_star(rate, area, filters, shift, seeing, star)
        return rate

    def _diffuse(self, area: Area, filters: NDArray[np.float64]) -> Float:
        """Return background and nebula, each the product of a function of x and one of y."""
        along_x = _profiles(area.x, area.width, self.width, 0)
        along_y = _profiles(area.y, area.height, self.height, 1)
        colours = np.array([_SKY_COLOUR, *[part[4] * _NEBULA_COLOUR for part in _NEBULA]])
        strength = np.tensordot(filters, self.background * colours, (2, 1)).astype(np.float32)
        rate = np.empty((area.width, area.height), np.float32)
        step_x, step_y = filters.shape[:2]
        for i, j in np.ndindex(step_x, step_y):
            weighted = strength[i, j][:, None] * along_y[:, j::step_y]
            # A matrix product would use BLAS threads, which busy-wait beside the event loop.
            rate[i::step_x, j::step_y] = np.einsum("gx,gy->xy", along_x[:, i::step_x], weighted)
        return rate

    def _stars_near(self, area: Area, shift: tuple[float, float]) -> list[int]:
        reach = _MAX_RADIUS
        x, y = self.x + shift[0] - area.x, self.y + shift[1] - area.y
        inside = (x > -reach) & (x < area.width + reach) & (y > -reach) & (y < area.height + reach)
        return [int(star) for star in np.flatnonzero(inside)]

    def _add_star(
        self,
        rate: Float,
        area: Area,
        filters: NDArray[np.float64],
        shift: tuple[float, float],
        seeing: float,
        star: int,
    ) -> None:
        """Add a Moffat profile (beta 3), cut off where it is too faint to see."""
        core = seeing / (2.0 * math.sqrt(2.0 ** (1 / 3) - 1.0))
        peak = float(self.flux[star]) * 2.0 / (math.pi * core**2)
        radius = core * math.sqrt(max((peak / _FAINT_EDGE) ** (1 / 3) - 1.0, 1.0))
        x, y = float(self.x[star]) + shift[0], float(self.y[star]) + shift[1]
        xs = _pixels(x, min(radius, _MAX_RADIUS), area.x, area.width)
        ys = _pixels(y, min(radius, _MAX_RADIUS), area.y, area.height)
        if not (len(xs) and len(ys)):
            return
        dx, dy = (xs + (area.x - x)) / core, (ys + (area.y - y)) / core
        profile = 1.0 + (dx**2)[:, None] + (dy**2)[None, :]
        passed = (filters @ self.colour[star])[np.ix_(xs % filters.shape[0], ys % filters.shape[1])]
        window = slice(xs[0], xs[-1] + 1), slice(ys[0], ys[-1] + 1)
        rate[window] += (peak * passed / (profile * profile * profile)).astype(np.float32)


def _profiles(start: int, count: int, size: int, axis: int) -> Float:
    position = (np.arange(start, start + count) + 0.5) / size
    parts = [np.exp(-0.5 * ((position - g[axis]) / g[axis + 2]) ** 2) for g in _NEBULA]
    return np.array([np.ones(count), *parts], np.float32)


def _pixels(centre: float, radius: float, start: int, count: int) -> NDArray[Any]:
    low = max(math.floor(centre - radius) - start, 0)
    high = min(math.ceil(centre + radius) - start + 1, count)
    return np.arange(low, high)

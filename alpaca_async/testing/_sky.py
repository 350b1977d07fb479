"""The sky above the simulated sensor: stars, a nebula, background light. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

Float: TypeAlias = "NDArray[np.float32]"

# A dipper in one corner and a lone pair in another: whoever sees them knows which way is up.
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

# Gaussian glows: centre and width as parts of the frame, brightness in units of the sky.
_GLOWS: Final = (
    (0.68, 0.38, 0.13, 0.10, 0.6),
    (0.74, 0.46, 0.05, 0.08, 0.5),
    (0.60, 0.30, 0.06, 0.04, 0.4),
)
_SKY_COLOUR: Final = np.array([0.30, 0.33, 0.37])
_GLOW_COLOUR: Final = np.array([0.62, 0.16, 0.22])

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
        """Cut the area along x into pieces of `step` columns; the last may be narrower."""
        for x in range(0, self.width, step):
            yield Area(self.x + x, self.y, min(step, self.width - x), self.height)


@dataclass(frozen=True, slots=True, eq=False)
class Sky:
    """Light that falls on a sensor of `width` x `height` pixels."""

    width: int
    height: int
    background: float
    seeing: float
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    flux: NDArray[np.float64]
    colour: NDArray[np.float64]
    """Parts of red, green and blue in each star's light; they add up to one."""

    @classmethod
    def random(
        cls, *, width: int, height: int, background: float, seeing: float, stars: int, seed: int
    ) -> Sky:
        """Scatter stars: many faint ones, few bright ones, and always the same asterism."""
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
            seeing=seeing,
            x=np.concatenate([fixed[:, 0], scattered[:, 0]]) * width,
            y=np.concatenate([fixed[:, 1], scattered[:, 1]]) * height,
            flux=np.concatenate([fixed[:, 2], np.minimum(flux / _BRIGHTEST, 2.0)]) * _BRIGHTEST,
            colour=np.clip(colour, 0.05, None) / np.clip(colour, 0.05, None).sum(1)[:, None],
        )

    def light(self, area: Area, filters: NDArray[np.float64], shift: tuple[float, float]) -> Float:
        """Return electrons per second in each pixel of `area`, shape `(width, height)`.

        `filters[i, j]` is the red, green and blue that pixel `(i, j)` of the area lets through;
        the pattern repeats. `shift` moves the stars.
        """
        rate = self._diffuse(area, filters)
        for star in self._near(area, shift):
            self._add_star(rate, area, filters, shift, star)
        return rate

    def _diffuse(self, area: Area, filters: NDArray[np.float64]) -> Float:
        """Background and glows, each a product of a function of x and one of y."""
        along_x = _profiles(area.x, area.width, self.width, 0)
        along_y = _profiles(area.y, area.height, self.height, 1)
        colours = np.array([_SKY_COLOUR, *[glow[4] * _GLOW_COLOUR for glow in _GLOWS]])
        strength = np.tensordot(filters, self.background * colours, (2, 1)).astype(np.float32)
        rate = np.empty((area.width, area.height), np.float32)
        step_x, step_y = filters.shape[:2]
        for i, j in np.ndindex(step_x, step_y):
            weighted = strength[i, j][:, None] * along_y[:, j::step_y]
            # A matrix product would do, but its threads spin while the event loop waits.
            rate[i::step_x, j::step_y] = np.einsum("gx,gy->xy", along_x[:, i::step_x], weighted)
        return rate

    def _near(self, area: Area, shift: tuple[float, float]) -> list[int]:
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
        star: int,
    ) -> None:
        """Add a Moffat profile (beta 3) as far as it can be seen."""
        core = self.seeing / (2.0 * math.sqrt(2.0 ** (1 / 3) - 1.0))
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
    glows = [np.exp(-0.5 * ((position - g[axis]) / g[axis + 2]) ** 2) for g in _GLOWS]
    return np.array([np.ones(count), *glows], np.float32)


def _pixels(centre: float, radius: float, start: int, count: int) -> NDArray[Any]:
    low = max(math.floor(centre - radius) - start, 0)
    high = min(math.ceil(centre + radius) - start + 1, count)
    return np.arange(low, high)

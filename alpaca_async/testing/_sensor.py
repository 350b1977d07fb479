"""Simulates a sensor: charge, noise, saturation, binning. Does no I/O; runs in a worker thread."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from alpaca_async._enums import SensorType

from ._light import LightPath
from ._sky import Area, Sky

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._model import CameraModel
    from ._sky import Float

_R, _G, _B = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)
_L, _C, _M, _Y = (1.0, 1.0, 1.0), (0.0, 1.0, 1.0), (1.0, 0.0, 1.0), (1.0, 1.0, 0.0)

# The colour matrices as printed in the ASCOM documentation: row y, column x.
_MATRICES: Final[dict[SensorType, tuple[tuple[tuple[float, float, float], ...], ...]]] = {
    SensorType.MONOCHROME: ((_L,),),
    SensorType.RGGB: ((_R, _G), (_G, _B)),
    SensorType.CMYG: ((_C, _M), (_Y, _G)),
    SensorType.CMYG2: ((_C, _Y), (_M, _G), (_C, _Y), (_G, _M)),
    SensorType.LRGB: ((_L, _R, _L, _G), (_R, _L, _G, _L), (_L, _G, _L, _B), (_G, _L, _B, _L)),
}

_DTYPES: Final = (np.dtype("u1"), np.dtype("<u2"), np.dtype("<i4"))
_BLOCK_PIXELS: Final = 1 << 18
_POOL_PIXELS: Final = 1 << 21
_DARK_DOUBLING_DEGREES: Final = 6.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """The parameters of one frame besides the camera model; positions in binned pixels."""

    number: int
    duration: float
    light: bool
    temperature: float
    electrons_per_adu: float
    offset: int
    read_noise: float
    bin_x: int = 1
    bin_y: int = 1
    start_x: int = 0
    start_y: int = 0
    num_x: int
    num_y: int
    pointing: tuple[float, float] = (0.0, 0.0)
    light_path: LightPath = field(default_factory=LightPath)

    @property
    def area(self) -> Area:
        """The unbinned pixels to read out."""
        return Area(
            self.start_x * self.bin_x,
            self.start_y * self.bin_y,
            self.num_x * self.bin_x,
            self.num_y * self.bin_y,
        )


@functools.cache
def _noise_pool() -> Float:
    """Return cached normal deviates; each block of a frame uses a random slice of them."""
    return np.random.default_rng(0).standard_normal(_POOL_PIXELS, np.float32)


class Sensor:
    """A sensor that renders frames from `Shot`s; it keeps no state between them."""

    def __init__(self, model: CameraModel) -> None:
        self._model = model
        self._sky = Sky.random(
            width=model.width,
            height=model.height,
            background=model.sky_brightness,
            stars=model.stars,
            seed=model.seed,
        )
        rng = np.random.default_rng([model.seed, 2])
        count = round(model.hot_pixel_fraction * model.width * model.height)
        self._hot_x = np.sort(rng.integers(0, model.width, count))
        self._hot_y = rng.integers(0, model.height, count)
        self._hot_rate = rng.exponential(400.0, count).astype(np.float32)

    def frame(self, shot: Shot) -> NDArray[Any]:
        """Return the ADU of `shot` in ASCOM's axis order `[x, y(, plane)]`, C-contiguous.

        The dtype is the same for all frames: the narrowest of Byte, UInt16 and Int32 that holds
        `max_adu`.
        """
        dtype = next(each for each in _DTYPES if self._model.max_adu <= np.iinfo(each).max)
        patterns = self._patterns()
        planes = np.empty((shot.num_x, shot.num_y, len(patterns)), dtype)
        rng = np.random.default_rng([self._model.seed, 3, shot.number])
        drift_x, drift_y = rng.normal(0.0, self._model.drift, 2)
        shift = (shot.pointing[0] + float(drift_x), shot.pointing[1] + float(drift_y))
        for plane, pattern in enumerate(patterns):
            self._expose(shot, pattern, shift, rng, planes[:, :, plane])
        frame = planes if len(patterns) > 1 else planes[:, :, 0]
        return np.ascontiguousarray(frame.swapaxes(0, 1)) if self._model.swaps_axes else frame

    def _patterns(self) -> list[NDArray[np.float64]]:
        """Return one array `[x, y, colour]` of filters for each plane of the image."""
        if self._model.sensor == SensorType.COLOR:
            return [np.array([[colour]]) for colour in (_R, _G, _B)]
        rows = np.array(_MATRICES[self._model.sensor])
        return [rows.swapaxes(0, 1)]

    def _expose(
        self,
        shot: Shot,
        pattern: NDArray[np.float64],
        shift: tuple[float, float],
        rng: np.random.Generator,
        out: NDArray[Any],
    ) -> None:
        """Fill `out` one block of columns at a time, to limit the memory for large frames."""
        area = shot.area
        columns = max(_BLOCK_PIXELS // (area.height * shot.bin_x), 1)
        for index, block in enumerate(area.columns(columns * shot.bin_x)):
            charge = self._charge(shot, block, pattern, shift)
            adu = self._digitize(shot, charge, rng)
            first = index * columns
            out[first : first + columns] = self._binned(shot, adu)

    def _charge(
        self, shot: Shot, area: Area, pattern: NDArray[np.float64], shift: tuple[float, float]
    ) -> Float:
        """Return the expected number of electrons in each pixel."""
        dark_factor = 2.0 ** (shot.temperature / _DARK_DOUBLING_DEGREES)
        charge = np.zeros((area.width, area.height), np.float32)
        if shot.light or not self._model.has_shutter:
            charge += self._light(shot.light_path, area, self._aligned(pattern, area), shift)
        charge += np.float32(self._model.dark_current * dark_factor)
        first, last = np.searchsorted(self._hot_x, [area.x, area.x + area.width])
        x, y = self._hot_x[first:last] - area.x, self._hot_y[first:last] - area.y
        inside = (y >= 0) & (y < area.height)
        charge[x[inside], y[inside]] += self._hot_rate[first:last][inside] * np.float32(dark_factor)
        charge *= np.float32(shot.duration)
        return charge

    def _light(
        self,
        path: LightPath,
        area: Area,
        pattern: NDArray[np.float64],
        shift: tuple[float, float],
    ) -> Float:
        """Return electrons per second in each pixel."""
        filters = pattern * np.array(path.filter)
        light = np.zeros((area.width, area.height), np.float32)
        if not path.covered:
            light += self._sky.light(area, filters, shift, path.blurred(self._model.seeing))
        if path.flat:
            light += path.flat * _tiled(filters.mean(2), area)
        return light

    def _aligned(self, pattern: NDArray[np.float64], area: Area) -> NDArray[np.float64]:
        offset_x, offset_y = (
            area.x + self._model.bayer_offset_x,
            area.y + self._model.bayer_offset_y,
        )
        return np.roll(pattern, (-offset_x, -offset_y), (0, 1))

    def _digitize(self, shot: Shot, charge: Float, rng: np.random.Generator) -> Float:
        """Convert charge to whole ADU, in place."""
        if self._model.noise:
            # A normal approximation of the photons' Poisson noise needs one deviate for both
            # noises. For small charges its error is smaller than the read noise.
            start = int(rng.integers(0, _POOL_PIXELS - charge.size))
            deviates = _noise_pool()[start : start + charge.size].reshape(charge.shape)
            sigma = np.sqrt(charge + np.float32(shot.read_noise**2))
            charge += np.multiply(sigma, deviates, out=sigma)
        np.minimum(charge, np.float32(self._model.full_well), out=charge)
        charge *= np.float32(1.0 / shot.electrons_per_adu)
        charge += np.float32(shot.offset)
        np.rint(charge, out=charge)
        return np.clip(charge, 0.0, np.float32(self._model.max_adu), out=charge)

    def _binned(self, shot: Shot, adu: Float) -> Float:
        if shot.bin_x == shot.bin_y == 1:
            return adu
        cells = adu.reshape(adu.shape[0] // shot.bin_x, shot.bin_x, -1, shot.bin_y)
        if self._model.binning == "average":
            mean: Float = cells.mean((1, 3))
            return np.floor(mean, out=mean)
        total: Float = cells.sum((1, 3))
        return np.minimum(total, np.float32(self._model.max_adu))


def _tiled(pattern: NDArray[np.float64], area: Area) -> Float:
    """Repeat a pattern `[x, y]` over an area that begins with it."""
    repeats = -(-area.width // pattern.shape[0]), -(-area.height // pattern.shape[1])
    return np.tile(pattern, repeats)[: area.width, : area.height].astype(np.float32)

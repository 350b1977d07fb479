"""What a caller asks of a camera before an exposure: binning, region, gain."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from alpaca_async._informed import optional

if TYPE_CHECKING:
    from alpaca_async._camera import AsyncCamera

_ROI: Final = re.compile(r"(\d{1,9}),(\d{1,9}),(\d{1,9}),(\d{1,9})", re.ASCII)
_NUMBER: Final = re.compile(r"[+-]?\d{1,9}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Region:
    """A part of the frame, in binned pixels."""

    x: int
    y: int
    width: int
    height: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the region that `X,Y,W,H` stands for; `ValueError` for anything else."""
        match = _ROI.fullmatch(text.replace(" ", ""))
        if match is None:
            raise ValueError(f"--roi {text!r} is not X,Y,WIDTH,HEIGHT in binned pixels")
        region = cls(*map(int, match.groups()))
        if not region.width or not region.height:
            raise ValueError(f"--roi {text!r} has no pixels")
        return region


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What is to be set; None is left as the camera has it."""

    binning: int | None = None
    region: Region | None = None
    gain: str | None = None

    async def apply(self, camera: AsyncCamera) -> None:
        """Bring `camera` to these settings."""
        if self.gain is not None:
            await camera.set_gain(await gain_number(camera, self.gain))
        if self.binning is not None or self.region is not None:
            await self._set_frame(camera)

    async def _set_frame(self, camera: AsyncCamera) -> None:
        """Go by way of the corner: no step asks for pixels outside of the sensor."""
        await camera.set_start_x(0)
        await camera.set_start_y(0)
        if self.binning is not None:
            await camera.set_bin_x(self.binning)
            await camera.set_bin_y(self.binning)
        region = self.region or await _full_frame(camera)
        await camera.set_num_x(region.width)
        await camera.set_num_y(region.height)
        await camera.set_start_x(region.x)
        await camera.set_start_y(region.y)


async def gain_number(camera: AsyncCamera, wanted: str) -> int:
    """Return the gain for `wanted`: a name of the camera's list in any case, else a number."""
    names = await optional(camera.get_gains) or []
    folded = [name.strip().casefold() for name in names]
    if wanted.strip().casefold() in folded:
        return folded.index(wanted.strip().casefold())
    if _NUMBER.fullmatch(wanted.strip()):
        return int(wanted)
    if names:
        raise ValueError(f"the camera has no gain {wanted!r}; it has {', '.join(names)}")
    raise ValueError(f"the camera's gains have no names, so --gain {wanted!r} must be a number")


async def _full_frame(camera: AsyncCamera) -> Region:
    width = await camera.get_camera_x_size() // await camera.get_bin_x()
    height = await camera.get_camera_y_size() // await camera.get_bin_y()
    return Region(0, 0, width, height)

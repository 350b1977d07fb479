"""What a caller asks of a camera before an exposure: binning, region, gain."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from ._usage import WrongUsage

if TYPE_CHECKING:
    from alpaca_async._camera import AsyncCamera

_ROI: Final = re.compile(r"(\d{1,9}),(\d{1,9}),(\d{1,9}),(\d{1,9})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Region:
    """A part of the frame, in binned pixels."""

    x: int
    y: int
    width: int
    height: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the region that `X,Y,W,H` stands for; `WrongUsage` for anything else."""
        match = _ROI.fullmatch(text.replace(" ", ""))
        if match is None:
            raise WrongUsage(f"--roi {text!r} is not X,Y,WIDTH,HEIGHT in binned pixels")
        region = cls(*map(int, match.groups()))
        if not region.width or not region.height:
            raise WrongUsage(f"--roi {text!r} has no pixels")
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
            await camera.select_gain(self.gain)
        if self.region is not None:
            await camera.set_frame(
                bin_x=self.binning,
                bin_y=self.binning,
                start_x=self.region.x,
                start_y=self.region.y,
                num_x=self.region.width,
                num_y=self.region.height,
            )
        elif self.binning is not None:
            await camera.reset_frame(self.binning, self.binning)

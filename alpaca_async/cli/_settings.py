"""Camera settings of `expose`: binning, region and gain."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from ._usage import UsageError

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
        """Parse `X,Y,WIDTH,HEIGHT`; raise `UsageError` if it is not valid."""
        match = _ROI.fullmatch(text.replace(" ", ""))
        if match is None:
            raise UsageError(f"--roi {text!r} is not valid: use X,Y,WIDTH,HEIGHT in binned pixels")
        region = cls(*map(int, match.groups()))
        if not region.width or not region.height:
            raise UsageError(f"--roi {text!r} is empty: width and height must be at least 1")
        return region


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings to apply; the camera keeps a setting that is None."""

    binning: int | None = None
    region: Region | None = None
    gain: str | None = None

    async def apply(self, camera: AsyncCamera) -> None:
        """Apply these settings to `camera`."""
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

"""The colour filter pattern of a raw frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from alpaca_async._enums import SensorType

if TYPE_CHECKING:
    from .image_like import ImageLike

_FILTERS: Final[dict[SensorType, tuple[str, ...]]] = {
    SensorType.RGGB: ("RG", "GB"),
    SensorType.CMYG: ("CM", "YG"),
    SensorType.CMYG2: ("CY", "MG", "CY", "GM"),
    SensorType.LRGB: ("LRLG", "RLGL", "LGLB", "GLBL"),
}


class Mosaic(NamedTuple):
    """A filter pattern, and the position of the frame's first pixel in it."""

    name: str
    """`RGGB`, `CMYG`, `CMYG2` or `LRGB`."""
    filters: tuple[str, ...]
    """One period of the pattern: a string for each row, a letter for each filter."""
    x: int
    """Column of the pattern at the first pixel."""
    y: int
    """Row of the pattern at the first pixel."""

    @property
    def period(self) -> tuple[int, int]:
        """Rows and columns after which the pattern repeats."""
        return len(self.filters), len(self.filters[0])

    def filter_at(self, row: int, column: int) -> str:
        """Return the filter letter of a pixel of the frame."""
        rows, columns = self.period
        return self.filters[(row + self.y) % rows][(column + self.x) % columns]


def mosaic_of(image: ImageLike) -> Mosaic | None:
    """Return the mosaic of a frame; None if it has none, or if part of it is unknown.

    Binned frames have none, because binning mixes the filters. The Bayer offset applies to the
    whole sensor, so the start of the frame is added to it.
    """
    exposure = image.exposure
    if exposure is None or exposure.info.sensor_type is None or image.data.ndim != 2:  # noqa: PLR2004 - rows, columns
        return None
    filters = _FILTERS.get(exposure.info.sensor_type)
    info, settings = exposure.info, exposure.settings
    if filters is None or (settings.bin_x, settings.bin_y) != (1, 1):
        return None
    x = _phase(info.bayer_offset_x, settings.start_x, len(filters[0]))
    y = _phase(info.bayer_offset_y, settings.start_y, len(filters))
    if x is None or y is None:
        return None
    return Mosaic(exposure.info.sensor_type.name, filters, x, y)


def _phase(offset: int | None, start: int | None, period: int) -> int | None:
    return None if offset is None or start is None else (offset + start) % period

"""The colour filters over the pixels of a raw frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from alpaca_async._enums import SensorType

if TYPE_CHECKING:
    from .picture import Picture

_FILTERS: Final[dict[SensorType, tuple[str, ...]]] = {
    SensorType.RGGB: ("RG", "GB"),
    SensorType.CMYG: ("CM", "YG"),
    SensorType.CMYG2: ("CY", "MG", "CY", "GM"),
    SensorType.LRGB: ("LRLG", "RLGL", "LGLB", "GLBL"),
}


class Mosaic(NamedTuple):
    """A filter pattern and where in it the first pixel of a frame lies."""

    name: str
    """`RGGB`, `CMYG`, `CMYG2` or `LRGB`."""
    filters: tuple[str, ...]
    """One repetition of the pattern: a string for each row, a letter for each filter."""
    x: int
    y: int

    @property
    def period(self) -> tuple[int, int]:
        """Rows and columns after which the pattern repeats itself."""
        return len(self.filters), len(self.filters[0])

    def filter_at(self, row: int, column: int) -> str:
        """Return the letter of the filter over a pixel of the frame."""
        rows, columns = self.period
        return self.filters[(row + self.y) % rows][(column + self.x) % columns]


def mosaic_of(image: Picture) -> Mosaic | None:
    """Return the mosaic of a frame, or None if it has none or not all of it is known.

    Binned pixels mix the filters. The Bayer offset is that of the whole sensor, so the start
    of the frame is added.
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

"""An HDF5 file of frames that others may read while it is written. Blocks: use threads."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from alpaca_async._optional import load

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from alpaca_async._facts import Exposure
    from alpaca_async._image import Image

FRAMES: Final = "/entry/data/data"
COLUMNS: Final = {
    "time": "/entry/time",
    "exposure": "/entry/exposure",
    "temperature": "/entry/temperature",
}
"""Datasets with a number for each frame: start in seconds since 1970, duration in s, °C."""

COLUMN_CHUNK: Final = 1024


class FramesFile:
    """A new file with frames of one shape and dtype."""

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.written = 0
        """Frames that readers can see."""
        self._file = load("h5py", extra="bluesky").File(path, "x", libver="latest")
        add = partial(self._file.create_dataset, dtype="f8", maxshape=(None,))
        self._columns = {
            name: add(place, (0,), chunks=(COLUMN_CHUNK,)) for name, place in COLUMNS.items()
        }
        self._frames = self._file.create_dataset(
            FRAMES, (0, *shape), dtype, maxshape=(None, *shape), chunks=(1, *shape)
        )
        self._file.swmr_mode = True

    def append(self, image: Image) -> int:
        """Write a frame; return how many there are. `ValueError` if it has another shape."""
        if image.data.shape != self._frames.shape[1:]:
            raise ValueError(
                f"a frame of the shape {image.data.shape} follows one of {self._frames.shape[1:]}: "
                "stage the detector again after a change of the frame"
            )
        for name, value in _column_values(image.exposure).items():
            self._put(self._columns[name], value)
        self._put(self._frames, image.data)
        self.written += 1
        return self.written

    def close(self) -> None:
        """Close the file; it is complete."""
        self._file.close()

    def _put(self, dataset: Any, value: NDArray[Any] | float) -> None:  # noqa: ANN401 - h5py has no types
        dataset.resize(self.written + 1, axis=0)
        dataset[self.written] = value
        dataset.flush()


def _column_values(exposure: Exposure | None) -> dict[str, float]:
    if exposure is None:
        return dict.fromkeys(COLUMNS, np.nan)
    temperature = exposure.ccd_temperature
    return {
        "time": exposure.started.timestamp(),
        "exposure": exposure.duration,
        "temperature": np.nan if temperature is None else temperature,
    }

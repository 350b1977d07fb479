"""Parts of frames, read from their FITS files."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from alpaca_async import fits
from alpaca_async._fits.pixels import pixel_type
from alpaca_async.web.crops import Crop, PixelFile

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize(
    "data",
    [
        RANDOM.integers(0, 65535, (50, 70), dtype=np.uint16),
        RANDOM.integers(-(2**31), 2**31 - 1, (50, 70), dtype=np.int32),
        RANDOM.integers(0, 2**32 - 1, (50, 70), dtype=np.uint32),
        RANDOM.integers(0, 255, (50, 70), dtype=np.uint8),
        RANDOM.normal(size=(50, 70)),
        RANDOM.integers(0, 65535, (50, 70, 3), dtype=np.uint16),
    ],
    ids=lambda data: f"{data.dtype}-{data.ndim}",
)
async def test_a_crop_has_the_pixels_of_the_image(tmp_path: Path, data: NDArray[Any]) -> None:
    path = await fits.save(Crop(data), tmp_path / "frame.fits")
    stored = PixelFile(path, data.shape, pixel_type(Crop(data)))
    all_of_it = await asyncio.to_thread(stored.crop, (0.5, 0.5), (1000, 1000))
    assert np.array_equal(all_of_it.data, data)
    corner = await asyncio.to_thread(stored.crop, (0, 1), (20, 10))
    assert np.array_equal(corner.data, data[40:, :20])
    middle = await asyncio.to_thread(stored.crop, (0.5, 0.5), (10, 10))
    assert np.array_equal(middle.data, data[20:30, 30:40])


def test_a_file_that_is_too_short_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "frame.fits"
    path.write_bytes(bytes(2880))
    with pytest.raises(ValueError, match="is shorter than its frame"):
        PixelFile(path, (50, 70), np.dtype(np.uint16)).crop((0.5, 0.5), (10, 10))

"""The same pixels give the same results, whatever their dtype."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from alpaca_async import SensorType, fits, preview
from alpaca_async._protocol.imagebytes import DTYPES

from .star_fields import Star, expose, starlight
from .test_statistics import image_of

if TYPE_CHECKING:
    from alpaca_async import Image

FIELD = expose(starlight(Star(radius=3, obstruction=0.4), 2000, (70, 90)))
WIDE = [dtype for dtype in DTYPES.values() if dtype.itemsize > 1]


def image(dtype: np.dtype[Any]) -> Image:
    plain = image_of(FIELD.astype(dtype), SensorType.MONOCHROME)
    assert plain.exposure is not None
    info = replace(plain.exposure.info, max_adu=int(FIELD.max()))
    return replace(plain, exposure=replace(plain.exposure, info=info))


@pytest.mark.parametrize("dtype", WIDE, ids=str)
async def test_measurements_previews_and_files_do_not_depend_on_the_dtype(
    dtype: np.dtype[Any],
) -> None:
    reference, other = image(np.dtype("<u2")), image(dtype)
    statistics = await other.statistics()
    assert statistics.stars
    assert repr(statistics) == repr(await reference.statistics())
    counts = (await other.histogram()).counts
    np.testing.assert_array_equal(counts, (await reference.histogram()).counts)
    assert await preview.encode(other) == await preview.encode(reference)
    hdu: Any = await asyncio.to_thread(fits.to_hdu, other)
    np.testing.assert_array_equal(hdu.data, FIELD)

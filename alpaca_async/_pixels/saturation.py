"""The value of a saturated pixel."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .image_like import ImageLike


def full_scale(image: ImageLike) -> float:
    """Return the value of a saturated pixel, infinity if it is unknown."""
    stated = image.exposure and image.exposure.info.max_adu
    if stated:
        return stated
    dtype = image.data.dtype
    digital = dtype.kind in "iu" and dtype.itemsize <= 2  # noqa: PLR2004 - as AD converters
    return float(np.iinfo(dtype).max) if digital else math.inf

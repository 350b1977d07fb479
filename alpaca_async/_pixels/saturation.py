"""The value of a saturated pixel, and values that exceed what their type holds."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .image_like import ImageLike


def full_scale(image: ImageLike) -> float:
    """Return the value of a saturated pixel, infinity if it is unknown."""
    stated = image.exposure and image.exposure.info.max_adu
    if stated and stated > 0:  # some drivers state -1 for unknown
        return stated
    dtype = image.data.dtype
    digital = dtype.kind in "iu" and dtype.itemsize <= 2  # noqa: PLR2004 - as AD converters
    return float(np.iinfo(dtype).max) if digital else math.inf


def may_have_wrong_signs(image: ImageLike) -> bool:
    """Whether pixels that were sent as Int16 may be negative, and MaxADU needs a wider type."""
    stated = image.exposure and image.exposure.info.max_adu
    return image.data.dtype.kind != "u" and (stated or 0) > np.iinfo(np.int16).max


def has_negative_pixels(image: ImageLike) -> bool:
    """Whether any pixel is negative. Takes 20 ms for 61 megapixels."""
    return bool(image.data.size) and bool(image.data.min() < 0)

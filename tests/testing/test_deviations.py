"""What a camera can be told to do differently from the standard, as some servers do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from .conftest import Clock, MakeCamera

DARK = {"stars": 0, "sky_brightness": 0.0, "noise": False, "hot_pixel_fraction": 0.0}


# Pixel types


@pytest.mark.parametrize(
    ("max_adu", "dtype"),
    [(255, "u1"), (256, "<u2"), (4095, "<u2"), (65535, "<u2"), (65536, "<i4")],
)
@pytest.mark.parametrize("offset", [0, 100, 300])
def test_the_pixel_type_depends_on_the_camera_alone(
    make_camera: MakeCamera, clock: Clock, max_adu: int, dtype: str, offset: int
) -> None:
    camera = make_camera(max_adu=max_adu, **DARK)
    camera.set_offset(offset)
    camera.start_exposure(0.1, light=True)
    clock.advance(10.0)
    assert camera.image().dtype == np.dtype(dtype)
    assert camera.image().flags.c_contiguous


@pytest.mark.parametrize(("offset", "dtype"), [(0, "u1"), (300, "<i2")])
def test_the_type_may_be_the_narrowest_of_each_frame(
    make_camera: MakeCamera, clock: Clock, offset: int, dtype: str
) -> None:
    camera = make_camera(narrowest_type=True, **DARK)
    camera.set_offset(offset)
    camera.start_exposure(0.1, light=True)
    clock.advance(10.0)
    assert camera.image().dtype == np.dtype(dtype)

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from alpaca_async import PixelType, PixelTypeError
from alpaca_async._protocol.imagebytes import DTYPES
from alpaca_async._protocol.pixeltype import AS_SENT, pixel_type

INT16 = np.dtype("<i2")
UINT16 = np.dtype("<u2")


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=str)
def test_each_type_of_the_wire_can_be_requested_in_every_form(dtype: np.dtype[Any]) -> None:
    for form in (dtype, dtype.name, dtype.str, dtype.type):
        assert pixel_type(form).target_for(UINT16) == dtype


@pytest.mark.parametrize(
    "wrong",
    [">u2", "int8", "float16", "bool", "complex64", "O", "S2", "Camera", "auto", "", "i4,", 5, []],
)
def test_other_types_are_refused(wrong: Any) -> None:  # noqa: ANN401 - as from a caller
    with pytest.raises(TypeError, match=r'dtype must be "camera" or one of int16.* uint32, not'):
        pixel_type(wrong)
    with pytest.raises(TypeError, match="dtype must be"):
        PixelType(wrong)


def test_without_a_type_pixels_keep_theirs() -> None:
    assert pixel_type(None) == AS_SENT
    for dtype in DTYPES.values():
        assert AS_SENT.source_for(dtype) == AS_SENT.target_for(dtype) == dtype


def test_a_pixel_type_is_kept() -> None:
    wanted = PixelType("uint16", int16_is_unsigned=True)
    assert pixel_type(wanted) is wanted
    assert pickle.loads(pickle.dumps(wanted)) == wanted  # noqa: S301 - ours


def test_int16_can_be_read_as_unsigned_and_nothing_else_is() -> None:
    wanted = PixelType(int16_is_unsigned=True)
    for dtype in DTYPES.values():
        expected = UINT16 if dtype == INT16 else dtype
        assert wanted.source_for(dtype) == wanted.target_for(dtype) == expected


@pytest.mark.parametrize(
    ("max_adu", "name"),
    [
        *((1, "uint8"), (255, "uint8"), (256, "uint16"), (4095, "uint16"), (65535, "uint16")),
        *((65536, "int32"), (2**31 - 1, "int32")),
    ],
)
def test_the_type_of_a_camera_follows_from_max_adu(max_adu: int, name: str) -> None:
    wanted = PixelType("camera", int16_is_unsigned=True)
    assert wanted.follows_camera
    found = wanted.for_camera(max_adu)
    assert not found.follows_camera
    assert found.target_for(np.dtype("<f8")).name == name
    assert found.int16_is_unsigned


@pytest.mark.parametrize("max_adu", [0, -1])
def test_a_camera_that_does_not_know_max_adu_has_no_type(max_adu: int) -> None:
    with pytest.raises(PixelTypeError, match=f"MaxADU is {max_adu}; request a dtype") as caught:
        PixelType("camera").for_camera(max_adu)
    assert (caught.value.value, caught.value.position) == (None, None)


def test_the_types_are_compared_with_camera_only_if_they_are_texts() -> None:
    assert not pixel_type(np.uint16).follows_camera
    assert not pixel_type(np.dtype("u2")).follows_camera

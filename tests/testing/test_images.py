from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from alpaca_async._errors import InvalidOperationException
from alpaca_async._protocol.imagebytes import ImageHeader, decode_imagebytes
from alpaca_async.testing._images import (
    imagebytes_error,
    imagebytes_header,
    json_pieces,
    narrowed,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHAPES = hnp.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=5)


def values(low: int, high: int) -> st.SearchStrategy[NDArray[Any]]:
    return hnp.arrays(np.int32, SHAPES, elements=st.integers(low, high))


FRAMES = st.one_of(
    values(0, 255), values(-32768, 32767), values(0, 65535), values(-(2**31), 2**31 - 1)
)


@given(FRAMES)
def test_a_decoder_gets_the_pixels_back(frame: NDArray[Any]) -> None:
    pixels = narrowed(frame)
    decoded = decode_imagebytes(imagebytes_header(pixels, 1, 2) + pixels.tobytes())
    np.testing.assert_array_equal(decoded, frame)


@given(FRAMES)
def test_json_holds_the_same_pixels_as_imagebytes(frame: NDArray[Any]) -> None:
    document = json.loads(b"".join(json_pieces(narrowed(frame), {"ErrorNumber": 0})))
    assert (document["Type"], document["Rank"]) == (2, frame.ndim)
    assert document["Value"] == frame.tolist()


@pytest.mark.parametrize(
    ("low", "high", "dtype"),
    [
        (0, 255, "u1"),
        (0, 256, "<i2"),
        (-1, 255, "<i2"),
        (-32768, 32767, "<i2"),
        (0, 32768, "<u2"),
        (0, 65535, "<u2"),
        (-1, 32768, "<i4"),
        (0, 65536, "<i4"),
    ],
)
def test_the_narrowest_type_in_the_order_of_the_specification(
    low: int, high: int, dtype: str
) -> None:
    assert narrowed(np.array([[low, high]], np.int32)).dtype == np.dtype(dtype)


def test_narrowing_within_a_size_does_not_copy() -> None:
    frame = np.array([[300, 30000]], np.uint16)
    pixels = narrowed(frame)
    assert pixels.dtype == np.int16
    assert np.shares_memory(frame, pixels)


def test_narrowing_returns_c_contiguous_memory() -> None:
    frame = np.arange(6, dtype=np.int32).reshape(2, 3).T
    assert narrowed(frame).flags.c_contiguous
    np.testing.assert_array_equal(narrowed(frame), frame)


def test_the_header_carries_ids_and_dimensions() -> None:
    header = ImageHeader.unpack(imagebytes_header(np.zeros((4, 3, 2), np.uint8), 2**32 - 1, 8))
    assert header == (1, 0, 2**32 - 1, 8, 44, 2, 6, 3, 4, 3, 2)
    flat = ImageHeader.unpack(imagebytes_header(np.zeros((4, 3), "<u2"), 1, 2))
    assert flat == (1, 0, 1, 2, 44, 2, 8, 2, 4, 3, 0)


def test_a_decoder_gets_the_error_back() -> None:
    payload = imagebytes_error(InvalidOperationException(0x40B, "Kein Bild für dich"), 1, 2)
    with pytest.raises(InvalidOperationException, match="Kein Bild für dich") as caught:
        decode_imagebytes(payload)
    assert caught.value.number == 0x40B
    assert ImageHeader.unpack(payload) == (1, 0x40B, 1, 2, 44, 0, 0, 0, 0, 0, 0)


def test_json_pieces_stay_small() -> None:
    sizes = [len(piece) for piece in json_pieces(np.zeros((300, 1000), np.uint8), {})]
    assert len(sizes) > 9
    assert max(sizes) < 70_000

"""JSON images in a requested dtype."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alpaca_async import (
    AscomError,
    IncompleteImage,
    MalformedResponse,
    PixelType,
    PixelTypeError,
)
from alpaca_async._protocol import imagejson, jsonnumbers
from alpaca_async._protocol.imagejson import ImageJsonParser
from alpaca_async._protocol.jsonnumbers import JSON_TYPES
from tests.pixel_values import first_misfit, values_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from alpaca_async import ImageArrayElementTypes
    from alpaca_async._protocol.imagebytes import ImageMetadata

TARGETS = ["uint8", "int16", "uint16", "int32", "float32"]
DTYPES: dict[Any, str] = {1: "<i2", 2: "<i4", 3: "<f8"}
sizes = st.integers(1, 5)
shapes = st.tuples(sizes, sizes) | st.tuples(sizes, sizes, st.integers(1, 4))
cut_places = st.lists(st.integers(0, 400), max_size=6)


def text_of(pixels: NDArray[Any], kind: int, *, type_last: bool = False, **more: object) -> bytes:
    members: dict[str, object] = {"Type": kind, "Rank": pixels.ndim, "Value": pixels.tolist()}
    names = reversed(list(members)) if type_last else list(members)
    return json.dumps({name: members[name] for name in names} | more).encode()


def parse(
    text: bytes, wanted: PixelType, cuts: list[int] | None = None, max_image_bytes: int = 1 << 20
) -> tuple[NDArray[Any], ImageMetadata]:
    parser = ImageJsonParser(max_image_bytes=max_image_bytes, wanted=wanted)
    inside = sorted(cut for cut in cuts or () if cut < len(text))
    for start, end in pairwise([0, *inside, len(text)]):
        parser.feed(text[start:end])
    return parser.close()


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("kind", JSON_TYPES)
@settings(max_examples=30)
@given(shape=shapes, cuts=cut_places, type_last=st.booleans(), data=st.data())
def test_every_pixel_is_exact_or_named(
    kind: ImageArrayElementTypes,
    target: str,
    shape: tuple[int, ...],
    cuts: list[int],
    type_last: bool,
    data: st.DataObject,
) -> None:
    sent, dtype = np.dtype(DTYPES[kind]), np.dtype(target).newbyteorder("<")
    drawn = data.draw(values_of(sent, int(np.prod(shape)))).reshape(shape)
    pixels = np.nan_to_num(drawn, nan=0.25, posinf=1e300, neginf=-1e300)
    text = text_of(pixels, kind, type_last=type_last)
    misfit = first_misfit(pixels.ravel(), dtype)
    with patch.object(imagejson, "_CHUNK", 40), patch.object(jsonnumbers, "_BLOCK", 3):
        if misfit is not None:
            with pytest.raises(PixelTypeError) as caught:
                parse(text, PixelType(target), cuts)
            place = tuple(map(int, np.unravel_index(misfit[0], shape)))
            assert (caught.value.position, caught.value.value) == (place, misfit[1])
            return
        found, metadata = parse(text, PixelType(target), cuts)
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found, pixels.astype(dtype), strict=True)
    assert metadata.dtype == sent
    assert metadata.shape == shape


@pytest.mark.parametrize("target", [None, "uint16", "int32"])
@pytest.mark.parametrize("type_last", [False, True])
def test_int16_can_be_read_as_unsigned(target: str | None, type_last: bool) -> None:
    text = text_of(np.array([[-1, 5, -32768]]), 1, type_last=type_last)
    found, _ = parse(text, PixelType(target, int16_is_unsigned=True))
    assert found.dtype == np.dtype(target or "uint16")
    assert found.tolist() == [[65535, 5, 32768]]


@pytest.mark.parametrize("type_last", [False, True])
def test_numbers_that_are_not_of_the_declared_type_are_malformed(type_last: bool) -> None:
    for kind, value in ((1, 40000), (2, 2**31), (2, 0.5)):
        text = text_of(np.array([[value]]), kind, type_last=type_last)
        with pytest.raises(MalformedResponse, match="pixels that are not int"):
            parse(text, PixelType("float64"))


def test_whole_floats_are_integers() -> None:
    text = b'{"Type":1,"Rank":2,"Value":[[1.0,2e2]]}'
    assert parse(text, PixelType("uint8"))[0].tolist() == [[1, 200]]


def test_the_error_of_the_device_has_priority() -> None:
    text = text_of(np.array([[-1]]), 2, ErrorNumber=1035, ErrorMessage="no image")
    with pytest.raises(AscomError, match="no image"):
        parse(text, PixelType("uint16"))


def test_an_image_that_is_cut_off_is_incomplete_even_after_a_misfit() -> None:
    text = text_of(np.array([[-1, 2], [3, 4]]), 2)
    with pytest.raises(IncompleteImage):
        parse(text[:-5], PixelType("uint16"))


@pytest.mark.parametrize("type_last", [False, True])
def test_the_size_limit_applies_to_the_requested_type(type_last: bool) -> None:
    text = text_of(np.array([[1, 2], [3, 4]]), 2, type_last=type_last)
    assert parse(text, PixelType("float64"), max_image_bytes=32)[0].nbytes == 32
    with pytest.raises(MalformedResponse, match="larger than 31 bytes"):
        parse(text, PixelType("float64"), max_image_bytes=31)


def test_two_different_types_are_malformed() -> None:
    with pytest.raises(MalformedResponse, match="two different types"):
        parse(b'{"Type":2,"Value":[[1]],"Type":3}', PixelType("uint16"))

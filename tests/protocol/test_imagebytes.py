"""ImageBytes: the right pixels or an `AlpacaError`, and no copy."""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpaca_async._enums import ImageArrayElementTypes
from alpaca_async._errors import (
    AlpacaError,
    AscomError,
    DriverException,
    IncompleteImage,
    InvalidOperationException,
    MalformedResponse,
)
from alpaca_async._protocol.imagebytes import (
    DTYPES,
    HEADER_SIZE,
    MAX_DATA_START,
    ImageHeader,
    decode_imagebytes,
    pixels,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from alpaca_async._protocol.imagebytes import ReadableBuffer

FIELDS: dict[str, int] = {
    "metadata_version": 1,
    "error_number": 0,
    "client_transaction_id": 7,
    "server_transaction_id": 8,
    "data_start": 44,
    "image_element_type": 2,
    "transmission_element_type": 8,
    "rank": 2,
    "dimension1": 3,
    "dimension2": 2,
    "dimension3": 0,
}


def header(**changes: int) -> bytes:
    return struct.pack("<iiIIiiiiiii", *(FIELDS | changes).values())


def payload(**changes: int) -> bytes:
    return header(**changes) + bytes(range(12))


sides = st.integers(1, 5)
shapes = st.tuples(sides, sides) | st.tuples(sides, sides, sides)


@given(
    shape=shapes,
    element=st.sampled_from(list(DTYPES)),
    image_element=st.integers(0, 2**31 - 1),
    gap=st.binary(max_size=9),
    data=st.data(),
)
def test_every_image_is_decoded_as_it_was_encoded(
    shape: tuple[int, ...],
    element: ImageArrayElementTypes,
    image_element: int,
    gap: bytes,
    data: st.DataObject,
) -> None:
    size = math.prod(shape) * DTYPES[element].itemsize
    body = data.draw(st.binary(min_size=size, max_size=size))
    dimensions = dict(zip(("dimension1", "dimension2", "dimension3"), shape, strict=False))
    head = header(
        data_start=HEADER_SIZE + len(gap),
        transmission_element_type=element,
        image_element_type=image_element,
        rank=len(shape),
        **dimensions,
    )
    array = decode_imagebytes(head + gap + body)
    assert array.shape == shape
    assert array.dtype == DTYPES[element]
    assert array.flags.c_contiguous
    assert array.tobytes() == body


@given(st.binary(max_size=120))
def test_arbitrary_bytes_are_an_alpaca_error(data: bytes) -> None:
    with pytest.raises(AlpacaError):
        decode_imagebytes(data)


@given(
    fields=st.dictionaries(
        st.sampled_from(sorted(FIELDS)),
        st.integers(0, 10) | st.sampled_from([44, 45, 50, 56, 65536, 65537, 2**31 - 1]),
    ),
    signs=st.sets(st.sampled_from(["error_number", "data_start", "rank", "dimension1"])),
    length=st.integers(0, 60),
)
def test_a_wrong_header_gives_pixels_of_its_own_shape_or_an_alpaca_error(
    fields: dict[str, int], signs: set[str], length: int
) -> None:
    fields |= {name: -fields[name] for name in signs & fields.keys()}
    data = header(**fields) + bytes(length)
    try:
        array = decode_imagebytes(data)
    except AlpacaError:
        return
    declared = FIELDS | fields
    shape = (declared["dimension1"], declared["dimension2"], declared["dimension3"])[
        : declared["rank"]
    ]
    assert array.shape == shape
    assert array.dtype == DTYPES[ImageArrayElementTypes(declared["transmission_element_type"])]
    assert declared["data_start"] + array.nbytes == len(data)
    assert declared["error_number"] == 0


def as_array(data: bytes) -> ReadableBuffer:
    return np.frombuffer(data, "u1")


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, as_array])
def test_the_pixels_are_a_view_of_any_buffer(kind: Callable[[bytes], ReadableBuffer]) -> None:
    buffer = kind(payload())
    array = decode_imagebytes(buffer)
    assert array.tolist() == [[0x100, 0x302], [0x504, 0x706], [0x908, 0xB0A]]
    assert np.shares_memory(array, np.frombuffer(buffer, "u1"))
    assert array.flags.writeable == isinstance(buffer, bytearray)


def test_a_buffer_of_wider_items_is_read_as_bytes() -> None:
    data = np.frombuffer(payload(), "<u2").reshape(2, 14)
    assert decode_imagebytes(data).shape == (3, 2)


@pytest.mark.parametrize("empty", [b"", bytearray(), np.empty(0, "u1"), np.empty((0, 3), "<i4")])
def test_an_empty_buffer_is_incomplete(empty: ReadableBuffer) -> None:
    with pytest.raises(IncompleteImage) as caught:
        decode_imagebytes(empty)
    assert (caught.value.received, caught.value.expected) == (0, HEADER_SIZE)


def test_every_truncation_is_incomplete() -> None:
    whole = payload()
    for length in range(len(whole)):
        with pytest.raises(IncompleteImage):
            decode_imagebytes(whole[:length])


def test_an_incomplete_image_reports_how_much_arrived() -> None:
    with pytest.raises(IncompleteImage, match="after 5 of 12 bytes"):
        decode_imagebytes(payload()[:-7])


def test_an_image_that_ends_before_its_start_has_received_nothing() -> None:
    with pytest.raises(IncompleteImage) as caught:
        decode_imagebytes(header(data_start=1000))
    assert caught.value.received == 0


def test_bytes_after_the_image_are_malformed() -> None:
    with pytest.raises(MalformedResponse, match="1 bytes follow"):
        decode_imagebytes(payload() + b"x")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"metadata_version": 2}, "version 2"),
        ({"metadata_version": 0}, "version 0"),
        ({"data_start": 43}, "byte 43"),
        ({"data_start": -1}, "byte -1"),
        ({"data_start": MAX_DATA_START + 1}, "byte 65537"),
        ({"transmission_element_type": 0}, "element type 0"),
        ({"transmission_element_type": 10}, "element type 10"),
        ({"transmission_element_type": -1}, "element type -1"),
        ({"image_element_type": -2}, "type -2 is negative"),
        ({"rank": 1}, "rank 1"),
        ({"rank": 4}, "rank 4"),
        ({"dimension1": 0}, "do not fit"),
        ({"dimension2": -2}, "do not fit"),
        ({"dimension3": 3}, "do not fit"),
        ({"rank": 3}, "do not fit"),
    ],
)
def test_an_invalid_header_is_malformed(changes: dict[str, int], reason: str) -> None:
    with pytest.raises(MalformedResponse, match=reason):
        decode_imagebytes(payload(**changes))


def test_nothing_is_allocated_for_wrong_dimensions() -> None:
    huge = 2**31 - 1
    lying = header(rank=3, dimension1=huge, dimension2=huge, dimension3=1024)
    with pytest.raises(IncompleteImage) as caught:
        decode_imagebytes(lying)
    assert caught.value.expected == huge**2 * 1024 * 2


def test_more_planes_than_any_camera_has_are_refused() -> None:
    with pytest.raises(MalformedResponse, match="1025 planes"):
        decode_imagebytes(header(rank=3, dimension1=1, dimension2=1, dimension3=1025))


def test_the_error_of_the_device_has_priority_over_the_rest_of_the_header() -> None:
    data = header(error_number=0x40B, rank=0, transmission_element_type=0) + "kein Bild ü".encode()
    with pytest.raises(InvalidOperationException, match="kein Bild ü"):
        decode_imagebytes(data)


@pytest.mark.parametrize("text", [b"", b"\xff\xfe", b"ends with zeros\0\0"])
def test_any_error_text_is_accepted(text: bytes) -> None:
    with pytest.raises(DriverException) as caught:
        decode_imagebytes(header(error_number=1) + text)
    assert not caught.value.message.endswith("\0")


@pytest.mark.parametrize("data_start", [-1, 0, 43, 44, 45, 48, 100])
def test_the_text_of_an_error_begins_where_the_header_says(data_start: int) -> None:
    padding = b"\0" * (data_start - HEADER_SIZE)
    with pytest.raises(AscomError) as caught:
        decode_imagebytes(header(error_number=0x500, data_start=data_start) + padding + b"no USB")
    assert caught.value.message == "no USB"


def test_an_error_in_an_unknown_version_is_malformed() -> None:
    with pytest.raises(MalformedResponse) as caught:
        decode_imagebytes(header(error_number=1, metadata_version=9))
    assert not isinstance(caught.value, AscomError)


def test_the_metadata_has_shape_size_and_dtype() -> None:
    metadata = ImageHeader.unpack(header(rank=3, dimension3=4)).metadata()
    assert metadata.shape == (3, 2, 4)
    assert metadata.nbytes == 48
    assert metadata.dtype == np.dtype("<u2")
    assert metadata.image_element_type is ImageArrayElementTypes.INT32


def test_pixels_never_copies() -> None:
    memory = np.zeros(12, np.uint8)
    array = pixels(memory, ImageHeader.unpack(header()).metadata())
    array[2, 1] = 0x0201
    assert memory[-2:].tolist() == [1, 2]

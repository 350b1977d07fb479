"""Pixels in a requested dtype: exact, or an error that names the first that does not fit."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alpaca_async import MalformedResponse, PixelType, PixelTypeError
from alpaca_async._download import ascomorder
from alpaca_async._download.ascomorder import AscomOrderBuffer
from alpaca_async._download.rowmajor import RowMajorBuffer
from alpaca_async._download.sink import ImageSink
from alpaca_async._protocol.conversion import Conversion
from alpaca_async._protocol.imagebytes import DTYPES
from alpaca_async._protocol.pixeltype import AS_SENT
from tests.pixel_values import first_misfit, values_of
from tests.scripted import imagebytes

if TYPE_CHECKING:
    from collections.abc import Generator

    from numpy.typing import NDArray

    from alpaca_async import ImageArrayElementTypes
    from alpaca_async._download.sink import NewPixelBuffer

TARGETS = ["uint8", "int16", "uint16", "int32", "float32"]
UNSIGNED = PixelType(int16_is_unsigned=True)

sizes = st.integers(1, 9)
shapes = st.tuples(sizes, sizes) | st.tuples(sizes, sizes, st.integers(1, 5))
cuts = st.lists(st.integers(1, 60), min_size=1, max_size=5)


@contextmanager
def small_pieces(nbytes: int) -> Generator[tuple[NewPixelBuffer, NewPixelBuffer]]:
    """Yield what receives rows and what receives columns, in pieces of about `nbytes`."""
    with patch.object(ascomorder, "_PIECE_BYTES", nbytes):
        yield partial(RowMajorBuffer, slab_bytes=nbytes), AscomOrderBuffer


def receive(
    pixels: NDArray[Any],
    kind: int,
    new_buffer: NewPixelBuffer,
    wanted: PixelType,
    sizes: list[int],
) -> NDArray[Any]:
    """Return what a sink makes of `pixels` that arrive in pieces of `sizes`, in turn."""
    sink = ImageSink(new_buffer, 2**31, wanted=wanted)
    body = imagebytes(pixels.tobytes(), *pixels.shape, kind=kind)
    turn = 0
    while body:
        size = sizes[turn % len(sizes)]
        sink.write(body[:size])
        body, turn = body[size:], turn + 1
    return sink.result()[0]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(("kind", "sent"), DTYPES.items(), ids=str)
@settings(max_examples=30)
@given(shape=shapes, cuts=cuts, piece=st.integers(16, 400), data=st.data())
def test_every_pixel_is_exact_or_named(
    kind: ImageArrayElementTypes,
    sent: np.dtype[Any],
    target: str,
    shape: tuple[int, ...],
    cuts: list[int],
    piece: int,
    data: st.DataObject,
) -> None:
    pixels = data.draw(values_of(sent, int(np.prod(shape)))).reshape(shape)
    wanted, dtype = PixelType(target), np.dtype(target).newbyteorder("<")
    misfit = first_misfit(pixels.ravel(), dtype)
    with small_pieces(piece) as (rows, columns):
        for new_buffer in (rows, columns):
            if misfit is not None:
                with pytest.raises(PixelTypeError) as caught:
                    receive(pixels, kind, new_buffer, wanted, cuts)
                assert_names(caught.value, misfit, shape)
                continue
            found = receive(pixels, kind, new_buffer, wanted, cuts)
            expected = pixels.swapaxes(0, 1) if new_buffer is rows else pixels
            assert found.flags.c_contiguous
            np.testing.assert_array_equal(found, expected.astype(dtype), strict=True)


def assert_names(error: PixelTypeError, misfit: tuple[int, float], shape: tuple[int, ...]) -> None:
    index, value = misfit
    assert error.position == tuple(map(int, np.unravel_index(index, shape)))
    np.testing.assert_equal(error.value, value)


@settings(max_examples=30)
@given(shape=shapes, cuts=cuts, target=st.sampled_from([None, "uint16"]), data=st.data())
def test_int16_that_is_unsigned_keeps_its_bytes(
    shape: tuple[int, ...], cuts: list[int], target: str | None, data: st.DataObject
) -> None:
    pixels = data.draw(values_of(np.dtype("<i2"), int(np.prod(shape)))).reshape(shape)
    wanted = PixelType(target, int16_is_unsigned=True)
    with small_pieces(50) as (rows, columns):
        found = receive(pixels, 1, columns, wanted, cuts)
        in_rows = receive(pixels, 1, rows, wanted, cuts)
    np.testing.assert_array_equal(found, pixels.view("<u2"), strict=True)
    np.testing.assert_array_equal(in_rows, pixels.view("<u2").swapaxes(0, 1), strict=True)


def test_int16_that_is_unsigned_is_converted_by_its_value() -> None:
    pixels = np.array([[-1, 5], [-32768, 32767]], "<i2")
    for name in ("int32", "float64", "uint64"):
        found = receive(pixels, 1, AscomOrderBuffer, PixelType(name, int16_is_unsigned=True), [9])
        assert found.dtype.name == name
        assert found.tolist() == [[65535, 5], [32768, 32767]]


def test_the_error_tells_what_to_request_instead() -> None:
    advices = {
        (8, "<u2", 65535, "int16"): 'x=1, y=2 is 65535, .* int16; request .* dtype="uint16"',
        (2, "<i4", 70000, "uint16"): 'is 70000, .* dtype="int32"',
        (2, "<i4", -1, "uint16"): 'is -1, .* dtype="int32"',
        (7, "<i8", 2**40, "int32"): 'dtype="int64"',
        (5, "<u8", 2**63, "int64"): 'dtype="uint64"',
        (3, "<f8", 0.5, "uint16"): 'is 0.5, .* dtype="float64"',
        (3, "<f8", float("nan"), "uint16"): 'is nan, .* dtype="float64"',
        (3, "<f8", 1e39, "float32"): 'dtype="float64"',
        (1, "<i2", -1, "uint16"): 'dtype="int32"; if the driver .* int16_is_unsigned=True',
    }
    for (kind, sent, value, target), advice in advices.items():
        pixels = np.zeros((2, 3), sent)
        pixels[1, 2] = value
        with pytest.raises(PixelTypeError, match=advice):
            receive(pixels, kind, RowMajorBuffer, PixelType(target), [1000])


def test_the_error_comes_as_soon_as_the_pixel_has_arrived() -> None:
    pixels = np.full((100, 100), -1, "<i2")
    with small_pieces(200) as both:
        for new_buffer in both:
            sink = ImageSink(new_buffer, 2**31, wanted=PixelType("uint16"))
            body = imagebytes(pixels.tobytes(), *pixels.shape, kind=1)
            with pytest.raises(PixelTypeError, match="x=0, y=0 is -1"):
                sink.write(body[: 44 + 400])


@pytest.mark.parametrize("wanted", [PixelType("uint16"), UNSIGNED], ids=["dtype", "unsigned"])
def test_nothing_but_the_array_is_allocated_where_the_bytes_stay(wanted: PixelType) -> None:
    pixels = np.ones((300, 200), "<i2")
    sink = ImageSink(AscomOrderBuffer, 2**31, wanted=wanted)
    sink.write(imagebytes(pixels.tobytes(), *pixels.shape, kind=1)[:44])
    memory = np.frombuffer(sink.get_buffer(), np.uint8)
    sink.write(pixels.tobytes())
    assert np.shares_memory(sink.result()[0], memory)


def test_a_type_without_a_check_is_received_in_one_piece() -> None:
    pixels = np.ones((3000, 500), "<u2")
    for wanted in (AS_SENT, PixelType("uint16")):
        sink = ImageSink(AscomOrderBuffer, 2**31, wanted=wanted)
        sink.write(imagebytes(b"", *pixels.shape))
        assert len(sink.get_buffer()) == pixels.nbytes


@pytest.mark.parametrize(("sent", "target"), [("u1", "float64"), ("<f8", "uint8")])
def test_a_slab_is_small_in_both_types(sent: str, target: str) -> None:
    conversion = Conversion(np.dtype(sent), PixelType(target))
    slabs = RowMajorBuffer((4000, 300), conversion, slab_bytes=10_000)
    pixels = len(slabs.get_buffer()) // conversion.source.itemsize
    assert 0 < pixels * 8 <= 10_000


@pytest.mark.parametrize("new_buffer", [RowMajorBuffer, AscomOrderBuffer])
def test_the_size_limit_applies_to_the_requested_type_and_to_the_sent_one(
    new_buffer: NewPixelBuffer,
) -> None:
    wide, narrow = np.ones((4, 5), "<f8"), np.ones((4, 5), "u1")
    for limit, fits in ((160, True), (159, False)):
        for pixels, kind, target in ((wide, 3, "uint8"), (narrow, 6, "float64")):
            sink = ImageSink(new_buffer, limit, wanted=PixelType(target))
            body = imagebytes(pixels.tobytes(), *pixels.shape, kind=kind)
            if fits:
                sink.write(body)
                assert sink.result()[0].dtype.name == target
                continue
            with pytest.raises(MalformedResponse, match="160 bytes exceeds the limit of 159"):
                sink.write(body)


def test_the_callers_way_to_treat_rounding_does_not_matter() -> None:
    pixels = np.array([[1e-300, 1 / 3]])
    with np.errstate(all="raise"):
        found = receive(pixels, 3, RowMajorBuffer, PixelType("float32"), [1000])
    assert found.tolist() == [[0.0], [float(np.float32(1 / 3))]]

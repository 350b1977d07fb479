"""Row-major conversion: the same pixels for every shape, dtype, slab size and piece size."""

from __future__ import annotations

import tracemalloc
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpaca_async._download import rowmajor
from alpaca_async._download.frame_memory import FrameMemory
from alpaca_async._download.rowmajor import RowMajorBuffer, row_major_shape, transpose_blocked
from alpaca_async._protocol.conversion import Conversion
from alpaca_async._protocol.imagebytes import DTYPES

from .ways import both_ways, copied_by

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from alpaca_async._download.transposition import Copy

dtypes = st.sampled_from(list(DTYPES.values()))
few = st.integers(1, 12)
many = st.integers(1, 300) | st.just(700)
planes = st.integers(1, 6)
shapes = (
    st.tuples(few, many)
    | st.tuples(many, few)
    | st.tuples(few, many, planes)
    | st.tuples(many, few, planes)
)


def image(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return pixels that differ from their neighbours in all directions."""
    return np.random.default_rng(0).integers(0, 1 << 24, shape).astype(dtype)


def receive(source: NDArray[Any], slabs: RowMajorBuffer, sizes: list[int]) -> None:
    """Write the bytes of `source` as a socket would, in pieces of at most `sizes`, in turn."""
    data = memoryview(source.tobytes())
    turn = 0
    while slabs.missing:
        buffer = slabs.get_buffer()
        count = min(len(buffer), sizes[turn % len(sizes)])
        buffer[:count] = data[:count]
        data = data[count:]
        turn += 1
        slabs.received(count)
    assert not data


@both_ways
@given(shape=shapes, dtype=dtypes)
def test_transposition_swaps_only_x_and_y(
    compiled: Copy | None, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> None:
    source = image(shape, dtype)
    target = np.empty(row_major_shape(shape), dtype)
    with copied_by(compiled):
        for _ in transpose_blocked(source, target):
            pass
    np.testing.assert_array_equal(target, source.swapaxes(0, 1), strict=True)


@both_ways
@given(
    shape=shapes,
    dtype=dtypes,
    slab_bytes=st.integers(100, 5000) | st.just(rowmajor.usual_slab_bytes()),
    sizes=st.lists(st.integers(1, 3000), min_size=1, max_size=5).map(lambda some: [*some, 9999]),
)
def test_slabs_of_any_size_in_any_pieces_give_rows(
    compiled: Copy | None,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    slab_bytes: int,
    sizes: list[int],
) -> None:
    source = image(shape, dtype)
    with copied_by(compiled):
        slabs = RowMajorBuffer(shape, Conversion(dtype), slab_bytes=slab_bytes)
        receive(source, slabs, sizes)
    assert slabs.array.flags.c_contiguous
    assert slabs.array.dtype == dtype
    np.testing.assert_array_equal(slabs.array, source.swapaxes(0, 1), strict=True)


def test_slabs_accept_single_bytes() -> None:
    source = image((5, 3, 2), np.dtype("<i4"))
    slabs = RowMajorBuffer((5, 3, 2), Conversion(np.dtype("<i4")), slab_bytes=40)
    receive(source, slabs, [1])
    np.testing.assert_array_equal(slabs.array, source.swapaxes(0, 1))


def test_the_buffer_is_empty_when_all_bytes_have_arrived() -> None:
    slabs = RowMajorBuffer((2, 3), Conversion(np.dtype(np.uint8)))
    assert len(slabs.get_buffer()) == slabs.missing == 6
    slabs.received(0)
    assert len(slabs.get_buffer()) == 6
    slabs.received(6)
    assert slabs.missing == 0
    assert not slabs.get_buffer()
    slabs.received(0)


@pytest.mark.parametrize("shape", [(4000, 3000), (2, 8_000_000), (8_000_000, 2), (900, 900, 3)])
def test_a_slab_is_small_compared_with_the_frame(shape: tuple[int, ...]) -> None:
    slabs = RowMajorBuffer(shape, Conversion(np.dtype(np.uint16)))
    assert 0 < len(slabs.get_buffer()) <= rowmajor.usual_slab_bytes()


def test_a_step_of_the_transposition_copies_exactly_one_slab() -> None:
    source = image((3000, 400), np.dtype("<u2"))
    target = np.zeros((400, 3000), "<u2")
    for _ in islice(transpose_blocked(source, target), 2):
        pass
    done = 2 * 512
    np.testing.assert_array_equal(target[:, :done], source[:done].T)
    assert not target[:, done:].any()


def test_a_target_that_is_not_contiguous_is_refused() -> None:
    rows = np.empty((4, 6), np.uint8)[:, ::2]
    assert not rows.flags.c_contiguous
    with pytest.raises(ValueError, match="contiguous"):
        next(transpose_blocked(np.zeros((3, 4), np.uint8), rows))


@pytest.mark.parametrize("width", [3000, 30_000])
def test_a_read_maps_a_few_pages_at_once(width: int) -> None:
    source = image((width, 700), np.dtype("<u2"))
    slabs = RowMajorBuffer(source.shape, Conversion(source.dtype), slab_bytes=200_000)
    mapped = len(slabs.get_buffer()) * source.nbytes // 200_000
    assert mapped == pytest.approx(2 << 20, rel=0.1)
    receive(source, slabs, [65536, 9999])
    np.testing.assert_array_equal(slabs.array, source.T)


def test_memory_that_is_mapped_already_takes_reads_of_a_whole_slab() -> None:
    source = image((3000, 700), np.dtype("<u2"))
    memory = FrameMemory(source.nbytes)
    memory.map_pages(source.nbytes)
    provided = memory.array
    slabs = RowMajorBuffer(source.shape, Conversion(source.dtype), memory, slab_bytes=200_000)
    assert len(slabs.get_buffer()) == pytest.approx(200_000, rel=0.1)
    receive(source, slabs, [65536, 9999])
    np.testing.assert_array_equal(slabs.array, source.T)
    assert np.shares_memory(slabs.array, provided)
    assert not memory.array.size


def test_memory_of_another_size_is_not_used() -> None:
    source = image((30, 70), np.dtype("<u2"))
    memory = FrameMemory(source.nbytes - 2)
    provided = memory.array
    slabs = RowMajorBuffer(source.shape, Conversion(source.dtype), memory)
    receive(source, slabs, [9999])
    np.testing.assert_array_equal(slabs.array, source.T)
    assert not np.shares_memory(slabs.array, provided)
    assert not memory.array.size


def test_the_slabs_of_the_widest_image_are_not_listed_in_advance() -> None:
    tracemalloc.start()
    try:
        slabs = RowMajorBuffer((1 << 26, 1), Conversion(np.dtype(np.uint8)))
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert held < slabs.array.nbytes + (1 << 22)

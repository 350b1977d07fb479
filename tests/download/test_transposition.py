"""The copy of a slab into rows: pixel by pixel, and not one byte beyond."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpaca_async._download import transposition
from alpaca_async._download.transposition import Transposer, transposed_by
from alpaca_async._protocol.imagebytes import DTYPES

from .ways import both_ways, copied_by, needs_extension

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from alpaca_async._download.transposition import Copy

dtypes = st.sampled_from(list(DTYPES.values()))
lengths = st.integers(1, 70) | st.sampled_from([127, 128, 129])
margins = st.tuples(*[st.integers(0, 3)] * 4)


def bytes_in(shape: tuple[int, ...], dtype: np.dtype[Any], offset: int) -> NDArray[Any]:
    """Return random bytes as an array of `shape` that begins at an odd address if `offset` is."""
    nbytes = math.prod(shape) * dtype.itemsize
    memory = np.random.default_rng(0).integers(0, 256, nbytes + offset, np.uint8)
    return memory[offset:].view(dtype).reshape(shape)


def as_bytes(array: NDArray[Any]) -> NDArray[np.uint8]:
    """Return the bytes of each pixel: not-a-numbers differ from themselves."""
    return np.ascontiguousarray(array).view(np.uint8)


@both_ways
@given(
    width=lengths,
    height=lengths,
    planes=st.integers(1, 5),
    dtype=dtypes,
    offset=st.integers(0, 9),
    margins=margins,
)
def test_each_pixel_is_copied_to_its_place_and_nothing_else_is_written(
    compiled: Copy | None,
    width: int,
    height: int,
    planes: int,
    dtype: np.dtype[Any],
    offset: int,
    margins: tuple[int, int, int, int],
) -> None:
    left, right, above, below = margins
    columns = bytes_in((width, height, planes), dtype, offset)
    frame = bytes_in((above + height + below, left + width + right, planes), dtype, offset)
    expected = frame.copy()
    expected[above : above + height, left : left + width] = columns.swapaxes(0, 1)
    with copied_by(compiled):
        rows = frame[above : above + height, left : left + width]
        Transposer(planes, dtype).copy(columns, rows)
    np.testing.assert_array_equal(as_bytes(frame), as_bytes(expected))


@both_ways
@pytest.mark.parametrize("planes", [1, 3, 7])
@pytest.mark.parametrize("dtype", DTYPES.values(), ids=str)
def test_columns_may_be_a_part_of_longer_ones(
    compiled: Copy | None, dtype: np.dtype[Any], planes: int
) -> None:
    longer = bytes_in((90, 200, planes), dtype, 0)
    rows = np.empty((61, 90, planes), dtype)
    with copied_by(compiled):
        Transposer(planes, dtype).copy(longer[:, 5:66], rows)
    np.testing.assert_array_equal(as_bytes(rows), as_bytes(longer[:, 5:66].swapaxes(0, 1)))


@needs_extension
@pytest.mark.parametrize(
    ("columns", "rows"),
    [
        (np.zeros((4, 3, 1)), np.zeros((4, 3, 1))),
        (np.zeros((4, 3, 1)), np.zeros((3, 5, 1))),
        (np.zeros((4, 3, 2)), np.zeros((3, 4, 1))),
        (np.zeros((4, 3, 1)), np.zeros((3, 4, 1), np.float32)),
        (np.zeros((4, 3)), np.zeros((3, 4))),
        (np.zeros((4, 6, 1))[:, ::2], np.zeros((3, 4, 1))),
        (np.zeros((4, 3, 1)), np.zeros((3, 8, 1))[:, ::2]),
        (np.zeros((4, 3, 4))[:, :, ::2], np.zeros((3, 4, 2))),
        (np.zeros((4, 3, 1)), np.zeros((3, 4, 1))[:, ::-1]),
    ],
)
def test_the_extension_refuses_arrays_that_do_not_fit(
    columns: NDArray[Any], rows: NDArray[Any]
) -> None:
    assert transposition.compiled is not None
    with pytest.raises(ValueError, match="contiguous"):
        transposition.compiled(columns, rows)
    assert not rows.any()


@needs_extension
def test_the_extension_does_not_write_into_what_is_read_only() -> None:
    assert transposition.compiled is not None
    rows = np.zeros((3, 4, 1))
    rows.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        transposition.compiled(np.ones((4, 3, 1)), rows)
    assert not rows.any()


@both_ways
def test_what_copies_is_named(compiled: Copy | None) -> None:
    with copied_by(compiled):
        assert transposed_by() == ("numpy" if compiled is None else "extension")


def test_an_installation_without_the_extension_goes_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(name: str, package: str) -> object:
        raise ImportError(package + name)

    monkeypatch.setattr(transposition, "import_module", missing)
    assert transposition._load() is None

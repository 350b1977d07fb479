"""Statistics and histograms of every frame that can come over the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from alpaca_async._enums import SensorType
from alpaca_async._pixels import statistics

from .star_fields import Star, expose, starlight
from .test_statistics import image_of, transposed

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

DTYPES = ("u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f4", "<f8")
SENSORS = (None, SensorType.RGGB, SensorType.CMYG2, SensorType.LRGB)
LARGEST = np.finfo(np.float64).max
FIELD = expose(starlight(Star(radius=3, obstruction=0.4), 2000, (70, 90)))

sides = st.integers(1, 40) | st.just(1)
shapes = st.tuples(sides, sides) | st.tuples(sides, sides, st.sampled_from([1, 3, 4]))


@st.composite
def odd_frames(draw: st.DrawFn) -> NDArray[Any]:
    """Frames of any values; most pixels are equal, as in frames of defective cameras."""
    dtype = draw(st.sampled_from(DTYPES))
    return draw(st_numpy.arrays(dtype, draw(shapes)))


@st.composite
def damaged_fields(draw: st.DrawFn) -> NDArray[Any]:
    """Frames with stars, in which some pixels have any value."""
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    frame = (FIELD // 16 if dtype.itemsize == 1 else FIELD).astype(dtype)
    for _ in range(draw(st.integers(0, 5))):
        row, column = draw(st.integers(0, 69)), draw(st.integers(0, 89))
        size = draw(st.integers(1, 20))
        frame[row : row + size, column : column + size] = draw(st_numpy.from_dtype(dtype))
    return frame


def check_statistics(data: NDArray[Any], sensor: SensorType | None) -> None:
    found = statistics.statistics(image_of(data, sensor), lambda: None)
    finite = data[np.isfinite(data)].astype(float)
    if finite.size:
        assert (found.minimum, found.maximum) == (finite.min(), finite.max())
        assert found.minimum <= found.median <= found.maximum
        rounding = 1e-12 * max(abs(found.minimum), abs(found.maximum))
        assert found.minimum - rounding <= found.mean <= found.maximum + rounding
        assert found.mad >= 0
    else:
        assert np.isnan([found.minimum, found.maximum, found.mean, found.median, found.mad]).all()
    assert 0 <= found.saturated <= finite.size
    assert (found.hfd is None) == (found.stars == 0)
    assert found.hfd is None or 0 < found.hfd < 300


def check_histogram(data: NDArray[Any], bins: int) -> None:
    found = statistics.histogram(image_of(data), bins, lambda: None)
    assert found.counts.sum() == np.isfinite(data).sum()
    assert len(found.edges) == bins + 1
    assert np.isfinite(found.edges).all()
    assert (found.edges[1:] >= found.edges[:-1]).all()
    finite = data[np.isfinite(data)]
    if finite.size:
        assert found.edges[0] <= float(finite.min())
        assert found.edges[-1] >= float(finite.max())


@given(odd_frames() | damaged_fields(), st.sampled_from(SENSORS), st.booleans())
@settings(max_examples=150, deadline=None)
def test_any_frame_has_statistics(
    data: NDArray[Any], sensor: SensorType | None, turned: bool
) -> None:
    check_statistics(transposed(data) if turned else data, sensor)


@given(odd_frames(), st.sampled_from([1, 2, 7, 256, 4096]))
@settings(max_examples=150, deadline=None)
def test_any_frame_has_a_histogram(data: NDArray[Any], bins: int) -> None:
    check_histogram(data, bins)


def hot_pixel() -> NDArray[Any]:
    frame = np.zeros((64, 64), "<u2")
    frame[20, 20] = 60000
    return frame


def mixed() -> NDArray[Any]:
    frame = np.random.default_rng(1).normal(0, 1, (50, 50)).astype("<f4")
    frame[0, 0], frame[1, 1], frame[2, 2] = np.nan, np.inf, -np.inf
    return frame


ODD: dict[str, Callable[[], NDArray[Any]]] = {
    "NaN": lambda: np.full((8, 8), np.nan, "<f4"),
    "infinity": lambda: np.full((8, 8), np.inf, "<f4"),
    "minus infinity": lambda: np.full((8, 8), -np.inf, "<f8"),
    "NaN and infinities": mixed,
    "zeros": lambda: np.zeros((40, 40), "<u2"),
    "saturated": lambda: np.full((40, 40), 65535, "<u2"),
    "negative": lambda: np.full((40, 40), -5, "<i4"),
    "one pixel": lambda: np.ones((1, 1), "<f8"),
    "one row": lambda: np.arange(700, dtype="<u2").reshape(1, 700),
    "one column": lambda: np.arange(700, dtype="<u2").reshape(700, 1),
    "the largest doubles": lambda: np.array([[LARGEST, -LARGEST] * 20] * 40),
    "only the largest double": lambda: np.full((8, 8), LARGEST),
    "large doubles": lambda: np.array([[1.7e308, 1.6e308] * 20] * 40),
    "all of int64": lambda: np.array([[-(2**63), 2**63 - 1] * 20] * 40, "<i8"),
    "all of uint64": lambda: np.array([[0, 2**64 - 1] * 20] * 40, "<u8"),
    "neighbours in uint64": lambda: np.array([[2**64 - 1, 2**64 - 3000] * 20] * 40, "<u8"),
    "the smallest doubles": lambda: np.array([[5e-324, -5e-324] * 20] * 40),
    "wider than 16 bits": lambda: np.array([[-5, 70000] * 10] * 10, "<i4"),
    "a hot pixel": hot_pixel,
    "upside down": lambda: FIELD[::-1, ::-1],
    "large numbers and stars": lambda: FIELD.astype("<f8") * 1e300,
    "small numbers and stars": lambda: FIELD.astype("<f8") * 1e-300,
    "truth values": lambda: np.ones((4, 4), bool),
    "half precision": lambda: FIELD[:40, :40].astype("<f2"),
    "big-endian": lambda: FIELD.astype(">u2"),
    "no pixel": lambda: np.zeros((0, 5), "<u2"),
    "no column": lambda: np.zeros((5, 0), "<f4"),
}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("sensor", [None, SensorType.RGGB])
def test_this_frame_has_statistics(name: str, sensor: SensorType | None) -> None:
    check_statistics(ODD[name](), sensor)


@pytest.mark.parametrize("name", ODD)
def test_this_frame_has_a_histogram(name: str) -> None:
    for bins in (1, 256):
        check_histogram(ODD[name](), bins)


@pytest.mark.parametrize("dtype", [dtype for dtype in DTYPES if dtype != "u1"])
def test_stars_have_the_same_diameter_in_every_type(dtype: str) -> None:
    star = Star(radius=3, obstruction=0.4)
    frame = expose(starlight(star, 2000)).clip(0, 32767).astype(dtype)
    found = statistics.statistics(image_of(frame), lambda: None)
    assert found.hfd == pytest.approx(star.diameter, rel=0.05)


def test_a_pixel_without_value_costs_no_star_but_its_own() -> None:
    star = Star(radius=3, obstruction=0.4)
    frame = expose(starlight(star, 2000)).astype("<f4")
    everything = statistics.statistics(image_of(frame), lambda: None)
    frame[10, 10] = np.nan
    found = statistics.statistics(image_of(frame), lambda: None)
    assert found.stars >= everything.stars - 1
    assert found.hfd == pytest.approx(star.diameter, rel=0.05)

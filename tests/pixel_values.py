"""Pixels with values at the edges of every dtype, and what they are as another dtype."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import strategies as st

from alpaca_async._protocol.imagebytes import DTYPES

if TYPE_CHECKING:
    from numpy.typing import NDArray

INTEGERS = sorted(
    {
        edge + step
        for dtype in DTYPES.values()
        if dtype.kind in "iu"
        for edge in (np.iinfo(dtype).min, np.iinfo(dtype).max)
        for step in (-1, 0, 1)
    }
)
LARGEST = float(np.finfo(np.float32).max)
FRACTIONS = [0.5, -0.5, 65534.5, 1e-40, -0.0, LARGEST, -LARGEST, 1e39, -1e39, 1e300]
NO_NUMBERS = [math.nan, math.inf, -math.inf]
FLOATS = [*FRACTIONS, *NO_NUMBERS, *map(float, INTEGERS)]


def edges_of(dtype: np.dtype[Any]) -> list[float]:
    """Return the values at the edges of all dtypes that `dtype` can hold."""
    if dtype.kind == "f":
        return [value for value in FLOATS if _is_held(value, dtype)]
    info = np.iinfo(dtype)
    return [value for value in INTEGERS if info.min <= value <= info.max]


def values_of(dtype: np.dtype[Any], count: int) -> st.SearchStrategy[NDArray[Any]]:
    """Return arrays of `count` values of `dtype`: ordinary ones, and often some at an edge."""
    ordinary = st.lists(st.integers(0, 127), min_size=count, max_size=count)
    edges = st.sampled_from(edges_of(dtype))
    places = st.dictionaries(st.integers(0, count - 1), edges, max_size=3)
    return st.tuples(ordinary, places).map(lambda drawn: _with_edges(*drawn, dtype))


def first_misfit(pixels: NDArray[Any], target: np.dtype[Any]) -> tuple[int, float] | None:
    """Return index and value of the first of the flat `pixels` that `target` cannot hold."""
    for index, value in enumerate(pixels.tolist()):
        if not _fits(value, target):
            return index, value
    return None


def _fits(value: float, target: np.dtype[Any]) -> bool:
    if target.kind == "f":
        too_large = math.isfinite(value) and abs(value) > float(np.finfo(target).max)
        return not too_large
    if not math.isfinite(value) or value != int(value):
        return False
    return np.iinfo(target).min <= int(value) <= np.iinfo(target).max


def _is_held(value: float, dtype: np.dtype[Any]) -> bool:
    return not math.isfinite(value) or abs(value) <= float(np.finfo(dtype).max)


def _with_edges(
    ordinary: list[int], places: dict[int, float], dtype: np.dtype[Any]
) -> NDArray[Any]:
    pixels = np.array(ordinary, dtype)
    for index, value in places.items():
        pixels[index] = value
    return pixels

"""Downscales large frames by averaging over blocks. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_STRIP_ELEMENTS: Final = 1 << 17
"""Sums computed at a time: few enough to stay in the processor's cache."""
_INTEGER_SUM_TYPES: Final = {"u": np.dtype(np.uint32), "i": np.dtype(np.int32)}


@np.errstate(over="ignore", invalid="ignore")
def block_means(
    data: NDArray[Any], cell: tuple[int, int], factor: tuple[int, int]
) -> NDArray[np.float32]:
    """Average each position within a cell, and each plane, over blocks of cells.

    `data` has the shape `(height, width)` or `(height, width, planes)`. `cell` is the number of
    rows and columns of a cell, `factor` the number of cells of a block in each direction. The
    result has the shape `(rows of a cell, columns of a cell, planes, blocks down, blocks across)`.
    Incomplete blocks at the right and at the bottom are left out. Values too large for float32
    become infinity.
    """
    if abs(data.strides[0]) < abs(data.strides[1]):  # read memory sequentially
        flipped = data.swapaxes(0, 1)
        means = block_means(flipped, (cell[1], cell[0]), (factor[1], factor[0]))
        return means.transpose(1, 0, 2, 4, 3)
    down, across = (
        size // (period * count)
        for size, period, count in zip(data.shape, cell, factor, strict=False)
    )
    planes = data.shape[2] if data.ndim > 2 else 1  # noqa: PLR2004 - rows, columns
    lines = data.reshape(len(data), -1)[:, : across * factor[1] * cell[1] * planes]
    means = np.empty((*cell, planes, down, across), np.float32)
    strip = max(1, _STRIP_ELEMENTS // (lines.shape[1] * cell[0]))
    for start in range(0, down, strip):
        stop = min(start + strip, down)
        height = factor[0] * cell[0]
        sums = _sum_down(lines[start * height : stop * height], cell[0], factor[0])
        _sum_across(
            sums.reshape(stop - start, cell[0], across, factor[1], cell[1], planes),
            means[:, :, :, start:stop],
        )
    means /= factor[0] * factor[1]
    return means


def _sum_down(lines: NDArray[Any], cell: int, factor: int) -> NDArray[Any]:
    blocks = lines.reshape(-1, factor, cell, lines.shape[1])
    sums = blocks[:, 0].astype(_sum_type(lines.dtype, factor))
    for index in range(1, factor):
        sums += blocks[:, index]
    return sums


def _sum_across(sums: NDArray[Any], out: NDArray[np.float32]) -> None:
    by_position = sums.transpose(3, 1, 4, 5, 0, 2)
    out[...] = by_position[0]
    for addend in by_position[1:]:
        out += addend


def _sum_type(dtype: np.dtype[Any], factor: int) -> np.dtype[Any]:
    """Return a type that holds the sum of `factor` pixels."""
    if dtype.itemsize > 2 or factor > 1 << 15:  # noqa: PLR2004 - 16 bits
        return np.dtype(np.float64)
    return _INTEGER_SUM_TYPES.get(dtype.kind, np.dtype(np.float64))

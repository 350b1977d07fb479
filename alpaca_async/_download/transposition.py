"""Copies columns `[x, y, plane]` into rows `[y, x, plane]`: the inner part of the conversion. Pure.

The reasons for the size of the tile: docs/decisions/0003-row-major.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

# Bytes that a tile writes into each row, and reads from each column.
_TILE_ROW: Final = 256
_TILE_COLUMN: Final = 2048

# Bytes between the columns of a tile. Without them, columns whose distance is a power of two would
# be mapped to the same few cache lines.
_PADDING: Final = 64

# Up to this number of planes, one strided copy per plane is faster than an inner loop over planes.
_FEW_PLANES: Final = 4


class Transposer:
    """Copies slabs of an image with `planes` planes; owns the temporary memory of one tile."""

    def __init__(self, planes: int, dtype: np.dtype[Any]) -> None:
        pixel_bytes = planes * dtype.itemsize
        self._columns = max(1, _TILE_ROW // pixel_bytes)
        self._run = max(1, _TILE_COLUMN // pixel_bytes)
        padding = -(-_PADDING // pixel_bytes)
        self._tile: NDArray[Any] = np.empty((self._columns, self._run + padding, planes), dtype)

    def copy(self, columns: NDArray[Any], rows: NDArray[Any]) -> None:
        """Copy `columns`, `[x, y, plane]`, into `rows`, `[y, x, plane]`, tile by tile.

        Both have the dtype of this object, and may be parts of larger arrays.
        """
        for ys in slices(columns.shape[1], self._run):
            for xs in slices(columns.shape[0], self._columns):
                block = columns[xs, ys]
                tile = self._tile[: block.shape[0], : block.shape[1]]
                np.copyto(tile, block)
                _swap_axes(tile, rows[ys, xs])


def slices(length: int, step: int) -> Iterator[slice]:
    """Return slices of `step` that together cover `length`; the last may reach beyond it."""
    return (slice(start, start + step) for start in range(0, length, step))


def _swap_axes(source: NDArray[Any], target: NDArray[Any]) -> None:
    if source.shape[2] > _FEW_PLANES:
        np.copyto(target, source.swapaxes(0, 1))
        return
    for plane in range(source.shape[2]):
        np.copyto(target[..., plane], source[..., plane].T)

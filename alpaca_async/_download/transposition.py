"""Copies columns `[x, y, plane]` into rows `[y, x, plane]`: the inner part of the conversion. Pure.

An extension does it, `_transpose.c`, where it could be compiled during installation; else numpy.
The reasons, and those for the sizes: docs/decisions/0003-row-major.md.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterator

Copy: TypeAlias = Callable[[NDArray[Any], NDArray[Any]], None]


def _load() -> Copy | None:
    """Return the function of the extension; None in an installation without it."""
    try:
        extension = import_module("._transpose", __package__)
    except ImportError:
        return None
    copy: Copy = extension.transpose
    return copy


compiled: Copy | None = _load()

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
        """Copy `columns`, `[x, y, plane]`, into `rows`, `[y, x, plane]`.

        Both have the dtype of this object. Each column and each row is contiguous.
        """
        if compiled is None:
            self._copy_tile_by_tile(columns, rows)
        else:
            compiled(columns, rows)

    def _copy_tile_by_tile(self, columns: NDArray[Any], rows: NDArray[Any]) -> None:
        for ys in slices(columns.shape[1], self._run):
            for xs in slices(columns.shape[0], self._columns):
                block = columns[xs, ys]
                tile = self._tile[: block.shape[0], : block.shape[1]]
                np.copyto(tile, block)
                _swap_axes(tile, rows[ys, xs])


def transposed_by() -> Literal["extension", "numpy"]:
    """Return what copies columns into rows in this process."""
    return "numpy" if compiled is None else "extension"


def slices(length: int, step: int) -> Iterator[slice]:
    """Return slices of `step` that together cover `length`; the last may reach beyond it."""
    return (slice(start, start + step) for start in range(0, length, step))


def _swap_axes(source: NDArray[Any], target: NDArray[Any]) -> None:
    if source.shape[2] > _FEW_PLANES:
        np.copyto(target, source.swapaxes(0, 1))
        return
    for plane in range(source.shape[2]):
        np.copyto(target[..., plane], source[..., plane].T)

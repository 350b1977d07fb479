"""Receives pixels into an array in ASCOM's order `[x, y(, plane)]`. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from alpaca_async._protocol.conversion import PixelCheck

from .frame_memory import FrameMemory

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from alpaca_async._protocol.conversion import Conversion

_PIECE_BYTES: Final = 1 << 20
"""Bytes that are received before they are converted: few enough to stay in the cache until then."""


class AscomOrderBuffer:
    """Receives pixels directly into an array in ASCOM's order, or in pieces that are converted.

    Where a conversion keeps the bytes, the pieces are parts of the array, and only checked.
    Otherwise, allocates the memory of one piece beside the array. The array is in `memory` if that
    has the right size.
    """

    def __init__(
        self, shape: tuple[int, ...], conversion: Conversion, memory: FrameMemory | None = None
    ) -> None:
        nbytes = math.prod(shape) * conversion.target.itemsize
        pixels = (memory or FrameMemory(0)).pass_on(nbytes).array.view(conversion.target)
        self.array: NDArray[Any] = pixels.reshape(shape)
        self.missing = pixels.size * conversion.source.itemsize
        self._conversion = conversion
        self._check = PixelCheck(conversion, shape)
        self._most = pixels.size if conversion.keeps_all else _piece_size(conversion)
        self._memory = np.empty(
            0 if conversion.keeps_bytes else min(self._most, pixels.size), conversion.source
        )
        self._rest: NDArray[Any] = pixels
        self._free: memoryview
        self._open_piece()

    def get_buffer(self) -> memoryview:
        """Return memory for the next bytes; empty when all have been received."""
        return self._free

    def received(self, count: int) -> None:
        """Accept the first `count` bytes of the buffer, which the caller has filled.

        Raises `PixelTypeError` if these complete a piece with a pixel that does not fit.
        """
        self.missing -= count
        self._free = self._free[count:]
        if not self._free and self._piece.size:
            self._close_piece()
            self._open_piece()

    def _open_piece(self) -> None:
        self._target, self._rest = self._rest[: self._most], self._rest[self._most :]
        keeps_bytes, size = self._conversion.keeps_bytes, self._target.size
        self._piece: NDArray[Any] = (
            self._target.view(self._conversion.source) if keeps_bytes else self._memory[:size]
        )
        self._free = self._piece.view(np.uint8).data

    def _close_piece(self) -> None:
        self._check.next(self._piece)
        if not self._conversion.keeps_bytes:
            self._conversion.copy(self._piece, self._target)


def _piece_size(conversion: Conversion) -> int:
    """Return the number of pixels in a piece."""
    return _PIECE_BYTES // max(conversion.source.itemsize, conversion.target.itemsize)

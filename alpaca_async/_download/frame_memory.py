"""Memory for the pixels of one image, whose pages the system can be made to provide in advance."""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WORTH_PROVIDING: Final = 8 << 20
"""Bytes from which it is worth mapping pages in advance: fewer take about a millisecond."""
_NOTHING: Final[NDArray[np.uint8]] = np.empty(0, np.uint8)


class FrameMemory:
    """Memory of `nbytes` bytes, whose pages can be mapped before they are needed.

    The system maps a page when it is first written, which takes up to a third of the time of a
    download. `array` has the bytes, dtype uint8; it is empty once they were passed on.
    """

    def __init__(self, nbytes: int) -> None:
        self.array: NDArray[np.uint8] = np.empty(nbytes, np.uint8)
        self._unmapped = self.array

    @property
    def is_mapped(self) -> bool:
        """Whether all pages were provided."""
        return not self._unmapped.size

    def map_pages(self, nbytes: int) -> None:
        """Write to the pages of the next `nbytes`, so that the system provides them."""
        self._unmapped[: nbytes : mmap.PAGESIZE] = 0
        self._unmapped = self._unmapped[nbytes:]

    def pass_on(self, nbytes: int) -> FrameMemory:
        """Return memory of `nbytes`: this one if the size is right. Afterwards this is empty."""
        passed = FrameMemory(0)
        passed.array, passed._unmapped = self.array, self._unmapped
        self.release()
        return passed if passed.array.nbytes == nbytes else FrameMemory(nbytes)

    def release(self) -> None:
        """Drop the bytes."""
        self.array = self._unmapped = _NOTHING


class NextFrame:
    """The memory that was provided for the next image of one camera, at most one frame."""

    def __init__(self) -> None:
        self.nbytes: int | None = None
        """The size of the next image; None if it is unknown."""
        self._memory: FrameMemory | None = None

    def worth_providing(self, limit: int) -> int | None:
        """Return the size of the next image if its pages should be mapped in advance.

        `limit` is the size of the largest image that is accepted.
        """
        nbytes = self.nbytes
        return nbytes if nbytes is not None and _WORTH_PROVIDING <= nbytes <= limit else None

    def put(self, memory: FrameMemory) -> None:
        """Keep `memory`, which no thread writes to any more, for the next image."""
        self._memory = memory

    def take(self) -> FrameMemory | None:
        """Return the memory that was provided, if any; it is not kept."""
        memory, self._memory = self._memory, None
        return memory

    def forget(self) -> None:
        """Forget the size, and drop the memory."""
        self.nbytes = self._memory = None

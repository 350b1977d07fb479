"""What is needed of an image to measure it, to draw it and to save it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from alpaca_async._facts import Exposure


class Picture(Protocol):
    """Pixels and how they were exposed: an `Image`, or whatever has these two attributes."""

    @property
    def data(self) -> NDArray[Any]:
        """The pixels, `(height, width)` or `(height, width, planes)`."""
        ...

    @property
    def exposure(self) -> Exposure | None:
        """How they were exposed; None where that is not known."""
        ...

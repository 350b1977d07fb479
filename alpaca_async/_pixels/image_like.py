"""The attributes of an image that measuring, rendering and saving need."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from alpaca_async._facts import Exposure


class ImageLike(Protocol):
    """An `Image`, or any object with these two attributes."""

    @property
    def data(self) -> NDArray[Any]:
        """The pixels, `(height, width)` or `(height, width, planes)`."""
        ...

    @property
    def exposure(self) -> Exposure | None:
        """How they were exposed; None if unknown."""
        ...

"""Converts pixels to another dtype, block by block, and checks that each value fits. Pure.

Integers keep their value exactly. Floating point rounds what it cannot represent exactly, as numpy
does, but never to infinity.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from alpaca_async._errors import PixelTypeError

from .pixeltype import AS_SENT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .pixeltype import PixelType

_AXES: Final = ("x", "y", "plane")
_WIDER: Final = tuple(np.dtype(name) for name in ("<u2", "<i4", "<i8", "<u8"))


class Conversion:
    """Converts pixels that are sent as `sent` to the dtype that is wanted, `target`.

    `source` is the dtype in which their bytes are interpreted, usually `sent`.
    """

    def __init__(self, sent: np.dtype[Any], wanted: PixelType = AS_SENT) -> None:
        self.sent = sent
        self.source = wanted.source_for(sent)
        self.target = wanted.target_for(sent)
        self._limits = _limits(self.source, self.target)

    @property
    def keeps_bytes(self) -> bool:
        """Whether each value that fits has the same bytes in both dtypes."""
        return self.source == self.target or (
            self.source.itemsize == self.target.itemsize
            and {self.source.kind, self.target.kind} <= {"i", "u"}
        )

    @property
    def keeps_all(self) -> bool:
        """Whether, in addition, each value fits: there is nothing to do."""
        return self.keeps_bytes and self._limits is None

    def first_misfit(self, pixels: NDArray[Any]) -> int | None:
        """Return the flat index of the first of `pixels` that does not fit, or None."""
        if self._limits is None or (self.source.kind != "f" and _within(pixels, *self._limits)):
            return None
        misfits = self._misfits(pixels.reshape(-1), *self._limits)
        index = int(np.argmax(misfits))
        return index if misfits[index] else None

    def copy(self, pixels: NDArray[Any], target: NDArray[Any]) -> None:
        """Copy `pixels`, of the dtype `source`, all of which fit, into `target`."""
        with np.errstate(all="ignore"):  # rounding is no error, whatever the caller has set
            np.copyto(target, pixels, casting="unsafe")

    def applied(self, pixels: NDArray[Any], memory: NDArray[Any]) -> NDArray[Any]:
        """Return contiguous `pixels` as the dtype `target`.

        The result is a view where the bytes stay the same. Otherwise it is a copy in `memory`,
        which is flat and of that dtype.
        """
        if self.keeps_bytes:
            return pixels.view(self.target)
        result = memory[: pixels.size].reshape(pixels.shape)
        self.copy(pixels, result)
        return result

    def error(self, value: float, index: int, shape: Sequence[int]) -> PixelTypeError:
        """Return the error for the pixel with a flat index in an image of `shape` `[x, y]`."""
        position = tuple(int(each) for each in np.unravel_index(index, shape))
        place = ", ".join(f"{axis}={each}" for axis, each in zip(_AXES, position, strict=False))
        return PixelTypeError(
            f"the pixel at {place} is {value}, which does not fit into {self.target.name}; "
            f"{self._advice(value)}",
            value=value,
            position=position,
        )

    def _misfits(self, pixels: NDArray[Any], low: float, high: float) -> NDArray[np.bool_]:
        outside: NDArray[np.bool_] = (pixels < low) | (pixels > high)
        if self.source.kind != "f":
            return outside
        return (
            outside & np.isfinite(pixels) if self.target.kind == "f" else outside | _broken(pixels)
        )

    def _advice(self, value: float) -> str:
        if self.source == np.dtype("<i2") and value < 0:
            return (
                'request a signed type, such as dtype="int32"; if the driver sends unsigned numbers'
                " as signed ones, use PixelType with int16_is_unsigned=True"
            )
        return f'request another type, such as dtype="{_type_holding(value)}"'


class PixelCheck:
    """Checks the pixels of one image, of `shape` `[x, y(, plane)]`, in their order."""

    def __init__(self, conversion: Conversion, shape: Sequence[int]) -> None:
        self._conversion = conversion
        self._shape = shape
        self._checked = 0

    def next(self, block: NDArray[Any]) -> None:
        """Check the next pixels; raise `PixelTypeError` for the first that does not fit."""
        misfit = self._conversion.first_misfit(block)
        if misfit is not None:
            value = block.reshape(-1)[misfit].item()
            raise self._conversion.error(value, self._checked + misfit, self._shape)
        self._checked += block.size


def _type_holding(value: float) -> str:
    """Return the name of a dtype into which a value fits."""
    if not float(value).is_integer():
        return "float64"
    limits = ((dtype, np.iinfo(dtype)) for dtype in _WIDER)
    fitting = (dtype.name for dtype, info in limits if info.min <= value <= info.max)
    return next(fitting, "float64")


def _limits(source: np.dtype[Any], target: np.dtype[Any]) -> tuple[Any, Any] | None:
    """Return the smallest and the largest value of `source` that fit; None if all do."""
    if target.kind == "f":
        narrower = source.kind == "f" and source.itemsize > target.itemsize
        largest = float(np.finfo(target).max)
        return (-largest, largest) if narrower else None
    bounds = np.iinfo(target)
    if source.kind == "f":
        return float(bounds.min), _largest(source, bounds.max)
    own = np.iinfo(source)
    limits = (max(own.min, bounds.min), min(own.max, bounds.max))
    return None if limits == (own.min, own.max) else limits


def _largest(source: np.dtype[Any], limit: int) -> float:
    """Return the largest floating point number of the type `source` that is at most `limit`."""
    rounded = source.type(limit)
    return float(rounded if int(rounded) <= limit else np.nextafter(rounded, source.type(0)))


def _within(pixels: NDArray[Any], low: int, high: int) -> bool:
    """Whether all integers are between two limits."""
    if low == 0:  # as unsigned numbers, negative ones are larger than each limit for signed ones
        return bool(pixels.view(f"<u{pixels.itemsize}").max() <= high)
    return bool(low <= pixels.min() and pixels.max() <= high)


def _broken(pixels: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which pixels have a fraction, or are not numbers."""
    broken: NDArray[np.bool_] = pixels != np.trunc(pixels)
    return broken

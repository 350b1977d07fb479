"""Collects the numbers of a JSON image in one flat array. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from alpaca_async._enums import ImageArrayElementTypes
from alpaca_async._errors import MalformedResponse

from .conversion import Conversion, PixelCheck
from .imagebytes import DTYPES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .pixeltype import PixelType

JSON_TYPES: Final = (
    ImageArrayElementTypes.INT16,
    ImageArrayElementTypes.INT32,
    ImageArrayElementTypes.DOUBLE,
)
"""The element types that a JSON image can have."""

_INT32: Final = DTYPES[ImageArrayElementTypes.INT32]
_FLOAT64: Final = DTYPES[ImageArrayElementTypes.DOUBLE]

# The largest growth of the array in one step, in bytes: numpy zeroes them while it holds the
# interpreter lock.
_GROWTH: Final = 1 << 20

# Numbers that are converted at a time: few enough to stay in the processor's cache.
_BLOCK: Final = 1 << 16


class Numbers(Protocol):
    """The numbers of one image."""

    def append(self, values: NDArray[Any]) -> None:
        """Append integers or float64 numbers."""
        ...

    def finish(self, sent: np.dtype[Any], shape: Sequence[int]) -> NDArray[Any]:
        """Return the numbers of an image of `shape`, of the type `sent`, as the wanted dtype.

        Raises `MalformedResponse` if a number is not one of `sent`, and `PixelTypeError` if one
        does not fit into the wanted dtype.
        """
        ...


def new_numbers(declared_type: object, wanted: PixelType, max_bytes: int) -> Numbers:
    """Return a collection for numbers of `declared_type`, which is None if it is not known yet."""
    element = next((known for known in JSON_TYPES if known == declared_type), None)
    if element is not None:
        conversion = Conversion(DTYPES[element], wanted)
        if not conversion.keeps_all:
            return _ConvertedNumbers(conversion, max_bytes)
    return _SentNumbers(element, wanted, max_bytes)


class _SentNumbers:
    """Numbers as they are sent. The array has the declared type, and is widened if necessary."""

    def __init__(
        self, element: ImageArrayElementTypes | None, wanted: PixelType, max_bytes: int
    ) -> None:
        dtype = DTYPES[element or ImageArrayElementTypes.INT32]
        self._wanted = wanted
        self._expects_integers = element is not None and dtype.kind == "i"
        self._numbers = _GrowingArray(dtype, max_bytes)

    def append(self, values: NDArray[Any]) -> None:
        if values.dtype.kind == "f" and self._expects_integers:
            values = _as_integers(values)
        self._numbers.convert(self._type_for(values))
        self._numbers.append(values)

    def finish(self, sent: np.dtype[Any], shape: Sequence[int]) -> NDArray[Any]:
        numbers = self._numbers.trimmed()
        self._numbers.convert(sent)
        exact = self._numbers.trimmed()
        if exact is not numbers and not (exact == numbers).all():
            raise _not_of(sent)
        conversion = Conversion(sent, self._wanted)
        if conversion.keeps_all:
            return exact.view(conversion.target)
        self._numbers.check_size(exact.size, conversion.target)
        return _converted(exact, conversion, shape)

    def _type_for(self, values: NDArray[Any]) -> np.dtype[Any]:
        held = self._numbers.dtype
        if "f" in (held.kind, values.dtype.kind):
            return _FLOAT64
        low, high = int(values.min()), int(values.max())
        for dtype in (held, _INT32):
            if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
                return dtype
        return _FLOAT64


class _ConvertedNumbers:
    """Numbers that are converted from the declared type to another one as they are appended.

    A number that does not fit is an error only at the end: the reply may be an error of the device.
    """

    def __init__(self, conversion: Conversion, max_bytes: int) -> None:
        self._conversion = conversion
        self._numbers = _GrowingArray(conversion.target, max_bytes)
        self._count = 0
        self._misfit: tuple[float, int] | None = None

    def append(self, values: NDArray[Any]) -> None:
        exact = _exactly(values, self._conversion.sent).view(self._conversion.source)
        if self._misfit is None:
            self._append(exact)
        self._count += values.size

    def finish(self, sent: np.dtype[Any], shape: Sequence[int]) -> NDArray[Any]:
        if sent != self._conversion.sent:
            raise MalformedResponse("the reply states two different types of its pixels")
        if self._misfit is not None:
            raise self._conversion.error(*self._misfit, shape)
        return self._numbers.trimmed()

    def _append(self, pixels: NDArray[Any]) -> None:
        index = self._conversion.first_misfit(pixels)
        if index is not None:
            self._misfit = (pixels[index].item(), self._count + index)
            return
        converted = np.empty(pixels.size, self._conversion.target)
        self._conversion.copy(pixels, converted)
        self._numbers.append(converted)


class _GrowingArray:
    """A flat array of at most `max_bytes` that grows."""

    def __init__(self, dtype: np.dtype[Any], max_bytes: int) -> None:
        self._count = 0
        self._max_bytes = max_bytes
        self._array: NDArray[Any] = np.empty(0, dtype)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The present dtype."""
        return self._array.dtype

    def append(self, values: NDArray[Any]) -> None:
        """Append values that the dtype can represent."""
        self._reserve(values.size)
        self._array[self._count : self._count + values.size] = values
        self._count += values.size

    def convert(self, dtype: np.dtype[Any]) -> None:
        """Change the dtype; values may change."""
        if dtype != self._array.dtype:
            self.check_size(self._count, dtype)
            with np.errstate(invalid="ignore"):
                self._array = self._array[: self._count].astype(dtype)

    def trimmed(self) -> NDArray[Any]:
        """Return the array without reserve."""
        self._array.resize(self._count, refcheck=False)
        return self._array

    def check_size(self, count: int, dtype: np.dtype[Any]) -> None:
        """Raise `MalformedResponse` if so many values exceed the limit."""
        if count * dtype.itemsize > self._max_bytes:
            raise MalformedResponse(f"the image is larger than {self._max_bytes} bytes")

    def _reserve(self, more: int) -> None:
        needed = self._count + more
        self.check_size(needed, self._array.dtype)
        if needed > self._array.size:
            with_reserve = needed + min(needed // 4, _GROWTH // self._array.itemsize)
            most = self._max_bytes // self._array.itemsize
            self._array.resize(min(with_reserve, most), refcheck=False)


def _converted(numbers: NDArray[Any], conversion: Conversion, shape: Sequence[int]) -> NDArray[Any]:
    """Return all numbers in the wanted dtype."""
    source = numbers.view(conversion.source)
    target = np.empty(source.size, conversion.target)
    check = PixelCheck(conversion, shape)
    for start in range(0, source.size, _BLOCK):
        block = slice(start, start + _BLOCK)
        check.next(source[block])
        conversion.copy(source[block], target[block])
    return target


def _exactly(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return integers or float64 numbers as `dtype`; raise `MalformedResponse` if one changes."""
    with np.errstate(invalid="ignore"):
        exact = values.astype(dtype)
    if dtype.kind == "i" and not (exact == values).all():
        raise _not_of(dtype)
    return exact


def _as_integers(values: NDArray[np.float64]) -> NDArray[Any]:
    """Return the values as int64 if all are integral, else unchanged."""
    with np.errstate(invalid="ignore"):
        integers = values.astype(np.int64)
    return integers if (integers == values).all() else values


def _not_of(dtype: np.dtype[Any]) -> MalformedResponse:
    return MalformedResponse(f"the image has pixels that are not {dtype.name} values")

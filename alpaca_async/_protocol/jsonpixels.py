"""The text of the pixels of a JSON image, chunk by chunk, into one flat array. Pure.

numpy looks at all bytes of a chunk at once: it checks how the brackets nest, and sums up the
digits of all numbers together. Only numbers that are not plain integers are left to `json`.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from alpaca_async._enums import ImageArrayElementTypes
from alpaca_async._errors import MalformedResponse

from .imagebytes import DTYPES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

# Longer than any number has to be: 767 digits settle the most awkward double.
_MAX_NUMBER: Final = 1024

# The most digits that an int32 and an int64 hold whatever they are.
_DIGITS32: Final = 9
_DIGITS64: Final = 18

# Bytes of text that are left to `json` together.
_RUN: Final = 1 << 13

# The most bytes by which the array grows at once: numpy clears them, and holds the interpreter
# lock meanwhile.
_GROWTH: Final = 1 << 20

# What a byte of the pixels' text can be: 0 to 9 are the digits themselves.
_MINUS, _FLOAT, _SPACE, _COMMA, _OPEN, CLOSE, _FOREIGN = range(10, 17)
_KINDS: Final = bytes(
    {
        **{digit + ord("0"): digit for digit in range(10)},
        **dict.fromkeys(b"+.eE", _FLOAT),
        **dict.fromkeys(b" \t\n\r", _SPACE),
        **dict(zip(b"-,[]", (_MINUS, _COMMA, _OPEN, CLOSE), strict=True)),
    }.get(byte, _FOREIGN)
    for byte in range(256)
)

_WHITESPACE: Final = b" \t\n\r"
_SPACES: Final = re.compile(rb"[ \t\n\r]+")

_MAX_RANK: Final = 3
_INT32: Final = DTYPES[ImageArrayElementTypes.INT32]
_FLOAT64: Final = DTYPES[ImageArrayElementTypes.DOUBLE]
JSON_TYPES: Final = (
    ImageArrayElementTypes.INT16,
    ImageArrayElementTypes.INT32,
    ImageArrayElementTypes.DOUBLE,
)
"""The element types that a JSON image can have."""


class PixelText:
    """The text of the pixels, from behind its first `[` to its last `]`."""

    def __init__(self, announced: object, max_bytes: int) -> None:
        self.carried = b""
        self.nesting = _Nesting()
        self.numbers = _Numbers(announced, max_bytes)

    def feed(self, text: bytes) -> bytes | None:
        """Take text, what was carried first; return what follows the end, None before it."""
        dense = text.translate(None, _WHITESPACE)
        length = self._take(dense)
        if len(dense) < len(text):
            length = _length_with_spaces(text, length)
        if not self.nesting.depth:
            return text[length:]
        self._carry(text[length:])
        return None

    def _take(self, text: bytes) -> int:
        """Add the numbers up to the last delimiter of the pixels; return where that ends."""
        kinds = np.frombuffer(text.translate(_KINDS), np.uint8)
        marks = np.flatnonzero(kinds >= _COMMA)
        lengths = np.diff(marks, prepend=-1) - 1
        size = self.nesting.advance(kinds[marks], lengths)
        if not size:
            return 0
        end = int(marks[size - 1]) + 1
        filled = lengths[:size] > 0
        lengths = lengths[:size][filled]
        if lengths.size:
            numbers = _parse(text[:end], kinds[:end], marks[:size][filled], lengths)
            self.numbers.append(numbers)
        return end

    def _carry(self, text: bytes) -> None:
        self.carried = _SPACES.sub(b" ", text)
        if len(self.carried) > _MAX_NUMBER:
            raise MalformedResponse("the image holds an endless number")


class _Nesting:
    """Follows the brackets of the pixels, whose first one is open from the start."""

    def __init__(self) -> None:
        self.depth = 1
        self.last = _OPEN
        self._rank = 0
        # By depth: how many arrays (at the rank: numbers) were completed, and how many of them
        # the first array that holds such has.
        self._completed = [0, 0, 0, 0]
        self._sizes = [0, 0, 0, 0]

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of the closed arrays, the outermost first."""
        return (self._completed[1], *self._sizes[2 : self._rank + 1])

    def advance(self, marks: NDArray[np.uint8], lengths: NDArray[np.intp]) -> int:
        """Take delimiters, and the lengths of the numbers before them, as far as they are ours.

        Returns how many that is: all, or those up to the end. Raises unless they make sense.
        """
        brackets, depths, size = self._find_brackets(marks)
        if not size:
            return 0
        opens = marks[brackets] == _OPEN
        empty = np.flatnonzero(lengths[:size] == 0)
        self._check_empty(empty, brackets[opens], brackets[~opens], size)
        numbers = self._completed[self._rank] if self._rank else 0
        totals = numbers + 1 + brackets - np.searchsorted(empty, brackets, "right")
        total = numbers + size - empty.size
        bounds = np.concatenate(([numbers], totals, [total]))
        self._check_depths(np.concatenate(([self.depth], depths)), np.diff(bounds))
        self._count_closed(depths[~opens], totals[~opens])
        self._completed[self._rank] = total
        self.depth = int(depths[-1]) if depths.size else self.depth
        self.last = int(marks[size - 1])
        return size

    def _find_brackets(
        self, marks: NDArray[np.uint8]
    ) -> tuple[NDArray[np.intp], NDArray[np.intp], int]:
        """Return the brackets, the depth behind each, and how many delimiters are ours."""
        foreign = np.flatnonzero(marks == _FOREIGN)
        size = int(foreign[0]) if foreign.size else marks.size
        brackets = np.flatnonzero(marks[:size] != _COMMA)
        depths = self.depth + np.cumsum(np.where(marks[brackets] == _OPEN, 1, -1))
        ends = np.flatnonzero(depths == 0)
        if ends.size:
            count = int(ends[0]) + 1
            return brackets[:count], depths[:count], int(brackets[count - 1]) + 1
        if foreign.size:
            raise MalformedResponse("the image holds something that is not a number")
        return brackets, depths, size

    def _check_empty(
        self,
        empty: NDArray[np.intp],
        opens: NDArray[np.intp],
        closes: NDArray[np.intp],
        size: int,
    ) -> None:
        """Raise unless exactly the delimiters without a number before them are to have none."""
        behind = np.concatenate(([-1] if self.last == CLOSE else [], closes)) + 1
        expected = np.concatenate((opens, behind[behind < size]))
        if not np.array_equal(empty, np.sort(expected, kind="stable")):
            raise MalformedResponse("the image holds misplaced brackets or commas")

    def _check_depths(self, depths: NDArray[np.intp], numbers: NDArray[np.intp]) -> None:
        """Take how many numbers there are between two brackets, and how deep that is."""
        used = depths[numbers > 0]
        if used.size and not self._rank:
            self._rank = int(used[0])
        if self._rank == 1 or depths.max() > min(self._rank or _MAX_RANK, _MAX_RANK):
            raise MalformedResponse("the image is nested neither 2 nor 3 deep throughout")
        if (used != self._rank).any():
            raise MalformedResponse("the image has numbers at different depths")

    def _count_closed(self, depths: NDArray[np.intp], totals: NDArray[np.intp]) -> None:
        """Take the depth behind each closing bracket, and the count of numbers up to it."""
        for depth in range(self._rank - 1, 0, -1):
            here = depths == depth
            self._check_even(depth, totals[here])
            totals = self._completed[depth] + np.cumsum(here)
            self._completed[depth] += int(np.count_nonzero(here))

    def _check_even(self, depth: int, totals: NDArray[np.intp]) -> None:
        if totals.size and not self._completed[depth]:
            self._sizes[depth + 1] = int(totals[0])
        arrays = self._completed[depth] + np.arange(1, totals.size + 1)
        if not np.array_equal(totals, arrays * self._sizes[depth + 1]):
            raise MalformedResponse("the image is ragged")


class _Numbers:
    """A flat array that grows, of the narrowest type that is announced and has held so far."""

    def __init__(self, announced: object, max_bytes: int) -> None:
        element = next((known for known in JSON_TYPES if known == announced), None)
        dtype = DTYPES[element or ImageArrayElementTypes.INT32]
        self.count = 0
        self._max_bytes = max_bytes
        self._expects_integers = element is not None and dtype.kind == "i"
        self._array: NDArray[Any] = np.empty(0, dtype)

    def append(self, values: NDArray[Any]) -> None:
        """Add numbers, integer or float64; their kind and range widen the array if need be."""
        if values.dtype.kind == "f" and self._expects_integers:
            values = _as_integers(values)
        self._convert(self._type_for(values))
        self._reserve(values.size)
        self._array[self.count : self.count + values.size] = values
        self.count += values.size

    def finish(self, dtype: np.dtype[Any]) -> NDArray[Any]:
        """Return the numbers; `MalformedResponse` if `dtype` does not hold them exactly."""
        self._array.resize(self.count, refcheck=False)
        numbers = self._array
        self._convert(dtype)
        if self._array is not numbers and not (self._array == numbers).all():
            raise MalformedResponse(f"the image has pixels that are no {dtype.name}")
        return self._array

    def _type_for(self, values: NDArray[Any]) -> np.dtype[Any]:
        held = self._array.dtype
        if "f" in (held.kind, values.dtype.kind):
            return _FLOAT64
        low, high = int(values.min()), int(values.max())
        for dtype in (held, _INT32):
            if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
                return dtype
        return _FLOAT64

    def _convert(self, dtype: np.dtype[Any]) -> None:
        if dtype != self._array.dtype:
            self._check_size(self.count, dtype)
            with np.errstate(invalid="ignore"):
                self._array = self._array[: self.count].astype(dtype)

    def _reserve(self, more: int) -> None:
        needed = self.count + more
        self._check_size(needed, self._array.dtype)
        if needed > self._array.size:
            ample = needed + min(needed // 4, _GROWTH // self._array.itemsize)
            most = self._max_bytes // self._array.itemsize
            self._array.resize(min(ample, most), refcheck=False)

    def _check_size(self, count: int, dtype: np.dtype[Any]) -> None:
        if count * dtype.itemsize > self._max_bytes:
            raise MalformedResponse(f"the image is larger than {self._max_bytes} bytes")


def _length_with_spaces(text: bytes, length: int) -> int:
    """Return how long the first `length` bytes of `text` are if its spaces are counted."""
    kinds = np.frombuffer(text.translate(_KINDS), np.uint8)
    places = np.flatnonzero(kinds != _SPACE)[:length]
    number = kinds[places] < _SPACE
    if ((np.diff(places) > 1) & number[:-1] & number[1:]).any():
        raise MalformedResponse("the image has two numbers without a comma between them")
    return int(places[-1]) + 1 if length else 0


def _parse(
    text: bytes, kinds: NDArray[np.uint8], ends: NDArray[np.intp], lengths: NDArray[np.intp]
) -> NDArray[Any]:
    """Return the numbers of `text`, which end at `ends` of its kinds: integers or float64."""
    longest = int(lengths.max())
    if longest > _MAX_NUMBER:
        raise MalformedResponse("the image holds an endless number")
    if longest > _DIGITS64 or (kinds == _FLOAT).any():
        return _parse_any(text)
    return _parse_integers(kinds, ends, lengths)


def _parse_any(text: bytes) -> NDArray[np.float64]:
    numbers = np.concatenate([_parse_run(run) for run in _runs(text.translate(None, b"[]"))])
    if not np.isfinite(numbers).all():
        raise MalformedResponse("the image holds a number beyond the range of doubles")
    return numbers


def _runs(text: bytes) -> Iterator[bytes]:
    """Cut at commas: `json` holds the interpreter lock for as long as a run takes."""
    rest = text.strip(b",")
    while rest:
        end = rest.find(b",", _RUN)
        run, rest = (rest, b"") if end < 0 else (rest[:end], rest[end + 1 :])
        yield run


def _parse_run(run: bytes) -> NDArray[np.float64]:
    try:
        return np.array(json.loads(b"[" + run + b"]"), np.float64)
    except (ValueError, OverflowError) as error:
        raise MalformedResponse(f"the image holds a malformed number: {error}") from None


def _parse_integers(
    kinds: NDArray[np.uint8], ends: NDArray[np.intp], lengths: NDArray[np.intp]
) -> NDArray[Any]:
    starts = ends - lengths
    signs = kinds == _MINUS
    negative = signs[starts]
    digits = lengths - negative
    needless = (kinds[starts + negative] == 0) & (digits > 1)
    if np.count_nonzero(signs) > np.count_nonzero(negative) or needless.any() or not digits.all():
        raise MalformedResponse("the image holds a malformed number")
    numbers = _sum_digits(kinds, ends, digits)
    np.negative(numbers, out=numbers, where=negative)
    return numbers


def _sum_digits(
    kinds: NDArray[np.uint8], ends: NDArray[np.intp], digits: NDArray[np.intp]
) -> NDArray[Any]:
    """Return the numbers whose decimal digits stand before `ends`, all first digits at once."""
    longest = int(digits.max())
    numbers: NDArray[Any] = np.zeros(ends.size, np.int32 if longest <= _DIGITS32 else np.int64)
    counts = digits.astype(np.uint8)
    places = ends - longest
    for place in range(longest, 0, -1):
        numbers *= 10
        numbers += kinds.take(places, mode="clip") * (counts >= place)
        places += 1
    return numbers


def _as_integers(values: NDArray[np.float64]) -> NDArray[Any]:
    """Return the values as int64 if that changes none, else as they are."""
    with np.errstate(invalid="ignore"):
        integers = values.astype(np.int64)
    return integers if (integers == values).all() else values

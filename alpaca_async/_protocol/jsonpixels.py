"""Parses the pixels of a JSON image, chunk by chunk, into one flat array. Does no I/O.

Vectorised with numpy: it classifies all bytes of a chunk, checks the nesting of the brackets, and
converts the digits of all numbers together. `json` parses the chunks that contain numbers other
than integers of at most 18 digits.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from alpaca_async._errors import MalformedResponse

from .jsonnumbers import new_numbers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from .pixeltype import PixelType

# The longest number that is accepted, in bytes. No double needs more than 767 significant digits.
_MAX_NUMBER: Final = 1024
_TOO_LONG: Final = f"the image holds a number of more than {_MAX_NUMBER} characters"

# Every integer of 9 digits fits into an int32, every integer of 18 digits into an int64.
_DIGITS32: Final = 9
_DIGITS64: Final = 18

# Bytes of text in one call of `json`, which holds the interpreter lock.
_RUN: Final = 1 << 13

# The kind of each byte: 0 to 9 for the digits, then these. From `_COMMA` on they are delimiters.
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


class PixelParser:
    """Parses the text of the pixels, from after the first `[` to the matching `]`.

    `remainder` is text that was not parsed yet; the caller puts it before the next text.
    """

    def __init__(self, declared_type: object, wanted: PixelType, max_bytes: int) -> None:
        self.remainder = b""
        self.nesting = _Nesting()
        self.numbers = new_numbers(declared_type, wanted, max_bytes)

    def feed(self, text: bytes) -> bytes | None:
        """Parse `text`, which starts with `remainder`; return the text after the last `]`, if any.

        Returns None if the pixels are not complete.
        """
        dense = text.translate(None, _WHITESPACE)
        length = self._parse_numbers(dense)
        if len(dense) < len(text):
            length = _length_with_spaces(text, length)
        if not self.nesting.depth:
            return text[length:]
        self._keep(text[length:])
        return None

    def _parse_numbers(self, text: bytes) -> int:
        """Append the numbers before the last delimiter of the pixels; return the offset after."""
        kinds = np.frombuffer(text.translate(_KINDS), np.uint8)
        marks = np.flatnonzero(kinds >= _COMMA)
        lengths = np.diff(marks, prepend=-1) - 1
        size = self.nesting.advance(kinds[marks], lengths)
        if not size:
            return 0
        end = int(marks[size - 1]) + 1
        present = lengths[:size] > 0
        lengths = lengths[:size][present]
        if lengths.size:
            numbers = _parse(text[:end], kinds[:end], marks[:size][present], lengths)
            self.numbers.append(numbers)
        return end

    def _keep(self, text: bytes) -> None:
        self.remainder = _SPACES.sub(b" ", text)
        if len(self.remainder) > _MAX_NUMBER:
            raise MalformedResponse(_TOO_LONG)


class _Nesting:
    """Tracks the brackets and commas of the pixels. The outermost `[` is already open."""

    def __init__(self) -> None:
        self.depth = 1
        self.last = _OPEN
        self._rank = 0
        # Indexed by depth. `_completed`: the number of complete arrays at that depth (at depth
        # `_rank`: of numbers). `_sizes`: how many of them one array contains.
        self._completed = [0, 0, 0, 0]
        self._sizes = [0, 0, 0, 0]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the complete image, outermost dimension first."""
        return (self._completed[1], *self._sizes[2 : self._rank + 1])

    def advance(self, marks: NDArray[np.uint8], lengths: NDArray[np.intp]) -> int:
        """Process delimiters, and the lengths of the numbers before each of them.

        Returns how many delimiters belong to the pixels: all, or those up to the last `]`. Raises
        `MalformedResponse` if the nesting is invalid.
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
        """Return the indices of the brackets, the depth after each, and the end of the pixels.

        The end is the number of delimiters that belong to the pixels.
        """
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
        """Check that numbers are missing only, and always, before `[` and directly after `]`."""
        after_closes = np.concatenate(([-1] if self.last == CLOSE else [], closes)) + 1
        expected = np.concatenate((opens, after_closes[after_closes < size]))
        if not np.array_equal(empty, np.sort(expected, kind="stable")):
            raise MalformedResponse("the image holds misplaced brackets or commas")

    def _check_depths(self, depths: NDArray[np.intp], numbers: NDArray[np.intp]) -> None:
        """Check the depth of each part between two brackets; `numbers` has the count in each."""
        with_numbers = depths[numbers > 0]
        if with_numbers.size and not self._rank:
            self._rank = int(with_numbers[0])
        if self._rank == 1 or depths.max() > min(self._rank or _MAX_RANK, _MAX_RANK):
            raise MalformedResponse("the image is not nested 2 or 3 levels deep")
        if (with_numbers != self._rank).any():
            raise MalformedResponse("the image has numbers at different depths")

    def _count_closed(self, depths: NDArray[np.intp], totals: NDArray[np.intp]) -> None:
        """Count the arrays that end, and check that those of one depth have the same length.

        `depths` has the depth after each `]`. `totals` has the count of all numbers of the image
        before each `]`.
        """
        for depth in range(self._rank - 1, 0, -1):
            here = depths == depth
            self._check_equal_sizes(depth, totals[here])
            totals = self._completed[depth] + np.cumsum(here)
            self._completed[depth] += int(np.count_nonzero(here))

    def _check_equal_sizes(self, depth: int, totals: NDArray[np.intp]) -> None:
        if totals.size and not self._completed[depth]:
            self._sizes[depth + 1] = int(totals[0])
        arrays = self._completed[depth] + np.arange(1, totals.size + 1)
        if not np.array_equal(totals, arrays * self._sizes[depth + 1]):
            raise MalformedResponse("the nested arrays of the image differ in length")


def _length_with_spaces(text: bytes, length: int) -> int:
    """Return the offset in `text` after its first `length` bytes that are not whitespace."""
    kinds = np.frombuffer(text.translate(_KINDS), np.uint8)
    places = np.flatnonzero(kinds != _SPACE)[:length]
    in_number = kinds[places] < _SPACE
    if ((np.diff(places) > 1) & in_number[:-1] & in_number[1:]).any():
        raise MalformedResponse("the image has two numbers without a comma between them")
    return int(places[-1]) + 1 if length else 0


def _parse(
    text: bytes, kinds: NDArray[np.uint8], ends: NDArray[np.intp], lengths: NDArray[np.intp]
) -> NDArray[Any]:
    """Return the numbers of `text` as integers or float64; `ends` has the index after each."""
    longest = int(lengths.max())
    if longest > _MAX_NUMBER:
        raise MalformedResponse(_TOO_LONG)
    if longest > _DIGITS64 or (kinds == _FLOAT).any():
        return _parse_any(text)
    return _parse_integers(kinds, ends, lengths)


def _parse_any(text: bytes) -> NDArray[np.float64]:
    numbers = np.concatenate([_parse_run(run) for run in _runs(text.translate(None, b"[]"))])
    if not np.isfinite(numbers).all():
        raise MalformedResponse("the image holds a number outside the range of float64")
    return numbers


def _runs(text: bytes) -> Iterator[bytes]:
    """Split at commas into short runs: `json` holds the interpreter lock while it parses one."""
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
    leading_zero = (kinds[starts + negative] == 0) & (digits > 1)
    if (
        np.count_nonzero(signs) > np.count_nonzero(negative)
        or leading_zero.any()
        or not digits.all()
    ):
        raise MalformedResponse("the image holds a malformed number")
    numbers = _sum_digits(kinds, ends, digits)
    np.negative(numbers, out=numbers, where=negative)
    return numbers


def _sum_digits(
    kinds: NDArray[np.uint8], ends: NDArray[np.intp], digits: NDArray[np.intp]
) -> NDArray[Any]:
    """Return the numbers; `ends` has the index after each. Each step adds one digit to all."""
    longest = int(digits.max())
    numbers: NDArray[Any] = np.zeros(ends.size, np.int32 if longest <= _DIGITS32 else np.int64)
    counts = digits.astype(np.uint8)
    places = ends - longest
    for place in range(longest, 0, -1):
        numbers *= 10
        numbers += kinds.take(places, mode="clip") * (counts >= place)
        places += 1
    return numbers

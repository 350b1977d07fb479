"""An image as JSON text, piece by piece, into the array that ImageBytes would give. Pure.

The text outside the pixels is small: it is collected and left to `json`, with `[]` in the place
of the pixels. The pixels' text is never collected: numpy looks at the bytes of one chunk at a
time, checks how the brackets nest, and adds the numbers to one flat array.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, NoReturn

import numpy as np

from ._enums import ImageArrayElementTypes
from ._errors import MalformedResponse, ascom_error
from ._imagebytes import DTYPES, ImageMetadata

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Bytes that are looked at together: they and what is derived from them stay in the cache.
_CHUNK: Final = 1 << 16

# Everything but the pixels, a driver's stack trace for example, has to fit into these.
_MAX_ENVELOPE: Final = 1 << 18
_MAX_DEPTH: Final = 100
_MAX_ARRAYS: Final = 16

# Longer than any number has to be: 767 digits settle the most awkward double.
_MAX_NUMBER: Final = 1024

# The most digits that an int32 and an int64 hold whatever they are.
_DIGITS32: Final = 9
_DIGITS64: Final = 18

# What a byte of the pixels' text can be: 0 to 9 are the digits themselves.
_MINUS, _FLOAT, _SPACE, _COMMA, _OPEN, _CLOSE, _FOREIGN = range(10, 17)
_KINDS: Final = bytes(
    {
        **{digit + ord("0"): digit for digit in range(10)},
        **dict.fromkeys(b"+.eE", _FLOAT),
        **dict.fromkeys(b" \t\n\r", _SPACE),
        **dict(zip(b"-,[]", (_MINUS, _COMMA, _OPEN, _CLOSE), strict=True)),
    }.get(byte, _FOREIGN)
    for byte in range(256)
)

_TOKEN: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|["\[\]{}]', re.DOTALL)
_ARRAY_FOLLOWS: Final = re.compile(rb"[ \t\n\r]*:[ \t\n\r]*\[")
_SPACES: Final = re.compile(rb"[ \t\n\r]+")

_MAX_RANK: Final = 3
_INT32: Final = DTYPES[ImageArrayElementTypes.INT32]
_FLOAT64: Final = DTYPES[ImageArrayElementTypes.DOUBLE]
_JSON_TYPES: Final = (
    ImageArrayElementTypes.INT16,
    ImageArrayElementTypes.INT32,
    ImageArrayElementTypes.DOUBLE,
)


class ImageJsonParser:
    """Takes the text of a JSON image reply in pieces that are cut anywhere.

    `feed` and `close` compute; they are for a worker thread, and hold the interpreter lock for
    about a millisecond at a time. They allocate the array, which grows with the text up to
    `max_image_bytes`, and little else; only where `Type` follows the pixels and says that they
    are not int32, the array is converted once.
    """

    def __init__(self, *, max_image_bytes: int) -> None:
        self._max_image_bytes = max_image_bytes
        self._waiting = bytearray()
        self._envelope = _Envelope()
        self._pixels: _PixelText | None = None
        self._finished: _PixelText | None = None
        self._fault: MalformedResponse | None = None

    def feed(self, piece: bytes) -> None:
        """Take the next piece; `MalformedResponse` when nothing good can follow."""
        self._waiting += piece
        while len(self._waiting) >= _CHUNK:
            text = bytes(self._waiting[:_CHUNK])
            del self._waiting[:_CHUNK]
            self._advance(text)

    def close(self) -> tuple[NDArray[Any], ImageMetadata]:
        """Return the pixels in ASCOM's order `[x, y(, plane)]`, C-contiguous, and their facts.

        Raises:
            AscomError: the reply carries the device's error, whatever its `Value` is.
            MalformedResponse: the text is cut off, or is not the JSON of an image.
        """
        self._advance(bytes(self._waiting))
        self._waiting.clear()
        if self._pixels:
            count = self._pixels.numbers.count
            raise MalformedResponse(f"the JSON text ends inside the image, after {count} pixels")
        reply = self._reply()
        _raise_device_error(reply)
        if self._fault:
            raise self._fault
        if self._finished is None or not isinstance(reply.get("Value"), list):
            raise MalformedResponse("the JSON reply holds no image")
        return self._finished.image(reply)

    def _advance(self, text: bytes) -> None:
        while text:
            text = self._inside(self._pixels, text) if self._pixels else self._outside(text)

    def _outside(self, text: bytes) -> bytes:
        try:
            rest = self._envelope.add(text)
            if rest is None:
                return b""
            announced = self._envelope.parse(b"]}").get("Type")
        except MalformedResponse as error:
            raise self._fault or error from None
        self._fault = None
        self._pixels = _PixelText(announced, self._max_image_bytes)
        return rest

    def _inside(self, pixels: _PixelText, text: bytes) -> bytes:
        text = pixels.carried + text
        try:
            rest = pixels.feed(text)
        except MalformedResponse as fault:
            # The device's error may follow: go on as if the array were one of the envelope's.
            self._fault, self._pixels = fault, None
            self._envelope.resume(pixels.nesting.depth, after=pixels.nesting.last)
            return text
        if rest is None:
            return b""
        self._finished, self._pixels = pixels, None
        self._envelope.resume(0, after=_CLOSE)
        return rest

    def _reply(self) -> dict[str, Any]:
        try:
            return self._envelope.parse()
        except MalformedResponse as error:
            raise self._fault or error from None


class _Envelope:
    """The text outside the pixels."""

    def __init__(self) -> None:
        self._text = bytearray()
        self._scanned = 0
        self._depth = 0
        self._arrays = 0

    def add(self, text: bytes) -> bytes | None:
        """Take text up to the `[` of `Value`; return what follows it, None if it has not come."""
        self._text += text
        start = self._find_array()
        rest = None if start is None else bytes(self._text[start:])
        del self._text[start if start is not None else len(self._text) :]
        if len(self._text) > _MAX_ENVELOPE:
            raise MalformedResponse(f"more than {_MAX_ENVELOPE} bytes surround the image")
        return rest

    def resume(self, depth: int, *, after: int) -> None:
        """Go on behind the pixels, or in the midst of them, where `depth` arrays are open."""
        opened = b"[" * (depth - 1) + (b"0" if after == _CLOSE else b"")
        self._text += opened if depth else b"]"
        self._scanned = len(self._text)
        self._depth = 1 + depth

    def parse(self, ending: bytes = b"") -> dict[str, Any]:
        """Return the object that the text and `ending` are, with `[]` in the place of pixels."""
        try:
            text = (self._text + ending).decode("utf-8-sig")
            reply = json.loads(text, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise MalformedResponse(f"the reply is not JSON: {error}") from None
        if not isinstance(reply, dict):
            raise MalformedResponse("the reply is not a JSON object")
        return reply

    def _find_array(self) -> int | None:
        depth = self._depth
        for token in _TOKEN.finditer(self._text, self._scanned):
            match token[0]:
                case b"[" | b"{":
                    depth += 1
                case b"]" | b"}":
                    depth -= 1
                case b'"':  # a string whose end has not come yet
                    return None
                case key if depth == 1:
                    follows = _ARRAY_FOLLOWS.match(self._text, token.end())
                    if follows and _is_value(key):
                        return follows.end()
            if depth > _MAX_DEPTH:
                raise MalformedResponse(f"the JSON is nested more than {_MAX_DEPTH} deep")
        return None


class _PixelText:
    """The text of the pixels, from behind its first `[` to its last `]`."""

    def __init__(self, announced: object, max_bytes: int) -> None:
        self.carried = b""
        self.nesting = _Nesting()
        self.numbers = _Numbers(announced, max_bytes)

    def feed(self, text: bytes) -> bytes | None:
        """Take text, what was carried first; return what follows the end, None before it."""
        kinds = np.frombuffer(text.translate(_KINDS), np.uint8)
        places = None
        if (kinds == _SPACE).any():
            places = np.flatnonzero(kinds != _SPACE)
            kinds = kinds[places]
        marks = np.flatnonzero(kinds >= _COMMA)
        ended, size = self._extent(kinds[marks])
        marks = marks[:size]
        length = int(marks[-1]) + 1 if size else 0
        kinds = kinds[:length]
        if places is not None:
            _check_spaces(kinds, places)
            length = int(places[length - 1]) + 1 if size else 0
        self._take(text[:length], kinds, marks)
        if ended:
            return text[length:]
        self._carry(text[length:])
        return None

    def image(self, reply: dict[str, Any]) -> tuple[NDArray[Any], ImageMetadata]:
        """Return the array, if it is what the rest of the reply says of it."""
        number = _integer(reply, "Type", 0)
        if number not in _JSON_TYPES:
            raise MalformedResponse(f"a JSON image cannot be of Type {number}")
        shape = self.nesting.shape
        rank = _integer(reply, "Rank", len(shape))
        if rank != len(shape):
            raise MalformedResponse(f"an image of Rank {rank} is nested {len(shape)} deep")
        element = ImageArrayElementTypes(number)
        pixels = self.numbers.finish(DTYPES[element]).reshape(shape)
        return pixels, ImageMetadata(1, element, element, rank, *shape)

    def _extent(self, marks: NDArray[np.uint8]) -> tuple[bool, int]:
        """Return whether the pixels end here, and how many of the delimiters are theirs."""
        foreign = np.flatnonzero(marks == _FOREIGN)
        own = marks[: foreign[0]] if foreign.size else marks
        end = self.nesting.find_end(own)
        if end is None and foreign.size:
            raise MalformedResponse("the image holds something that is not a number")
        return end is not None, len(own) if end is None else end + 1

    def _take(self, text: bytes, kinds: NDArray[np.uint8], marks: NDArray[np.intp]) -> None:
        if not marks.size:
            return
        lengths = np.diff(marks, prepend=-1) - 1
        filled = lengths > 0
        self.nesting.advance(kinds[marks], filled)
        lengths = lengths[filled]
        if lengths.size:
            self.numbers.append(_parse(text, kinds, marks[filled], lengths))

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

    def find_end(self, marks: NDArray[np.uint8]) -> int | None:
        """Return the index of the bracket that closes the pixels, None if it has not come."""
        brackets = np.flatnonzero(marks != _COMMA)
        ends = np.flatnonzero(self._depths(marks[brackets]) == 0)
        return int(brackets[ends[0]]) if ends.size else None

    def advance(self, marks: NDArray[np.uint8], filled: NDArray[np.bool_]) -> None:
        """Take delimiters, and whether a number precedes each; raise unless they make sense."""
        closes = marks == _CLOSE
        opens = marks == _OPEN
        after_close = np.concatenate(([self.last == _CLOSE], closes[:-1]))
        if (filled == (opens | after_close)).any() or (opens & after_close).any():
            raise MalformedResponse("the image holds misplaced brackets or commas")
        brackets = np.flatnonzero(marks != _COMMA)
        depths = self._depths(marks[brackets])
        numbers = self._completed[self._rank] if self._rank else 0
        totals = numbers + np.cumsum(filled)
        bounds = np.concatenate(([numbers], totals[brackets], totals[-1:]))
        self._check_depths(np.concatenate(([self.depth], depths)), np.diff(bounds))
        self._count_closed(depths[closes[brackets]], totals[closes])
        self._completed[self._rank] = int(totals[-1])
        self.depth = int(depths[-1]) if depths.size else self.depth
        self.last = int(marks[-1])

    def _depths(self, brackets: NDArray[np.uint8]) -> NDArray[np.intp]:
        return self.depth + np.cumsum(np.where(brackets == _OPEN, 1, -1), dtype=np.intp)

    def _check_depths(self, depths: NDArray[np.intp], numbers: NDArray[np.intp]) -> None:
        """Take how many numbers there are between two brackets, and how deep that is."""
        used = depths[numbers > 0]
        if used.size and not self._rank:
            self._rank = int(used[0])
        if depths.max() > (self._rank or _MAX_RANK) or self._rank == 1:
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
        element = next((known for known in _JSON_TYPES if known == announced), None)
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
            most = self._max_bytes // self._array.itemsize
            self._array.resize(min(needed + needed // 4, most), refcheck=False)

    def _check_size(self, count: int, dtype: np.dtype[Any]) -> None:
        if count * dtype.itemsize > self._max_bytes:
            raise MalformedResponse(f"the image is larger than {self._max_bytes} bytes")


def _check_spaces(kinds: NDArray[np.uint8], places: NDArray[np.intp]) -> None:
    """Raise if there was nothing but space between two numbers. `places`: where kinds were."""
    number = kinds < _SPACE
    apart = np.diff(places[: kinds.size]) > 1
    if (apart & number[:-1] & number[1:]).any():
        raise MalformedResponse("the image has two numbers without a comma between them")


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
    flat = text.translate(None, b"[] \t\n\r").strip(b",").decode("ascii")
    try:
        numbers = np.array(json.loads(f"[{flat}]"), np.float64)
    except (ValueError, OverflowError) as error:
        raise MalformedResponse(f"the image holds a malformed number: {error}") from None
    if not np.isfinite(numbers).all():
        raise MalformedResponse("the image holds a number beyond the range of doubles")
    return numbers


def _parse_integers(
    kinds: NDArray[np.uint8], ends: NDArray[np.intp], lengths: NDArray[np.intp]
) -> NDArray[Any]:
    starts = ends - lengths
    signs = kinds == _MINUS
    negative = signs[starts]
    digits = lengths - negative
    superfluous = (kinds[starts + negative] == 0) & (digits > 1)
    if np.count_nonzero(signs) != np.count_nonzero(negative) or superfluous.any() or not digits.all():
        raise MalformedResponse("the image holds a malformed number")
    numbers = _sum_digits(kinds, ends, digits)
    return np.negative(numbers, out=numbers, where=negative)


def _sum_digits(
    kinds: NDArray[np.uint8], ends: NDArray[np.intp], digits: NDArray[np.intp]
) -> NDArray[Any]:
    """Return the numbers whose decimal digits stand before `ends`, all first digits at once."""
    longest = int(digits.max())
    numbers = np.zeros(ends.size, np.int32 if longest <= _DIGITS32 else np.int64)
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


def _is_value(key: bytes) -> bool:
    try:
        return bool(json.loads(key) == "Value")
    except ValueError:
        return False


def _raise_device_error(reply: dict[str, Any]) -> None:
    number = _integer(reply, "ErrorNumber", 0)
    message = reply.get("ErrorMessage") or ""
    if not isinstance(message, str):
        raise MalformedResponse("ErrorMessage is not a string")
    if number or message:
        raise ascom_error(number, message)


def _integer(reply: dict[str, Any], key: str, default: int) -> int:
    """Return an integer of the envelope; whole floats and digits in quotes are harmless."""
    value = reply.get(key)
    if value is None:
        return default
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        number = None
    if number is None or isinstance(value, bool) or (isinstance(value, float) and number != value):
        raise MalformedResponse(f"{key} is not an integer")
    return number


def _refuse_constant(name: str) -> NoReturn:
    msg = f"{name} is not a number"
    raise ValueError(msg)

"""An image as JSON text, piece by piece, into the array that ImageBytes would give. Pure.

The text outside the pixels is small: it is collected and left to `json`, with `[]` in the place
of the pixels. Those are read chunk by chunk, and never held as text.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, NoReturn

from alpaca_async._enums import ImageArrayElementTypes
from alpaca_async._errors import IncompleteImage, MalformedResponse

from .fields import properly_named, raise_reported
from .imagebytes import DTYPES, ImageMetadata
from .jsonpixels import CLOSE, JSON_TYPES, PixelText
from .transaction_ids import transaction_id
from .values import decode, decode_record

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .transaction_ids import CheckTransactionId

# Bytes that are looked at together: they and what is derived from them stay in the cache.
_CHUNK: Final = 1 << 16

# Everything but the pixels, a driver's stack trace for example, has to fit into these.
_MAX_ENVELOPE: Final = 1 << 18
_MAX_DEPTH: Final = 100
_MAX_ARRAYS: Final = 16

_TOKEN: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|["\[\]{}]', re.DOTALL)
_ARRAY_FOLLOWS: Final = re.compile(rb"[ \t\n\r]*:[ \t\n\r]*\[")


class ImageJsonParser:
    """Takes the text of a JSON image reply in pieces that are cut anywhere.

    `feed` and `close` compute in short steps; they are for a worker thread. They allocate the
    array, which grows with the text up to `max_image_bytes`, and little else; only where `Type`
    follows the pixels and says that they are not int32, the array is converted once. `received`
    counts the bytes.
    """

    def __init__(
        self, *, max_image_bytes: int, check_transaction_id: CheckTransactionId | None = None
    ) -> None:
        self.received = 0
        self._check_transaction_id = check_transaction_id
        self._max_image_bytes = max_image_bytes
        self._waiting = bytearray()
        self._envelope = _Envelope()
        self._pixels: PixelText | None = None
        self._finished: PixelText | None = None
        self._fault: MalformedResponse | None = None

    def feed(self, piece: bytes) -> None:
        """Take the next piece; `MalformedResponse` when nothing good can follow."""
        self.received += len(piece)
        self._waiting += piece
        while len(self._waiting) >= _CHUNK:
            text = bytes(self._waiting[:_CHUNK])
            del self._waiting[:_CHUNK]
            self._advance(text)

    def close(self) -> tuple[NDArray[Any], ImageMetadata]:
        """Return the pixels in ASCOM's order `[x, y(, plane)]`, C-contiguous, and their facts.

        Raises:
            AscomError: the reply carries the device's error, whatever its `Value` is.
            IncompleteImage: the text is cut off.
            MalformedResponse: it is not the JSON of an image.

        """
        self._advance(bytes(self._waiting))
        self._waiting.clear()
        if self._pixels:
            raise IncompleteImage(self.received)
        reply = self._reply()
        if self._check_transaction_id is not None:
            self._check_transaction_id(transaction_id(reply, "ClientTransactionID"))
        raise_reported(reply)
        if self._fault:
            raise self._fault
        if self._finished is None or not isinstance(reply.get("Value"), list):
            raise MalformedResponse("the JSON reply holds no image")
        return _image(self._finished, reply)

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
        self._fault = self._finished = None
        self._pixels = PixelText(announced, self._max_image_bytes)
        return rest

    def _inside(self, pixels: PixelText, text: bytes) -> bytes:
        text = pixels.carried + text
        depth, last = pixels.nesting.depth, pixels.nesting.last
        try:
            rest = pixels.feed(text)
        except MalformedResponse as fault:
            # The device's error may follow: go on as if the array were one of the envelope's.
            self._fault, self._pixels = fault, None
            self._envelope.resume(depth, after=last)
            return text
        if rest is None:
            return b""
        self._finished, self._pixels = pixels, None
        self._envelope.resume(0, after=CLOSE)
        return rest

    def _reply(self) -> dict[str, Any]:
        try:
            return self._envelope.parse()
        except MalformedResponse as error:
            cut_off = IncompleteImage(self.received) if self._envelope.is_open else None
            raise self._fault or cut_off or error from None


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
        rest = None
        if start is not None:
            rest = bytes(self._text[start:])
            del self._text[start:]
        if len(self._text) > _MAX_ENVELOPE:
            raise MalformedResponse(f"more than {_MAX_ENVELOPE} bytes surround the image")
        return rest

    def resume(self, depth: int, *, after: int) -> None:
        """Go on behind the pixels, or in the midst of them, where `depth` arrays are open."""
        opened = b"[" * (depth - 1) + (b"0" if after == CLOSE else b"")
        self._text += opened if depth else b"]"
        self._scanned = len(self._text)
        self._depth = 1 + depth

    @property
    def is_open(self) -> bool:
        """Whether more text could make it an object."""
        depth = 0
        for token in _TOKEN.finditer(self._text):
            if token[0] == b'"':  # a string that does not end
                return True
            depth += (token[0] in b"[{") - (token[0] in b"]}")
        return depth > 0 or not self._text

    def parse(self, ending: bytes = b"") -> dict[str, Any]:
        """Return the object that the text and `ending` are, with `[]` in the place of pixels."""
        try:
            text = (self._text + ending).decode("utf-8-sig")
            reply: Any = json.loads(text, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise MalformedResponse(f"the reply is not JSON: {error}") from None
        fields = decode_record(reply)
        if sum(name.lower() == "value" for name in fields) > 1:
            raise MalformedResponse("the reply has several values")
        return properly_named(fields)

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
                        return self._count_array(follows.end())
                case _:
                    pass
            if depth > _MAX_DEPTH:
                raise MalformedResponse(f"the JSON is nested more than {_MAX_DEPTH} deep")
        return None

    def _count_array(self, start: int) -> int:
        self._arrays += 1
        if self._arrays > _MAX_ARRAYS:
            raise MalformedResponse(f"the reply has more than {_MAX_ARRAYS} values")
        return start


def _image(pixels: PixelText, reply: dict[str, Any]) -> tuple[NDArray[Any], ImageMetadata]:
    """Return the array, if it is what the rest of the reply says of it."""
    number = decode(int, reply.get("Type") or 0)
    if number not in JSON_TYPES:
        raise MalformedResponse(f"a JSON image cannot be of Type {number}")
    shape = pixels.nesting.shape
    told = reply.get("Rank")
    rank = len(shape) if told is None else decode(int, told)
    if rank != len(shape):
        raise MalformedResponse(f"an image of Rank {rank} is nested {len(shape)} deep")
    element = ImageArrayElementTypes(number)
    array = pixels.numbers.finish(DTYPES[element]).reshape(shape)
    return array, ImageMetadata(1, element, element, rank, *shape)


def _is_value(key: bytes) -> bool:
    try:
        return bool(json.loads(key).lower() == "value")
    except ValueError:
        return False


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")

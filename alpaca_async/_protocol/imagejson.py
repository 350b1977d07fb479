"""Parses a JSON image incrementally into the array that its ImageBytes form would give. Pure.

The JSON text around the pixels, the envelope, is small. It is buffered with `[]` in place of the
pixels, and parsed by `json`. The pixels are parsed in chunks; their text is never buffered whole.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, NoReturn

from alpaca_async._enums import ImageArrayElementTypes
from alpaca_async._errors import IncompleteImage, MalformedResponse

from .fields import raise_reported_error, with_ascom_names
from .imagebytes import DTYPES, ImageMetadata
from .jsonnumbers import JSON_TYPES
from .jsonpixels import CLOSE, PixelParser
from .pixeltype import AS_SENT
from .transaction_ids import transaction_id
from .values import decode, decode_record

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .pixeltype import PixelType
    from .transaction_ids import CheckTransactionId

# Bytes that are parsed at once: small enough that text and temporary arrays stay in the
# processor's cache.
_CHUNK: Final = 1 << 16

# Limits for the envelope, which can contain for example a driver's stack trace: bytes, levels of
# nesting, arrays named `Value`.
_MAX_ENVELOPE: Final = 1 << 18
_MAX_DEPTH: Final = 100
_MAX_ARRAYS: Final = 16

_TOKEN: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|["\[\]{}]', re.DOTALL)
_ARRAY_FOLLOWS: Final = re.compile(rb"[ \t\n\r]*:[ \t\n\r]*\[")


class ImageJsonParser:
    """Parses a JSON image reply from pieces that may be cut at any byte.

    Call `feed` and `close` in a worker thread: they compute, and hold the interpreter lock only for
    short periods. Besides small temporaries they allocate only the array, which grows with the
    text up to `max_image_bytes`. It has the `wanted` dtype from the start, unless the reply has
    `Type` after the pixels: then it is converted once, at the end. `received` is the number of
    bytes so far.
    """

    def __init__(
        self,
        *,
        max_image_bytes: int,
        check_transaction_id: CheckTransactionId | None = None,
        wanted: PixelType = AS_SENT,
    ) -> None:
        self.received = 0
        self._wanted = wanted
        self._check_transaction_id = check_transaction_id
        self._max_image_bytes = max_image_bytes
        self._pending = bytearray()
        self._envelope = _Envelope()
        self._pixels: PixelParser | None = None
        self._finished: PixelParser | None = None
        self._image_error: MalformedResponse | None = None

    def feed(self, piece: bytes) -> None:
        """Parse the next piece; raise `MalformedResponse` if no continuation could be valid."""
        self.received += len(piece)
        self._pending += piece
        while len(self._pending) >= _CHUNK:
            text = bytes(self._pending[:_CHUNK])
            del self._pending[:_CHUNK]
            self._parse(text)

    def close(self) -> tuple[NDArray[Any], ImageMetadata]:
        """Return the pixels in ASCOM's order `[x, y(, plane)]`, C-contiguous, and their metadata.

        Raises:
            AscomError: the reply contains an error of the device, whatever its `Value` is.
            IncompleteImage: the text is truncated.
            MalformedResponse: the text is not the JSON of an image.
            PixelTypeError: a pixel does not fit into the dtype that is wanted.

        """
        self._parse(bytes(self._pending))
        self._pending.clear()
        if self._pixels:
            raise IncompleteImage(self.received)
        reply = self._parse_reply()
        if self._check_transaction_id is not None:
            self._check_transaction_id(transaction_id(reply, "ClientTransactionID"))
        raise_reported_error(reply)
        if self._image_error:
            raise self._image_error
        if self._finished is None or not isinstance(reply.get("Value"), list):
            raise MalformedResponse("the JSON reply holds no image")
        return _image(self._finished, reply)

    def _parse(self, text: bytes) -> None:
        while text:
            text = (
                self._parse_pixels(self._pixels, text)
                if self._pixels
                else self._parse_envelope(text)
            )

    def _parse_envelope(self, text: bytes) -> bytes:
        try:
            rest = self._envelope.add(text)
            if rest is None:
                return b""
            declared_type = self._envelope.parse(b"]}").get("Type")
        except MalformedResponse as error:
            raise self._image_error or error from None
        self._image_error = self._finished = None
        self._pixels = PixelParser(declared_type, self._wanted, self._max_image_bytes)
        return rest

    def _parse_pixels(self, pixels: PixelParser, text: bytes) -> bytes:
        text = pixels.remainder + text
        depth, last = pixels.nesting.depth, pixels.nesting.last
        try:
            rest = pixels.feed(text)
        except MalformedResponse as error:
            # An error of the device may follow and has priority. To find it, parse the rest of the
            # array as part of the envelope.
            self._image_error, self._pixels = error, None
            self._envelope.resume(depth, after=last)
            return text
        if rest is None:
            return b""
        self._finished, self._pixels = pixels, None
        self._envelope.resume(0, after=CLOSE)
        return rest

    def _parse_reply(self) -> dict[str, Any]:
        try:
            return self._envelope.parse()
        except MalformedResponse as error:
            incomplete = IncompleteImage(self.received) if self._envelope.is_open else None
            raise self._image_error or incomplete or error from None


class _Envelope:
    """The JSON text around the pixels."""

    def __init__(self) -> None:
        self._text = bytearray()
        self._scanned = 0
        self._depth = 0
        self._arrays = 0

    def add(self, text: bytes) -> bytes | None:
        """Add text up to the `[` of `Value`; return the rest, or None if there is no `[` yet."""
        self._text += text
        start = self._find_array()
        rest = None
        if start is not None:
            rest = bytes(self._text[start:])
            del self._text[start:]
        if len(self._text) > _MAX_ENVELOPE:
            raise MalformedResponse(f"the JSON around the image exceeds {_MAX_ENVELOPE} bytes")
        return rest

    def resume(self, depth: int, *, after: int) -> None:
        """Continue after the pixels, or inside them if `depth` arrays are still open.

        `after` is the kind of the last delimiter.
        """
        opened = b"[" * (depth - 1) + (b"0" if after == CLOSE else b"")
        self._text += opened if depth else b"]"
        self._scanned = len(self._text)
        self._depth = 1 + depth

    @property
    def is_open(self) -> bool:
        """Whether more text could complete the object."""
        depth = 0
        for token in _TOKEN.finditer(self._text):
            if token[0] == b'"':  # a lone quote: an unterminated string
                return True
            depth += (token[0] in b"[{") - (token[0] in b"]}")
        return depth > 0 or not self._text

    def parse(self, ending: bytes = b"") -> dict[str, Any]:
        """Parse the text followed by `ending`. The pixels appear as `[]`."""
        try:
            text = (self._text + ending).decode("utf-8-sig")
            reply: Any = json.loads(text, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise MalformedResponse(f"the reply is not JSON: {error}") from None
        fields = decode_record(reply)
        if sum(name.lower() == "value" for name in fields) > 1:
            raise MalformedResponse("the reply has more than one `Value`")
        return with_ascom_names(fields)

    def _find_array(self) -> int | None:
        depth = self._depth
        for token in _TOKEN.finditer(self._text, self._scanned):
            match token[0]:
                case b"[" | b"{":
                    depth += 1
                case b"]" | b"}":
                    depth -= 1
                case b'"':  # a string that is not complete yet
                    return None
                case key if depth == 1:
                    follows = _ARRAY_FOLLOWS.match(self._text, token.end())
                    if follows and _is_value(key):
                        return self._count_array(follows.end())
                case _:
                    pass
            if depth > _MAX_DEPTH:
                raise MalformedResponse(f"the JSON is nested more than {_MAX_DEPTH} levels deep")
        return None

    def _count_array(self, start: int) -> int:
        self._arrays += 1
        if self._arrays > _MAX_ARRAYS:
            raise MalformedResponse(f"the reply has more than {_MAX_ARRAYS} arrays named `Value`")
        return start


def _image(pixels: PixelParser, reply: dict[str, Any]) -> tuple[NDArray[Any], ImageMetadata]:
    """Return the array and its metadata, if `Type` and `Rank` of the reply fit the pixels."""
    number = decode(int, reply.get("Type") or 0)
    if number not in JSON_TYPES:
        raise MalformedResponse(f"a JSON image cannot be of Type {number}")
    shape = pixels.nesting.shape
    declared_rank = reply.get("Rank")
    rank = len(shape) if declared_rank is None else decode(int, declared_rank)
    if rank != len(shape):
        raise MalformedResponse(f"an image of Rank {rank} is nested {len(shape)} levels deep")
    element = ImageArrayElementTypes(number)
    array = pixels.numbers.finish(DTYPES[element], shape).reshape(shape)
    return array, ImageMetadata(1, element, element, rank, *shape)


def _is_value(key: bytes) -> bool:
    try:
        return bool(json.loads(key).lower() == "value")
    except ValueError:
        return False


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")

"""Where the bytes of an ImageBytes reply go: header, gap, pixels, each checked before the next."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

import numpy as np

from alpaca_async._errors import IncompleteImage, MalformedResponse
from alpaca_async._progress import DownloadMeter
from alpaca_async._protocol.imagebytes import HEADER_SIZE, ImageHeader, payload_error
from alpaca_async._protocol.media import IMAGEBYTES, content_length, encoding, media_type

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from alpaca_async._protocol.imagebytes import ImageMetadata
    from alpaca_async._protocol.transaction_ids import CheckTransactionId

_OK: Final = 200
MAX_ERROR_TEXT: Final = 65536

# Rows are written all over the array: its memory is all in use before much has come. Columns
# take only what is needed. Nobody but the image's header may have said how much that will be.
_UNPROMISED_LIMIT: Final = 4 << 20

Filling: TypeAlias = Generator[memoryview, int, None]
"""Yields room for the next bytes, and is sent how many of it were filled."""


class PixelBuffer(Protocol):
    """Memory for the pixels of one image, filled in the order of transmission."""

    missing: int

    @property
    def array(self) -> NDArray[Any]:
        """The pixels."""
        ...

    def get_buffer(self) -> memoryview:
        """Return room for the next bytes."""
        ...

    def received(self, count: int) -> None:
        """Take note that `count` bytes of it were filled."""
        ...


NewPixelBuffer: TypeAlias = Callable[[tuple[int, ...], np.dtype[Any]], PixelBuffer]
NewMeter: TypeAlias = Callable[[int | None], DownloadMeter]


class Columns:
    """Pixels in ASCOM's order `[x, y(, plane)]`: the bytes of the wire are the array."""

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        memory = np.empty(math.prod(shape) * dtype.itemsize, np.uint8)
        self.array: NDArray[Any] = np.frombuffer(memory, dtype).reshape(shape)
        self.missing = memory.nbytes
        self._room = memory.data

    def get_buffer(self) -> memoryview:
        """Return the next of the memory that is still empty."""
        return self._room

    def received(self, count: int) -> None:
        """Take note that `count` bytes of it were filled."""
        self.missing -= count
        self._room = self._room[count:]


class ImageSink:
    """Takes the body of an ImageBytes reply as it comes, and allocates only what was checked."""

    def __init__(
        self,
        new_pixels: NewPixelBuffer,
        max_image_bytes: int,
        new_meter: NewMeter | None = None,
        check_transaction_id: CheckTransactionId | None = None,
    ) -> None:
        self._reply = _Reply(new_pixels, max_image_bytes, new_meter, check_transaction_id)
        self._filling = _fill(self._reply)
        self._room = next(self._filling)

    def begin(self, status: int, headers: Mapping[str, str]) -> bool:
        """Whether the body is an ImageBytes payload, and shall come here."""
        if status != _OK or media_type(headers) != IMAGEBYTES or encoding(headers):
            return False
        self.expect(headers)
        return True

    def expect(self, headers: Mapping[str, str]) -> None:
        """Take note of what `headers` say of the body, before or while it comes."""
        self._reply.expected = self._reply.expected or HEADER_SIZE
        self._reply.promised = content_length(headers)

    def get_buffer(self) -> memoryview:
        """Return room for the next bytes; never empty."""
        return self._room

    def received(self, nbytes: int) -> None:
        """Take note that `nbytes` of it were filled; raise what is wrong with them."""
        self._reply.received += nbytes
        self._room = self._filling.send(nbytes)

    def write(self, chunk: bytes) -> None:
        """Copy in a piece of the body that was read elsewhere."""
        rest = memoryview(chunk)
        while rest:
            count = min(len(self._room), len(rest))
            self._room[:count] = rest[:count]
            self.received(count)
            rest = rest[count:]

    def let_go(self) -> None:
        """Give up the memory; nothing can be received any more.

        The errors of other transports are cycles in some versions of Python, and would keep it.
        """
        self._filling.close()
        self._room = memoryview(b"")
        self._reply.pixels = None

    @property
    def nbytes(self) -> int:
        """Bytes that have come."""
        return self._reply.received

    @property
    def shortage(self) -> IncompleteImage | None:
        """What is missing, if anything is."""
        received, expected = self._reply.received, self._reply.expected
        return IncompleteImage(received, expected) if received < expected else None

    @property
    def in_columns(self) -> bool:
        """Whether the pixels lie in ASCOM's order, whatever was asked for."""
        return isinstance(self._reply.pixels, Columns)

    def result(self) -> tuple[NDArray[Any], ImageMetadata]:
        """Return the complete image; raise the device's error, or what is missing."""
        if self.shortage is not None:
            raise self.shortage
        reply = self._reply
        if reply.pixels is None or reply.metadata is None:
            raise payload_error(reply.header, reply.error_text[: reply.received - HEADER_SIZE])
        if reply.meter is not None:
            reply.meter.finish(reply.metadata.nbytes)
        return reply.pixels.array, reply.metadata


class _Reply:
    """What has come of a reply. Apart from `ImageSink`, so that no cycle keeps pixels alive."""

    header: ImageHeader
    metadata: ImageMetadata | None = None
    pixels: PixelBuffer | None = None
    meter: DownloadMeter | None = None
    promised: int | None = None
    received: int = 0
    expected: int = 0
    error_text: bytearray

    def __init__(
        self,
        new_pixels: NewPixelBuffer,
        max_image_bytes: int,
        new_meter: NewMeter | None,
        check_transaction_id: CheckTransactionId | None,
    ) -> None:
        self.new_pixels = new_pixels
        self.max_image_bytes = max_image_bytes
        self.new_meter = new_meter
        self.check_transaction_id = check_transaction_id

    def check(self, metadata: ImageMetadata, expected: int) -> None:
        """Raise unless an image of `expected` bytes with its header is allowed and promised."""
        if metadata.nbytes > self.max_image_bytes:
            raise MalformedResponse(
                f"an image of {metadata.nbytes} bytes exceeds the limit of {self.max_image_bytes}"
            )
        promised = expected if self.promised is None else self.promised
        if promised < expected:
            raise IncompleteImage(promised, expected)
        if promised > expected:
            raise MalformedResponse(
                f"the image's header describes {expected} bytes, but {promised} are sent"
            )


def _fill(reply: _Reply) -> Filling:
    head = bytearray(HEADER_SIZE)
    yield from _filled(head)
    reply.header = ImageHeader.unpack(head)
    if reply.check_transaction_id is not None:
        reply.check_transaction_id(reply.header.client_transaction_id)
    if reply.header.error_number:
        reply.error_text = bytearray(MAX_ERROR_TEXT + 1)
        yield from _filled(reply.error_text)
        raise MalformedResponse(f"the error text is longer than {MAX_ERROR_TEXT} bytes")
    yield from _image(reply, reply.header.metadata(), reply.header.data_start)
    yield memoryview(bytearray(1))
    raise MalformedResponse("more bytes follow the image than its header describes")


def _image(reply: _Reply, metadata: ImageMetadata, data_start: int) -> Filling:
    reply.check(metadata, data_start + metadata.nbytes)
    reply.metadata = metadata
    reply.expected = data_start + metadata.nbytes
    yield from _filled(bytearray(data_start - HEADER_SIZE))
    reply.pixels = pixels = _allocate(reply, metadata)
    reply.meter = meter = reply.new_meter(metadata.nbytes) if reply.new_meter else None
    while pixels.missing:
        pixels.received((yield pixels.get_buffer()))
        if meter is not None:
            meter.update(metadata.nbytes - pixels.missing)


def _allocate(reply: _Reply, metadata: ImageMetadata) -> PixelBuffer:
    """Return memory that fills up as the bytes come, unless somebody vouches for its size."""
    vouched = reply.promised is not None or metadata.nbytes <= _UNPROMISED_LIMIT
    receive = reply.new_pixels if vouched else Columns
    try:
        return receive(metadata.shape, metadata.dtype)
    except (MemoryError, OverflowError, ValueError) as error:
        raise MalformedResponse(
            f"there is no memory for an image of {metadata.nbytes} bytes"
        ) from error


def _filled(memory: bytearray) -> Filling:
    room = memoryview(memory)
    while room:
        room = room[(yield room) :]

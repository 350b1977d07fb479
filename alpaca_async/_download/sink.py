"""Receives an ImageBytes reply: header, gap, pixels; each part is checked before the next."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from alpaca_async._errors import IncompleteImage, MalformedResponse
from alpaca_async._progress import DownloadMeter
from alpaca_async._protocol.conversion import Conversion
from alpaca_async._protocol.imagebytes import (
    HEADER_SIZE,
    MAX_DATA_START,
    MAX_ERROR_TEXT,
    ImageHeader,
    payload_error,
)
from alpaca_async._protocol.media import IMAGEBYTES, content_length, encoding, media_type
from alpaca_async._protocol.pixeltype import AS_SENT

from .ascomorder import AscomOrderBuffer
from .frame_memory import FrameMemory

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from alpaca_async._protocol.imagebytes import ImageMetadata
    from alpaca_async._protocol.pixeltype import PixelType
    from alpaca_async._protocol.transaction_ids import CheckTransactionId

_OK: Final = 200

# Without a Content-Length only the image's header states the size, and it may be wrong. A row-major
# array uses all of its memory early, because the first slab writes into every row. Larger images
# without a length are therefore received in ASCOM's order: that uses memory only as bytes arrive.
_MAX_ROW_MAJOR_WITHOUT_LENGTH: Final = 4 << 20

Receiver: TypeAlias = Generator[memoryview, int, None]
"""A generator that yields memory for the next bytes, and is sent how many bytes were written."""


class PixelBuffer(Protocol):
    """Memory for the pixels of one image, filled in the order of transmission.

    `missing` is the number of bytes that have not been received yet.
    """

    missing: int

    @property
    def array(self) -> NDArray[Any]:
        """The pixels."""
        ...

    def get_buffer(self) -> memoryview:
        """Return memory for the next bytes."""
        ...

    def received(self, count: int) -> None:
        """Accept the first `count` bytes of the buffer, which the caller has filled."""
        ...


NewPixelBuffer: TypeAlias = Callable[[tuple[int, ...], Conversion, FrameMemory | None], PixelBuffer]
"""Creates the buffer for the pixels of a shape; in the memory, if its size is right."""
NewMeter: TypeAlias = Callable[[int | None], DownloadMeter]


class ImageSink:
    """Receives the body of an ImageBytes reply; allocates the array after checking the header."""

    def __init__(
        self,
        new_buffer: NewPixelBuffer,
        max_image_bytes: int,
        new_meter: NewMeter | None = None,
        check_transaction_id: CheckTransactionId | None = None,
        wanted: PixelType = AS_SENT,
        memory: FrameMemory | None = None,
    ) -> None:
        self._reply = _Reply(
            new_buffer, max_image_bytes, new_meter, check_transaction_id, wanted, memory
        )
        self._receiver = _receive(self._reply)
        self._free = next(self._receiver)

    def begin(self, status: int, headers: Mapping[str, str]) -> bool:
        """Return whether the body is an ImageBytes payload that this sink accepts."""
        if status != _OK or media_type(headers) != IMAGEBYTES or encoding(headers):
            return False
        self.expect(headers)
        return True

    def expect(self, headers: Mapping[str, str]) -> None:
        """Expect a body with the length that `headers` state, if any."""
        self._reply.expected = self._reply.expected or HEADER_SIZE
        self._reply.content_length = content_length(headers)

    def get_buffer(self) -> memoryview:
        """Return memory for the next bytes; never empty."""
        return self._free

    def received(self, nbytes: int) -> None:
        """Accept the first `nbytes` of the buffer; raise `AlpacaError` if they are invalid."""
        self._reply.received += nbytes
        self._free = self._receiver.send(nbytes)

    def uncounted(self) -> int:
        """Return the bytes by which the image exceeds the Content-Length of a known faulty kind."""
        return self._reply.uncounted

    def write(self, chunk: bytes) -> None:
        """Copy a piece of the body that the transport has already read."""
        rest = memoryview(chunk)
        while rest:
            count = min(len(self._free), len(rest))
            self._free[:count] = rest[:count]
            self.received(count)
            rest = rest[count:]

    def release(self) -> None:
        """Drop all references to the array; nothing can be received any more.

        In some versions of Python the exceptions of other transports form reference cycles, which
        would keep the array alive.
        """
        self._receiver.close()
        self._free = memoryview(b"")
        self._reply.pixels = self._reply.memory = None

    @property
    def nbytes(self) -> int:
        """The number of bytes received."""
        return self._reply.received

    @property
    def truncation_error(self) -> IncompleteImage | None:
        """The error for a body that ended now; None if the body is complete."""
        received, expected = self._reply.received, self._reply.expected
        return IncompleteImage(received, expected) if received < expected else None

    @property
    def in_ascom_order(self) -> bool:
        """Whether the pixels are in ASCOM's order; possible also if another order was requested."""
        return isinstance(self._reply.pixels, AscomOrderBuffer)

    def result(self) -> tuple[NDArray[Any], ImageMetadata]:
        """Return the complete image; raise the device's error or `IncompleteImage`."""
        if self.truncation_error is not None:
            raise self.truncation_error
        reply = self._reply
        if reply.pixels is None or reply.metadata is None:
            raise payload_error(reply.header, reply.error_text[: reply.received - HEADER_SIZE])
        if reply.meter is not None:
            reply.meter.finish(reply.metadata.nbytes)
        return reply.pixels.array, reply.metadata


class _Reply:
    """The state of a reply.

    Not part of `ImageSink`: its generator would refer to it, a cycle that keeps pixels alive.
    """

    header: ImageHeader
    metadata: ImageMetadata | None = None
    pixels: PixelBuffer | None = None
    meter: DownloadMeter | None = None
    content_length: int | None = None
    received: int = 0
    expected: int = 0
    uncounted: int = 0
    error_text: bytearray

    def __init__(
        self,
        new_buffer: NewPixelBuffer,
        max_image_bytes: int,
        new_meter: NewMeter | None,
        check_transaction_id: CheckTransactionId | None,
        wanted: PixelType,
        memory: FrameMemory | None,
    ) -> None:
        self.wanted = wanted
        self.new_buffer = new_buffer
        self.max_image_bytes = max_image_bytes
        self.new_meter = new_meter
        self.check_transaction_id = check_transaction_id
        self.memory = memory

    def check(self, metadata: ImageMetadata, data_start: int, conversion: Conversion) -> None:
        """Raise unless the image is within the size limit and fits the Content-Length.

        INDIGO counts the pixels only, and sends its header as well. Its Content-Length is accepted
        where it is exactly the size of the pixels that the header describes.
        """
        in_memory = math.prod(metadata.shape) * conversion.target.itemsize
        if (nbytes := max(metadata.nbytes, in_memory)) > self.max_image_bytes:
            raise MalformedResponse(
                f"an image of {nbytes} bytes exceeds the limit of {self.max_image_bytes}"
            )
        expected = data_start + metadata.nbytes
        length = expected if self.content_length is None else self.content_length
        if length == metadata.nbytes:
            self.uncounted = data_start
        elif length < expected:
            raise IncompleteImage(length, expected)
        if length > expected:
            raise MalformedResponse(
                f"the image's header describes {expected} bytes, but {length} are sent"
            )


def _receive(reply: _Reply) -> Receiver:
    head = bytearray(HEADER_SIZE)
    yield from _fill(head)
    reply.header = ImageHeader.unpack(head)
    if reply.check_transaction_id is not None:
        reply.check_transaction_id(reply.header.client_transaction_id)
    if reply.header.error_number:
        reply.error_text = bytearray(MAX_DATA_START + MAX_ERROR_TEXT)
        yield from _fill(reply.error_text)
        raise payload_error(reply.header, reply.error_text)
    yield from _receive_image(reply, reply.header.metadata(), reply.header.data_start)
    yield memoryview(bytearray(1))
    raise MalformedResponse("more bytes follow the image than its header describes")


def _receive_image(reply: _Reply, metadata: ImageMetadata, data_start: int) -> Receiver:
    conversion = Conversion(metadata.dtype, reply.wanted)
    reply.check(metadata, data_start, conversion)
    reply.metadata = metadata
    reply.expected = data_start + metadata.nbytes
    yield from _fill(bytearray(data_start - HEADER_SIZE))
    reply.pixels = pixels = _allocate(reply, metadata, conversion)
    reply.meter = meter = reply.new_meter(metadata.nbytes) if reply.new_meter else None
    while pixels.missing:
        pixels.received((yield pixels.get_buffer()))
        if meter is not None:
            meter.update(metadata.nbytes - pixels.missing)


def _allocate(reply: _Reply, metadata: ImageMetadata, conversion: Conversion) -> PixelBuffer:
    """Return the requested buffer; one in ASCOM's order if only the header states a large size."""
    small = metadata.nbytes <= _MAX_ROW_MAJOR_WITHOUT_LENGTH
    size_confirmed = reply.content_length is not None
    new_buffer = reply.new_buffer if small or size_confirmed else AscomOrderBuffer
    try:
        return new_buffer(metadata.shape, conversion, reply.memory)
    except (MemoryError, OverflowError, ValueError) as error:
        raise MalformedResponse(
            f"not enough memory for an image of {metadata.nbytes} bytes"
        ) from error


def _fill(memory: bytearray) -> Receiver:
    free = memoryview(memory)
    while free:
        free = free[(yield free) :]

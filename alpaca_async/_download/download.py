"""Downloads an image into an array, with size limit, cancellation and progress."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import numpy as np
from anyio import to_thread
from numpy.typing import NDArray

from alpaca_async._errors import (
    IncompleteImage,
    MalformedResponse,
    TransportError,
    TransportTimeout,
)
from alpaca_async._progress import DownloadMeter, ProgressFailed
from alpaca_async._protocol.imagejson import ImageJsonParser
from alpaca_async._protocol.media import IMAGEBYTES, JSON, content_length, encoding, media_type
from alpaca_async._session.error_mapping import member_of
from alpaca_async._session.stall import StallGuard

from .ascomorder import AscomOrderBuffer
from .delivery import Delivery
from .rowmajor import RowMajorBuffer, row_major_shape, transpose_blocked
from .sink import ImageSink, NewPixelBuffer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from alpaca_async._progress import ProgressCallback
    from alpaca_async._protocol.imagebytes import ImageMetadata
    from alpaca_async._protocol.pixeltype import PixelType
    from alpaca_async._protocol.transaction_ids import CheckTransactionId
    from alpaca_async._session.sending import Response
    from alpaca_async._session.session import Session

    from .frame_memory import FrameMemory
    from .sink import NewMeter

Pixels: TypeAlias = NDArray[Any]
Reorder: TypeAlias = Callable[[Pixels], Awaitable[Pixels]]

# Bytes of JSON text that are passed to a thread together.
_JSON_PIECE: Final = 128 * 1024
_JSON_START: Final = b"{"
_UNTYPED: Final = "sends images without a Content-Type, which are treated as {}"
_UNCOUNTED: Final = "states a Content-Length that counts only the pixels of its images"


@dataclass(frozen=True, slots=True)
class Layout:
    """The order of pixels in memory.

    `new_buffer` receives ImageBytes in that order. `reorder` converts an array that was received
    in ASCOM's order.
    """

    new_buffer: NewPixelBuffer
    reorder: Reorder


class Downloaded(NamedTuple):
    """The pixels of one reply, their metadata, and the times and memory of the download."""

    array: Pixels
    metadata: ImageMetadata
    delivery: Delivery
    received_nbytes: int | None
    """The size of the array into which the pixels were received; None for JSON."""


async def download(
    session: Session,
    server: str,
    path: str,
    layout: Layout,
    wanted: PixelType,
    progress: ProgressCallback | None = None,
    memory: FrameMemory | None = None,
) -> Downloaded:
    """Return the image at `path` in `layout`, in the dtype that is `wanted`.

    The pixels are in `memory` if that has the right size.

    Raises:
        AscomError: the device reported an error, for example that there is no image.
        IncompleteImage: the connection broke or was closed before the last pixel.
        MalformedResponse: the reply is not one image, or exceeds `max_image_bytes`.
        PixelTypeError: a pixel does not fit into the dtype.
    """
    number = session.next_number()
    body = _ImageBody(session, server, number, layout, wanted, progress, memory)
    del memory  # the body passes it on, or drops it
    limits = session.timeouts
    stall = StallGuard(limits.stall, limits.first_byte_limit, lambda: body.nbytes)
    receive = partial(body.receive, stall=stall)
    requested = time.perf_counter()
    try:
        began, array, metadata, in_ascom_order = await session.receive_image(
            server, path, body.sink, number, stall, receive
        )
        if in_ascom_order:
            array = await layout.reorder(array)
    except ProgressFailed as failure:
        raise failure.error from None
    except MemoryError as error:
        raise MalformedResponse("not enough memory for the image").at(
            server, member_of(path)
        ) from error
    except TransportTimeout:
        raise
    except TransportError as error:
        # Not assigned to a variable: the error would form a cycle with its traceback.
        if body.truncation_error is not None:
            raise body.truncation_error.at(error.server, error.member) from error
        raise
    finally:
        body.sink.release()
    transfer = time.perf_counter() - began
    delivery = Delivery(began - requested, transfer, metadata.nbytes)
    return Downloaded(array, metadata, delivery, array.nbytes if body.sink.nbytes else None)


class _Received(NamedTuple):
    """The time when the reply's head arrived, and the image, in ASCOM's or the layout's order."""

    began: float
    array: Pixels
    metadata: ImageMetadata
    in_ascom_order: bool


class _ImageBody:
    """The body of one reply, an image as ImageBytes or as JSON."""

    def __init__(
        self,
        session: Session,
        server: str,
        number: int,
        layout: Layout,
        wanted: PixelType,
        progress: ProgressCallback | None,
        memory: FrameMemory | None,
    ) -> None:
        new_meter = partial(DownloadMeter, progress) if progress else None
        check_id = partial(session.check_transaction_id, server, number)
        limit = session.max_image_bytes
        self.sink = ImageSink(layout.new_buffer, limit, new_meter, check_id, wanted, memory)
        self._json = _JsonImage(limit, new_meter, check_id, wanted)
        self._warn = partial(session.warn_once, server)

    @property
    def nbytes(self) -> int:
        """The number of bytes received."""
        return self.sink.nbytes + self._json.nbytes

    @property
    def truncation_error(self) -> IncompleteImage | None:
        """The error to raise if the body ends here; None if it is complete or has not begun."""
        return self.sink.truncation_error or self._json.truncation_error

    async def receive(self, response: Response, *, stall: StallGuard) -> _Received:
        """Return the image; raise as `download` does."""
        began = time.perf_counter()
        chunks = response.stream
        kind, first = await self._media_type(response, chunks)
        if kind == IMAGEBYTES:
            self.sink.expect(response.headers)
            await _copy_chunks(self.sink, first, chunks)
            if self.sink.uncounted():
                self._warn(_UNCOUNTED)
            return _Received(began, *self.sink.result(), self.sink.in_ascom_order)
        self._json.expect(response.headers)
        return _Received(began, *await self._json.read(first, chunks, stall), in_ascom_order=True)

    async def _media_type(
        self, response: Response, chunks: AsyncIterator[bytes]
    ) -> tuple[str, bytes]:
        """Return the media type of the reply, and the part of the body read to detect it."""
        if coding := encoding(response.headers):
            raise MalformedResponse(f"the image is compressed ({coding}), which was not asked for")
        kind = media_type(response.headers)
        first = b""
        if not kind:
            first = await anext(chunks, b"")
            kind = JSON if first.lstrip().startswith(_JSON_START) else IMAGEBYTES
            self._warn(_UNTYPED.format(kind))
        if kind not in (IMAGEBYTES, JSON):
            raise MalformedResponse(f"the media type {kind} is neither {IMAGEBYTES} nor {JSON}")
        return kind, first


async def _copy_chunks(sink: ImageSink, first: bytes, chunks: AsyncIterator[bytes]) -> None:
    """Copy the body, which is `first` and then `chunks`, into `sink`.

    Some transports write the body into `sink` themselves. Then `first` is empty. `chunks` yields
    nothing, and ends when the body is complete.
    """
    sink.write(first)
    async for chunk in chunks:
        sink.write(chunk)


class _JsonImage:
    """A JSON image, parsed in a worker thread in pieces of about `_JSON_PIECE` bytes."""

    def __init__(
        self,
        max_image_bytes: int,
        new_meter: NewMeter | None,
        check_transaction_id: CheckTransactionId,
        wanted: PixelType,
    ) -> None:
        self.nbytes = 0
        self._parser = ImageJsonParser(
            max_image_bytes=max_image_bytes,
            check_transaction_id=check_transaction_id,
            wanted=wanted,
        )
        self._new_meter = new_meter
        self._meter: DownloadMeter | None = None
        self._started = False
        self._content_length: int | None = None

    def expect(self, headers: Mapping[str, str]) -> None:
        """Expect a body with the length that `headers` state, if any."""
        self._started = True
        self._content_length = content_length(headers)
        self._meter = self._new_meter(None) if self._new_meter else None

    @property
    def truncation_error(self) -> IncompleteImage | None:
        """The error to raise if the body ends here; None if no body has begun."""
        return IncompleteImage(self.nbytes, self._content_length) if self._started else None

    async def read(
        self, first: bytes, chunks: AsyncIterator[bytes], stall: StallGuard
    ) -> tuple[Pixels, ImageMetadata]:
        """Read and parse `first` and `chunks`; return the image."""
        piece = bytearray(first)
        self.nbytes = len(first)
        async for chunk in chunks:
            piece += chunk
            self.nbytes += len(chunk)
            if len(piece) >= _JSON_PIECE:
                await self._parse(bytes(piece), stall)
                piece.clear()
        await self._parse(bytes(piece), stall)
        if self._meter is not None:
            self._meter.finish(self.nbytes)
        stall.paused = True  # the body is complete
        return await to_thread.run_sync(self._parser.close)

    async def _parse(self, piece: bytes, stall: StallGuard) -> None:
        stall.paused = True
        await to_thread.run_sync(self._parser.feed, piece)
        stall.paused = False
        if self._meter is not None:
            self._meter.update(self.nbytes)


async def _row_major(array: Pixels) -> Pixels:
    """Copy `array` in worker threads, slab by slab; cancellation waits for the current slab."""
    target = np.empty(row_major_shape(array.shape), array.dtype)
    blocks = transpose_blocked(array, target)
    while await to_thread.run_sync(_next_step, blocks):
        pass
    return target


def _next_step(blocks: Iterator[None]) -> bool:
    return next(blocks, blocks) is None


async def _unchanged(array: Pixels) -> Pixels:
    return array


ASCOM_ORDER: Final = Layout(AscomOrderBuffer, _unchanged)
"""ASCOM's order `[x, y(, plane)]`; the body is received directly into the array."""

ROW_MAJOR: Final = Layout(RowMajorBuffer, _row_major)
"""Row-major order `[y, x(, plane)]`, C-contiguous."""

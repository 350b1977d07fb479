"""One image reply -> one array: bounded, cancellable, with progress."""

from __future__ import annotations

import logging
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
from alpaca_async._session.session import stream_of
from alpaca_async._session.stall import StallGuard

from .delivery import Delivery
from .rowmajor import ColumnSlabs, row_major_shape, transpose_blocked
from .sink import Columns, ImageSink, NewPixelBuffer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    import httpx

    from alpaca_async._progress import ProgressCallback
    from alpaca_async._protocol.imagebytes import ImageMetadata
    from alpaca_async._protocol.transaction_ids import CheckTransactionId
    from alpaca_async._session.session import Session

    from .sink import NewMeter

Pixels: TypeAlias = NDArray[Any]
Arrange: TypeAlias = Callable[[Pixels], Awaitable[Pixels]]

_JSON_PIECE: Final = 128 * 1024
_OPENING_OF_JSON: Final = b"{"

logger = logging.getLogger("alpaca_async")


@dataclass(frozen=True, slots=True)
class Layout:
    """How pixels lie in memory: received so, or brought there from ASCOM's order."""

    receive: NewPixelBuffer
    arrange: Arrange


class Downloaded(NamedTuple):
    """The pixels of one reply, what its header said, and how they came."""

    array: Pixels
    metadata: ImageMetadata
    delivery: Delivery


async def download(
    session: Session,
    server: str,
    path: str,
    layout: Layout,
    progress: ProgressCallback | None = None,
) -> Downloaded:
    """Return the image at `path` in `layout`.

    Raises:
        AscomError: the device has no image, or another reason not to give it.
        IncompleteImage: the connection broke, or was closed, before the last pixel.
        MalformedResponse: what came is not one image, or a larger one than the session allows.
    """
    new_meter = partial(DownloadMeter, progress) if progress else None
    number = session.next_number()
    check_transaction_id = partial(session.check_transaction_id, server, number)
    sink = ImageSink(layout.receive, session.max_image_bytes, new_meter, check_transaction_id)
    text = _Text(session.max_image_bytes, new_meter, check_transaction_id)
    stall = StallGuard(session.timeouts.stall, lambda: sink.nbytes + text.nbytes)
    asked = time.perf_counter()
    receive = partial(_receive, sink=sink, text=text, stall=stall)
    try:
        begun, array, metadata, in_columns = await session.receive_image(
            server, path, sink, number, stall, receive
        )
        if in_columns:
            array = await layout.arrange(array)
    except ProgressFailed as failure:
        raise failure.error from None
    except MemoryError as error:
        raise MalformedResponse("there is no memory for the image").at(
            server, member_of(path)
        ) from error
    except TransportTimeout:
        raise
    except TransportError as error:
        for body in (sink, text):
            if body.shortage is not None:
                raise body.shortage.at(error.server, error.member) from error
        raise
    finally:
        sink.let_go()
    transfer = time.perf_counter() - begun
    return Downloaded(array, metadata, Delivery(begun - asked, transfer, metadata.nbytes))


class _Received(NamedTuple):
    """When the head had come, and an image, in ASCOM's order or in that of the layout."""

    begun: float
    array: Pixels
    metadata: ImageMetadata
    in_columns: bool


async def _receive(
    response: httpx.Response, *, sink: ImageSink, text: _Text, stall: StallGuard
) -> _Received:
    begun = time.perf_counter()
    chunks = stream_of(response)
    kind, first = await _kind(response, chunks)
    if kind == IMAGEBYTES:
        sink.expect(response.headers)
        await _fill(sink, first, chunks)
        return _Received(begun, *sink.result(), sink.in_columns)
    text.expect(response.headers)
    return _Received(begun, *await text.read(first, chunks, stall), in_columns=True)


async def _kind(response: httpx.Response, chunks: AsyncIterator[bytes]) -> tuple[str, bytes]:
    """Return the media type of the reply, and what had to be read of the body to know it."""
    if coding := encoding(response.headers):
        raise MalformedResponse(f"the image is compressed ({coding}), which was not asked for")
    kind = media_type(response.headers)
    first = b""
    if not kind:
        first = await anext(chunks, b"")
        kind = JSON if first.lstrip().startswith(_OPENING_OF_JSON) else IMAGEBYTES
        logger.warning("an image without a media type was taken for %s", kind)
    if kind not in (IMAGEBYTES, JSON):
        raise MalformedResponse(f"the media type {kind} is neither {IMAGEBYTES} nor {JSON}")
    return kind, first


async def _fill(sink: ImageSink, first: bytes, chunks: AsyncIterator[bytes]) -> None:
    """Fill `sink`; a transport that knows sinks has done so when `chunks` end, without any."""
    sink.write(first)
    async for chunk in chunks:
        sink.write(chunk)


class _Text:
    """A JSON image, parsed off the loop in pieces that are worth a trip to a thread."""

    def __init__(
        self,
        max_image_bytes: int,
        new_meter: NewMeter | None,
        check_transaction_id: CheckTransactionId,
    ) -> None:
        self.nbytes = 0
        self._parser = ImageJsonParser(
            max_image_bytes=max_image_bytes, check_transaction_id=check_transaction_id
        )
        self._new_meter = new_meter
        self._meter: DownloadMeter | None = None
        self._begun = False
        self._promised: int | None = None

    def expect(self, headers: Mapping[str, str]) -> None:
        """Take note of what `headers` say of the body."""
        self._begun = True
        self._promised = content_length(headers)
        self._meter = self._new_meter(None) if self._new_meter else None

    @property
    def shortage(self) -> IncompleteImage | None:
        """What is missing of a text that has begun and was broken off."""
        return IncompleteImage(self.nbytes, self._promised) if self._begun else None

    async def read(
        self, first: bytes, chunks: AsyncIterator[bytes], stall: StallGuard
    ) -> tuple[Pixels, ImageMetadata]:
        """Return the image."""
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
        stall.busy = True  # all has come; the rest is ours
        return await to_thread.run_sync(self._parser.close)

    async def _parse(self, piece: bytes, stall: StallGuard) -> None:
        stall.busy = True
        await to_thread.run_sync(self._parser.feed, piece)
        stall.busy = False
        if self._meter is not None:
            self._meter.update(self.nbytes)


async def _row_major(array: Pixels) -> Pixels:
    """Copy `array` off the loop, in blocks; a cancelled caller waits for one of them."""
    target = np.empty(row_major_shape(array.shape), array.dtype)
    blocks = transpose_blocked(array, target)
    while await to_thread.run_sync(_advance, blocks):
        pass
    return target


def _advance(blocks: Iterator[None]) -> bool:
    return next(blocks, blocks) is None


async def _unchanged(array: Pixels) -> Pixels:
    return array


COLUMNS: Final = Layout(Columns, _unchanged)
"""ASCOM's order `[x, y(, plane)]`: the bytes of the wire are the memory of the array."""

ROWS: Final = Layout(ColumnSlabs, _row_major)
"""Rows first, `[y, x(, plane)]`, C-contiguous."""

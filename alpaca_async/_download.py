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

from ._delivery import Delivery
from ._errors import MalformedResponse, TransportError, TransportTimeout
from ._imagejson import ImageJsonParser
from ._progress import DownloadMeter, ProgressFailed
from ._rowmajor import ColumnSlabs, row_major_shape, transpose_blocked
from ._session import stream_of
from ._sink import IMAGEBYTES, Columns, ImageSink, NewPixelBuffer, encoding, media_type

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    import httpx

    from ._imagebytes import ImageMetadata
    from ._progress import ProgressCallback
    from ._session import Session

Pixels: TypeAlias = NDArray[Any]
Arrange: TypeAlias = Callable[[Pixels], Awaitable[Pixels]]

_JSON: Final = "application/json"
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
    check_echo = partial(session.check_echo, server, number)
    sink = ImageSink(layout.receive, session.max_image_bytes, new_meter, check_echo)
    arrange: Arrange = _unchanged
    asked = time.perf_counter()
    try:
        async with session.stream_image(server, path, sink, number) as response:
            begun = time.perf_counter()
            chunks = stream_of(response)
            kind, first = await _kind(response, chunks)
            if kind == IMAGEBYTES:
                sink.expect(response.headers)
                await _fill(sink, first, chunks)
                array, metadata = sink.result()
            else:
                limit = session.max_image_bytes
                parser = ImageJsonParser(max_image_bytes=limit, check_echo=check_echo)
                meter = new_meter(None) if new_meter else None
                array, metadata = await _parse(parser, meter, first, chunks)
                arrange = layout.arrange
    except ProgressFailed as failure:
        raise failure.error from None
    except TransportTimeout:
        raise
    except TransportError as error:
        if sink.shortage is None:
            raise
        raise sink.shortage.at(error.server, error.member) from error
    array = await arrange(array)
    transfer = time.perf_counter() - begun
    return Downloaded(array, metadata, Delivery(begun - asked, transfer, metadata.nbytes))


async def _kind(response: httpx.Response, chunks: AsyncIterator[bytes]) -> tuple[str, bytes]:
    """Return the media type of the reply, and what had to be read of the body to know it."""
    if coding := encoding(response.headers):
        raise MalformedResponse(f"the image is compressed ({coding}), which was not asked for")
    kind = media_type(response.headers)
    first = b""
    if not kind:
        first = await anext(chunks, b"")
        kind = _JSON if first.lstrip().startswith(_OPENING_OF_JSON) else IMAGEBYTES
        logger.warning("an image without a media type was taken for %s", kind)
    if kind not in (IMAGEBYTES, _JSON):
        raise MalformedResponse(f"the media type {kind} is neither {IMAGEBYTES} nor {_JSON}")
    return kind, first


async def _fill(sink: ImageSink, first: bytes, chunks: AsyncIterator[bytes]) -> None:
    """Fill `sink`; a transport that knows sinks has done so when `chunks` end, without any."""
    sink.write(first)
    async for chunk in chunks:
        sink.write(chunk)


async def _parse(
    parser: ImageJsonParser,
    meter: DownloadMeter | None,
    first: bytes,
    chunks: AsyncIterator[bytes],
) -> tuple[Pixels, ImageMetadata]:
    """Parse a JSON image off the loop, in pieces that are worth a trip to a thread."""
    piece = bytearray(first)
    received = 0
    async for chunk in chunks:
        piece += chunk
        if len(piece) >= _JSON_PIECE:
            await to_thread.run_sync(parser.feed, bytes(piece))
            received += len(piece)
            piece.clear()
            if meter is not None:
                meter.update(received)
    await to_thread.run_sync(parser.feed, bytes(piece))
    if meter is not None:
        meter.finish(received + len(piece))
    return await to_thread.run_sync(parser.close)


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

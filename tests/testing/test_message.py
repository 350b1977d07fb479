from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from alpaca_async.testing._message import (
    NO_REQUEST,
    BrokenMessage,
    Reply,
    make_reply,
    read_reply,
    read_request,
    relay_reply,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from typing import Any


class Out:
    """Stands for a stream writer; collects what is written."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> None:
        self.data += data

    async def drain(self) -> None:
        await asyncio.sleep(0)


def writer_to(out: Out) -> asyncio.StreamWriter:
    return cast("asyncio.StreamWriter", out)


feeding: set[asyncio.Task[None]] = set()


async def fed(data: bytes, cuts: Sequence[int]) -> asyncio.StreamReader:
    """Return a reader that receives `data` in pieces."""
    feeding.clear()
    reader = asyncio.StreamReader(limit=1 << 16)

    async def feed() -> None:
        start = 0
        for cut in sorted({*cuts, len(data)}):
            reader.feed_data(data[start:cut])
            start = cut
            await asyncio.sleep(0)
        reader.feed_eof()

    feeding.add(asyncio.create_task(feed()))
    return reader


def framed(body: bytes, sizes: Sequence[int] | None) -> bytes:
    """Return a reply with Content-Length, or with chunks of these sizes."""
    if sizes is None:
        return make_reply("200 OK", body).wire
    chunks = b""
    for size in (*sizes, len(body)):
        chunk, body = body[:size], body[size:]
        chunks += b"%x;a=b\r\n%s\r\n" % (len(chunk), chunk) if chunk else b""
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\nX: y\r\n\r\n"


BODIES = st.binary(max_size=200)
SIZES = st.none() | st.lists(st.integers(1, 50), max_size=5)
CUTS = st.lists(st.integers(0, 300), max_size=5)


@settings(max_examples=50)
@given(body=BODIES, sizes=SIZES, cuts=CUTS)
def test_a_reply_in_any_pieces_is_forwarded_and_parsed(
    body: bytes, sizes: list[int] | None, cuts: list[int]
) -> None:
    wire, out = framed(body, sizes), Out()

    async def both() -> Reply:
        assert await relay_reply(NO_REQUEST, await fed(wire, cuts), writer_to(out))
        return await read_reply(NO_REQUEST, await fed(wire, cuts))

    assert asyncio.run(both()).body == body
    assert out.data == wire


def tolerant(run: Callable[[], Coroutine[Any, Any, object]]) -> object:
    try:
        return asyncio.run(run())
    except (BrokenMessage, asyncio.IncompleteReadError) as error:
        return error


PARTS = st.sampled_from(
    [
        b"GET /api/v1/camera/0/gain?a=b HTTP/1.1",
        b"PUT //[ HTTP/1.1",
        b"HTTP/1.1 200 OK",
        b"HTTP/1.1 100 Continue",
        b"Content-Length: 5",
        b"Content-Length: -5",
        b"Content-Length: " + b"9" * 5000,
        b"Transfer-Encoding: chunked",
        b"5\r\nabcde",
        b"-5",
        b"1_0",
        b"0",
        b"\r\n",
        b"\n",
        b"",
    ]
)
JUNK = st.lists(PARTS | st.binary(max_size=10), max_size=12).map(b"\r\n".join)


@settings(max_examples=50)
@given(junk=JUNK)
@example(b"PUT //[ HTTP/1.1\r\n\r\n")
@example(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nabc")
@example(b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n")
def test_random_bytes_raise_at_most_broken_message(junk: bytes) -> None:
    async def ask() -> object:
        return await read_request(await fed(junk, ()), writer_to(Out()))

    async def reply() -> object:
        return await read_reply(NO_REQUEST, await fed(junk, ()))

    tolerant(ask)
    tolerant(reply)


@pytest.mark.parametrize("size", ["-5", "0x5", "1_0", "", "+5", "5 5"])
async def test_an_invalid_chunk_size_raises(size: str) -> None:
    wire = (
        f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{size}\r\nabcdefghijk\r\n0\r\n\r\n"
    )
    with pytest.raises(BrokenMessage, match="the size of a chunk"):
        await read_reply(NO_REQUEST, await fed(wire.encode(), ()))

"""Servers that stall, trickle or are slow."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from alpaca_async import Timeouts, TransportTimeout
from tests.http.support import serving
from tests.http.test_transport import full_backlog
from tests.scripted import Request, value
from tests.virtual_time import in_virtual_time

from .catalogue import (
    ABORTED,
    COMMANDED,
    GAIN,
    HAS_IMAGE,
    IMAGE,
    NOT_REACHED,
    PAYLOAD,
    SUCCESS,
    THE_IMAGE,
    UNKNOWN,
    UNTOUCHED,
    Bench,
    Fault,
    Outcome,
    Raises,
    command,
    expose,
    image,
    read,
    text,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from alpaca_async import AsyncCamera
    from tests.scripted import Reply

SHORT = {"timeouts": Timeouts(establish=0.15, reply=0.1, long=0.1, stall=0.15, first_byte=0.15)}
DRIP = 0.03


async def silence(_: Request) -> bytes:
    await asyncio.sleep(9)
    return b""


def then_stall(start: bytes) -> Reply:
    async def pieces(_: Request) -> AsyncIterator[bytes]:
        yield start
        await asyncio.sleep(9)

    return pieces


def drip(start: bytes, drops: bytes, size: int = 1) -> Reply:
    async def pieces(_: Request) -> AsyncIterator[bytes]:
        yield start
        for place in range(0, len(drops), size):
            await asyncio.sleep(DRIP)
            yield drops[place : place + size]

    return pieces


def delayed(reply: bytes, seconds: float) -> Reply:
    async def after_a_while(_: Request) -> bytes:
        await asyncio.sleep(seconds)
        return reply

    return after_a_while


def timed_out(says: str) -> Raises:
    return Raises(TransportTimeout, says)


def value_fault(cause: str, reply: Reply) -> Fault:
    return Fault("time", cause, NO_REPLY, UNTOUCHED, first={"gain": reply}, options=SHORT)


def image_fault(cause: str, reply: Reply, outcome: Outcome, seen: str = "") -> Fault:
    first = {"imagearray": reply}
    return Fault("time", cause, outcome, HAS_IMAGE, image, first, seen=seen, options=SHORT)


@asynccontextmanager
async def busy(_: Fault) -> AsyncGenerator[Bench]:
    """Yield the address of a host that accepts no more connections."""
    with full_backlog() as port:
        yield Bench(f"127.0.0.1:{port}")


@asynccontextmanager
async def hanging_handshake(_: Fault) -> AsyncGenerator[Bench]:
    """Run a server that accepts connections, but never starts TLS."""
    async with serving(lambda peer: peer.wait_closed()) as server:
        yield Bench(server.url.replace("http", "https"))


async def command_while_images_load(camera: AsyncCamera) -> None:
    """Send a command while an image download uses the only connection."""
    holder = asyncio.ensure_future(camera.get_image_array())
    await asyncio.sleep(DRIP)
    try:
        await camera.set_gain(5)
    finally:
        holder.cancel()
        await asyncio.wait([holder])


def chunks(start: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/imagebytes\r\n"
    return head + b"Transfer-Encoding: chunked\r\n\r\n" + start


TRICKLE = timed_out("more slowly than 256 bytes a second")
NO_REPLY = timed_out("no complete reply in time: 0.1 s (Timeouts.reply)")
NOT_BEGUN = timed_out("no byte of the image came in time: 0.15 s (Timeouts.first_byte)")
SILENT = timed_out("the server sent no data in time: 0.15 s (Timeouts.stall)")
HEADERS = b"X-More: and more\r\n" * 99
TEXT = text(b'{"Type":2,"Rank":2,"Value":[[' + b"1," * 900 + b"1]]}")
ONE_CONNECTION = {"timeouts": Timeouts(reply=0.08), "connections_per_server": 1}

FAULTS = [
    Fault(
        "time",
        "a host that accepts no connections",
        timed_out("no connection within"),
        NOT_REACHED,
        command,
        serve=busy,
        options=SHORT,
    ),
    Fault(
        "time",
        "a TLS handshake that hangs",
        timed_out("no connection within"),
        NOT_REACHED,
        command,
        serve=hanging_handshake,
        options=SHORT,
    ),
    Fault(
        "time",
        "no reply to a read",
        NO_REPLY,
        UNTOUCHED,
        read,
        {"gain": silence},
        options=SHORT,
    ),
    Fault(
        "time",
        "no reply to a command",
        timed_out("may have executed"),
        UNKNOWN,
        command,
        {"gain": silence},
        options=SHORT,
    ),
    Fault(
        "time",
        "no reply to StartExposure",
        timed_out("may have executed"),
        ABORTED,
        expose,
        {"startexposure": silence},
        options=SHORT,
    ),
    image_fault("no reply to the request for an image", silence, NOT_BEGUN, "INDIGO"),
    value_fault("a head that never ends", drip(b"HTTP/1.1 200 OK\r\n", HEADERS)),
    value_fault("a value that arrives byte by byte", drip(GAIN[:-60], GAIN[-60:])),
    value_fault(
        "a value that consists of endless spaces",
        drip(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b" " * 99),
    ),
    Fault(
        "time",
        "a value that stalls halfway",
        timed_out(""),
        UNTOUCHED,
        read,
        {"gain": then_stall(GAIN[:-5])},
        options=SHORT,
    ),
    image_fault(
        "an image with a head that never ends", drip(b"HTTP/1.1 200 OK\r\n", HEADERS), NOT_BEGUN
    ),
    image_fault(
        "an image whose pixels arrive byte by byte", drip(IMAGE[:-40], IMAGE[-40:]), TRICKLE
    ),
    image_fault(
        "an image in JSON that arrives byte by byte", drip(TEXT[:300], TEXT[300:]), TRICKLE
    ),
    image_fault("a chunk size that never ends", drip(chunks(b""), b"0" * 99), NOT_BEGUN),
    image_fault(
        "a last chunk that never arrives", then_stall(chunks(b"56\r\n" + PAYLOAD + b"\r\n")), SILENT
    ),
    Fault(
        "time",
        "an image that begins long after its request",
        THE_IMAGE,
        HAS_IMAGE,
        image,
        {"imagearray": delayed(IMAGE, 0.3)},
        seen="INDIGO, drivers that convert a whole image first",
        options={"timeouts": Timeouts(stall=0.1)},
    ),
    image_fault("an image that stalls halfway", then_stall(IMAGE[:-20]), SILENT),
    image_fault("an image in JSON that stalls halfway", then_stall(TEXT[:-20]), SILENT),
    image_fault(
        "an error text that arrives byte by byte",
        drip(b"HTTP/1.1 500 Oops\r\nContent-Length: 99\r\n\r\n", b"x" * 99),
        timed_out(""),
    ),
    Fault(
        "time",
        "an image that arrives slowly but steadily",
        THE_IMAGE,
        HAS_IMAGE,
        image,
        {"imagearray": drip(IMAGE[:20], IMAGE[20:], 20)},
        seen="INDIGO",
        options={"timeouts": Timeouts(reply=0.01, long=0.01)},
    ),
    Fault(
        "time",
        "a command while an image download uses the only connection",
        timed_out("all connections to this server stayed in use"),
        UNTOUCHED,
        command_while_images_load,
        {"imagearray": silence},
        options=ONE_CONNECTION,
    ),
    Fault(
        "time",
        "a reply that arrives after its timeout, before the next reply",
        NO_REPLY,
        UNTOUCHED,
        read,
        {"gain": delayed(value(4), 0.12)},
        options=SHORT,
    ),
    Fault(
        "time",
        "a driver that answers a command slowly, but before the timeout",
        SUCCESS,
        COMMANDED,
        command,
        {"gain": delayed(value(None), 0.1)},
    ),
]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
@in_virtual_time
async def test_time(
    fault: Fault, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fault.check(caplog, monkeypatch)

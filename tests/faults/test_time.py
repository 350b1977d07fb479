"""Servers that are silent, slow, or alive for the look of it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from alpaca_async import Timeouts, TransportTimeout
from tests.http.support import serving
from tests.http.test_transport import full_backlog
from tests.scripted import Request, value

from .catalogue import (
    ABORTED,
    COMMANDED,
    GAIN,
    HAS_IMAGE,
    IMAGE,
    NOT_REACHED,
    NOTHING,
    PAYLOAD,
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

SHORT = {"timeouts": Timeouts(establish=0.15, reply=0.1, long=0.1, stall=0.15)}
DRIP = 0.03


async def silence(_: Request) -> bytes:
    await asyncio.sleep(9)
    return b""


def then_silence(start: bytes) -> Reply:
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


def late(reply: bytes, seconds: float) -> Reply:
    async def after_a_while(_: Request) -> bytes:
        await asyncio.sleep(seconds)
        return reply

    return after_a_while


def timed_out(says: str) -> Raises:
    return Raises(TransportTimeout, says)


def misread(cause: str, reply: Reply) -> Fault:
    gets = timed_out("no complete reply in time")
    return Fault("time", cause, gets, UNTOUCHED, first={"gain": reply}, options=SHORT)


def unread(cause: str, reply: Reply, gets: Outcome, seen: str = "") -> Fault:
    first = {"imagearray": reply}
    return Fault("time", cause, gets, HAS_IMAGE, image, first, seen=seen, options=SHORT)


@asynccontextmanager
async def busy(_: Fault) -> AsyncGenerator[Bench]:
    """A host that takes no more connections."""
    with full_backlog() as port:
        yield Bench(f"127.0.0.1:{port}")


@asynccontextmanager
async def hung_handshake(_: Fault) -> AsyncGenerator[Bench]:
    """A server that takes connections, and never speaks TLS."""
    async with serving(lambda peer: peer.wait_closed()) as server:
        yield Bench(server.url.replace("http", "https"))


async def command_in_a_crowd(camera: AsyncCamera) -> None:
    """Send a command while images hold the only connection."""
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
SILENT = timed_out("the server sent no data in time")
HEADERS = b"X-More: and more\r\n" * 99
TEXT = text(b'{"Type":2,"Rank":2,"Value":[[' + b"1," * 900 + b"1]]}")
PLAIN = {"timeouts": Timeouts(reply=0.08), "connections_per_server": 1}

FAULTS = [
    Fault(
        "time",
        "a host that takes no connection",
        timed_out("no connection within"),
        NOT_REACHED,
        command,
        world=busy,
        options=SHORT,
    ),
    Fault(
        "time",
        "a TLS handshake that hangs",
        timed_out("no connection within"),
        NOT_REACHED,
        command,
        world=hung_handshake,
        options=SHORT,
    ),
    Fault(
        "time",
        "a server that accepts a read and says nothing",
        SILENT,
        UNTOUCHED,
        read,
        {"gain": silence},
        options=SHORT,
    ),
    Fault(
        "time",
        "a server that accepts a command and says nothing",
        timed_out("may have executed"),
        UNKNOWN,
        command,
        {"gain": silence},
        options=SHORT,
    ),
    Fault(
        "time",
        "a server that accepts StartExposure and says nothing",
        timed_out("may have executed"),
        ABORTED,
        expose,
        {"startexposure": silence},
        options=SHORT,
    ),
    unread(
        "a server that accepts the request for an image and says nothing", silence, SILENT, "INDIGO"
    ),
    misread("a head that never ends", drip(b"HTTP/1.1 200 OK\r\n", HEADERS)),
    misread("a value that comes byte by byte", drip(GAIN[:-60], GAIN[-60:])),
    misread(
        "spaces without end for a value",
        drip(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b" " * 99),
    ),
    Fault(
        "time",
        "half of a value, then nothing",
        timed_out(""),
        UNTOUCHED,
        read,
        {"gain": then_silence(GAIN[:-5])},
        options=SHORT,
    ),
    unread("an image whose head never ends", drip(b"HTTP/1.1 200 OK\r\n", HEADERS), TRICKLE),
    unread("an image whose pixels come byte by byte", drip(IMAGE[:-40], IMAGE[-40:]), TRICKLE),
    unread("an image in JSON that comes byte by byte", drip(TEXT[:300], TEXT[300:]), TRICKLE),
    unread("a chunk size that never ends", drip(chunks(b""), b"0" * 99), TRICKLE),
    unread("a chunk that never comes", then_silence(chunks(b"56\r\n" + PAYLOAD + b"\r\n")), SILENT),
    unread("half of an image, then nothing", then_silence(IMAGE[:-20]), SILENT),
    unread("half of an image in JSON, then nothing", then_silence(TEXT[:-20]), SILENT),
    unread(
        "an error text that comes byte by byte",
        drip(b"HTTP/1.1 500 Oops\r\nContent-Length: 99\r\n\r\n", b"x" * 99),
        timed_out(""),
    ),
    Fault(
        "time",
        "a slow image that comes on",
        THE_IMAGE,
        HAS_IMAGE,
        image,
        {"imagearray": drip(IMAGE[:20], IMAGE[20:], 20)},
        seen="INDIGO",
        options={"timeouts": Timeouts(reply=0.01, long=0.01)},
    ),
    Fault(
        "time",
        "a command while an image holds the only connection",
        timed_out("all connections to this server stayed in use"),
        UNTOUCHED,
        command_in_a_crowd,
        {"imagearray": silence},
        options=PLAIN,
    ),
    Fault(
        "time",
        "a reply that comes after its time, before the next one",
        SILENT,
        UNTOUCHED,
        read,
        {"gain": late(value(4), 0.12)},
        options=SHORT,
    ),
    Fault(
        "time",
        "a driver that answers a command slowly, but in time",
        NOTHING,
        COMMANDED,
        command,
        {"gain": late(value(None), 0.1)},
    ),
]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
async def test_time(
    fault: Fault, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fault.check(caplog, monkeypatch)

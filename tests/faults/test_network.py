"""Connections that are refused, break, or carry their bytes in odd portions."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from alpaca_async import IncompleteImage, TransportError
from tests.http.support import Peer, serving
from tests.scripted import Request, ScriptedServer

from .catalogue import (
    COMMANDED,
    GAIN,
    GOOD,
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
    Gives,
    Outcome,
    Raises,
    broken,
    command,
    image,
    once,
    pixels,
    read,
    text,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from alpaca_async import AsyncCamera
    from tests.scripted import Reply

JSON_IMAGE = text(b'{"Type":2,"Rank":2,"Value":[[' + b"1," * 9000 + b"1]]}")


def lost(says: str) -> Raises:
    return Raises(TransportError, says)


def misread(cause: str, reply: Reply, gets: Outcome) -> Fault:
    return Fault("network", cause, gets, UNTOUCHED, first={"gain": reply})


def unread(cause: str, reply: Reply, gets: Outcome, seen: str = "") -> Fault:
    return Fault("network", cause, gets, HAS_IMAGE, image, {"imagearray": reply}, seen=seen)


def unsure(cause: str, reply: Reply) -> Fault:
    return Fault("network", cause, lost("may have executed"), UNKNOWN, command, {"gain": reply})


def in_portions(reply: bytes, size: int) -> Reply:
    async def pieces(_: Request) -> AsyncIterator[bytes]:
        for start in range(0, len(reply), size):
            yield reply[start : start + size]
            await asyncio.sleep(0)

    return pieces


@asynccontextmanager
async def nobody(_: Fault) -> AsyncGenerator[Bench]:
    """Yield an address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    yield Bench(f"127.0.0.1:{port}")


@asynccontextmanager
async def plain_for_https(_: Fault) -> AsyncGenerator[Bench]:
    """Yield an https address where somebody speaks http."""

    async def refuse(peer: Peer) -> None:
        await peer.reader.read(1)
        peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with serving(refuse) as server:
        yield Bench(server.url.replace("http", "https"))


async def several(camera: AsyncCamera) -> list[int]:
    return await asyncio.gather(*(camera.get_gain() for _ in range(9)))


class Counted(ScriptedServer):
    """Counts connections."""

    connections = 0
    most = 0

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.most = max(self.most, self.connections)
        super()._accept(reader, writer)


@asynccontextmanager
async def four_sockets(_: Fault) -> AsyncGenerator[Bench]:
    """A server that has no more than four connections to give."""

    async def slowly(_: Request) -> bytes:
        await asyncio.sleep(0.01)
        return GAIN

    async with Counted({**GOOD, "gain": slowly}) as server:
        yield Bench(server.address, server.requests)
    assert server.most <= 4


@asynccontextmanager
async def closing(fault: Fault) -> AsyncGenerator[Bench]:
    """A server that closes each connection after a reply, in silence."""

    async with ScriptedServer({**GOOD, "gain": broken(GAIN)}) as server:
        yield Bench(server.address, server.requests)


async def read_and_rest(camera: AsyncCamera) -> None:
    """Leave a connection that the server then closes."""
    await camera.get_gain()
    await asyncio.sleep(0.02)


def dies_at_second_use() -> Reply:
    return once(GAIN, once(broken(b""), GAIN))


FAULTS = [
    Fault(
        "network", "nobody listens, for a read", lost("refused"), NOT_REACHED, read, world=nobody
    ),
    Fault(
        "network",
        "nobody listens, for a command",
        lost("refused"),
        NOT_REACHED,
        command,
        world=nobody,
    ),
    Fault(
        "network", "nobody listens, for an image", lost("refused"), NOT_REACHED, image, world=nobody
    ),
    Fault(
        "network",
        "https where the server speaks http",
        lost(""),
        NOT_REACHED,
        command,
        world=plain_for_https,
    ),
    misread("the connection closes before the reply", broken(b""), lost("disconnected")),
    misread(
        "the connection is reset before the reply", broken(b"", ConnectionResetError), lost("")
    ),
    misread("the connection closes within the head", broken(GAIN[:20]), lost("disconnected")),
    misread("the connection closes within the value", broken(GAIN[:-3]), lost("3 bytes early")),
    unsure("the connection closes after a command", broken(b"")),
    unsure("the connection is reset after a command", broken(b"", ConnectionResetError)),
    unsure("the connection closes within the reply to a command", broken(GAIN[:-3])),
    unread(
        "the connection closes before the image",
        broken(b""),
        lost("disconnected"),
        "AlpacaPi, ASCOM Remote",
    ),
    unread(
        "the connection closes within the header of an image",
        broken(pixels(PAYLOAD)[:-60]),
        Raises(IncompleteImage, "after 26 of 44"),
    ),
    unread(
        "the connection closes within the pixels",
        broken(IMAGE[:-10]),
        Raises(IncompleteImage, "after 76 of 86"),
    ),
    unread(
        "the connection is reset within the pixels",
        broken(IMAGE[:-10], ConnectionResetError),
        Raises(IncompleteImage, "the image ended after"),
    ),
    unread(
        "the connection closes within an image in JSON",
        broken(JSON_IMAGE[:-50]),
        Raises(IncompleteImage, "the image ended after"),
    ),
    unread(
        "the connection is reset within an image in JSON",
        broken(JSON_IMAGE[:-50], ConnectionResetError),
        Raises(IncompleteImage, "the image ended after"),
    ),
    Fault(
        "network",
        "a kept connection was closed meanwhile, before a read",
        Gives(5),
        UNTOUCHED,
        before=read_and_rest,
        world=closing,
    ),
    Fault(
        "network",
        "a kept connection was closed meanwhile, before a command",
        NOTHING,
        COMMANDED,
        command,
        before=read_and_rest,
        world=closing,
    ),
    Fault(
        "network",
        "a kept connection closes when a read is sent",
        Gives(5, "`5`: the read is sent once more"),
        UNTOUCHED,
        before=read,
        always={"gain": dies_at_second_use()},
    ),
    Fault(
        "network",
        "a kept connection closes when a command is sent",
        lost("may have executed"),
        UNKNOWN,
        command,
        before=read,
        always={"gain": once(GAIN, once(broken(b""), GAIN))},
    ),
    misread("a reply in single bytes", in_portions(GAIN, 1), Gives(5)),
    unread("an image in single bytes", in_portions(IMAGE, 1), THE_IMAGE),
    Fault(
        "network",
        "a server with four sockets, and nine callers",
        Gives([5] * 9, "all nine values"),
        UNTOUCHED,
        several,
        world=four_sockets,
        seen="INDI, boards with a W5500",
    ),
]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
async def test_network(
    fault: Fault, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fault.check(caplog, monkeypatch)

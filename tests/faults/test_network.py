"""Connections that are refused, break, or deliver bytes in small pieces."""

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
    PAYLOAD,
    PIXELS,
    SUCCESS,
    THE_IMAGE,
    UNKNOWN,
    UNTOUCHED,
    Bench,
    Fault,
    Outcome,
    Raises,
    Returns,
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


def transport_error(says: str) -> Raises:
    return Raises(TransportError, says)


def value_fault(cause: str, reply: Reply, outcome: Outcome, seen: str = "") -> Fault:
    return Fault("network", cause, outcome, UNTOUCHED, first={"gain": reply}, seen=seen)


def image_fault(cause: str, reply: Reply, outcome: Outcome, seen: str = "") -> Fault:
    return Fault("network", cause, outcome, HAS_IMAGE, image, {"imagearray": reply}, seen=seen)


def command_fault(cause: str, reply: Reply) -> Fault:
    return Fault(
        "network", cause, transport_error("may have executed"), UNKNOWN, command, {"gain": reply}
    )


def in_pieces(reply: bytes, size: int) -> Reply:
    async def pieces(_: Request) -> AsyncIterator[bytes]:
        for start in range(0, len(reply), size):
            yield reply[start : start + size]
            await asyncio.sleep(0)

    return pieces


@asynccontextmanager
async def closed_port(_: Fault) -> AsyncGenerator[Bench]:
    """Yield the address of a closed port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    yield Bench(f"127.0.0.1:{port}")


@asynccontextmanager
async def plain_for_https(_: Fault) -> AsyncGenerator[Bench]:
    """Yield an https address of a server that speaks http."""

    async def refuse(peer: Peer) -> None:
        await peer.reader.read(1)
        peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with serving(refuse) as server:
        yield Bench(server.url.replace("http", "https"))


async def nine_reads(camera: AsyncCamera) -> list[int]:
    return await asyncio.gather(*(camera.get_gain() for _ in range(9)))


class CountingServer(ScriptedServer):
    """Counts its connections."""

    connections = 0
    most = 0

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.most = max(self.most, self.connections)
        await super()._serve(reader, writer)


@asynccontextmanager
async def four_sockets(_: Fault) -> AsyncGenerator[Bench]:
    """Run a server, and assert that it gets at most four connections."""

    async def slowly(_: Request) -> bytes:
        await asyncio.sleep(0.01)
        return GAIN

    async with CountingServer({**GOOD, "gain": slowly}) as server:
        yield Bench(server.address, server.requests)
    assert 0 < server.most <= 4


@asynccontextmanager
async def closes_after_reply(fault: Fault) -> AsyncGenerator[Bench]:
    """Run a server that closes each connection after a reply, without `Connection: close`."""

    async with ScriptedServer({**GOOD, "gain": broken(GAIN)}) as server:
        yield Bench(server.address, server.requests)


async def read_then_wait(camera: AsyncCamera) -> None:
    """Read, then wait until the server has closed the kept connection."""
    await camera.get_gain()
    await asyncio.sleep(0.02)


def closes_at_second_use() -> Reply:
    return once(GAIN, once(broken(b""), GAIN))


FAULTS = [
    Fault(
        "network",
        "a closed port, for a read",
        transport_error("refused"),
        NOT_REACHED,
        read,
        serve=closed_port,
    ),
    Fault(
        "network",
        "a closed port, for a command",
        transport_error("refused"),
        NOT_REACHED,
        command,
        serve=closed_port,
    ),
    Fault(
        "network",
        "a closed port, for an image",
        transport_error("refused"),
        NOT_REACHED,
        image,
        serve=closed_port,
    ),
    Fault(
        "network",
        "an https request to a server that speaks http",
        transport_error(""),
        NOT_REACHED,
        command,
        serve=plain_for_https,
    ),
    value_fault(
        "the connection closes before the reply",
        broken(b""),
        Returns(5, "`5`: the read is sent once more"),
        "AlpacaPi",
    ),
    value_fault(
        "the connection is reset before the reply",
        broken(b"", ConnectionResetError),
        Returns(5, "`5`: the read is sent once more"),
    ),
    Fault(
        "network",
        "the connection closes before the reply, twice",
        transport_error("disconnected"),
        UNTOUCHED,
        always={"gain": once(broken(b""), once(broken(b""), GAIN))},
    ),
    value_fault(
        "the connection closes within the head", broken(GAIN[:20]), transport_error("disconnected")
    ),
    value_fault(
        "the connection closes within the value",
        broken(GAIN[:-3]),
        transport_error("3 bytes early"),
    ),
    command_fault("the connection closes after a command", broken(b"")),
    command_fault("the connection is reset after a command", broken(b"", ConnectionResetError)),
    command_fault("the connection closes within the reply to a command", broken(GAIN[:-3])),
    image_fault(
        "the connection closes before the image",
        broken(b""),
        Returns(PIXELS, "the image: it is requested once more"),
        "AlpacaPi, ASCOM Remote",
    ),
    image_fault(
        "the connection closes within the header of an image",
        broken(pixels(PAYLOAD)[:-60]),
        Raises(IncompleteImage, "after 26 of 44"),
    ),
    image_fault(
        "the connection closes within the pixels",
        broken(IMAGE[:-10]),
        Raises(IncompleteImage, "after 76 of 86"),
    ),
    image_fault(
        "the connection is reset within the pixels",
        broken(IMAGE[:-10], ConnectionResetError),
        Raises(IncompleteImage, "the image ended after"),
    ),
    image_fault(
        "the connection closes within an image in JSON",
        broken(JSON_IMAGE[:-50]),
        Raises(IncompleteImage, "the image ended after"),
    ),
    image_fault(
        "the connection is reset within an image in JSON",
        broken(JSON_IMAGE[:-50], ConnectionResetError),
        Raises(IncompleteImage, "the image ended after"),
    ),
    Fault(
        "network",
        "a keep-alive connection that was closed before a read",
        Returns(5),
        UNTOUCHED,
        before=read_then_wait,
        serve=closes_after_reply,
    ),
    Fault(
        "network",
        "a keep-alive connection that was closed before a command",
        SUCCESS,
        COMMANDED,
        command,
        before=read_then_wait,
        serve=closes_after_reply,
    ),
    Fault(
        "network",
        "a keep-alive connection that closes while a read is sent",
        Returns(5, "`5`; the read is sent again once"),
        UNTOUCHED,
        before=read,
        always={"gain": closes_at_second_use()},
    ),
    Fault(
        "network",
        "a keep-alive connection that closes while a command is sent",
        transport_error("may have executed"),
        UNKNOWN,
        command,
        before=read,
        always={"gain": once(GAIN, once(broken(b""), GAIN))},
    ),
    value_fault("a reply that arrives in single bytes", in_pieces(GAIN, 1), Returns(5)),
    image_fault("an image that arrives in single bytes", in_pieces(IMAGE, 1), THE_IMAGE),
    Fault(
        "network",
        "a server with four sockets, and nine concurrent reads",
        Returns([5] * 9, "all nine values"),
        UNTOUCHED,
        nine_reads,
        serve=four_sockets,
        seen="INDI, boards with a W5500",
    ),
]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
async def test_network(
    fault: Fault, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fault.check(caplog, monkeypatch)

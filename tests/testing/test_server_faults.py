"""The bytes of faults that some Alpaca servers have."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import TYPE_CHECKING

import pytest

from alpaca_async.testing import FaultProxy, SimulatedCamera, SimulatorServer
from alpaca_async.testing._faults import Peer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

IMAGE = "api/v1/camera/0/imagearray"
GAIN = "api/v1/camera/0/gain"
DEVICES = "management/v1/configureddevices"
PIXELS = 8 * 6 * 2


@pytest.fixture
async def proxy() -> AsyncIterator[FaultProxy]:
    camera = SimulatedCamera(
        name="Kühl", width=8, height=6, readout_time=0.0, initially_connected=True, stars=0
    )
    camera.start_exposure(0.001, light=True)
    async with SimulatorServer([camera]) as server, FaultProxy(server.address) as proxy:
        yield proxy


async def reply_to(proxy: FaultProxy, path: str) -> tuple[list[bytes], bytes]:
    """Return the lines of the head and the body; the first request closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    accept = b"Accept: application/imagebytes\r\nConnection: close\r\n"
    writer.write(b"GET /%s HTTP/1.1\r\nHost: x\r\n%s\r\n" % (path.encode(), accept))
    writer.write_eof()
    raw = await reader.read()
    writer.close()
    head, _, body = raw.partition(b"\r\n\r\n")
    return head.split(b"\r\n"), body


async def test_the_length_counts_the_pixels_only(proxy: FaultProxy) -> None:
    proxy.add("length_of_pixels")
    head, body = await reply_to(proxy, IMAGE)
    assert b"Content-Length: %d" % PIXELS in head
    assert len(body) == 44 + PIXELS


async def test_an_error_number_comes_with_pixels(proxy: FaultProxy) -> None:
    proxy.add("image_error_with_pixels")
    _, body = await reply_to(proxy, IMAGE)
    assert int.from_bytes(body[4:8], "little") == 0x500
    assert len(body) == 44 + PIXELS
    assert any(body[44:])


async def test_the_length_is_repeated(proxy: FaultProxy) -> None:
    proxy.add("repeated_length")
    head, body = await reply_to(proxy, GAIN)
    assert head.count(b"Content-Length: %d" % len(body)) == 2


async def test_there_is_no_head(proxy: FaultProxy) -> None:
    proxy.add("no_head")
    head, body = await reply_to(proxy, GAIN)
    assert json.loads(head[0])["ErrorNumber"] == 0
    assert (len(head), body) == (1, b"")


async def test_a_comma_follows_the_last_device(proxy: FaultProxy) -> None:
    proxy.add("trailing_comma_in_list")
    _, body = await reply_to(proxy, DEVICES)
    assert b"},]" in body
    assert json.loads(body.replace(b"},]", b"}]"))["Value"][0]["DeviceName"] == "Kühl"
    await reply_to(proxy, GAIN)
    assert proxy.count() == 1, "it does not fit a reply without a list"


async def test_names_are_in_latin_1(proxy: FaultProxy) -> None:
    proxy.add("latin_1")
    _, body = await reply_to(proxy, DEVICES)
    assert b"K\xfchl" in body
    assert json.loads(body.decode("latin-1"))["Value"][0]["DeviceName"] == "Kühl"


async def test_an_integer_has_a_fraction(proxy: FaultProxy) -> None:
    proxy.add("fractional_integer")
    _, body = await reply_to(proxy, GAIN)
    assert json.loads(body)["Value"] == 0.21
    await reply_to(proxy, DEVICES)
    assert proxy.count() == 1, "it does not fit a list"


async def test_a_new_connection_is_closed_before_a_byte(proxy: FaultProxy) -> None:
    proxy.add("close_on_connect", times=1)
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    assert await reader.read() == b""
    writer.close()
    assert (await reply_to(proxy, GAIN))[0][0] == b"HTTP/1.1 200 OK"


async def test_head_and_body_are_sent_apart(
    proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The body waits for the acknowledgement of the head; so the sockets must use Nagle's way."""
    sent: list[tuple[bytes, int]] = []
    send = Peer.send

    async def recorded(peer: Peer, data: bytes) -> None:
        sock = peer.writer.get_extra_info("socket")
        sent.append((data, sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)))
        await send(peer, data)

    monkeypatch.setattr(Peer, "send", recorded)
    proxy.add("separate_body")
    head, body = await reply_to(proxy, GAIN)
    (_request, _), (first, first_nodelay), (second, second_nodelay) = sent
    assert first == b"\r\n".join(head) + b"\r\n\r\n"
    assert second == body
    assert not first_nodelay
    assert not second_nodelay

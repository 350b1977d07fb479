from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import socket
import threading
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from alpaca_async.testing import FaultProxy, SimulatedCamera, SimulatorServer, run_in_thread

from .conftest import Wire, http_client

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from .conftest import Clock

GAIN = "/api/v1/camera/0/gain"


@pytest.fixture
async def proxy(wire: Wire) -> AsyncIterator[FaultProxy]:
    async with FaultProxy(wire.server.address, seed=7) as proxy:
        yield proxy


@pytest.fixture
async def through(wire: Wire, proxy: FaultProxy) -> AsyncIterator[Wire]:
    """The way to the camera that leads through the proxy."""
    async with http_client(proxy) as client:
        yield Wire(client, wire.server, wire.camera)


async def status(through: Wire, path: str = GAIN, verb: str = "GET") -> int:
    """Return the status of a reply, 0 if the connection broke."""
    try:
        return (await through.http.request(verb, path)).status_code
    except httpx.TransportError:
        return 0


async def raw(address: str, data: bytes) -> bytes:
    """Send bytes and return all that comes until the connection ends."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(data)
    writer.write_eof()
    try:
        return await reader.read()
    finally:
        writer.close()


@contextlib.asynccontextmanager
async def scripted(*pieces: bytes, pause: float = 0.0) -> AsyncGenerator[list[bytes]]:
    """Answer one request of each connection with exactly these bytes; yield what came."""
    came: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(await reader.readuntil(b"\r\n\r\n"))
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        came.append(str(server.sockets[0].getsockname()[1]).encode())
        yield came


async def something_befell(proxy: FaultProxy) -> None:
    for _ in range(1000):
        if proxy.events:
            return
        await asyncio.sleep(0.002)
    raise AssertionError("nothing befell any request")


# What passes


async def test_without_faults_a_camera_is_what_it_is(wire: Wire, through: Wire) -> None:
    assert await through.do("gain", Gain=33) == 0
    assert await through.value("gain") == await wire.value("gain") == 33
    assert await through.do("startexposure", Duration=0.0, Light=False) == 0


async def test_an_image_passes_byte_by_byte(
    wire: Wire, through: Wire, proxy: FaultProxy, clock: Clock
) -> None:
    wire.camera.start_exposure(1.0, light=True)
    clock.advance(5)
    accept = {"Accept": "application/imagebytes"}
    direct, passed = (
        await wire.get("imagearray", **accept),
        await through.get("imagearray", **accept),
    )
    assert direct.content[16:] == passed.content[16:]
    assert proxy.events == ()


REPLIES = {
    "a length": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX: y\r\n\r\nabc",
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"1;x=y\r\na\r\n2\r\nbc\r\n0\r\nT: t\r\n\r\n",
    "its end": b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nabc",
    "HTTP/1.0": b"HTTP/1.0 200 \r\nContent-Length: 3\r\n\r\nabc",
    "bare newlines": b"HTTP/1.1 200 OK\nContent-Length: 3\n\nabc",
    "an interim reply": b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n"
    b"Content-Length: 3\r\n\r\nabc",
    "no body": b"HTTP/1.1 204 No Content\r\n\r\n",
}


@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES)
@pytest.mark.parametrize("size", [1, 1000])
async def test_whatever_frames_it_a_reply_is_passed_on(reply: bytes, size: int) -> None:
    pieces = [reply[start : start + size] for start in range(0, len(reply), size)]
    request = b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n"
    async with scripted(*pieces) as came, FaultProxy(f"127.0.0.1:{came[0].decode()}") as proxy:
        assert await raw(proxy.address, request) == reply
        assert came[1:] == [request]


@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES)
async def test_whatever_frames_it_a_reply_can_be_read_and_changed(reply: bytes) -> None:
    request = b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n"
    async with scripted(reply) as came, FaultProxy(f"127.0.0.1:{came[0].decode()}") as proxy:
        proxy.add("wrong_media_type")
        head, _, body = (await raw(proxy.address, request)).partition(b"\r\n\r\n")
    assert b"Content-Type: image/tiff" in head
    assert body == (b"" if b"204" in reply else b"abc")


BROKEN_REPLIES = {
    "nothing": b"",
    "no end of a head": b"HTTP/1.1 200 OK\r\nX: y",
    "an early end": b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\nabc",
    "a length in words": b"HTTP/1.1 200 OK\r\nContent-Length: few\r\n\r\nabc",
    "a bad chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfew\r\nabc",
    "an endless line": b"HTTP/1.1 200 OK\r\nX: " + b"y" * 600_000,
    "an endless head": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000,
    "an empty head": b"\r\n\r\n",
}


@pytest.mark.parametrize("reply", BROKEN_REPLIES.values(), ids=BROKEN_REPLIES)
async def test_a_server_that_breaks_off_is_a_connection_that_breaks_off(reply: bytes) -> None:
    async with (
        scripted(reply) as came,
        FaultProxy(f"127.0.0.1:{came[0].decode()}") as proxy,
        http_client(proxy) as client,
    ):
        with pytest.raises(httpx.TransportError):
            await client.get("/x")
        await asyncio.sleep(0.01)
        assert proxy.connections == 0


@pytest.mark.parametrize("request_", [b"nonsense\r\n\r\n", b"GET\r\n\r\n", b"GET /x HT"])
async def test_what_is_no_request_ends_the_connection(proxy: FaultProxy, request_: bytes) -> None:
    with contextlib.suppress(ConnectionResetError):
        assert await raw(proxy.address, request_) == b""


async def test_a_client_may_ask_first_whether_to_send(through: Wire, proxy: FaultProxy) -> None:
    form = b"Gain=12&ClientTransactionID=5"
    head = (
        f"PUT {GAIN} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(form)}\r\nExpect: 100-continue\r\n"
    )
    kind = "Content-Type: application/x-www-form-urlencoded\r\nExpect: 100-continue\r\n"
    reply = await raw(proxy.address, f"{head}{kind}Connection: close\r\n\r\n".encode() + form)
    assert reply.startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert b'"ClientTransactionID": 5' in reply
    assert through.camera.gain == 12


async def test_a_form_may_come_in_chunks(through: Wire, proxy: FaultProxy) -> None:
    async def form() -> AsyncIterator[bytes]:
        yield b"Gain="
        yield b"13"

    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    assert (await through.http.put(GAIN, content=form(), headers=kind)).status_code == 200
    assert through.camera.gain == 13


async def test_a_connection_is_kept_on_both_sides(through: Wire, proxy: FaultProxy) -> None:
    for _ in range(3):
        await through.value("gain")
    assert (proxy.connections, through.server.connections) == (1, 2 - 1)


async def test_a_server_that_is_gone_is_a_connection_that_breaks_off() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        address = "127.0.0.1:%d" % unused.getsockname()[1]  # noqa: UP031 - short
    async with FaultProxy(address) as proxy, http_client(proxy) as client:
        with pytest.raises(httpx.TransportError):
            await client.get("/x")


# Which requests are chosen


async def test_a_fault_befalls_only_what_it_is_for(through: Wire, proxy: FaultProxy) -> None:
    rule = proxy.add("http_500_text", member="Gain", verb="put", device=0)
    assert await status(through) == 200
    assert await status(through, GAIN.replace("gain", "offset"), "PUT") == 400
    assert await status(through, GAIN.replace("0", "1"), "PUT") == 400
    assert await status(through, verb="PUT") == 500
    assert (rule.seen, rule.hits) == (1, 1)


async def test_management_is_no_device(through: Wire, proxy: FaultProxy) -> None:
    proxy.add("http_503_html", device=0)
    assert await status(through, "/management/apiversions") == 200
    proxy.add("http_503_html", member="apiversions")
    assert await status(through, "/management/apiversions") == 503
    assert proxy.events[-1].device is None


async def test_a_fault_can_be_counted_out(through: Wire, proxy: FaultProxy) -> None:
    proxy.add("http_500_text", times=2, after=1)
    assert [await status(through) for _ in range(5)] == [200, 500, 500, 200, 200]


async def test_the_first_rule_that_chooses_a_request_has_it(
    through: Wire, proxy: FaultProxy
) -> None:
    proxy.add("http_500_text", times=1)
    proxy.add("http_404_text", times=1)
    assert [await status(through) for _ in range(3)] == [500, 404, 200]


async def fates(wire: Wire, seed: int, *, other: bool = False) -> list[int]:
    async with FaultProxy(wire.server.address, seed=seed) as proxy, http_client(proxy) as client:
        proxy.add("http_500_text", member="gain", probability=0.5)
        through = Wire(client, wire.server, wire.camera)
        results: list[int] = []
        for _ in range(20):
            results.append(await status(through))
            if other:
                await status(through, "/api/v1/camera/0/name")
        return results


async def test_the_same_seed_gives_the_same_faults(wire: Wire) -> None:
    first = await fates(wire, 1)
    assert set(first) == {200, 500}
    assert await fates(wire, 1, other=True) == first
    assert await fates(wire, 2) != first


async def test_a_rule_ends_with_its_block(through: Wire, proxy: FaultProxy) -> None:
    with proxy.add("http_500_text"):
        assert await status(through) == 500
    assert await status(through) == 200


async def test_clearing_lets_everything_pass(through: Wire, proxy: FaultProxy) -> None:
    proxy.add("http_500_text")
    proxy.add("close_before")
    proxy.clear()
    assert await status(through) == 200


async def test_a_fault_that_does_not_fit_a_reply_lets_it_pass(
    through: Wire, proxy: FaultProxy
) -> None:
    rule = proxy.add("nan_value", times=1)
    assert await status(through, "/setup") == 200
    assert (rule.hits, proxy.count(), proxy.events) == (0, 0, ())
    assert "NaN" in (await through.get("gain")).text
    assert (rule.hits, proxy.count("nan_value")) == (1, 1)


@pytest.mark.parametrize(
    ("kind", "body"),
    [("json", b"no JSON"), ("json", b"[]"), ("imagebytes", b"short"), ("pdf", b"{}")],
)
async def test_a_reply_that_is_spoilt_already_passes(kind: str, body: bytes) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/{kind}\r\nContent-Length: {len(body)}"
    request = b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n"
    async with (
        scripted(head.encode() + b"\r\n\r\n" + body) as came,
        FaultProxy(f"127.0.0.1:{came[0].decode()}") as proxy,
    ):
        proxy.add("null_value" if kind == "json" else "huge_image", member="x")
        assert (await raw(proxy.address, request)).endswith(b"\r\n\r\n" + body)
        assert proxy.count() == 0


async def test_a_fault_of_images_is_for_images(through: Wire, proxy: FaultProxy) -> None:
    assert proxy.add("short_image").member == "imagearray"
    assert proxy.add("short_image", member="ImageArrayVariant").member == "imagearrayvariant"


async def test_a_member_is_known_in_any_spelling_and_those_of_other_devices_too(
    proxy: FaultProxy,
) -> None:
    for member in ("startexposure", "StartExposure", "start_exposure"):
        assert proxy.add("delay", member=member).member == "startexposure"
        assert not proxy.count(member=member)
    assert proxy.add("delay", member="Temperature").member == "temperature"


async def test_it_remembers_what_it_did(through: Wire, proxy: FaultProxy) -> None:
    proxy.add("http_500_text", member="gain")
    proxy.add("http_404_text", member="offset")
    await through.put("gain", Gain=5, ClientTransactionID=77)
    await through.get("offset?ClientTransactionID=78")
    await through.get("offset")
    assert [proxy.count(), proxy.count("http_404_text"), proxy.count(member="Gain")] == [3, 2, 1]
    first, second, _ = proxy.events
    assert first[1:5] == ("http_500_text", "PUT", "gain", 0)
    assert first.parameters == {"Gain": "5", "ClientTransactionID": "77"}
    assert second.parameters == {"ClientTransactionID": "78"}
    assert first.time <= second.time


@pytest.mark.parametrize(
    ("name", "choice", "error", "text"),
    [
        ("lose_replies", {}, ValueError, "there is no fault 'lose_replies'; lose_reply perhaps?"),
        ("xyz", {}, ValueError, "there is no fault 'xyz'$"),
        ("drip", {"member": "imagearay"}, ValueError, "no member 'imagearay'; imagearray perhaps"),
        ("refuse", {"member": "gain"}, ValueError, "refuse comes before any request"),
        ("reset_on_connect", {"device": 0}, ValueError, "reset_on_connect comes before"),
        ("refuse", {"times": 1}, ValueError, "refuse holds until it is removed"),
        ("silence", {"seconds": 1}, TypeError, "silence has no option seconds"),
    ],
)
def test_what_makes_no_sense_is_refused(
    name: str, choice: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        FaultProxy("127.0.0.1:1").add(name, **choice)


# The port


async def test_a_closed_port_refuses_until_it_is_opened(through: Wire, proxy: FaultProxy) -> None:
    assert await status(through) == 200
    for _ in range(2):
        with proxy.add("refuse"):
            await asyncio.sleep(0.01)  # until the client has seen the end of its connection
            with pytest.raises(httpx.ConnectError):
                await through.get("gain")
        assert await status(through) == 200


async def test_a_closed_port_breaks_off_what_goes_on(through: Wire, proxy: FaultProxy) -> None:
    proxy.add("silence")
    waiting = asyncio.create_task(through.get("gain"))
    await something_befell(proxy)
    proxy.add("refuse")
    with pytest.raises(httpx.ReadError):
        await waiting


async def test_a_proxy_can_begin_with_a_closed_port(wire: Wire) -> None:
    proxy = FaultProxy(wire.server.address)
    rule = proxy.add("refuse")
    async with proxy, http_client(proxy) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(GAIN)
        rule.remove()
        proxy.add("refuse").remove()
        assert (await client.get(GAIN)).status_code == 200


async def test_while_the_port_is_closed_nobody_else_gets_it(proxy: FaultProxy) -> None:
    proxy.add("refuse")
    with pytest.raises(OSError, match="in use"), socket.socket() as other:
        other.bind(("127.0.0.1", proxy.port))


async def test_some_connections_can_be_reset_at_once(through: Wire, proxy: FaultProxy) -> None:
    proxy.add("reset_on_connect", times=1)
    assert [await status(through) for _ in range(2)] == [0, 200]
    assert proxy.events[0][1:4] == ("reset_on_connect", "", "")


async def test_it_leaves_nothing_behind(wire: Wire) -> None:
    before = asyncio.all_tasks()
    async with FaultProxy(wire.server.address) as proxy, http_client(proxy) as client:
        proxy.add("silence")
        waiting = asyncio.create_task(client.get(GAIN))
        await something_befell(proxy)
        port = proxy.port
    with pytest.raises(httpx.TransportError):
        await waiting
    assert asyncio.all_tasks() == before
    with socket.create_server(("127.0.0.1", port)):
        pass
    with pytest.raises(RuntimeError, match="does not run"):
        _ = proxy.address


async def test_it_can_be_entered_again(wire: Wire) -> None:
    proxy = FaultProxy(wire.server.address)
    for _ in range(2):
        async with proxy, http_client(proxy) as client:
            assert (await client.get(GAIN)).status_code == 200
    await proxy.__aexit__(None, None, None)


async def test_a_port_in_use_is_an_error(wire: Wire) -> None:
    with pytest.raises(OSError, match="in use"):
        async with FaultProxy(wire.server.address, port=wire.server.port):
            pass


async def test_it_listens_on_ipv6_too(wire: Wire) -> None:
    async with FaultProxy(f"http://{wire.server.address}", host="::1") as proxy:
        assert proxy.address == f"[::1]:{proxy.port}"
        async with http_client(proxy) as client:
            assert (await client.get(GAIN)).status_code == 200


@pytest.mark.parametrize("target", ["127.0.0.1", "https://127.0.0.1:1", ":80"])
def test_a_target_that_it_cannot_reach_is_refused(target: str) -> None:
    with pytest.raises(ValueError, match="must be host:port"):
        FaultProxy(target)


# Threads


def ask(address: str) -> int:
    connection = http.client.HTTPConnection(address, timeout=5)
    try:
        connection.request("GET", "/api/v1/camera/0/name")
        number: int = json.load(connection.getresponse())["ErrorNumber"]
    finally:
        connection.close()
    return number


def test_it_can_be_switched_from_another_thread() -> None:
    with (
        run_in_thread(SimulatorServer([SimulatedCamera()])) as server,
        run_in_thread(FaultProxy(server.address)) as proxy,
    ):
        assert threading.get_ident() not in {None, proxy._thread}
        assert ask(proxy.address) == 0
        with proxy.add("refuse"), pytest.raises(ConnectionRefusedError):
            ask(proxy.address)
        proxy.add("windows_error")
        assert ask(proxy.address) == -2146233088
        assert proxy.count() == 1

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

from alpaca_async.testing import (
    FaultProxy,
    SimulatedCamera,
    SimulatorServer,
    _listener,
    _message,
    run_in_thread,
)
from alpaca_async.testing._faults import _http

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
    """The same camera, reached through the proxy."""
    async with http_client(proxy) as client:
        yield Wire(client, wire.server, wire.camera)


async def status(through: Wire, path: str = GAIN, verb: str = "GET") -> int:
    """Return the status of the reply, or 0 if the connection broke."""
    try:
        return (await through.http.request(verb, path)).status_code
    except httpx.TransportError:
        return 0


async def raw(address: str, data: bytes) -> bytes:
    """Send bytes and return all that arrives until the connection closes."""
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
    """Answer one request per connection with exactly these bytes; yield the requests.

    The first item of the list is the port.
    """
    received: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.readuntil(b"\r\n\r\n"))
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        received.append(str(server.sockets[0].getsockname()[1]).encode())
        yield received


async def first_fault(proxy: FaultProxy) -> None:
    for _ in range(1000):
        if proxy.events:
            return
        await asyncio.sleep(0.002)
    raise AssertionError("no fault was injected")


# What is forwarded


async def test_without_faults_a_camera_behaves_the_same(wire: Wire, through: Wire) -> None:
    assert await through.do("gain", Gain=33) == 0
    assert await through.value("gain") == await wire.value("gain") == 33
    assert await through.do("startexposure", Duration=0.0, Light=False) == 0


async def test_an_image_is_forwarded_unchanged(
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
async def test_a_reply_with_any_framing_is_forwarded(reply: bytes, size: int) -> None:
    pieces = [reply[start : start + size] for start in range(0, len(reply), size)]
    request = b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n"
    async with (
        scripted(*pieces) as received,
        FaultProxy(f"127.0.0.1:{received[0].decode()}") as proxy,
    ):
        assert await raw(proxy.address, request) == reply
        assert received[1:] == [request]


@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES)
async def test_a_reply_with_any_framing_can_be_read_and_changed(reply: bytes) -> None:
    request = b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n"
    async with (
        scripted(reply) as received,
        FaultProxy(f"127.0.0.1:{received[0].decode()}") as proxy,
    ):
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
async def test_an_invalid_reply_of_the_server_resets_the_client(reply: bytes) -> None:
    async with (
        scripted(reply) as received,
        FaultProxy(f"127.0.0.1:{received[0].decode()}") as proxy,
        http_client(proxy) as client,
    ):
        with pytest.raises(httpx.TransportError):
            await client.get("/x")
        await asyncio.sleep(0.01)
        assert proxy.connections == 0


@pytest.mark.parametrize("request_", [b"nonsense\r\n\r\n", b"GET\r\n\r\n", b"GET /x HT"])
async def test_an_invalid_request_ends_the_connection(proxy: FaultProxy, request_: bytes) -> None:
    with contextlib.suppress(ConnectionResetError):
        assert await raw(proxy.address, request_) == b""


async def test_a_form_that_is_too_large_ends_the_connection(proxy: FaultProxy) -> None:
    size = _message._MAX_FORM + 1
    head = f"PUT {GAIN} HTTP/1.1\r\nContent-Length: {size}\r\n\r\n"
    with contextlib.suppress(ConnectionResetError):
        assert await raw(proxy.address, head.encode() + bytes(size)) == b""
    assert proxy.count() == 0


async def test_what_follows_a_request_without_a_reply_is_discarded(proxy: FaultProxy) -> None:
    proxy.add("silence")
    assert await raw(proxy.address, f"GET {GAIN} HTTP/1.1\r\n\r\n".encode() + bytes(100)) == b""


async def test_an_endless_head_has_a_limit(
    proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_http, "_MAX_FILLERS", 3)
    proxy.add("endless_head")
    reply = await raw(proxy.address, f"GET {GAIN} HTTP/1.1\r\n\r\n".encode())
    assert reply == b"HTTP/1.1 200 OK\r\n" + 3 * _http._FILLER


async def test_expect_100_continue_is_answered(through: Wire, proxy: FaultProxy) -> None:
    form = b"Gain=12&ClientTransactionID=5"
    head = (
        f"PUT {GAIN} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(form)}\r\nExpect: 100-continue\r\n"
    )
    kind = "Content-Type: application/x-www-form-urlencoded\r\nExpect: 100-continue\r\n"
    reply = await raw(proxy.address, f"{head}{kind}Connection: close\r\n\r\n".encode() + form)
    assert reply.startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert b'"ClientTransactionID": 5' in reply
    assert through.camera.gain == 12


async def test_a_form_may_be_chunked(through: Wire, proxy: FaultProxy) -> None:
    async def form() -> AsyncIterator[bytes]:
        yield b"Gain="
        yield b"13"

    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    assert (await through.http.put(GAIN, content=form(), headers=kind)).status_code == 200
    assert through.camera.gain == 13


async def test_connections_are_kept_alive_on_both_sides(through: Wire, proxy: FaultProxy) -> None:
    for _ in range(3):
        await through.value("gain")
    assert (proxy.connections, through.server.connections) == (1, 2 - 1)


async def test_an_unreachable_server_resets_the_client() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        address = "127.0.0.1:%d" % unused.getsockname()[1]  # noqa: UP031 - short
    async with FaultProxy(address) as proxy, http_client(proxy) as client:
        with pytest.raises(httpx.TransportError):
            await client.get("/x")


# Which requests match


async def test_a_fault_applies_only_to_matching_requests(through: Wire, proxy: FaultProxy) -> None:
    rule = proxy.add("http_500_text", member="Gain", verb="put", device=0)
    assert await status(through) == 200
    assert await status(through, GAIN.replace("gain", "offset"), "PUT") == 400
    assert await status(through, GAIN.replace("0", "1"), "PUT") == 400
    assert await status(through, verb="PUT") == 500
    assert (rule.seen, rule.hits) == (1, 1)


async def test_management_requests_match_no_device(through: Wire, proxy: FaultProxy) -> None:
    proxy.add("http_503_html", device=0)
    assert await status(through, "/management/apiversions") == 200
    proxy.add("http_503_html", member="apiversions")
    assert await status(through, "/management/apiversions") == 503
    assert proxy.events[-1].device is None


async def test_times_and_after_limit_a_fault(through: Wire, proxy: FaultProxy) -> None:
    proxy.add("http_500_text", times=2, after=1)
    assert [await status(through) for _ in range(5)] == [200, 500, 500, 200, 200]


async def test_the_first_matching_rule_applies(through: Wire, proxy: FaultProxy) -> None:
    proxy.add("http_500_text", times=1)
    proxy.add("http_404_text", times=1)
    assert [await status(through) for _ in range(3)] == [500, 404, 200]


async def statuses(wire: Wire, seed: int, *, other: bool = False) -> list[int]:
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
    first = await statuses(wire, 1)
    assert set(first) == {200, 500}
    assert await statuses(wire, 1, other=True) == first
    assert await statuses(wire, 2) != first


async def test_a_rule_ends_with_its_with_block(through: Wire, proxy: FaultProxy) -> None:
    with proxy.add("http_500_text"):
        assert await status(through) == 500
    assert await status(through) == 200


async def test_clear_removes_all_rules(through: Wire, proxy: FaultProxy) -> None:
    proxy.add("http_500_text")
    proxy.add("close_before")
    proxy.clear()
    assert await status(through) == 200


async def test_a_fault_that_does_not_fit_a_reply_forwards_it(
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
async def test_a_malformed_reply_is_forwarded_unchanged(kind: str, body: bytes) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/{kind}\r\nContent-Length: {len(body)}"
    request = b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n"
    async with (
        scripted(head.encode() + b"\r\n\r\n" + body) as received,
        FaultProxy(f"127.0.0.1:{received[0].decode()}") as proxy,
    ):
        proxy.add("null_value" if kind == "json" else "huge_image", member="x")
        assert (await raw(proxy.address, request)).endswith(b"\r\n\r\n" + body)
        assert proxy.count() == 0


async def test_image_faults_match_imagearray_by_default(through: Wire, proxy: FaultProxy) -> None:
    assert proxy.add("short_image").member == "imagearray"
    assert proxy.add("short_image", member="ImageArrayVariant").member == "imagearrayvariant"


async def test_members_match_in_any_spelling_and_other_devices_are_accepted(
    proxy: FaultProxy,
) -> None:
    for member in ("startexposure", "StartExposure", "start_exposure"):
        assert proxy.add("delay", member=member).member == "startexposure"
        assert not proxy.count(member=member)
    assert proxy.add("delay", member="Temperature").member == "temperature"


async def test_events_and_counts_record_the_faults(through: Wire, proxy: FaultProxy) -> None:
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
        ("lose_replies", {}, ValueError, "no fault 'lose_replies'; did you mean 'lose_reply'"),
        ("xyz", {}, ValueError, "there is no fault 'xyz'$"),
        (
            "drip",
            {"member": "imagearay"},
            ValueError,
            "no member 'imagearay'; did you mean 'imagearray'",
        ),
        ("refuse", {"member": "gain"}, ValueError, "refuse happens before any request"),
        ("reset_on_connect", {"device": 0}, ValueError, "reset_on_connect happens before"),
        ("refuse", {"times": 1}, ValueError, "refuse lasts until it is removed"),
        (
            "no_image",
            {},
            ValueError,
            r"fault of the camera, .* SimulatedCamera\(\*\*CAMERA_FAULTS\['no_image'\].model\)",
        ),
        ("silence", {"foo": 1}, TypeError, "silence has no option foo; its options: none$"),
        ("delay", {"foo": 1}, TypeError, "delay has no option foo; its options: seconds$"),
    ],
)
def test_invalid_arguments_raise(
    name: str, choice: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        FaultProxy("127.0.0.1:1").add(name, **choice)


# The port


async def test_a_closed_port_refuses_until_it_is_reopened(through: Wire, proxy: FaultProxy) -> None:
    assert await status(through) == 200
    for _ in range(2):
        with proxy.add("refuse"):
            await asyncio.sleep(0.01)  # until the client has seen the end of its connection
            with pytest.raises(httpx.ConnectError):
                await through.get("gain")
        assert await status(through) == 200


async def test_closing_the_port_resets_requests_in_progress(
    through: Wire, proxy: FaultProxy
) -> None:
    proxy.add("silence")
    waiting = asyncio.create_task(through.get("gain"))
    await first_fault(proxy)
    proxy.add("refuse")
    with pytest.raises(httpx.ReadError):
        await waiting


async def test_a_proxy_can_start_with_a_closed_port(wire: Wire) -> None:
    proxy = FaultProxy(wire.server.address)
    rule = proxy.add("refuse")
    async with proxy, http_client(proxy) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(GAIN)
        rule.remove()
        proxy.add("refuse").remove()
        assert (await client.get(GAIN)).status_code == 200


async def test_a_closed_port_stays_reserved(proxy: FaultProxy) -> None:
    proxy.add("refuse")
    with pytest.raises(OSError, match="in use"), socket.socket() as other:
        other.bind(("127.0.0.1", proxy.port))


async def test_a_closed_port_can_be_opened_again_where_none_can_be_reserved(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_listener, "_CAN_RESERVE_PORT", False)
    async with FaultProxy(wire.server.address) as proxy, http_client(proxy) as client:
        with proxy.add("refuse"):
            with socket.socket() as other:
                other.bind(("127.0.0.1", proxy.port))
            with pytest.raises(httpx.ConnectError):
                await client.get(GAIN)
        assert (await client.get(GAIN)).status_code == 200


async def test_single_connections_can_be_reset(through: Wire, proxy: FaultProxy) -> None:
    proxy.add("reset_on_connect", times=1)
    assert [await status(through) for _ in range(2)] == [0, 200]
    assert proxy.events[0][1:4] == ("reset_on_connect", "", "")


async def test_it_leaves_no_task_and_no_socket(wire: Wire) -> None:
    before = asyncio.all_tasks()
    async with FaultProxy(wire.server.address) as proxy, http_client(proxy) as client:
        proxy.add("silence")
        waiting = asyncio.create_task(client.get(GAIN))
        await first_fault(proxy)
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
def test_an_invalid_target_raises(target: str) -> None:
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


def test_rules_can_be_changed_from_another_thread() -> None:
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


def test_faults_can_be_counted_while_another_thread_injects_them() -> None:
    proxy = FaultProxy("127.0.0.1:1")

    def inject() -> None:
        for number in range(3000):
            proxy._counts["drip", str(number)] += 1

    thread = threading.Thread(target=inject)
    thread.start()
    while thread.is_alive():
        assert proxy.count() <= 3000
    thread.join()
    assert proxy.count() == 3000

from __future__ import annotations

import asyncio
import logging
import socket
import sys
import time
import tracemalloc
from typing import TYPE_CHECKING

import anyio
import httpx
import pytest

from alpaca_async import (
    AlpacaClient,
    AlpacaError,
    AsyncCamera,
    DriverException,
    MalformedResponse,
    RequestRejected,
    Timeouts,
    TransportError,
    TransportTimeout,
)
from alpaca_async._session import session as session_module
from tests.conditions import until
from tests.scripted import Request, ScriptedServer, ascom_error, http, value
from tests.virtual_time import in_virtual_time, now

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

QUICK = Timeouts(establish=0.5, reply=0.2, long=0.4, stall=0.2, first_byte=0.2)


async def silence(_: Request) -> bytes:
    await asyncio.sleep(30)
    return b""


async def test_ids_are_unique_and_in_range_under_concurrency() -> None:
    async with ScriptedServer({"gain": value(3)}) as server, AlpacaClient() as client:
        cameras = [client.camera(server.address, number) for number in range(5)]
        await asyncio.gather(*(camera.get_gain() for camera in cameras * 20))
    numbers = [request.number for request in server.requests]
    assert sorted(numbers) == list(range(1, 101))
    assert {request.parameters["ClientID"] for request in server.requests} == {
        str(client.client_id)
    }
    assert 1 <= client.client_id <= 65535


async def test_transaction_ids_restart_after_the_largest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(session_module, "MAX_ID", 2)
    async with ScriptedServer({"gain": value(3)}) as server, AlpacaClient() as client:
        for _ in range(3):
            await client.camera(server.address).get_gain()
    assert [request.number for request in server.requests] == [1, 2, 1]


async def test_transaction_ids_take_no_memory() -> None:
    ours = tracemalloc.Filter(inclusive=True, filename_pattern=session_module.__file__)
    async with ScriptedServer({"gain": value(3)}) as server, AlpacaClient() as client:
        camera = client.camera(server.address)
        await camera.get_gain()
        tracemalloc.start()
        try:
            for _ in range(600):
                await camera.get_gain()
            held = tracemalloc.take_snapshot().filter_traces([ours]).statistics("filename")
        finally:
            tracemalloc.stop()
    assert sum(file.size for file in held) < 6000


@in_virtual_time
async def test_two_cameras_poll_a_slow_server_concurrently() -> None:
    async def slow(_: Request) -> bytes:
        await asyncio.sleep(1)
        return value(True)

    async def poll(camera: AsyncCamera) -> None:
        for _ in range(5):
            await camera.get_image_ready()

    async with ScriptedServer({"imageready": slow}) as server, AlpacaClient() as client:
        await asyncio.gather(*(poll(client.camera(server.address, n)) for n in range(2)))
        assert now() == pytest.approx(5)


@in_virtual_time
async def test_a_silent_server_times_out_and_is_named() -> None:
    async with ScriptedServer({"gain": silence}) as server:
        async with AlpacaClient(timeouts=QUICK) as client:
            with pytest.raises(TransportTimeout) as caught:
                await client.camera(server.address, 4).get_gain()
            assert now() == pytest.approx(QUICK.reply)
    assert str(caught.value).startswith(f"http://{server.address} camera/4/gain: ")
    assert isinstance(caught.value, TimeoutError)
    assert not caught.value.outcome_unknown


@in_virtual_time
async def test_a_trickle_of_bytes_does_not_extend_the_timeout() -> None:
    async def drip(_: Request) -> AsyncIterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
        for __ in range(100):
            yield b" "
            await asyncio.sleep(0.05)

    async with ScriptedServer({"gain": drip}) as server:
        async with AlpacaClient(timeouts=QUICK) as client:
            with pytest.raises(TransportTimeout, match="no complete reply"):
                await client.camera(server.address).get_gain()
            assert now() == pytest.approx(QUICK.reply)


async def longest_pause(busy: Awaitable[object]) -> float:
    """Return the longest time that the loop was blocked while `busy` ran, in CPU seconds."""
    task = asyncio.ensure_future(busy)
    longest = 0.0
    while not task.done():
        before = time.thread_time()
        await asyncio.sleep(0.001)
        longest = max(longest, time.thread_time() - before)
    await task
    return longest


async def test_a_reply_in_tiny_chunks_does_not_block_the_loop(client: AlpacaClient) -> None:
    async def tiny_chunks(_: Request) -> AsyncIterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        yield b"40000\r\n" + b" " * 2**18 + b"\r\n"
        for _round in range(5):
            yield b"1\r\n \r\n" * 10_000
            await asyncio.sleep(0.01)
        yield b'14\r\n{"Value": "reached"}\r\n0\r\n\r\n'

    async with ScriptedServer({"name": tiny_chunks}) as server:
        camera = client.camera(server.address)
        pause = await longest_pause(camera.get_name())
        assert pause < 0.15 or sys.gettrace() is not None  # coverage tracing slows it down
        assert await camera.get_name() == "reached"


async def test_a_command_without_an_answer_has_an_unknown_outcome() -> None:
    async with ScriptedServer({"gain": silence}) as server:
        async with AlpacaClient(timeouts=QUICK) as client:
            with pytest.raises(TransportTimeout, match="may have executed") as caught:
                await client.camera(server.address).set_gain(5)
    assert caught.value.outcome_unknown
    assert server.count("gain") == 1


async def test_a_refused_connection_is_a_transport_error_with_a_known_outcome(
    client: AlpacaClient,
) -> None:
    async with ScriptedServer({}) as server:
        pass
    with pytest.raises(TransportError) as caught:
        await client.camera(server.address).set_gain(5)
    assert not caught.value.outcome_unknown
    assert server.address in str(caught.value)


async def test_an_unknown_host_name_is_reported_in_words(
    client: AlpacaClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def find_nothing(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", find_nothing)
    with pytest.raises(TransportError) as caught:
        await client.camera("nowhere.invalid").get_gain()
    place = "http://nowhere.invalid:11111 camera/0/gain"
    assert str(caught.value) == f"{place}: name or service not known"


async def test_the_address_sim_is_one_of_the_command_only(
    client: AlpacaClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def find_nothing(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", find_nothing)
    with pytest.raises(TransportError, match="not known; the address 'sim' is one of the command"):
        await client.camera("sim").get_gain()


async def test_a_redirect_is_not_followed(client: AlpacaClient) -> None:
    reply = http(b"", status="307 Temporary Redirect", extra="Location: /elsewhere\r\n")
    async with ScriptedServer({"gain": reply}) as server:
        with pytest.raises(RequestRejected, match="HTTP status 307"):
            await client.camera(server.address).set_gain(5)
    assert [request.member for request in server.requests] == ["gain"]


@pytest.mark.parametrize(
    ("reply", "kind", "reason"),
    [
        (http(b"<h1>Log in</h1>", "text/html"), MalformedResponse, "not JSON: Log in"),
        (http(b""), MalformedResponse, "empty"),
        (http(b"Camera 4?", status="400 Bad Request"), RequestRejected, "400: Camera 4?"),
        (http(b"x", extra="Content-Encoding: gzip\r\n"), MalformedResponse, "compressed"),
        (http(b" " * (2**19 + 1)), MalformedResponse, "longer than"),
        (value(None), MalformedResponse, "None is not of type int"),
        (ascom_error(1279, "broken"), DriverException, "broken \\(error 0x4FF\\)"),
        (b"220 smtp ready\r\n\r\n", TransportError, "camera/0/gain: "),
    ],
)
async def test_every_bad_answer_raises_with_server_member_and_reason(
    reply: bytes, kind: type[AlpacaError], reason: str, client: AlpacaClient
) -> None:
    async with ScriptedServer({"gain": reply}) as server:
        with pytest.raises(kind, match=reason) as caught:
            await client.camera(server.address).get_gain()
    assert (caught.value.server, caught.value.member) == (
        f"http://{server.address}",
        "camera/0/gain",
    )
    assert str(caught.value).startswith(f"http://{server.address} camera/0/gain: ")


@pytest.mark.parametrize("coding", ["", "Identity"])
async def test_an_identity_content_encoding_is_accepted(client: AlpacaClient, coding: str) -> None:
    reply = http(b'{"Value": 5}', extra=f"Content-Encoding: {coding}\r\n")
    async with ScriptedServer({"gain": reply}) as server:
        assert await client.camera(server.address).get_gain() == 5


async def test_a_management_reply_of_another_shape_is_malformed(client: AlpacaClient) -> None:
    replies = {"configureddevices": value([{"DeviceType": None}]), "description": value("INDI")}
    async with ScriptedServer({**replies}) as server:
        with pytest.raises(MalformedResponse, match="management/v1/configureddevices"):
            await client.get_configured_devices(server.address)
        assert (await client.get_server_description(server.address)).server_name == "INDI"


async def test_an_injected_client_is_used_unchanged_and_stays_open() -> None:
    seen: list[httpx.Request] = []

    async def hook(request: httpx.Request) -> None:
        seen.append(request)

    async with ScriptedServer({"gain": value(7)}) as server:
        async with httpx.AsyncClient(
            headers={"X-Site": "dome 3"}, event_hooks={"request": [hook]}
        ) as http:
            async with AlpacaClient(http=http) as client:
                assert await client.camera(server.address).get_gain() == 7
                await client.camera(server.address).set_gain(8)
            assert not http.is_closed
    assert [request.headers["x-site"] for request in server.requests] == ["dome 3", "dome 3"]
    assert [request.method for request in seen] == ["GET", "PUT"]


async def test_an_injected_client_that_is_closed_is_a_transport_error() -> None:
    http = httpx.AsyncClient()
    await http.aclose()
    with pytest.raises(TransportError, match="closed"):
        await AlpacaClient(http=http).camera("127.0.0.1:1").get_gain()


async def test_outcome_unknown_works_with_an_injected_client() -> None:
    async with ScriptedServer({"gain": silence}) as server:
        async with httpx.AsyncClient() as http, AlpacaClient(http=http, timeouts=QUICK) as client:
            with pytest.raises(TransportTimeout) as caught:
                await client.camera(server.address).set_gain(5)
    assert caught.value.outcome_unknown


class Untraced(httpx.AsyncBaseTransport):
    """A transport that raises an error for each request, and emits no trace events."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        raise self._error


@pytest.mark.parametrize(
    ("error", "unknown"),
    [
        (httpx.ReadError("x"), True),
        (httpx.ConnectError("x"), False),
        (httpx.PoolTimeout(""), False),
    ],
    ids=repr,
)
async def test_outcome_unknown_needs_no_trace(error: Exception, unknown: bool) -> None:
    async with httpx.AsyncClient(transport=Untraced(error)) as http:
        with pytest.raises(TransportError) as caught:
            await AlpacaClient(http=http).camera("pi").set_gain(5)
    assert caught.value.outcome_unknown is unknown


async def test_the_outcome_is_known_if_httpx_could_not_connect(unused_tcp_port: int) -> None:
    async with httpx.AsyncClient() as http:
        with pytest.raises(TransportError) as caught:
            await AlpacaClient(http=http).camera(f"127.0.0.1:{unused_tcp_port}").set_gain(5)
    assert not caught.value.outcome_unknown


def test_a_client_works_in_one_event_loop_after_another() -> None:
    client = AlpacaClient()

    async def ask() -> int:
        async with ScriptedServer({"gain": value(7)}) as server:
            return await client.camera(server.address).get_gain()

    assert asyncio.run(ask()) == asyncio.run(ask()) == 7
    asyncio.run(client.aclose())


async def test_a_camera_without_a_client_owns_its_connections() -> None:
    async with ScriptedServer({"gain": value(7)}) as server:
        async with AsyncCamera(server.address) as camera:
            assert await camera.get_gain() == 7
        assert len(asyncio.all_tasks()) <= 2


async def test_a_request_is_logged_with_the_ids_of_both_sides(
    caplog: pytest.LogCaptureFixture, client: AlpacaClient
) -> None:
    caplog.set_level(logging.DEBUG, "alpaca_async")
    async with ScriptedServer({"gain": value(7, ServerTransactionID=41)}) as server:
        await client.camera(server.address).get_gain()
    (record,) = (record for record in caplog.records if record.levelno == logging.DEBUG)
    assert (
        f"GET http://{server.address}/api/v1/camera/0/gain #1: server's #41 after "
        in record.message
    )


async def test_requests_that_fail_or_are_sent_again_are_logged_with_their_ids(
    client: AlpacaClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "alpaca_async")
    gain, image = http(b"<html>"), http(b"no", status="404 No")
    async with ScriptedServer({"gain": gain, "imagearray": image}) as server:
        camera = client.camera(server.address)
        for read in (camera.get_gain, camera.get_image_array, camera.get_offset):
            with pytest.raises(AlpacaError):
                await read()
        asked = [(each.member, each.number) for each in server.requests]
    failed = [line.split()[1:3] for line in caplog.messages if "failed after" in line]
    paths = [path.removeprefix(f"http://{server.address}/api/v1/camera/0/") for path, _ in failed]
    ids = [int(number.strip("#:")) for _, number in failed]
    assert {"gain", "imagearray", "offset"} <= set(paths)
    assert set(zip(paths, ids, strict=True)) >= {each for each in asked if each[0] in paths}
    (again,) = (line for line in caplog.messages if "offset" in line and "sent again" in line)
    assert f"ClientTransactionID={ids[paths.index('offset')]} to {server.address}" in again


async def test_a_request_that_is_cancelled_is_logged(
    client: AlpacaClient, caplog: pytest.LogCaptureFixture
) -> None:
    async def silence(_: Request) -> bytes:
        await asyncio.sleep(1000)
        return b""

    caplog.set_level(logging.DEBUG, "alpaca_async")
    async with ScriptedServer({"gain": silence}) as server:
        request = asyncio.create_task(client.camera(server.address).get_gain())
        await until(lambda: server.count("gain"))
        request.cancel()
        await asyncio.wait([request])
    (line,) = caplog.messages
    assert "camera/0/gain #1: cancelled after " in line


@pytest.mark.parametrize(
    "error",
    [
        httpx.ConnectError("x"),
        httpx.ConnectTimeout("x"),
        httpx.RemoteProtocolError("x"),
        httpx.InvalidURL("x"),
        httpx.StreamClosed(),
        httpx.TooManyRedirects("x"),
        anyio.ClosedResourceError(),
        OSError(5, "x"),
        RuntimeError("loop is closed"),
    ],
    ids=repr,
)
async def test_no_foreign_exception_escapes(error: Exception) -> None:
    class Broken(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            raise error

    async with httpx.AsyncClient(transport=Broken()) as http:
        with pytest.raises(TransportError) as caught:
            await AlpacaClient(http=http).camera("pi").get_gain()
    assert caught.value.__cause__ is error

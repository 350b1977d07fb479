from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest

from alpaca_async import AlpacaClient, CameraStates, TransportError
from alpaca_async.testing import (
    RecordingProxy,
    ReplayServer,
    SimulatedCamera,
    SimulatorServer,
)

from .conftest import http_client
from .test_proxy import scripted

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

GAIN = "/api/v1/camera/0/gain"
LOGIN = ("observer", "open sesame")


async def session(address: str, **options: Any) -> tuple[object, ...]:  # noqa: ANN401 - of a client
    """Take two exposures, and return all that a caller sees."""
    async with AlpacaClient(client_id=7, **options) as client:
        camera = client.camera(address)
        await camera.connect()
        await camera.set_gain(20)
        await camera.reset_frame(2, 2)
        images = [await camera.expose(0.05) for _ in range(2)]
        state = await camera.get_camera_state()
        info = await camera.get_info()
        return (await camera.get_gain(), state, info, *(image.data.tolist() for image in images))


def small_camera(**facts: Any) -> SimulatedCamera:  # noqa: ANN401 - fields of CameraModel
    return SimulatedCamera(width=64, height=48, readout_time=0.02, connect_time=0.02, **facts)


@pytest.fixture
async def address() -> AsyncGenerator[str]:
    async with SimulatorServer([small_camera()]) as server:
        yield server.address


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "session.jsonl"


async def reply_to(address: str, data: bytes) -> bytes:
    """Send bytes and return all that arrives until the server closes the connection."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(data)
    try:
        return await reader.read()
    finally:
        writer.close()


def list_of(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def write(path: Path, *records: object) -> None:
    lines = [json.dumps(record) for record in records]
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text_of(path).splitlines()]


@pytest.mark.parametrize("options", [{}, {"interface_version": 3}], ids=["version 4", "version 3"])
@pytest.mark.parametrize(
    "server", [{}, {"content_length": False}, {"imagebytes": False}], ids=["", "chunked", "JSON"]
)
async def test_a_session_replays_identically(
    path: Path, options: dict[str, Any], server: dict[str, Any]
) -> None:
    async with SimulatorServer([small_camera(**options)], **server) as simulator:
        async with RecordingProxy(simulator.address, path) as proxy:
            recorded = await session(proxy.address, strict_ids=True)
    async with ReplayServer(path) as replay:
        assert await session(replay.address, strict_ids=True) == recorded


async def test_two_exposures_are_two_images(path: Path, address: str) -> None:
    async with RecordingProxy(address, path) as proxy:
        await session(proxy.address)
    async with ReplayServer(path) as replay:
        *_, first, second = await session(replay.address)
    assert first != second


async def test_several_cameras_replay_independently_of_each_other(path: Path) -> None:
    async def both(address: str) -> list[int]:
        async with AlpacaClient() as client:
            cameras = [client.camera(address, number) for number in range(2)]
            await asyncio.gather(*(camera.connect() for camera in cameras))
            await asyncio.gather(*(camera.set_gain(5 + n) for n, camera in enumerate(cameras)))
            return [await camera.get_gain() for camera in cameras]

    async with (
        SimulatorServer([small_camera(), small_camera()]) as simulator,
        RecordingProxy(simulator.address, path) as proxy,
    ):
        assert await both(proxy.address) == [5, 6]
    async with ReplayServer(path) as replay:
        assert await both(replay.address) == [5, 6]


async def test_a_client_that_polls_more_often_gets_the_last_answer_again(path: Path) -> None:
    camera = small_camera(initially_connected=True)
    async with SimulatorServer([camera]) as simulator:
        async with RecordingProxy(simulator.address, path) as proxy, http_client(proxy) as http:
            before = (await http.get(GAIN)).json()["Value"]
            await http.put(GAIN, data={"Gain": "33"})
            await http.get(GAIN)
    async with ReplayServer(path) as replay, http_client(replay) as http:
        polls = [(await http.get(GAIN)).json()["Value"] for _ in range(3)]
        await http.put(GAIN, data={"gain": "33"})
        polls += [(await http.get(GAIN)).json()["Value"] for _ in range(3)]
    assert polls == [before] * 3 + [33] * 3


async def test_other_values_than_recorded_are_logged(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with SimulatorServer([small_camera(initially_connected=True)]) as simulator:
        async with RecordingProxy(simulator.address, path) as proxy, http_client(proxy) as http:
            await http.put(GAIN, data={"Gain": "33"})
    async with ReplayServer(path) as replay, http_client(replay) as http:
        assert (await http.put(GAIN, data={"Gain": "34"})).json()["ErrorNumber"] == 0
    assert "put gain was recorded with other values: {'gain': '34'}" in caplog.text.lower()


async def test_what_was_never_recorded_is_refused(path: Path, address: str) -> None:
    async with RecordingProxy(address, path) as proxy, http_client(proxy) as http:
        await http.get(GAIN)
    async with ReplayServer(path) as replay, http_client(replay) as http:
        reply = await http.get("/api/v1/camera/0/offset")
        other = await http.get("/api/v1/camera/1/gain")
    message = "the recorded session has no reply to GET /api/v1/camera/0/offset"
    assert (reply.status_code, reply.text) == (400, message)
    assert other.status_code == 400


async def test_credentials_and_cookies_are_not_in_the_file(path: Path) -> None:
    page = "you sent Basic b2JzZXJ2ZXI6b3BlbiBzZXNhbWU= with open sesame"
    reply = f"HTTP/1.1 401 No\r\nSet-Cookie: id=4711\r\nContent-Length: {len(page)}\r\n\r\n{page}"
    async with scripted(reply.encode()) as received:
        async with RecordingProxy(f"127.0.0.1:{received[0].decode()}", path) as proxy:
            async with httpx.AsyncClient(auth=LOGIN) as http:
                answer = await http.get(f"http://{proxy.address}{GAIN}?why=open+sesame")
    assert answer.text == page
    text = text_of(path)
    for secret in ("b2JzZXJ2ZXI6b3BlbiBzZXNhbWU=", "open sesame", "4711", "observer"):
        assert secret not in text
    body = records(path)[1]["reply"]["text"]
    assert body.endswith("you sent Basic **************************** with ***********")


async def test_pixels_can_be_left_out(path: Path, address: str) -> None:
    async def image(address: str) -> Any:  # noqa: ANN401 - an array
        async with AlpacaClient() as client:
            camera = client.camera(address)
            await camera.connect()
            return (await camera.expose(0.05)).data

    async with RecordingProxy(address, path, pixels=False) as proxy:
        pixels = await image(proxy.address)
    (record,) = (r for r in records(path) if "/imagearray" in r.get("target", ""))
    assert record["reply"]["omitted"] == pixels.nbytes
    assert re.fullmatch("[0-9a-f]{64}", record["reply"]["sha256"])
    async with ReplayServer(path) as replay:
        replayed = await image(replay.address)
    assert replayed.dtype == pixels.dtype
    np.testing.assert_array_equal(replayed, np.zeros_like(pixels))


async def test_broken_http_is_played_byte_for_byte(path: Path) -> None:
    broken = b"HTP/1 what\r\nContent-Length: 3\r\n\r\n\xff\x00too many bytes"
    async with scripted(broken[:20], broken[20:]) as received:
        async with RecordingProxy(f"127.0.0.1:{received[0].decode()}", path) as proxy:
            assert await reply_to(proxy.address, f"GET {GAIN} HTTP/1.1\r\n\r\n".encode()) == broken
    async with ReplayServer(path) as replay:
        assert await reply_to(replay.address, f"GET {GAIN} HTTP/1.1\r\n\r\n".encode()) == broken


async def test_a_server_that_hangs_up_does_so_in_the_replay(path: Path) -> None:
    async with scripted(b"") as received:
        async with RecordingProxy(f"127.0.0.1:{received[0].decode()}", path) as proxy:
            with pytest.raises(httpx.TransportError):
                async with http_client(proxy) as http:
                    await http.get(GAIN)
    assert records(path)[1]["closed"]
    async with ReplayServer(path) as replay, AlpacaClient() as client:
        with pytest.raises(TransportError):
            await client.camera(replay.address).get_gain()


async def test_a_server_that_refuses_connections_is_recorded(path: Path) -> None:
    async with RecordingProxy("127.0.0.1:9", path) as proxy, http_client(proxy) as http:
        with pytest.raises(httpx.TransportError):
            await http.get(GAIN)
    assert records(path)[1]["reply"] == {"bytes": 0, "text": ""}


async def test_a_client_that_leaves_before_the_reply_is_recorded(path: Path) -> None:
    left = asyncio.Event()

    async def answer_late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await left.wait()
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer_late, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with RecordingProxy(f"127.0.0.1:{port}", path) as proxy:
            host, _, port = proxy.address.partition(":")
            _, writer = await asyncio.open_connection(host, int(port))
            writer.write(f"GET {GAIN} HTTP/1.1\r\n\r\n".encode())
            await writer.drain()
            writer.transport.abort()
            await asyncio.sleep(0.05)
            left.set()
            await asyncio.sleep(0.05)
    assert [each["target"] for each in records(path)[1:]] == [GAIN]


async def test_a_connection_without_a_request_is_not_recorded(path: Path, address: str) -> None:
    async with RecordingProxy(address, path) as proxy:
        host, _, port = proxy.address.partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
    assert records(path)[1:] == []


async def test_a_reply_beyond_the_limit_is_cut_in_the_file(
    path: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alpaca_async.testing._recorder.MAX_REPLY", 40)
    async with RecordingProxy(address, path) as proxy, http_client(proxy) as http:
        assert (await http.get(GAIN)).status_code == 200
    (record,) = records(path)[1:]
    assert record["closed"]
    assert record["reply"]["bytes"] <= 40


async def test_credentials_that_are_not_base64_are_not_in_the_file(
    path: Path, address: str
) -> None:
    async with RecordingProxy(address, path) as proxy, http_client(proxy) as http:
        answer = await http.get(f"{GAIN}?why=to.ken", headers={"Authorization": "Bearer to.ken"})
        assert answer.status_code == 200
    assert "to.ken" not in text_of(path)


async def test_a_request_on_its_way_is_in_the_file_when_the_proxy_ends(path: Path) -> None:
    ended = asyncio.Event()

    async def answer_in_part(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        await ended.wait()
        writer.close()

    async with await asyncio.start_server(answer_in_part, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with RecordingProxy(f"127.0.0.1:{port}", path) as proxy:
            _, port = proxy.address.split(":")
            reader, writer = await asyncio.open_connection("127.0.0.1", int(port))
            writer.write(f"GET {GAIN} HTTP/1.1\r\n\r\n".encode())
            await reader.readexactly(17)
        writer.close()
        ended.set()
    (record,) = records(path)[1:]
    assert (record["reply"]["text"], record["closed"]) == ("HTTP/1.1 200 OK\r\n", False)
    assert proxy.recorded == 1


async def test_an_existing_file_is_not_overwritten(path: Path, address: str) -> None:
    write(path, {"precious": 1})
    with pytest.raises(FileExistsError):
        async with RecordingProxy(address, path):
            pass
    assert records(path) == [{"precious": 1}]


async def test_a_port_in_use_leaves_no_file(path: Path, address: str) -> None:
    port = int(address.rpartition(":")[2])
    with pytest.raises(OSError, match="in use"):
        async with RecordingProxy(address, path, port=port):
            pass
    assert not list_of(path.parent)


async def test_a_start_that_is_cancelled_leaves_no_file(path: Path, address: str) -> None:
    starting = asyncio.create_task(RecordingProxy(address, path).__aenter__())
    await asyncio.sleep(0)
    starting.cancel()
    await asyncio.wait([starting])
    assert starting.cancelled()
    assert not list_of(path.parent)


@pytest.mark.parametrize("speed_up", [0.0, -1.0, float("nan")])
def test_a_replay_needs_a_positive_speed(path: Path, speed_up: float) -> None:
    with pytest.raises(ValueError, match="speed_up must be positive"):
        ReplayServer(path, speed_up=speed_up)


async def test_a_full_file_ends_with_a_complete_line(
    path: Path, address: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("alpaca_async.testing._recorder.MAX_FILE", 1500)
    async with RecordingProxy(address, path) as proxy, http_client(proxy) as http:
        for _ in range(10):
            assert (await http.get(GAIN)).status_code == 200
    assert len(text_of(path)) <= 1500
    assert 0 < proxy.recorded == len(records(path)) - 1 < 10
    assert caplog.text.count("is full") == 1


async def test_a_reply_takes_as_long_as_it_took_if_wanted(path: Path, address: str) -> None:
    async with RecordingProxy(address, path) as proxy, http_client(proxy) as http:
        await http.get(GAIN)
    header, record = records(path)
    write(path, header, record | {"duration": 0.2})
    loop = asyncio.get_running_loop()
    async with ReplayServer(path, speed_up=0.5) as replay, http_client(replay) as http:
        started = loop.time()
        await http.get(GAIN)
        assert loop.time() - started >= 0.4


async def test_the_state_follows_the_commands(path: Path, address: str) -> None:
    async def states(address: str) -> list[CameraStates]:
        async with AlpacaClient() as client:
            camera = client.camera(address)
            await camera.connect()
            idle = await camera.get_camera_state()
            await camera.start_exposure(60, light=True)
            exposing = await camera.get_camera_state()
            await camera.abort_exposure()
            return [idle, exposing, await camera.get_camera_state()]

    async with RecordingProxy(address, path) as proxy:
        recorded = await states(proxy.address)
    assert recorded == [CameraStates.IDLE, CameraStates.EXPOSING, CameraStates.IDLE]
    async with ReplayServer(path) as replay:
        assert await states(replay.address) == recorded

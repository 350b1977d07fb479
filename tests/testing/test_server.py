from __future__ import annotations

import asyncio
import http.client
import json
import logging
import re
import signal
import socket
import ssl
import statistics
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import httpx
import numpy as np
import pytest
import trustme

from alpaca_async._enums import SensorType
from alpaca_async._errors import InvalidOperationException
from alpaca_async._protocol.imagebytes import ImageHeader, decode_imagebytes
from alpaca_async.testing import SimulatedCamera, SimulatorServer, run_in_thread
from tests.conditions import open_files, until

from .conftest import http_client, wired

if TYPE_CHECKING:
    from .conftest import Clock, MakeCamera, Wire

IMAGEBYTES = "application/imagebytes, application/json;q=0.9"

SERVED: Final = "camera, filterwheel, focuser, covercalibrator, safetymonitor"


async def exposed(wire: Wire, clock: Clock) -> Wire:
    assert await wire.do("startexposure", Duration=1.0, Light=True) == 0
    clock.advance(2.0)
    assert await wire.value("imageready") is True
    return wire


# Paths, verbs, ids


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/api/v1/camera/1/name", "Camera device 1 does not exist"),
        ("/api/v1/camera/x/name", "Camera device x does not exist"),
        ("/api/v1/camera/-1/name", "Camera device -1 does not exist"),
        ("/api/v1/camera/4294967296000/name", "Camera device 4294967296000 does not exist"),
        ("/api/v1/dome/0/name", f"Device type dome is not served, only {SERVED}"),
        ("/api/v1/Camera/0/name", f"Device type Camera is not served, only {SERVED}"),
        ("/api/v1/camera/0/Name", "Camera has no member Name for GET"),
        ("/api/v1/camera/0/startexposure", "Camera has no member startexposure for GET"),
        ("/api/v2/camera/0/name", "API version v2 is not supported, only v1"),
        ("/api/v1/camera/0", "GET /api/v1/camera/0 is not a request of the Alpaca protocol"),
        ("/", "GET / is not a request of the Alpaca protocol"),
    ],
)
async def test_unknown_paths_are_answered_in_plain_text(wire: Wire, path: str, text: str) -> None:
    response = await wire.http.get(path)
    assert response.status_code == 400
    assert response.headers["content-type"].startswith("text/plain")
    assert response.text == text


async def test_other_verbs_are_refused(wire: Wire) -> None:
    for verb in ("POST", "DELETE", "PATCH"):
        assert (await wire.http.request(verb, "/api/v1/camera/0/name")).status_code == 400
    assert (await wire.put("name")).status_code == 400


async def test_a_put_with_a_query_is_refused(wire: Wire) -> None:
    response = await wire.http.put("/api/v1/camera/0/binx?BinX=2")
    assert response.status_code == 400
    assert wire.camera.bin_x == 1


@pytest.mark.parametrize("value", ["abc", "", "1.5", "2147483648"])
async def test_an_unparsable_value_is_http_400(wire: Wire, value: str) -> None:
    response = await wire.put("binx", BinX=value)
    assert response.status_code == 400
    assert response.text.startswith("BinX is not a 32-bit integer")


async def test_a_form_must_be_a_form_and_not_huge(wire: Wire) -> None:
    path = "/api/v1/camera/0/binx"
    as_json = await wire.http.put(path, json={"BinX": 2})
    unnamed = await wire.http.put(path, content=b"BinX=2")
    huge = await wire.http.put(path, data={"BinX": "2" * 70_000})
    assert [r.status_code for r in (as_json, unnamed, huge)] == [400, 400, 400]
    assert "application/json" in as_json.text
    assert "65536 bytes" in huge.text


async def test_ids_are_echoed_and_counted(wire: Wire) -> None:
    path = "/api/v1/camera/0/gain"
    first = (await wire.http.get(path, params={"CLIENTtransactionID": "77"})).json()
    second = (await wire.put("gain", Gain=1, ClientTransactionID=4294967295)).json()
    wrong_case = (await wire.put("gain", Gain=1, clienttransactionid=5)).json()
    invalid = (await wire.http.get(path, params={"ClientTransactionID": "x"})).json()
    replies = [first, second, wrong_case, invalid]
    assert [r["ClientTransactionID"] for r in replies] == [77, 4294967295, 0, 0]
    assert [r["ServerTransactionID"] for r in replies] == [1, 2, 3, 4]


async def test_a_json_reply_is_declared_as_json(wire: Wire) -> None:
    response = await wire.get("name")
    assert response.headers["content-type"] == "application/json"
    assert response.json() == {
        "Value": "Simulated camera",
        "ClientTransactionID": 0,
        "ServerTransactionID": 1,
        "ErrorNumber": 0,
        "ErrorMessage": "",
    }


async def test_the_camera_records_its_requests(wire: Wire) -> None:
    before = time.monotonic()
    await wire.put("gain", Gain=3, ClientID=9)
    await wire.put("gain", Gain=9999)
    await wire.get("Gain")
    request = wire.camera.requests[0]
    assert (request.verb, request.member) == ("PUT", "gain")
    assert request.parameters == {"Gain": "3", "ClientID": "9"}
    assert before <= request.time <= time.monotonic()
    assert wire.camera.count("gain") == 2


async def test_every_camera_has_its_own_number(make_camera: MakeCamera) -> None:
    async with wired(make_camera(name="A"), make_camera(name="B")) as wire:
        assert (await wire.http.get("/api/v1/camera/1/name")).json()["Value"] == "B"
        assert (await wire.http.get("/api/v1/camera/2/name")).status_code == 400
        devices = (await wire.http.get("/management/v1/configureddevices")).json()["Value"]
    assert [d["DeviceName"] for d in devices] == ["A", "B"]
    assert [d["DeviceNumber"] for d in devices] == [0, 1]
    assert {d["DeviceType"] for d in devices} == {"Camera"}
    assert devices[0]["UniqueID"] != devices[1]["UniqueID"]


async def test_the_server_describes_itself(make_camera: MakeCamera) -> None:
    async with wired(make_camera(), name="Dome 3", location="Hill") as wire:
        versions = await wire.http.get("/management/apiversions?ClientTransactionID=3")
        description = (await wire.http.get("/management/v1/description")).json()["Value"]
    assert versions.json()["Value"] == [1]
    assert versions.json()["ClientTransactionID"] == 3
    assert description.keys() == {
        "ServerName", "Manufacturer", "ManufacturerVersion", "Location",
    }  # fmt: skip
    assert (description["ServerName"], description["Location"]) == ("Dome 3", "Hill")


async def test_setup_pages_are_html_and_escape_names(make_camera: MakeCamera) -> None:
    async with wired(make_camera(name="<b>")) as wire:
        for path in ("/setup", "/setup/v1/camera/0/setup"):
            page = await wire.http.get(path)
            assert page.headers["content-type"].startswith("text/html")
            assert "&lt;b&gt;" in page.text
        for path in ("/setup/v1/camera/1/setup", "/setup/v1/dome/0/setup", "/setup/v1/x"):
            assert (await wire.http.get(path)).status_code == 403
        assert (await wire.http.get("/management/v2/description")).status_code == 403


# Images


async def test_an_image_is_imagebytes_for_clients_that_accept_it(wire: Wire, clock: Clock) -> None:
    await exposed(wire, clock)
    response = await wire.get("imagearray", Accept=IMAGEBYTES)
    assert response.headers["content-type"] == "application/imagebytes"
    assert int(response.headers["content-length"]) == len(response.content)
    np.testing.assert_array_equal(decode_imagebytes(response.content), wire.camera.image())


async def test_an_image_is_json_for_other_clients(wire: Wire, clock: Clock) -> None:
    await exposed(wire, clock)
    response = await wire.http.get("/api/v1/camera/0/imagearray?ClientTransactionID=6")
    document = response.json()
    assert response.headers["content-type"] == "application/json"
    assert (document["Type"], document["Rank"], document["ErrorNumber"]) == (2, 2, 0)
    assert document["ClientTransactionID"] == 6
    np.testing.assert_array_equal(document["Value"], wire.camera.image())


async def test_the_start_of_the_last_exposure_is_in_fits_format(wire: Wire, clock: Clock) -> None:
    before = datetime.now(UTC)
    await exposed(wire, clock)
    assert await wire.value("lastexposureduration") == 1.0
    started = await wire.value("lastexposurestarttime")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}", started)
    assert abs(datetime.fromisoformat(started + "+00:00") - before) < timedelta(seconds=5)


async def test_the_ids_are_in_the_header_of_the_image(wire: Wire, clock: Clock) -> None:
    await exposed(wire, clock)
    response = await wire.http.get(
        "/api/v1/camera/0/imagearray?ClientTransactionID=12", headers={"Accept": IMAGEBYTES}
    )
    header = ImageHeader.unpack(response.content)
    assert (header.client_transaction_id, header.server_transaction_id) == (12, 3)


async def test_a_colour_image_has_three_planes_either_way(
    make_camera: MakeCamera, clock: Clock
) -> None:
    async with wired(make_camera(sensor=SensorType.COLOR)) as wire:
        await exposed(wire, clock)
        binary = decode_imagebytes((await wire.get("imagearray", Accept=IMAGEBYTES)).content)
        document = (await wire.get("imagearray")).json()
    assert binary.shape == (64, 48, 3)
    assert document["Rank"] == 3
    np.testing.assert_array_equal(document["Value"], binary)


async def test_an_image_can_be_sent_chunked(make_camera: MakeCamera, clock: Clock) -> None:
    async with wired(make_camera(), content_length=False) as wire:
        await exposed(wire, clock)
        response = await wire.get("imagearray", Accept=IMAGEBYTES)
        assert "content-length" not in response.headers
        assert response.headers["transfer-encoding"] == "chunked"
        np.testing.assert_array_equal(decode_imagebytes(response.content), wire.camera.image())


async def test_imagebytes_can_be_switched_off(make_camera: MakeCamera, clock: Clock) -> None:
    async with wired(make_camera(), imagebytes=False) as wire:
        await exposed(wire, clock)
        response = await wire.get("imagearray", Accept=IMAGEBYTES)
    assert response.json()["Type"] == 2


async def test_a_missing_image_is_an_error_in_json(wire: Wire) -> None:
    response = await wire.get("imagearray", Accept=IMAGEBYTES)
    assert response.headers["content-type"] == "application/json"
    assert response.json()["ErrorNumber"] == 0x40B


async def test_a_missing_image_can_be_an_error_in_imagebytes(make_camera: MakeCamera) -> None:
    async with wired(make_camera(), imagebytes_errors=True) as wire:
        response = await wire.get("imagearray", Accept=IMAGEBYTES)
        as_json = await wire.get("imagearray")
    assert response.headers["content-type"] == "application/imagebytes"
    with pytest.raises(InvalidOperationException, match="has no image"):
        decode_imagebytes(response.content)
    assert as_json.json()["ErrorNumber"] == 0x40B


async def test_a_large_image_is_made_and_sent_without_blocking_the_loop(
    make_camera: MakeCamera, clock: Clock
) -> None:
    async with wired(make_camera(width=3000, height=2000)) as wire:
        await exposed(wire, clock)
        steps: list[float] = []
        watching = asyncio.create_task(_watch_steps(steps))
        async with wire.http.stream(
            "GET", "/api/v1/camera/0/imagearray", headers={"Accept": IMAGEBYTES}
        ) as response:
            received = sum([len(piece) async for piece in response.aiter_raw()])
        watching.cancel()
    assert received == 44 + 2 * 3000 * 2000
    assert max(steps) < 0.05


async def _watch_steps(steps: list[float]) -> None:
    """Note the processor time of this thread between two ticks, in seconds."""
    while True:
        before = time.thread_time()
        await asyncio.sleep(0.001)
        steps.append(time.thread_time() - before)


# Starting and stopping


async def test_it_starts_within_a_tenth_of_a_second_of_processor_time() -> None:
    times: list[float] = []
    for _ in range(7):
        before = time.process_time()
        async with SimulatorServer([SimulatedCamera()]):
            times.append(time.process_time() - before)
    assert statistics.median(times) < 0.1


async def test_it_stops_at_once_despite_idle_connections_and_slow_readers(
    make_camera: MakeCamera, clock: Clock
) -> None:
    tasks = asyncio.all_tasks()
    server = SimulatorServer([make_camera(width=2000, height=3000)])
    async with server:
        idle = await asyncio.open_connection("127.0.0.1", server.port)
        idle[1].write(b"GET /management/apiversions HTTP/1.1\r\nHost: x\r\n\r\n")
        await idle[0].readuntil(b"\r\n\r\n")
        server.cameras[0].start_exposure(1.0, light=True)
        clock.advance(2.0)
        server.cameras[0].image()
        slow = await asyncio.open_connection("127.0.0.1", server.port, limit=1 << 10)
        slow[1].write(
            b"GET /api/v1/camera/0/imagearray HTTP/1.1\r\nHost: x\r\n"
            b"Accept: application/imagebytes\r\n\r\n"
        )
        await slow[0].readuntil(b"\r\n\r\n")
        assert server.connections == 2
        before = time.perf_counter()
    assert time.perf_counter() - before < 0.1
    assert server.connections == 0
    assert asyncio.all_tasks() == tasks
    for _, writer in (idle, slow):
        writer.transport.abort()


async def test_it_can_be_stopped_while_an_image_is_made(
    make_camera: MakeCamera, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    camera = make_camera(width=3000, height=3000)
    async with SimulatorServer([camera]) as server:
        camera.start_exposure(1.0, light=True)
        clock.advance(2.0)
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /api/v1/camera/0/imagearray HTTP/1.1\r\nHost: x\r\n\r\n")
        while not camera.count("imagearray"):  # noqa: ASYNC110 - the camera has no event
            await asyncio.sleep(0.001)
        before = time.perf_counter()
    assert time.perf_counter() - before < 0.3
    writer.transport.abort()
    assert caplog.records == []


async def test_a_client_that_disconnects_within_a_request_logs_nothing(
    wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", wire.server.port)
    writer.write(
        b"PUT /api/v1/camera/0/binx HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\nBinX="
    )
    await writer.drain()
    await asyncio.sleep(0.02)
    writer.transport.abort()
    await asyncio.sleep(0.02)
    assert await wire.value("binx") == 1
    assert caplog.records == []


async def test_it_logs_nothing_and_changes_no_signal_handlers(
    make_camera: MakeCamera, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.INFO)
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    async with SimulatorServer([make_camera()]) as server:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n")
        inside = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
        writer.close()
    assert inside == handlers
    assert [r for r in caplog.records if r.name.startswith("uvicorn")] == []
    assert capfd.readouterr() == ("", "")


async def test_it_can_be_entered_again(make_camera: MakeCamera) -> None:
    server = SimulatorServer([make_camera()])
    with pytest.raises(RuntimeError, match="does not run"):
        _ = server.address
    for _ in range(2):
        async with server, http_client(server) as client:
            reply = await client.get("/api/v1/camera/0/name")
            assert reply.status_code == 200
    await server.__aexit__(None, None, None)


@pytest.mark.skipif(sys.platform != "linux", reason="counts the open files in /proc")
@pytest.mark.parametrize("steps", range(12))
async def test_a_start_that_is_cancelled_leaves_no_socket(
    make_camera: MakeCamera, steps: int
) -> None:
    server = SimulatorServer([make_camera()], discovery_port=0)
    async with server:  # libuv opens a file of its own with the first server
        pass
    before = open_files()
    starting = asyncio.create_task(server.__aenter__())
    for _ in range(steps):
        await asyncio.sleep(0)
    starting.cancel()
    await asyncio.wait([starting])
    if not starting.cancelled():
        await server.__aexit__(None, None, None)
    await until(lambda: open_files() == before)


async def test_a_taken_port_is_an_error(make_camera: MakeCamera) -> None:
    async with SimulatorServer([make_camera()]) as server:
        with pytest.raises(OSError, match="address already in use"):
            await SimulatorServer([make_camera()], port=server.port).__aenter__()


async def test_it_speaks_tls(make_camera: MakeCamera) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)  # pyright: ignore[reportUnknownMemberType] - pyOpenSSL's
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)  # pyright: ignore[reportUnknownMemberType] - as above
    async with (
        SimulatorServer([make_camera()], ssl_context=context) as server,
        httpx.AsyncClient(verify=trusting, trust_env=False) as client,
    ):
        reply = await client.get(f"https://{server.address}/api/v1/camera/0/name")
    assert reply.json()["Value"] == "Simulated camera"


async def test_an_ipv6_address_has_brackets(make_camera: MakeCamera) -> None:
    async with SimulatorServer([make_camera()], host="::1") as server:
        assert server.address == f"[::1]:{server.port}"


def test_it_runs_on_a_thread_for_synchronous_callers(make_camera: MakeCamera) -> None:
    with run_in_thread(SimulatorServer([make_camera()])) as server:
        connection = http.client.HTTPConnection(server.address)
        connection.request("GET", "/api/v1/camera/0/name")
        assert json.load(connection.getresponse())["Value"] == "Simulated camera"
        address = ("127.0.0.1", server.port)
    connection.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)


async def test_a_bug_in_a_camera_is_http_500(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_camera: SimulatedCamera) -> Any:  # noqa: ANN401 - it never returns
        raise ZeroDivisionError

    monkeypatch.setattr(SimulatedCamera, "get_gain", broken)
    response = await wire.get("gain")
    assert response.status_code == 500
    assert response.headers["content-type"].startswith("text/plain")


async def test_the_json_of_an_image_is_one_valid_document(wire: Wire, clock: Clock) -> None:
    await exposed(wire, clock)
    text = (await wire.get("imagearray")).text
    assert json.loads(text).keys() == {
        "Type", "Rank", "Value", "ClientTransactionID", "ServerTransactionID", "ErrorNumber",
        "ErrorMessage",
    }  # fmt: skip

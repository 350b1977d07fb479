"""Transaction ids: each request has its own, and a reply that echoes another is detected."""

from __future__ import annotations

import asyncio
import json
import logging
import struct
import threading
from typing import TYPE_CHECKING

import pytest

from alpaca_async import AlpacaClient, AsyncCamera, InvalidValueException, MalformedResponse
from alpaca_async._session.session import MAX_ID
from alpaca_async.testing import SimulatedCamera, SimulatorServer
from tests.scripted import Request, ScriptedServer, http, imagebytes, value

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

HEADER_ID = slice(8, 12)


def echo(offset: int, *, error: int = 0) -> Callable[[Request], bytes]:
    def answer(request: Request) -> bytes:
        number = request.number + offset
        return value(7, ClientTransactionID=number, ErrorNumber=error)

    return answer


def image_echo(offset: int, *, error: int = 0) -> Callable[[Request], bytes]:
    def answer(request: Request) -> bytes:
        payload = bytearray(imagebytes(bytes(12), 2, 3, error=error))
        payload[HEADER_ID] = struct.pack("<I", request.number + offset)
        return http(bytes(payload), "application/imagebytes")

    return answer


def json_image_echo(offset: int, *, error: int = 0) -> Callable[[Request], bytes]:
    def answer(request: Request) -> bytes:
        fields = {"Type": 2, "Rank": 2, "ErrorNumber": error, "Value": [[1, 2], [3, 4]]}
        return http(json.dumps(fields | {"ClientTransactionID": request.number + offset}).encode())

    return answer


ANSWERS = {"value": echo, "image": image_echo, "json image": json_image_echo}
CALLS: dict[str, Callable[[AsyncCamera], Awaitable[object]]] = {
    "value": AsyncCamera.get_gain,
    "image": AsyncCamera.get_image_array,
    "json image": AsyncCamera.get_image_array,
}


def scripted(kind: str, offset: int, *, error: int = 0) -> ScriptedServer:
    answer = ANSWERS[kind](offset, error=error)
    return ScriptedServer({"gain": answer, "imagearray": answer})


@pytest.mark.parametrize("kind", ANSWERS)
async def test_a_wrong_echo_is_logged_once_for_each_server(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        scripted(kind, 100) as first,
        scripted(kind, 100) as second,
        AlpacaClient() as client,
    ):
        for server in (first, second):
            for _ in range(3):
                await CALLS[kind](client.camera(server.address))
    warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert len(warnings) == 2
    assert f"http://{first.address} echoed the transaction id 101 for request 1;" in warnings[0]
    assert f"http://{second.address} echoed the transaction id 104 for request 4;" in warnings[1]


@pytest.mark.parametrize("kind", ANSWERS)
async def test_a_missing_echo_is_logged_without_a_warning(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "alpaca_async")
    async with scripted(kind, -1) as server, AlpacaClient() as client:
        await CALLS[kind](client.camera(server.address))
        await client.camera(server.address).get_gain() if kind == "value" else None
    first = [r for r in caplog.records if "echoed" in r.getMessage()]
    assert first[0].levelno == logging.INFO


@pytest.mark.parametrize("kind", ANSWERS)
@pytest.mark.parametrize("error", [0, 0x401])
@pytest.mark.parametrize("offset", [1, 100])
async def test_a_strict_client_refuses_a_wrong_echo_before_it_reads_the_error(
    kind: str, error: int, offset: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with scripted(kind, offset, error=error) as server:
        async with AlpacaClient(strict_ids=True) as client:
            with pytest.raises(MalformedResponse, match=f"#1 has the transaction id {1 + offset}$"):
                await CALLS[kind](client.camera(server.address))
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_a_strict_client_refuses_a_reply_without_an_id() -> None:
    async with ScriptedServer({"gain": value(7)}) as server:
        async with AlpacaClient(strict_ids=True) as client:
            with pytest.raises(MalformedResponse, match="has the transaction id 0 "):
                await client.camera(server.address).set_gain(7)
    assert server.count("gain") == 1


@pytest.mark.parametrize("kind", ANSWERS)
async def test_a_strict_client_accepts_a_correct_echo(kind: str) -> None:
    async with scripted(kind, 0) as server, AlpacaClient(strict_ids=True) as client:
        await CALLS[kind](client.camera(server.address))
    async with scripted(kind, 0, error=0x401) as server, AlpacaClient(strict_ids=True) as client:
        with pytest.raises(InvalidValueException):
            await CALLS[kind](client.camera(server.address))


async def test_a_strict_client_works_with_the_simulated_camera() -> None:
    simulated = SimulatedCamera(width=64, height=48, readout_time=0, connect_time=0)
    async with SimulatorServer([simulated]) as server:
        async with AlpacaClient(strict_ids=True) as client:
            camera = client.camera(server.address)
            await camera.connect()
            assert (await camera.expose(0.01)).data.shape == (48, 64)


async def test_requests_of_all_kinds_share_one_sequence_of_numbers() -> None:
    async with ScriptedServer(
        {
            "gain": echo(0),
            "imagearray": image_echo(0),
            "apiversions": value([1]),
            "connected": echo(0),
        }
    ) as server:
        async with AlpacaClient() as client:
            cameras = [client.camera(server.address, number) for number in range(4)]
            await asyncio.gather(
                *(camera.get_gain() for camera in cameras * 5),
                *(camera.set_gain(1) for camera in cameras * 5),
                *(camera.get_image_array() for camera in cameras * 5),
                *(client.get_api_versions(server.address) for _ in range(20)),
            )
    numbers = [request.number for request in server.requests]
    assert sorted(numbers) == list(range(1, 81))


def test_numbers_are_unique_over_threads() -> None:
    client = AlpacaClient()
    drawn: list[int] = []

    def draw() -> None:
        drawn.extend(client.next_number() for _ in range(5000))

    threads = [threading.Thread(target=draw) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(drawn)) == 40_000
    assert 1 <= min(drawn) <= max(drawn) <= MAX_ID


@pytest.mark.parametrize("client_id", [0, -1, 2**31, True, 1.0, "1\r\nX: y"])
def test_an_invalid_client_id_is_refused(client_id: int) -> None:
    with pytest.raises((TypeError, ValueError), match="client_id"):
        AlpacaClient(client_id=client_id)

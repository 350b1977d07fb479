from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from alpaca_async import (
    AlpacaClient,
    AsyncCamera,
    CameraStates,
    CameraStatus,
    NotConnectedException,
    RequestRejected,
)
from alpaca_async._device.status import status_of
from alpaca_async.testing import SimulatedCamera, SimulatorServer
from tests.conditions import until
from tests.scripted import ScriptedServer, ascom_error, http, value
from tests.virtual_time import in_virtual_time, now
from tests.workflows.test_exposure import Forgiving

if TYPE_CHECKING:
    from tests.scripted import Reply, Request


class _Unknown(dict[str, "Reply"]):
    """Gives the same reply to every member without its own."""

    def __init__(self, reply: Reply) -> None:
        super().__init__()
        self._reply = reply

    def __missing__(self, _: str) -> Reply:
        return self._reply


async def test_a_status_is_one_request_with_device_state(
    camera: AsyncCamera, simulated: SimulatedCamera
) -> None:
    await camera.get_status()
    simulated.requests.clear()
    status = await camera.get_status()
    assert [request.member for request in simulated.requests] == ["devicestate"]
    assert status.camera_state is CameraStates.IDLE
    assert status.image_ready is False
    assert status.ccd_temperature == pytest.approx(15, abs=1)
    assert status.percent_completed is None
    assert status.timestamp is not None
    assert abs((datetime.now(UTC) - status.timestamp).total_seconds()) < 5


async def test_a_camera_that_is_not_connected_has_no_status(
    camera: AsyncCamera, simulated: SimulatedCamera
) -> None:
    simulated.disconnect()
    await until(lambda: not simulated.connected)
    with pytest.raises(NotConnectedException):
        await camera.get_status()


async def test_a_status_can_be_written_as_json(camera: AsyncCamera) -> None:
    status = await camera.get_status()
    assert json.loads(json.dumps(status.as_dict())) == status.as_dict()
    assert asdict(status).keys() == status.as_dict().keys()
    assert CameraStatus().as_dict()["timestamp"] is None


async def test_older_cameras_get_one_request_per_connection(
    client: AlpacaClient,
) -> None:
    older = SimulatedCamera(width=32, height=24, interface_version=3, initially_connected=True)
    async with SimulatorServer([older]) as server:
        status = await client.camera(server.address).get_status()
        assert (status.camera_state, status.image_ready) == (CameraStates.IDLE, False)
        assert status.cooler_power == 0
        assert status.heat_sink_temperature is None
        async with AlpacaClient(connections_per_server=8) as wide:
            status = await wide.camera(server.address).get_status()
    assert status.heat_sink_temperature is not None
    assert status.cooler_on is False
    assert older.count("devicestate") == 0


async def test_missing_members_are_skipped_and_others_read_instead() -> None:
    replies = Forgiving(
        interfaceversion=value(2),
        camerastate=value(0),
        imageready=ascom_error(0x500, "failed"),
        ccdtemperature=http(b"", status="404 Not Found"),
        cooleron=value(True),
    )
    async with ScriptedServer(replies) as server, AlpacaClient() as client:
        camera = client.camera(server.address)
        for _ in range(3):
            await camera.get_status()
        status = await camera.get_status()
    assert status == CameraStatus(camera_state=CameraStates.IDLE, cooler_on=True)
    assert server.count("ccdtemperature") == server.count("coolerpower") == 1
    assert server.count("imageready") == 4


async def test_a_member_whose_server_fails_is_not_missing() -> None:
    replies = Forgiving(
        interfaceversion=value(2),
        camerastate=value(0),
        ccdtemperature=http(b"", status="500 Oops"),
    )
    async with ScriptedServer(replies) as server, AlpacaClient() as client:
        camera = client.camera(server.address)
        assert (await camera.get_status()).ccd_temperature is None
        replies["ccdtemperature"] = value(-10.0)
        assert (await camera.get_status()).ccd_temperature == -10.0


@pytest.mark.parametrize("version", [2, 4])
async def test_a_missing_camera_is_an_error_and_is_asked_again(version: int) -> None:
    unknown = http(b"there is no camera 0", status="400 Bad Request")
    replies = _Unknown(unknown)
    async with ScriptedServer(replies) as server, AlpacaClient() as client:
        camera = client.camera(server.address)
        for _ in range(3):
            with pytest.raises(RequestRejected, match="there is no camera 0"):
                await camera.get_status()
        state = value([{"Name": "CameraState", "Value": 0}])
        replies.update(interfaceversion=value(version), camerastate=value(0), devicestate=state)
        assert (await camera.get_status()).camera_state is CameraStates.IDLE
        assert (server.count("devicestate") > 0) is (version == 4)


@in_virtual_time
async def test_single_members_take_one_round_trip() -> None:
    def later(reply: bytes) -> Reply:
        async def answer(_: Request) -> bytes:
            await asyncio.sleep(3)
            return reply

        return answer

    members = {"camerastate": value(0), "imageready": value(False)}
    members |= dict.fromkeys(("ccdtemperature", "coolerpower", "heatsinktemperature"), value(1.5))
    slow: dict[str, Reply] = {name: later(reply) for name, reply in members.items()}
    replies = Forgiving(interfaceversion=value(2), **slow)
    async with ScriptedServer(replies) as server, AlpacaClient() as client:
        camera = client.camera(server.address)
        await camera.get_status()
        begun = now()
        status = await camera.get_status()
        assert now() - begun == pytest.approx(3)
    assert status.cooler_power == 1.5


async def test_errors_are_those_of_the_members(client: AlpacaClient) -> None:
    replies = Forgiving(interfaceversion=value(2), camerastate=ascom_error(0x407, "no"))
    async with ScriptedServer(replies) as server:
        with pytest.raises(NotConnectedException):
            await client.camera(server.address).get_status()
    replies = Forgiving(interfaceversion=value(4), devicestate=http(b"", status="500 Oops"))
    async with ScriptedServer(replies) as server:
        with pytest.raises(RequestRejected):
            await client.camera(server.address).get_status()


async def test_an_invalid_percentage_of_an_older_camera_is_none(client: AlpacaClient) -> None:
    replies = Forgiving(camerastate=value(0), percentcompleted=value(-99))
    async with ScriptedServer(replies) as server:
        camera = client.camera(server.address)
        for _ in range(3):
            assert await camera.get_status() == CameraStatus(camera_state=CameraStates.IDLE)
        assert server.count("percentcompleted") == 2


def test_names_match_in_any_case_and_unknown_ones_are_ignored() -> None:
    records: list[dict[str, object]] = [
        {"Name": "camerastate", "Value": 2},
        {"Name": "IMAGEREADY", "Value": 0},
        {"Name": "CoolerOn", "Value": True},
        {"Name": "Mood", "Value": "fine"},
        {"Value": 1},
    ]
    expected = CameraStatus(camera_state=CameraStates.EXPOSING, image_ready=False, cooler_on=True)
    assert status_of(records) == expected


@pytest.mark.parametrize("percent", [-99, 101, 100.6, "half", None])
def test_an_invalid_percentage_is_none(percent: object) -> None:
    assert status_of([{"Name": "PercentCompleted", "Value": percent}]) == CameraStatus()
    assert status_of([{"Name": "PercentCompleted", "Value": 100.0}]).percent_completed == 100


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-01T12:00:00Z",
        "2026-03-01T12:00:00.0000000Z",
        "2026-03-01T12:00:00+00:00",
        "2026-03-01T14:00:00.000+02:00",
        "2026-03-01T12:00:00",
    ],
)
def test_timestamps_have_many_formats(text: str) -> None:
    status = status_of([{"Name": "TimeStamp", "Value": text}])
    assert status.timestamp == datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "yesterday", "0001-01-01T00:00:00+14:00", 7])
def test_an_invalid_timestamp_is_none(text: object) -> None:
    assert status_of([{"Name": "TimeStamp", "Value": text}]).timestamp is None

from __future__ import annotations

import http.client
import json
import statistics
import time

import pytest

from alpaca_async.testing import (
    FaultProxy,
    SimulatedCamera,
    SimulatedRig,
    SimulatorServer,
    run_in_thread,
)

from .conftest import http_client


def ask(server: SimulatorServer | FaultProxy) -> str:
    connection = http.client.HTTPConnection(server.address)
    connection.request("GET", "/api/v1/camera/0/name")
    name: str = json.load(connection.getresponse())["Value"]
    connection.close()
    return name


def test_a_synchronous_test_gets_a_camera(
    alpaca_server: SimulatorServer, alpaca_camera: SimulatedCamera
) -> None:
    assert ask(alpaca_server) == alpaca_camera.name
    assert alpaca_camera.count("name") == 1


async def test_an_asynchronous_test_gets_a_camera(
    alpaca_server: SimulatorServer, alpaca_camera: SimulatedCamera
) -> None:
    async with http_client(alpaca_server) as client:
        await client.put("/api/v1/camera/0/connect")
    assert alpaca_camera.count("connect", "PUT") == 1


async def test_a_test_gets_the_devices_around_the_camera(
    alpaca_server: SimulatorServer, alpaca_rig: SimulatedRig, alpaca_camera: SimulatedCamera
) -> None:
    assert alpaca_rig.camera is alpaca_camera
    async with http_client(alpaca_server) as client:
        await client.put("/api/v1/safetymonitor/0/connect")
    assert alpaca_rig.safety_monitor.count("connect") == 1


def test_a_synchronous_test_gets_a_bad_network(
    alpaca_faults: FaultProxy, alpaca_camera: SimulatedCamera
) -> None:
    alpaca_faults.add("close_after", times=1)
    with pytest.raises(http.client.RemoteDisconnected):
        ask(alpaca_faults)
    assert ask(alpaca_faults) == alpaca_camera.name
    assert (alpaca_faults.count(member="name"), alpaca_camera.count("name")) == (1, 2)


async def test_an_asynchronous_test_gets_a_bad_network(alpaca_faults: FaultProxy) -> None:
    async with http_client(alpaca_faults) as client:
        with alpaca_faults.add("http_503_json", verb="PUT"):
            assert (await client.put("/api/v1/camera/0/connect")).status_code == 503
        assert (await client.put("/api/v1/camera/0/connect")).status_code == 200


class TestOverridden:
    @pytest.fixture
    def alpaca_cameras(self) -> list[SimulatedCamera]:
        return [SimulatedCamera(name="Mine")]

    def test_a_module_chooses_its_cameras(self, alpaca_server: SimulatorServer) -> None:
        assert ask(alpaca_server) == "Mine"


def test_a_server_on_a_thread_is_ready_within_a_tenth_of_a_second() -> None:
    times: list[float] = []
    for _ in range(7):
        before = time.perf_counter()
        with run_in_thread(SimulatorServer([SimulatedCamera()])):
            times.append(time.perf_counter() - before)
    assert statistics.median(times) < 0.1

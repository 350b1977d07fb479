from __future__ import annotations

import http.client
import json
import statistics
import time

import pytest

from alpaca_async.testing import SimulatedCamera, SimulatorServer, run_in_thread

from .conftest import http_client


def ask(server: SimulatorServer) -> str:
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

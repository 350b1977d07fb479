from __future__ import annotations

import json
from typing import TYPE_CHECKING

from alpaca_async import SensorType
from alpaca_async.testing import SimulatedCamera, SimulatorServer, run_in_thread

from .conftest import CONNECTED

if TYPE_CHECKING:
    import pytest

    from .conftest import Run


def test_it_shows_server_devices_and_cameras(
    run: Run, address: str, simulated: SimulatedCamera
) -> None:
    result = run("info", address)
    assert (result.exit_code, result.stderr) == (0, CONNECTED)
    lines = [line.strip() for line in result.stdout.splitlines()]
    assert "server        Simulated cameras" in lines
    assert f"camera 0      Simulated camera  {simulated.unique_id}" in lines
    assert "size          64 x 48 pixels" in lines
    assert "driver        version 1.0, ICameraV4" in lines
    assert "sensor        SIM1280, monochrome" in lines
    assert not simulated.connected


def test_a_row_is_one_line_in_a_pipe(
    run: Run, address: str, simulated: SimulatedCamera, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    simulated.sensor_name = " ".join(["a very long name"] * 20)
    lines = run("info", address).stdout.splitlines()
    assert f"sensor        {simulated.sensor_name}, monochrome" in lines
    assert lines == [line.rstrip() for line in lines]


def test_missing_facts_are_omitted(run: Run, address: str, simulated: SimulatedCamera) -> None:
    simulated.interface_version = 2
    simulated.can_pulse_guide = False
    simulated.readout_modes = ()
    lines = run("info", address).stdout.splitlines()
    assert not any("readout" in line or "guide" in line for line in lines)


def test_a_connected_camera_stays_connected(
    run: Run, address: str, simulated: SimulatedCamera
) -> None:
    simulated.set_connected(True)
    assert run("info", address).exit_code == 0
    assert simulated.connected


def test_json_has_the_same_facts(run: Run) -> None:
    cameras = [
        SimulatedCamera(name="Left", sensor=SensorType.RGGB),
        SimulatedCamera(name="Right", width=100, height=80),
    ]
    with run_in_thread(SimulatorServer(cameras)) as server:
        report = json.loads(run("info", server.address, "--json").stdout)
        only = json.loads(run("info", server.address, "--json", "--device", 1).stdout)
    assert report["server"]["server_name"] == "Simulated cameras"
    assert [device["device_name"] for device in report["devices"]] == ["Left", "Right"]
    assert [camera["sensor_type"] for camera in report["cameras"]] == ["RGGB", "MONOCHROME"]
    assert only["cameras"] == report["cameras"][1:]
    assert only["cameras"][0]["camera_x_size"] == 100
    assert only["cameras"][0]["bayer_offset_x"] is None


def test_a_server_without_cameras_shows_that_it_has_none(run: Run) -> None:
    with run_in_thread(SimulatorServer([])) as server:
        result = run("info", server.address)
        report = json.loads(run("info", server.address, "--json").stdout)
    assert result.exit_code == 0
    assert "no devices" in result.stdout
    assert report["cameras"] == report["devices"] == []


def test_a_missing_camera_is_reported_on_one_line(run: Run, address: str) -> None:
    result = run("info", address, "--device", 4)
    assert (result.exit_code, result.stderr) == (1, "alpaca-async: the server has no camera 4\n")


def test_an_unreachable_server_is_reported_on_one_line(run: Run) -> None:
    result = run("info", "127.0.0.1:1")
    assert result.exit_code == 1
    assert result.stderr.startswith("alpaca-async: http://127.0.0.1:1 management/v1/description: ")
    assert result.stderr.count("\n") == 1


def test_sim_is_an_address(run: Run) -> None:
    result = run("info", "sim")
    assert result.exit_code == 0
    assert "size          1280 x 960 pixels" in result.stdout

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import TYPE_CHECKING, TypeAlias

import pytest

from alpaca_async.cli._members import MEMBERS

from .conftest import ctrl_c_after, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from typer.testing import Result

    from alpaca_async.testing import SimulatedCamera

    from .conftest import Run

    Monitored: TypeAlias = Callable[..., Result]


@pytest.fixture
def connected(simulated: SimulatedCamera) -> SimulatedCamera:
    simulated.set_connected(True)
    return simulated


def test_all_members_are_lines_in_a_pipe(
    run: Run, address: str, connected: SimulatedCamera
) -> None:
    result = run("get", address)
    lines = result.stdout.splitlines()
    assert (result.exit_code, result.stderr) == (0, "")
    assert len(lines) == len(MEMBERS)
    assert {"gain=0", "camera_state=idle", "sensor_type=monochrome", "connected=true"} <= {*lines}
    assert "gains: not implemented" in lines
    assert "readout_modes=High quality, Fast" in lines
    assert connected.connected


def test_named_members_are_printed_in_the_given_order(
    run: Run, address: str, connected: SimulatedCamera
) -> None:
    result = run("get", address, "offset", "Gain", "num_*")
    assert result.stdout.splitlines() == ["offset=100", "gain=0", "num_x=64", "num_y=48"]


def test_a_member_that_is_not_implemented_is_no_error(
    run: Run, address: str, connected: SimulatedCamera
) -> None:
    connected.interface_version = 2  # has no offset: the server replies with status 400
    result = run("get", address, "gains", "offset")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == ["gains: not implemented", "offset: not implemented"]


def test_a_named_member_that_cannot_be_read_now_is_an_error(
    run: Run, address: str, connected: SimulatedCamera
) -> None:
    reason = "Simulated camera is not exposing (error 0x40B)"
    result = run("get", address, "percent_completed", "gain")
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [f"percent_completed: {reason}", "gain=0"]
    assert run("get", address, "percent*").exit_code == 0


def test_a_camera_that_is_not_connected_stays_so_and_a_hint_is_printed(
    run: Run, address: str, simulated: SimulatedCamera
) -> None:
    result = run("get", address)
    assert result.exit_code == 0
    assert "connected=false" in result.stdout.splitlines()
    assert "gain" not in result.stdout
    hint = f"not connected; to connect: alpaca-async set {address} connected=true\n"
    assert result.stderr == hint
    assert not simulated.connected
    named = run("get", address, "gain")
    assert (named.exit_code, named.stdout) == (1, "gain: not connected\n")


def test_option_1_prints_only_the_value(run: Run, address: str, connected: SimulatedCamera) -> None:
    assert run("get", address, "-1", "CameraXSize").stdout == "64\n"
    missing = run("get", address, "-1", "gains")
    assert (missing.exit_code, missing.stdout) == (1, "")
    assert missing.stderr == "gains: not implemented\n"


@pytest.mark.parametrize(
    "arguments", [["-1"], ["-1", "bin_?"], ["-1", "gain", "-m"], ["-1", "gain", "--json"]]
)
def test_option_1_needs_exactly_one_member(run: Run, address: str, arguments: list[str]) -> None:
    result = run("get", address, *arguments)
    assert result.exit_code == 2
    message = "-1 needs exactly one member, and cannot be used with -m or --json"
    assert result.stderr == f"alpaca-async: {message}\n"


def test_an_unknown_member_is_a_usage_error(run: Run) -> None:
    result = run("get", "sim", "gian")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "alpaca-async: a camera has no member 'gian'; did you mean gain?\n"


def test_json_separates_values_from_errors(
    run: Run, address: str, connected: SimulatedCamera
) -> None:
    names = ("gain", "sensor_type", "gains", "percent_completed", "readout_modes")
    assert json.loads(run("get", address, "--json", *names).stdout) == {
        "values": {
            "gain": 0,
            "sensor_type": "MONOCHROME",
            "readout_modes": ["High quality", "Fast"],
        },
        "not_implemented": ["gains"],
        "errors": {"percent_completed": "Simulated camera is not exposing (error 0x40B)"},
    }


def test_a_terminal_shows_a_table_with_groups_and_units(
    run: Run, address: str, connected: SimulatedCamera, terminal: None
) -> None:
    shown = run("get", address).stdout
    assert "\x1b[1mcooling" in shown
    assert "15.0\x1b[2m °C" in shown
    assert "\x1b[2mnot implemented" in shown
    assert "\x1b[33mSimulated camera is not exposing" in shown


class TestMonitoring:
    """Changes the gain after some readings, and presses Ctrl-C some readings later."""

    @pytest.fixture
    def monitored(self, run: Run, address: str, connected: SimulatedCamera) -> Monitored:
        def monitor(*arguments: object) -> Result:
            def change() -> None:
                self.wait_for_readings(connected)
                connected.set_gain(50)
                self.wait_for_readings(connected)

            with ctrl_c_after(change):
                return run("get", address, "-m", "-i", 0.01, *arguments)

        return monitor

    def wait_for_readings(self, camera: SimulatedCamera) -> None:
        before = camera.count("gain")
        wait_until(lambda: camera.count("gain") >= before + 3)

    def test_everything_is_printed_once_and_then_what_changes(self, monitored: Monitored) -> None:
        result = monitored("gain", "bin_x", "gains")
        assert (result.exit_code, result.stderr) == (130, "alpaca-async: interrupted\n")
        assert result.stdout.splitlines() == [
            "gain=0",
            "bin_x=1",
            "gains: not implemented",
            "gain=50",
        ]

    def test_json_is_one_line_for_each_change(self, monitored: Monitored) -> None:
        result = monitored("gain", "gains", "percent_completed", "--json")
        records = [json.loads(line) for line in result.stdout.splitlines()]
        assert all(datetime.fromisoformat(record.pop("time")).tzinfo for record in records)
        error = "Simulated camera is not exposing (error 0x40B)"
        assert records == [
            {"member": "gain", "value": 0},
            {"member": "gains", "value": None, "not_implemented": True},
            {"member": "percent_completed", "value": None, "error": error},
            {"member": "gain", "value": 50},
        ]

    def test_a_terminal_shows_the_time_of_each_change(
        self, monitored: Monitored, terminal: None
    ) -> None:
        lines = monitored("gain").stdout.splitlines()
        assert [line.split()[-2:] for line in map(without_colour, lines)] == [
            ["gain", "0"],
            ["gain", "50"],
        ]
        assert re.match(r"\d\d:\d\d:\d\d ", without_colour(lines[1]))

    def test_constant_members_are_read_once(
        self, monitored: Monitored, connected: SimulatedCamera
    ) -> None:
        assert monitored().exit_code == 130
        assert connected.count("sensortype") == connected.count("gains") == 1
        assert connected.count("ccdtemperature") > 2


def test_monitoring_continues_when_the_camera_is_connected(
    run: Run, address: str, simulated: SimulatedCamera
) -> None:
    def connect() -> None:
        wait_until(lambda: simulated.count("gain") >= 2)
        simulated.set_connected(True)
        before = simulated.count("gain")
        wait_until(lambda: simulated.count("gain") >= before + 3)

    with ctrl_c_after(connect):
        result = run("get", address, "-m", "-i", 0.01, "g*")
    assert result.stdout.splitlines()[:1] == ["gain: not connected"]
    assert "gain=0" in result.stdout.splitlines()


def without_colour(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)

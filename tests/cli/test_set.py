from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from alpaca_async.cli import _set
from alpaca_async.testing import SimulatedCamera, SimulatorServer, run_in_thread

from .conftest import ctrl_c_when

if TYPE_CHECKING:
    from .conftest import Run


@pytest.fixture
def simulated() -> SimulatedCamera:
    return SimulatedCamera(
        width=64, height=48, readout_time=0.0, connect_time=0.0, initially_connected=True
    )


def test_members_are_set_in_order_and_read_back(
    run: Run, address: str, simulated: SimulatedCamera
) -> None:
    result = run("set", address, "Gain=100", "CoolerOn=on", "SetCCDTemperature=-10.5")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        "gain=100",
        "cooler_on=true",
        "ccd_temperature_setpoint=-10.5",
    ]
    puts = [request.member for request in simulated.requests if request.verb == "PUT"]
    assert puts == ["gain", "cooleron", "setccdtemperature"]


def test_a_camera_that_is_not_connected_is_an_error_with_a_hint(
    run: Run, address: str, simulated: SimulatedCamera
) -> None:
    simulated.set_connected(False)
    result = run("set", address, "cooler_on=true")
    hint, error = result.stderr.splitlines()
    assert hint == f"not connected; to connect: alpaca-async set {address} connected=true"
    assert error.startswith("alpaca-async: ")
    assert result.exit_code == 1
    assert not simulated.connected


def test_what_get_prints_can_be_set(run: Run, address: str) -> None:
    lines = run("get", address, "gain", "bin_?", "num_?", "cooler_on").stdout.splitlines()
    assert run("set", address, *lines).stdout.splitlines() == lines


def test_binning_and_subframe_are_set_together(
    run: Run, address: str, simulated: SimulatedCamera
) -> None:
    result = run("set", address, "bin_x=2", "gain=7", "bin_y=2", "start_x=4", "num_x=8")
    assert result.exit_code == 0
    assert (simulated.bin_x, simulated.bin_y) == (2, 2)
    assert (simulated.start_x, simulated.num_x, simulated.num_y) == (4, 8, 24)
    before = simulated.count("binx", "PUT")
    wrong = run("set", address, "bin_x=1", "bin_y=1", "num_x=100")
    assert wrong.exit_code == 1
    assert wrong.stderr.count("\n") == 1
    assert simulated.count("binx", "PUT") == before


@pytest.mark.parametrize(
    ("assignment", "line"),
    [
        ("readout_mode=fast", "readout_mode=1"),
        ("readout_mode=1", "readout_mode=1"),
        ("gain=Medium", "gain=1"),
        ("gain=2", "gain=2"),
    ],
)
def test_modes_and_gains_are_set_by_name_or_number(run: Run, assignment: str, line: str) -> None:
    camera = SimulatedCamera(width=8, height=8, gain_mode="list", initially_connected=True)
    with run_in_thread(SimulatorServer([camera])) as server:
        assert run("set", server.address, assignment).stdout == f"{line}\n"


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("readout_mode=x", "there is no readout mode 'x'; the modes are High quality, Fast"),
        ("gain=x", "there is no gain 'x'; it is a number from 0 to 300"),
    ],
)
def test_the_error_for_an_unknown_name_lists_the_names(
    run: Run, address: str, assignment: str, message: str
) -> None:
    result = run("set", address, assignment)
    assert (result.exit_code, result.stderr) == (1, f"alpaca-async: {message}\n")


@pytest.mark.parametrize(
    ("assignments", "message"),
    [
        (["gain"], "'gain' is not valid: use NAME=VALUE"),
        (["gain=1", "Gain=2"], "gain is set twice"),
        (["name=x"], "name is read-only"),
        (["bin_x=x"], "bin_x=x: expected a whole number"),
    ],
)
def test_a_usage_error_is_one_line_and_sets_nothing(
    run: Run, address: str, simulated: SimulatedCamera, assignments: list[str], message: str
) -> None:
    result = run("set", address, "cooler_on=true", *assignments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"alpaca-async: {message}\n"
    assert not simulated.requests


def test_no_assignment_is_a_usage_error(run: Run) -> None:
    assert run("set", "sim").exit_code == 2


def test_an_error_of_the_camera_is_one_line(run: Run, address: str) -> None:
    result = run("set", address, "ccd_temperature_setpoint=999")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "SetCCDTemperature must be -60.0 to 40.0, not 999.0" in result.stderr
    assert result.stderr.count("\n") == 1


def test_setting_connected_connects_and_disconnects(
    run: Run, address: str, simulated: SimulatedCamera
) -> None:
    simulated.set_connected(False)
    assert run("set", address, "gain=1").exit_code == 1
    assert run("set", address, "connected=true", "gain=1").exit_code == 0
    assert simulated.connected
    assert simulated.gain == 1
    assert run("set", address, "connected=no").stdout == "connected=false\n"
    assert not simulated.connected


def test_json_has_the_values_that_were_read_back(run: Run, address: str) -> None:
    document = json.loads(run("set", address, "gain=5", "--json").stdout)
    assert document == {"values": {"gain": 5}, "not_implemented": [], "errors": {}}


def test_sim_is_an_address(run: Run) -> None:
    assert run("set", "sim", "gain=5").stdout == "gain=5\n"


class SlowToReply(SimulatedCamera):
    """Delays the reply to `PUT offset`."""

    delay = 0.3

    def answer_delay(self, verb: str, member: str) -> float:
        return self.delay if (verb, member) == ("PUT", "offset") else 0.0


class TestCtrlC:
    @pytest.fixture
    def simulated(self) -> SimulatedCamera:
        return SlowToReply(width=8, height=8, initially_connected=True)

    def test_it_waits_for_the_reply_and_reports_what_was_set(
        self, run: Run, address: str, simulated: SimulatedCamera
    ) -> None:
        with ctrl_c_when(lambda: simulated.count("offset", "PUT")):
            result = run("set", address, "gain=5", "offset=7", "cooler_on=true")
        message = "interrupted; set: gain, offset; not set: cooler_on"
        assert (result.exit_code, result.stderr) == (130, f"alpaca-async: {message}\n")
        assert (simulated.gain, simulated.offset_adu) == (5, 7)
        assert not simulated.count("cooleron")

    def test_it_waits_only_a_limited_time_for_the_reply(
        self,
        run: Run,
        address: str,
        simulated: SimulatedCamera,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(SlowToReply, "delay", 30.0)
        monkeypatch.setattr(_set, "_GRACE_PERIOD", 0.05)
        with ctrl_c_when(lambda: simulated.count("offset", "PUT")):
            result = run("set", address, "offset=7", "gain=5")
        message = "interrupted; not set: offset, gain"
        assert (result.exit_code, result.stderr) == (130, f"alpaca-async: {message}\n")

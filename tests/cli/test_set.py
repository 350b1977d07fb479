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


def test_a_camera_that_is_not_connected_is_left_so_and_the_way_out_is_named(
    run: Run, address: str, simulated: SimulatedCamera
) -> None:
    simulated.set_connected(False)
    result = run("set", address, "cooler_on=true")
    hint, error = result.stderr.splitlines()
    assert hint == f"not connected; alpaca-async set {address} connected=true connects it"
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
def test_modes_and_gains_can_be_named(run: Run, assignment: str, line: str) -> None:
    camera = SimulatedCamera(width=8, height=8, gain_mode="list", initially_connected=True)
    with run_in_thread(SimulatorServer([camera])) as server:
        assert run("set", server.address, assignment).stdout == f"{line}\n"


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("readout_mode=x", "there is no readout mode 'x'; there are High quality, Fast"),
        ("gain=x", "there is no gain 'x'; it is a number from 0 to 300"),
    ],
)
def test_an_unknown_name_is_answered_with_the_names(
    run: Run, address: str, assignment: str, message: str
) -> None:
    result = run("set", address, assignment)
    assert (result.exit_code, result.stderr) == (1, f"alpaca-async: {message}\n")


@pytest.mark.parametrize(
    ("assignments", "message"),
    [
        (["gain"], "'gain' is not NAME=VALUE"),
        (["gain=1", "Gain=2"], "gain is set twice"),
        (["name=x"], "name can only be read"),
        (["bin_x=x"], "bin_x=x: a whole number is expected"),
    ],
)
def test_wrong_usage_is_one_line_and_sets_nothing(
    run: Run, address: str, simulated: SimulatedCamera, assignments: list[str], message: str
) -> None:
    result = run("set", address, "cooler_on=true", *assignments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"alpaca-async: {message}\n"
    assert not simulated.requests


def test_nothing_to_set_is_wrong_usage(run: Run) -> None:
    assert run("set", "sim").exit_code == 2


def test_the_camera_s_refusal_is_one_line(run: Run, address: str) -> None:
    result = run("set", address, "ccd_temperature_setpoint=999")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "SetCCDTemperature must be -60.0 to 40.0, not 999.0" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_camera_is_connected_and_disconnected_on_demand(
    run: Run, address: str, simulated: SimulatedCamera
) -> None:
    simulated.set_connected(False)
    assert run("set", address, "gain=1").exit_code == 1
    assert run("set", address, "connected=true", "gain=1").exit_code == 0
    assert simulated.connected
    assert simulated.gain == 1
    assert run("set", address, "connected=no").stdout == "connected=false\n"
    assert not simulated.connected


def test_json_holds_what_was_read_back(run: Run, address: str) -> None:
    document = json.loads(run("set", address, "gain=5", "--json").stdout)
    assert document == {"values": {"gain": 5}, "not_implemented": [], "errors": {}}


def test_sim_is_an_address(run: Run) -> None:
    assert run("set", "sim", "gain=5").stdout == "gain=5\n"


class SlowToAnswer(SimulatedCamera):
    """Answers a change of its offset late."""

    late = 0.3

    def answer_delay(self, verb: str, member: str) -> float:
        return self.late if (verb, member) == ("PUT", "offset") else 0.0


class TestCtrlC:
    @pytest.fixture
    def simulated(self) -> SimulatedCamera:
        return SlowToAnswer(width=8, height=8, initially_connected=True)

    def test_the_answer_is_awaited_and_what_was_set_is_said(
        self, run: Run, address: str, simulated: SimulatedCamera
    ) -> None:
        with ctrl_c_when(lambda: simulated.count("offset", "PUT")):
            result = run("set", address, "gain=5", "offset=7", "cooler_on=true")
        message = "interrupted; set: gain, offset; not set: cooler_on"
        assert (result.exit_code, result.stderr) == (130, f"alpaca-async: {message}\n")
        assert (simulated.gain, simulated.offset_adu) == (5, 7)
        assert not simulated.count("cooleron")

    def test_an_answer_that_does_not_come_is_not_awaited_for_long(
        self,
        run: Run,
        address: str,
        simulated: SimulatedCamera,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(SlowToAnswer, "late", 30.0)
        monkeypatch.setattr(_set, "_GRACE", 0.05)
        with ctrl_c_when(lambda: simulated.count("offset", "PUT")):
            result = run("set", address, "offset=7", "gain=5")
        message = "interrupted; not set: offset, gain"
        assert (result.exit_code, result.stderr) == (130, f"alpaca-async: {message}\n")

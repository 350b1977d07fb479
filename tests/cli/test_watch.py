from __future__ import annotations

import json
import re
import socket
from datetime import datetime
from errno import ENOSPC
from typing import TYPE_CHECKING, Any

import pytest

from alpaca_async.cli import _extras, _watch
from alpaca_async.testing import SimulatedCamera, SimulatorServer, run_in_thread

from .conftest import ctrl_c_after, ctrl_c_when, wait_until

if TYPE_CHECKING:
    from .conftest import Run

_ONCE = ("-n", 1, "-i", 0.01)


def small(**facts: Any) -> SimulatedCamera:  # noqa: ANN401 - arguments of SimulatedCamera
    return SimulatedCamera(width=8, height=8, connect_time=0.0, readout_time=0.0, **facts)


def test_each_reading_is_one_line_in_a_pipe(
    run: Run, address: str, simulated: SimulatedCamera
) -> None:
    simulated.set_connected(True)
    result = run("watch", address, "-n", 2, "-i", 0.01)
    assert (result.exit_code, result.stderr) == (0, "")
    first, second = result.stdout.splitlines()
    time, place, camera, number, *facts = first.split()
    assert datetime.fromisoformat(time).tzinfo is not None
    assert [place, camera, number] == [address, "camera", "0:"]
    assert {"camera_state=idle", "image_ready=false", "ccd_temperature=15"} <= {*facts}
    assert second.split()[1:] == first.split()[1:]


def test_all_cameras_of_all_servers_are_watched_and_none_is_connected(run: Run) -> None:
    cameras = [small(name="Left"), small(name="Right"), small(name="Old", interface_version=3)]
    with (
        run_in_thread(SimulatorServer(cameras[:2])) as one,
        run_in_thread(SimulatorServer(cameras[2:])) as other,
    ):
        shown = run("watch", one.address, other.address, one.address, *_ONCE).stdout
        wanted = [f"{one.address} camera {n}" for n in (0, 1)] + [f"{other.address} camera 0"]
    places = sorted(line.split(maxsplit=1)[1] for line in shown.splitlines())
    assert places == sorted(f"{place}: not connected" for place in wanted)
    assert not any(camera.connected for camera in cameras)


def test_only_cameras_with_the_given_number_are_shown(run: Run) -> None:
    with run_in_thread(SimulatorServer([small(), small()])) as server:
        shown = run("watch", server.address, "-d", 1, *_ONCE).stdout
        missing = run("watch", server.address, "-d", 7, *_ONCE)
        assert f"{server.address} camera 1: " in shown
        assert missing.stdout.endswith(f" {server.address}: no camera 7\n")
    assert shown.count("\n") == 1
    assert missing.exit_code == 1


def test_a_server_without_cameras_is_an_error(run: Run) -> None:
    with run_in_thread(SimulatorServer([])) as server:
        result = run("watch", server.address)
        assert result.stdout.endswith(f" {server.address}: no cameras\n")
    assert result.exit_code == 1


def test_json_is_one_line_for_each_reading(
    run: Run, address: str, simulated: SimulatedCamera
) -> None:
    simulated.set_connected(True)
    simulated.start_exposure(60.0, light=True)
    (line,) = run("watch", address, *_ONCE, "--json").stdout.splitlines()
    record = json.loads(line)
    assert datetime.fromisoformat(record["time"]).tzinfo is not None
    assert (record["server"], record["device_number"]) == (address, 0)
    assert (record["name"], record["connected"]) == ("Simulated camera", True)
    assert (record["camera_state"], record["image_ready"]) == ("EXPOSING", False)
    assert record["percent_completed"] == 0


def test_a_full_disk_is_one_line(run: Run, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise OSError(ENOSPC, "No space left on device")

    monkeypatch.setattr(_watch, "print_json_line", fail)
    result = run("watch", address, "--json")
    message = "alpaca-async: No space left on device\n"
    assert (result.exit_code, result.stderr) == (1, message)


def test_json_has_errors(run: Run) -> None:
    result = run("watch", "127.0.0.1:1", *_ONCE, "--json")
    assert result.exit_code == 1
    record = json.loads(result.stdout)
    del record["time"]
    assert record == {
        "server": "127.0.0.1:1",
        "device_number": None,
        "name": "",
        "error": "connection refused",
    }


def test_a_server_that_starts_late_and_stops_is_shown(
    run: Run, simulated: SimulatedCamera, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(_watch, "print_line", said.append)
    with socket.create_server(("127.0.0.1", 0)) as place:
        port = place.getsockname()[1]

    def start_and_stop_server() -> None:
        wait_until(lambda: len(said) >= 2)
        with run_in_thread(SimulatorServer([simulated], port=port)):
            wait_until(lambda: simulated.count("devicestate") >= 2)
        wait_until(lambda: said[-1].endswith("camera 0: connection refused"))

    with ctrl_c_after(start_and_stop_server):
        result = run("watch", f"127.0.0.1:{port}", "-i", 0.02)
    assert result.exit_code == 130
    assert said[1].endswith(f" 127.0.0.1:{port}: connection refused")
    assert any(line.endswith(f" 127.0.0.1:{port} camera 0: not connected") for line in said)


def test_a_camera_that_disconnects_is_polled_again(
    run: Run, address: str, simulated: SimulatedCamera
) -> None:
    simulated.set_connected(True)
    simulated.interface_version = 3

    def disconnect_and_connect() -> None:
        for connected in (False, True):
            before = simulated.count("camerastate")
            wait_until(lambda before=before: simulated.count("camerastate") > before + 2)  # type: ignore[misc]
            simulated.set_connected(connected)
        before = simulated.count("camerastate")
        wait_until(lambda: simulated.count("camerastate") > before + 2)

    with ctrl_c_after(disconnect_and_connect):
        result = run("watch", address, "-i", 0.01)
    states = [line.split()[4] for line in result.stdout.splitlines()]
    assert re.fullmatch(r"(idle )+(not )+(idle ?)+", " ".join(states).replace("camera_state=", ""))


@pytest.mark.parametrize("version", [3, 4])
def test_ctrl_c_ends_it_and_changes_nothing(
    run: Run, address: str, simulated: SimulatedCamera, version: int
) -> None:
    simulated.interface_version = version
    simulated.set_connected(True)
    simulated.start_exposure(60.0, light=True)
    member = "devicestate" if version == 4 else "camerastate"
    with ctrl_c_when(lambda: simulated.count(member) > 2):
        result = run("watch", address, "-i", 0.01)
    assert (result.exit_code, result.stderr) == (130, "alpaca-async: interrupted\n")
    assert not [request for request in simulated.requests if request.verb == "PUT"]


def test_a_terminal_still_shows_the_last_state_after_ctrl_c(
    run: Run, address: str, simulated: SimulatedCamera, terminal: None
) -> None:
    simulated.set_connected(True)
    with ctrl_c_when(lambda: simulated.count("devicestate") > 1):
        result = run("watch", address, "-i", 0.01)
    last = result.stdout.rpartition("sensor")[2]
    assert "0 Simulated camera  idle " in last
    assert "15.0 °C" in last
    assert result.stdout.endswith("\x1b[?25h")  # the cursor is back
    assert "interrupted" in result.stderr


def test_sim_is_an_address(run: Run) -> None:
    assert "camera_state=idle" in run("watch", "sim", *_ONCE).stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "watch needs an ADDRESS, or --ray"),
        (("--ray", "observatory"), "--ray needs HOST:PORT, as `ray start --head` prints it"),
        (("--ray", "ray://observatory:10001"), "--ray needs HOST:PORT"),
        (("--ray", "here:6379", "127.0.0.1:1"), "--ray goes with --interval, --count and --json"),
        (("--ray", "here:6379", "-d", "0"), "--ray goes with --interval, --count and --json"),
    ],
)
def test_wrong_arguments_are_refused(run: Run, arguments: tuple[str, ...], message: str) -> None:
    result = run("watch", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"alpaca-async: {message}")


def test_without_ray_the_error_names_the_extra(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def find_nothing(_: str) -> None:
        return None

    monkeypatch.setattr(_extras, "find_spec", find_nothing)
    result = run("watch", "--ray", "here:6379")
    assert result.exit_code == 2
    assert 'pip install "alpaca_async[ray]"' in result.stderr

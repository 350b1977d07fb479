from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from alpaca_async._download.transposition import transposed_by
from alpaca_async.cli._access import Access
from alpaca_async.cli._probe import measure, observed_client
from alpaca_async.testing import FaultProxy, SimulatedCamera, SimulatorServer, run_in_thread
from tests.scripted import ScriptedServer, value

from .conftest import CONNECTED, ctrl_c_when

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Run

_QUICK = ("--calls", 10, "-n", 1, "-t", 0.01)


def test_it_measures_calls_and_frames_and_leaves_the_camera_as_found(
    run: Run, address: str, simulated: SimulatedCamera
) -> None:
    result = run("bench", address, *_QUICK)
    assert (result.exit_code, result.stderr) == (0, CONNECTED)
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert lines[0].startswith("connection ")
    assert lines[0].endswith("ms to open; HTTP/1.1")
    assert lines[1] == "1 connection (keep-alive) for 10 calls"
    assert lines[2].startswith("small call ")
    form = "64 x 48 as ImageBytes, uint16 (int32 in the camera)"
    assert any(line.endswith(form) for line in lines)
    assert any(line.endswith(f"/s; rows by {transposed_by()}") for line in lines)
    assert lines[-1].startswith("- ")
    assert simulated.count("startexposure") == 1
    assert not simulated.connected


def test_json_has_all_numbers_and_the_verdict(run: Run, address: str) -> None:
    report = json.loads(run("bench", address, *_QUICK, "--json").stdout)
    assert report["calls"]["count"] == 10
    assert 0 < report["calls"]["median"] <= report["calls"]["p99"] < 10
    assert (report["http_version"], report["openings"]) == ("HTTP/1.1", 1)
    frames = report["frames"]
    assert (frames["width"], frames["height"], frames["count"]) == (64, 48, 1)
    assert frames["media_type"] == "application/imagebytes"
    assert frames["exposure"] == 0.01
    assert min(frames["ready"], frames["first_byte"], frames["transfer"]) >= 0
    assert frames["transposed_by"] == transposed_by()
    assert report["verdict"]


def test_images_sent_as_json_are_reported(run: Run, simulated: SimulatedCamera) -> None:
    with run_in_thread(SimulatorServer([simulated], imagebytes=False)) as server:
        shown = run("bench", server.address, *_QUICK).stdout
    assert "64 x 48 as JSON, " in shown
    assert "- the server sends images as JSON" in shown


def test_a_truncated_image_is_reported_on_one_line(run: Run, simulated: SimulatedCamera) -> None:
    with (
        run_in_thread(SimulatorServer([simulated])) as server,
        run_in_thread(FaultProxy(server.address)) as proxy,
    ):
        proxy.add("short_image", after=1)
        result = run("bench", proxy.address, *_QUICK)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "the image ended after" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_busy_camera_is_not_disturbed(run: Run, address: str, simulated: SimulatedCamera) -> None:
    simulated.set_connected(True)
    simulated.start_exposure(60.0, light=True)
    shown = run("bench", address, *_QUICK).stdout
    assert "- no frame was taken: the camera is busy with an exposure" in shown
    assert not simulated.count("startexposure")
    assert simulated.connected


def test_without_frames_nothing_is_exposed(
    run: Run, address: str, simulated: SimulatedCamera
) -> None:
    assert "frame" not in run("bench", address, "--calls", 5, "-n", 0).stdout
    assert not simulated.count("startexposure")


def test_the_exposure_time_is_within_the_limits_of_the_camera(
    run: Run, address: str, simulated: SimulatedCamera
) -> None:
    simulated.exposure_min = 0.02
    report = json.loads(run("bench", address, *_QUICK, "--json").stdout)
    assert report["frames"]["exposure"] == 0.02


def test_ctrl_c_aborts_the_exposure(
    run: Run, address: str, simulated: SimulatedCamera, tmp_path: Path
) -> None:
    with ctrl_c_when(lambda: simulated.count("startexposure")):
        result = run("bench", address, "--calls", 5, "-t", 30)
    assert (result.exit_code, result.stderr) == (130, "alpaca-async: interrupted\n")
    assert simulated.count("abortexposure") == 1
    assert not simulated.connected


def test_a_terminal_shows_a_spinner_during_the_measurement(
    run: Run, address: str, terminal: None
) -> None:
    result = run("bench", address, *_QUICK)
    assert "measuring" in result.stderr
    assert "\x1b[2msmall call" in result.stdout


def test_sim_is_an_address(run: Run) -> None:
    assert "small call" in run("bench", "sim", "--calls", 5, "-n", 0).stdout


@pytest.mark.parametrize("options", [["--calls", 0], ["-n", -1], ["-t", -1]])
def test_an_impossible_option_is_a_usage_error(run: Run, options: list[object]) -> None:
    assert run("bench", "sim", *options).exit_code == 2


async def test_connections_that_are_closed_after_each_reply_are_counted() -> None:
    def http_1_0(body: bytes) -> bytes:
        return body.replace(b"HTTP/1.1", b"HTTP/1.0", 1)

    replies = {"interfaceversion": http_1_0(value(3)), "camerastate": http_1_0(value(0))}
    async with (
        ScriptedServer(dict(replies)) as server,
        observed_client(Access()) as (client, transport),
    ):
        camera = client.camera(server.address)
        measured = await measure(camera, transport, calls=10, frames=0, exposure=0.1)
    assert (measured.http_version, measured.openings) == ("HTTP/1.0", 10)

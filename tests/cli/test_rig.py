"""The commands that use the devices beside the camera: expose, dark, flat and focus."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from alpaca_async import (
    AlpacaClient,
    CalibratorStatus,
    ConfiguredDevice,
    CoverStatus,
    InvalidOperationException,
    RequestRejected,
)
from alpaca_async.cli._rig import belonging
from alpaca_async.testing import (
    SimulatedCamera,
    SimulatedCoverCalibrator,
    SimulatedFilterWheel,
    SimulatedFocuser,
    SimulatedRig,
    SimulatorServer,
    run_in_thread,
)
from alpaca_async.testing._motion import at_rest

from .conftest import ctrl_c_when, wait_until
from .test_expose import exposure_started, fits

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .conftest import Run

FAST: Any = {"speed_up": 20.0, "initially_connected": True}


@pytest.fixture
def rig() -> SimulatedRig:
    camera = SimulatedCamera(
        width=320,
        height=240,
        readout_time=0.0,
        read_noise=0.5,
        hot_pixel_fraction=0.0,
        has_shutter=False,
        **FAST,
    )
    return SimulatedRig(
        [camera],
        focuser=SimulatedFocuser(position=4960, **FAST),
        filter_wheel=SimulatedFilterWheel(**FAST),
        cover_calibrator=SimulatedCoverCalibrator(flat_rate=200_000.0, **FAST),
    )


@pytest.fixture
def address(rig: SimulatedRig) -> Iterator[str]:
    with run_in_thread(SimulatorServer(rig.devices)) as server:
        yield server.address


def test_darks_are_taken_behind_the_closed_cover_which_is_opened_again(
    run: Run, address: str, rig: SimulatedRig, tmp_path: Path
) -> None:
    result = run("dark", address, "-t", 0.2, "-n", 2, "-o", tmp_path)
    assert (result.exit_code, result.stderr) == (0, "")
    paths = [tmp_path / "dark_0001.fits", tmp_path / "dark_0002.fits"]
    assert result.stdout.splitlines() == [str(path) for path in paths]
    assert fits.getheader(paths[0])["IMAGETYP"] == "Dark Frame"
    assert fits.getdata(paths[0]).max() < 120  # the bias is 100, and there are no stars
    assert rig.cover_calibrator.get_cover_state() is CoverStatus.OPEN


def test_a_calibrator_that_is_on_is_turned_off_for_darks(
    run: Run, address: str, rig: SimulatedRig, tmp_path: Path
) -> None:
    rig.cover_calibrator.close_cover()
    rig.cover_calibrator.calibrator_on(100)
    assert run("dark", address, "-t", 0.1, "-n", 1, "-o", tmp_path).exit_code == 0
    assert rig.cover_calibrator.get_calibrator_state() is CalibratorStatus.OFF
    assert rig.cover_calibrator.get_cover_state() is CoverStatus.CLOSED


def test_darks_need_no_cover_but_say_that_nothing_keeps_the_light_out(
    run: Run, rig: SimulatedRig, tmp_path: Path
) -> None:
    with run_in_thread(SimulatorServer(rig.cameras)) as server:
        result = run("dark", server.address, "-t", 0.1, "-n", 1, "-o", tmp_path)
    assert result.exit_code == 0
    assert result.stderr == "there is neither a cover nor a shutter: cover the camera yourself\n"


def test_after_ctrl_c_the_cover_stays_closed(
    run: Run, address: str, rig: SimulatedRig, tmp_path: Path
) -> None:
    with ctrl_c_when(exposure_started(rig.camera)):
        result = run("dark", address, "-t", 1000, "-o", tmp_path)
    assert result.exit_code == 130
    assert result.stderr.splitlines() == [
        f"the cover is closed; to open it: alpaca-async move {address} --cover open",
        "alpaca-async: interrupted; the camera was told to abort frame 1 of 10",
    ]
    assert rig.cover_calibrator.get_cover_state() is CoverStatus.CLOSED


def test_after_ctrl_c_while_the_cover_moves_its_state_is_told(
    run: Run, address: str, rig: SimulatedRig, tmp_path: Path
) -> None:
    rig.cover_calibrator._motion = at_rest(1.0, 1e-3)
    with ctrl_c_when(lambda: rig.cover_calibrator.count("closecover")):
        result = run("dark", address, "-o", tmp_path)
    assert result.exit_code == 130
    assert "the cover is unknown" in result.stderr


def test_light_frames_have_the_filter_and_the_position_of_the_focuser(
    run: Run, address: str, rig: SimulatedRig, tmp_path: Path
) -> None:
    result = run("expose", address, "-t", 0.1, "--filter", "r", "-o", tmp_path)
    assert (result.exit_code, result.stderr) == (0, "")
    header = fits.getheader(tmp_path / "light_0001.fits")
    assert (header["FILTER"], header["FOCUSPOS"]) == ("R", 4960)
    assert run("expose", address, "-t", 0.1, "--dark", "-o", tmp_path).exit_code == 0
    assert "FILTER" not in fits.getheader(tmp_path / "dark_0001.fits")


def test_what_was_connected_for_the_header_is_said(
    run: Run, address: str, rig: SimulatedRig, tmp_path: Path
) -> None:
    rig.filter_wheel.set_connected(False)
    rig.focuser.set_connected(False)
    result = run("expose", address, "-t", 0.1, "-o", tmp_path)
    expected = "connected filter wheel 0 and focuser 0, and disconnected them again\n"
    assert (result.exit_code, result.stderr) == (0, expected)
    assert fits.getheader(tmp_path / "light_0001.fits")["FILTER"] == "L"
    assert not rig.filter_wheel.connected


@pytest.mark.parametrize("member", ["connect", "get_position"])
def test_a_wheel_that_fails_costs_no_frame(
    run: Run,
    address: str,
    rig: SimulatedRig,
    tmp_path: Path,
    member: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail() -> int:
        raise InvalidOperationException(0x40B, "stuck")

    rig.filter_wheel.set_connected(False)
    monkeypatch.setattr(rig.filter_wheel, member, fail)
    result = run("expose", address, "-t", 0.1, "-o", tmp_path)
    assert result.exit_code == 0
    assert result.stderr.count("WARNING") == 1
    header = fits.getheader(tmp_path / "light_0001.fits")
    assert "FILTER" not in header
    assert header["FOCUSPOS"] == 4960


def test_a_server_that_cannot_list_its_devices_costs_no_frame(
    run: Run, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise RequestRejected("HTTP status 404")

    monkeypatch.setattr(AlpacaClient, "get_configured_devices", fail)
    result = run("expose", address, "-t", 0.1, "-o", tmp_path)
    assert result.exit_code == 0
    warning = "WARNING the devices beside the camera are unknown: HTTP status 404\n"
    assert result.stderr == warning
    assert run("flat", address, "-o", tmp_path).exit_code == 1


def test_a_light_frame_behind_the_closed_cover_is_remarked_once(
    run: Run, address: str, rig: SimulatedRig, tmp_path: Path
) -> None:
    rig.cover_calibrator.close_cover()
    wait_until(lambda: rig.cover_calibrator.get_cover_state() is CoverStatus.CLOSED)
    result = run("expose", address, "-t", 0.1, "-n", 2, "-o", tmp_path)
    assert result.exit_code == 0
    message = "no light reaches the camera: the cover is closed; to open it: "
    assert result.stderr == f"{message}alpaca-async move {address} --cover open\n"
    assert not run("expose", address, "-t", 0.1, "--dark", "-o", tmp_path).stderr


def test_the_hint_names_the_camera_that_the_cover_belongs_to(run: Run, tmp_path: Path) -> None:
    cameras = [SimulatedCamera(width=32, height=24, readout_time=0.0, **FAST) for _ in range(2)]
    rig = SimulatedRig(cameras, cover_calibrator=SimulatedCoverCalibrator(**FAST))
    rig.cover_calibrator.close_cover()
    wait_until(lambda: rig.cover_calibrator.get_cover_state() is CoverStatus.CLOSED)
    with run_in_thread(SimulatorServer(rig.devices)) as server:
        result = run("expose", server.address, "-d", 1, "-t", 0.1, "-o", tmp_path)
        assert f"alpaca-async move {server.address} -d 1 --cover open" in result.stderr


def configured(kind: str, *numbers: int) -> list[ConfiguredDevice]:
    return [ConfiguredDevice("", kind, number, "") for number in numbers]


@pytest.mark.parametrize(
    ("wheels", "camera", "expected"),
    [((), 0, None), ((3,), 0, 3), ((3,), 1, 3), ((0, 1), 1, 1), ((0, 1), 2, None)],
)
def test_the_only_wheel_or_that_with_its_number_belongs_to_a_camera(
    wheels: tuple[int, ...], camera: int, expected: int | None
) -> None:
    devices = configured("FilterWheel", *wheels) + configured("Focuser", 7)
    assert belonging(devices, "filterwheel", camera) == expected


def test_flats_have_the_level_that_was_wanted_and_the_name_of_the_filter(
    run: Run, address: str, rig: SimulatedRig, tmp_path: Path
) -> None:
    level = ("--level", 0.4, "--max-time", 0.5)
    result = run("flat", address, "-n", 2, *level, "--filter", "R", "-o", tmp_path)
    assert result.exit_code == 0, result.output
    assert "test: 0.5 s, " in result.stderr
    path = tmp_path / "flat_0002.fits"
    header = fits.getheader(path)
    assert (header["IMAGETYP"], header["FILTER"]) == ("Flat Frame", "R")
    assert fits.getdata(path).mean() == pytest.approx(0.4 * rig.camera.max_adu, rel=0.15)
    assert rig.cover_calibrator.get_calibrator_state() is CalibratorStatus.OFF
    assert rig.cover_calibrator.get_cover_state() is CoverStatus.OPEN


def test_a_light_too_faint_for_flats_is_reported_and_turned_off(
    run: Run, address: str, rig: SimulatedRig, tmp_path: Path
) -> None:
    result = run("flat", address, "--brightness", 1, "--max-time", 0.2, "-o", tmp_path)
    assert (result.exit_code, result.stdout) == (1, "")
    last = result.stderr.splitlines()[-1]
    assert "no exposure time from 0.001 to 0.2 s gives 50% of the largest value" in last
    assert rig.cover_calibrator.get_calibrator_state() is CalibratorStatus.OFF
    assert rig.cover_calibrator.get_cover_state() is CoverStatus.CLOSED


def test_flats_need_no_calibrator_but_say_so(run: Run, rig: SimulatedRig, tmp_path: Path) -> None:
    with run_in_thread(SimulatorServer(rig.cameras)) as server:
        result = run("flat", server.address, "--max-time", 0.1, "-n", 1, "-o", tmp_path)
    assert "there is no calibrator: using the ambient light" in result.stderr.splitlines()[0]
    assert result.exit_code in (0, 1)  # as the sky is


def test_after_ctrl_c_the_calibrator_is_off(
    run: Run, address: str, rig: SimulatedRig, tmp_path: Path
) -> None:
    with ctrl_c_when(exposure_started(rig.camera)):
        result = run("flat", address, "-o", tmp_path)
    assert result.exit_code == 130
    assert rig.cover_calibrator.get_calibrator_state() is CalibratorStatus.OFF


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["expose", "--filter", "R"], "--filter: no filter wheel belongs to camera 0"),
        (["flat", "--filter", "R"], "--filter: no filter wheel belongs to camera 0"),
        (["flat", "--brightness", 5], "--brightness: no calibrator belongs to camera 0"),
        (["focus"], "no focuser belongs to camera 0"),
    ],
)
def test_a_device_that_the_server_does_not_have_is_named(
    run: Run, rig: SimulatedRig, arguments: list[object], message: str, tmp_path: Path
) -> None:
    command, *options = arguments
    folder = [] if command == "focus" else ["-o", tmp_path]
    with run_in_thread(SimulatorServer(rig.cameras)) as server:
        result = run(command, server.address, *options, *folder)
    assert (result.exit_code, result.stderr) == (2, f"alpaca-async: {message}\n")


def test_an_unknown_filter_is_reported_with_the_names(
    run: Run, address: str, tmp_path: Path
) -> None:
    result = run("flat", address, "--filter", "Z", "-o", tmp_path)
    assert result.exit_code == 1
    assert "no filter has the name 'Z'" in result.stderr


def test_focus_moves_to_where_the_stars_are_smallest(
    run: Run, address: str, rig: SimulatedRig
) -> None:
    result = run("focus", address, "-t", 0.4, "--step", 50, "--points", 7, "--json")
    assert result.exit_code == 0, result.output
    *samples, best = map(json.loads, result.stdout.splitlines())
    assert [sample["position"] for sample in samples] == list(range(4810, 5111, 50))
    assert rig.focuser.get_position() == best["best_position"]
    assert best["best_position"] == pytest.approx(5000, abs=25)


def test_focus_returns_to_where_it_was_without_stars(
    run: Run, address: str, rig: SimulatedRig
) -> None:
    rig.cover_calibrator.close_cover()
    result = run("focus", address, "-t", 0.02, "--points", 5)
    assert result.exit_code == 1
    assert "only 0 of 5 positions have measurable stars" in result.stderr
    assert rig.focuser.get_position() == 4960


def test_focus_returns_to_where_it_was_after_ctrl_c(
    run: Run, address: str, rig: SimulatedRig
) -> None:
    with ctrl_c_when(exposure_started(rig.camera)):
        result = run("focus", address, "-t", 600)
    assert result.exit_code == 130
    assert result.stderr == "alpaca-async: interrupted; the focuser is at 4960\n"
    assert rig.focuser.get_position() == 4960


def test_positions_that_the_focuser_does_not_have_are_reported_before_it_moves(
    run: Run, address: str, rig: SimulatedRig
) -> None:
    result = run("focus", address, "--step", 2000)
    assert result.exit_code == 1
    assert "the positions -3040 to 12960 are not between 0 and 10000" in result.stderr
    assert not rig.camera.count("startexposure")

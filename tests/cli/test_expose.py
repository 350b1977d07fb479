from __future__ import annotations

import json
import signal
import sys
import threading
import time
from datetime import datetime
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image
import pytest

from alpaca_async import SensorType
from alpaca_async.cli import _access
from alpaca_async.testing import SimulatedCamera, SimulatorServer, run_in_thread

from .conftest import CONNECTED, ctrl_c_when, started, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .conftest import Run


fits: Any = import_module("astropy.io.fits")  # has no complete types


def exposure_started(camera: SimulatedCamera) -> Callable[[], int]:
    """Return a function that returns the number of exposures started."""
    return partial(camera.count, "startexposure")


def test_frames_are_saved_as_fits_files_and_the_first_also_as_a_png(
    run: Run, address: str, tmp_path: Path
) -> None:
    result = run("expose", address, "-t", 0.05, "-n", 3, "--preview", "-o", tmp_path / "pictures")
    names = ["light_0001.fits", "light_0001.png", "light_0002.fits", "light_0003.fits"]
    assert result.stdout.splitlines() == [str(tmp_path / "pictures" / name) for name in names]
    assert (result.exit_code, result.stderr) == (0, CONNECTED)
    assert sorted(path.name for path in (tmp_path / "pictures").iterdir()) == names
    with fits.open(tmp_path / "pictures" / "light_0003.fits") as hdus:
        assert hdus[0].data.shape == (48, 64)
        assert hdus[0].header["EXPTIME"] == 0.05
        assert hdus[0].header["IMAGETYP"] == "Light Frame"
    with PIL.Image.open(tmp_path / "pictures" / "light_0001.png") as picture:
        assert picture.size == (64, 48)


def test_fits_files_and_previews_need_no_extra(
    run: Run, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("astropy", "PIL"):
        monkeypatch.setitem(sys.modules, package, None)
    result = run("expose", address, "-t", 0.01, "--preview", "-o", tmp_path)
    assert (result.exit_code, result.stderr) == (0, CONNECTED)
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".fits", ".png"]


@pytest.mark.parametrize(("dtype", "name"), [("camera", "uint16"), ("float32", "float32")])
def test_pixels_can_have_a_requested_type(
    run: Run, address: str, tmp_path: Path, dtype: str, name: str
) -> None:
    options = ("--dtype", dtype, "--int16-is-unsigned", "-o", tmp_path, "--json")
    result = run("expose", address, "-t", 0.01, *options)
    assert json.loads(result.stdout)["dtype"] == name
    with fits.open(tmp_path / "light_0001.fits") as hdus:
        assert hdus[0].data.dtype.newbyteorder("=") == np.dtype(name)


def test_an_unknown_pixel_type_is_a_usage_error(run: Run, address: str, tmp_path: Path) -> None:
    result = run("expose", address, "--dtype", "int8", "-o", tmp_path)
    assert result.exit_code == 2
    assert '--dtype must be "camera" or one of int16' in result.stderr.replace("\n", " ")
    assert not list(tmp_path.iterdir())


def test_numbers_continue_after_existing_files_of_any_type(
    run: Run, address: str, tmp_path: Path
) -> None:
    for name in ("m42_0007.png", "m42_12345.txt", "m42_99.fits", "m43_20000.fits", "am42_9.fits"):
        (tmp_path / name).touch()
    result = run("expose", address, "-t", 0.01, "-o", tmp_path, "--name", "m42")
    assert result.stdout.splitlines() == [str(tmp_path / "m42_12346.fits")]


def test_a_file_that_another_program_writes_is_not_overwritten(
    run: Run, address: str, tmp_path: Path, simulated: SimulatedCamera
) -> None:
    existing = tmp_path / "light_0001.fits"

    def write_first() -> None:
        wait_until(exposure_started(simulated))
        existing.write_text("precious")

    thread = threading.Thread(target=write_first)
    thread.start()
    result = run("expose", address, "-t", 0.2, "-o", tmp_path)
    thread.join()
    assert result.stdout.splitlines() == [str(tmp_path / "light_0002.fits")]
    assert existing.read_text() == "precious"


def test_a_folder_that_is_not_writable_is_reported_before_the_exposure(
    run: Run, address: str, simulated: SimulatedCamera
) -> None:
    result = run("expose", address, "-t", 0.01, "-o", "/sys")  # where not even root may write
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("alpaca-async: /sys: ")
    assert result.stderr.count("\n") == 1
    assert not simulated.count("startexposure")
    assert not simulated.connected


def test_a_dark_frame_is_taken_without_light_and_named_dark(
    run: Run, address: str, tmp_path: Path
) -> None:
    assert run("expose", address, "-t", 0.01, "--dark", "-o", tmp_path).exit_code == 0
    assert fits.getheader(tmp_path / "dark_0001.fits")["IMAGETYP"] == "Dark Frame"


def test_binning_resets_the_subframe_to_the_full_frame(
    run: Run, address: str, tmp_path: Path, simulated: SimulatedCamera
) -> None:
    simulated.set_connected(True)
    simulated.set_start_x(40)
    simulated.set_num_x(20)
    assert run("expose", address, "-t", 0.01, "--bin", 2, "-o", tmp_path).exit_code == 0
    assert fits.getdata(tmp_path / "light_0001.fits").shape == (24, 32)
    assert run("expose", address, "-t", 0.01, "--bin", 1, "-o", tmp_path).exit_code == 0
    assert fits.getdata(tmp_path / "light_0002.fits").shape == (48, 64)


def test_a_region_is_read_in_binned_pixels(run: Run, address: str, tmp_path: Path) -> None:
    result = run("expose", address, "-t", 0.01, "--bin", 2, "--roi", "4, 6,16,10", "-o", tmp_path)
    assert result.exit_code == 0
    header = fits.getheader(tmp_path / "light_0001.fits")
    shape_and_place = [header[key] for key in ("NAXIS1", "NAXIS2", "XORGSUBF", "YORGSUBF")]
    assert shape_and_place == [16, 10, 4, 6]


@pytest.mark.parametrize(("gain", "number"), [("7", 7), ("300", 300)])
def test_a_gain_can_be_a_number(
    run: Run, address: str, tmp_path: Path, gain: str, number: int
) -> None:
    assert run("expose", address, "-t", 0.01, "--gain", gain, "-o", tmp_path).exit_code == 0
    assert fits.getheader(tmp_path / "light_0001.fits")["GAIN"] == number


class TestGainsWithNames:
    @pytest.fixture
    def simulated(self) -> SimulatedCamera:
        return SimulatedCamera(
            width=8,
            height=8,
            readout_time=0.0,
            connect_time=0.0,
            gain_mode="list",
            gain_names=("ISO 100", "200", "Extra High"),
        )

    @pytest.mark.parametrize(
        ("gain", "number"), [("iso 100", 0), ("200", 1), ("EXTRA HIGH ", 2), ("1", 1)]
    )
    def test_a_gain_can_be_a_name_in_any_case_or_an_index(
        self, run: Run, address: str, tmp_path: Path, gain: str, number: int
    ) -> None:
        assert run("expose", address, "-t", 0.01, "--gain", gain, "-o", tmp_path).exit_code == 0
        assert fits.getheader(tmp_path / "light_0001.fits")["GAIN"] == number

    def test_the_error_for_an_unknown_name_lists_the_names(self, run: Run, address: str) -> None:
        result = run("expose", address, "--gain", "low")
        message = "there is no gain 'low'; there are ISO 100, 200, Extra High"
        assert (result.exit_code, result.stderr) == (1, f"alpaca-async: {message}\n")


def test_a_connected_camera_stays_connected(
    run: Run, address: str, tmp_path: Path, simulated: SimulatedCamera
) -> None:
    simulated.set_connected(True)
    assert run("expose", address, "-t", 0.01, "-o", tmp_path).exit_code == 0
    assert simulated.connected
    assert not simulated.count("connect")


def test_a_camera_that_was_not_connected_is_disconnected_afterwards(
    run: Run, address: str, tmp_path: Path, simulated: SimulatedCamera
) -> None:
    assert run("expose", address, "-t", 0.01, "-o", tmp_path).exit_code == 0
    assert not simulated.connected
    assert simulated.count("disconnect") == 1


def test_what_was_connected_is_said_and_can_be_kept(
    run: Run, address: str, simulated: SimulatedCamera, tmp_path: Path
) -> None:
    arguments = ("expose", address, "-t", 0.01, "-o", tmp_path)
    assert run(*arguments).stderr == CONNECTED
    assert run(*arguments, "--keep").stderr == "connected camera 0\n"
    assert simulated.connected
    assert not run(*arguments, "--keep").stderr


def test_the_camera_is_disconnected_after_an_error(
    run: Run, address: str, tmp_path: Path, simulated: SimulatedCamera
) -> None:
    simulated.fail_exposure("The shutter is stuck")
    result = run("expose", address, "-t", 0.01, "-o", tmp_path)
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "The shutter is stuck" in result.stderr
    assert not simulated.connected


def test_frames_are_kept_when_disconnecting_fails(
    run: Run, address: str, tmp_path: Path, simulated: SimulatedCamera
) -> None:
    simulated.interface_version = 3

    def refuse(connected: bool) -> None:
        if not connected:
            raise ValueError
        SimulatedCamera.set_connected(simulated, connected)

    simulated.set_connected = refuse  # type: ignore[method-assign]  # a driver with a bug
    result = run("expose", address, "-t", 0.01, "-o", tmp_path)
    assert result.exit_code == 0
    assert "WARNING camera 0 could not be disconnected" in result.stderr
    assert (tmp_path / "light_0001.fits").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--roi", "banana"], "--roi 'banana' is not valid: use X,Y,WIDTH,HEIGHT in binned pixels"),
        (["--roi", "0,0,0,5"], "--roi '0,0,0,5' is empty: width and height must be at least 1"),
        (
            ["--roi", "0,0,-1,5"],
            "--roi '0,0,-1,5' is not valid: use X,Y,WIDTH,HEIGHT in binned pixels",
        ),
        (["--name", "a/b"], "--name 'a/b' is not a valid start of a file name"),
        (["--name", ""], "--name '' is not a valid start of a file name"),
    ],
)
def test_a_wrong_option_is_one_line(
    run: Run, address: str, options: list[str], message: str
) -> None:
    result = run("expose", address, *options)
    assert (result.exit_code, result.stderr) == (2, f"alpaca-async: {message}\n")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--gain", "low"], "there is no gain 'low'; it is a number from 0 to 300"),
        (["--output", "/dev/null"], "/dev/null: this is a file, not a folder"),
    ],
)
def test_an_option_that_this_camera_or_folder_rejects_is_one_line(
    run: Run, address: str, options: list[str], message: str
) -> None:
    result = run("expose", address, *options)
    assert (result.exit_code, result.stderr) == (1, f"alpaca-async: {message}\n")


@pytest.mark.parametrize(
    "options",
    [["--bin", 9], ["--gain", 9999], ["--roi", "60,0,10,10"], ["--device", 3], ["-t", 99999]],
)
def test_an_error_of_the_camera_is_one_line_and_leaves_no_file(
    run: Run, address: str, tmp_path: Path, options: list[object]
) -> None:
    result = run("expose", address, "-o", tmp_path, *options)
    assert result.exit_code == 1
    assert result.stderr.startswith("alpaca-async: ")
    assert result.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("address", ["1.2.3.4:x", "ftp://1.2.3.4", "user:secret@host", ""])
def test_a_wrong_address_is_one_line(run: Run, address: str) -> None:
    result = run("expose", address)
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert "secret" not in result.stderr


@pytest.mark.parametrize("options", [["-t", "-1"], ["-t", "x"], ["-n", 0], ["--bin", 0], ["--x"]])
def test_an_impossible_option_is_a_usage_error(run: Run, options: list[object]) -> None:
    result = run("expose", "sim", *options)
    assert result.exit_code == 2
    assert result.stderr.startswith("Usage:")


def test_a_comma_in_a_number_is_explained(run: Run) -> None:
    result = run("expose", "sim", "-t", "1,5")
    assert result.exit_code == 2
    assert "'1,5' has a comma; use a point: 1.5" in result.stderr


def test_sim_is_an_address(run: Run, tmp_path: Path) -> None:
    result = run("expose", "sim", "-t", 0.01, "--preview", "--roi", "0,0,200,150", "-o", tmp_path)
    assert result.exit_code == 0
    assert result.stderr == (
        "this simulated camera ends with the command; to keep one: alpaca-async sim\n"
    )
    pixels = fits.getdata(tmp_path / "light_0001.fits")
    assert pixels.shape == (150, 200)
    assert np.ptp(pixels) > 0


def test_colour_frames_have_three_planes(run: Run, tmp_path: Path) -> None:
    colour = SimulatedCamera(width=16, height=12, sensor=SensorType.COLOR)
    with run_in_thread(SimulatorServer([colour])) as server:
        assert run("expose", server.address, "-t", 0.01, "-o", tmp_path).exit_code == 0
    assert fits.getdata(tmp_path / "light_0001.fits").shape == (3, 12, 16)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_abort_the_exposure_once_and_disconnect_the_camera(
    run: Run, address: str, tmp_path: Path, simulated: SimulatedCamera, number: int
) -> None:
    with ctrl_c_when(exposure_started(simulated), number=number):
        result = run("expose", address, "-t", 30, "-n", 2, "-o", tmp_path)
    message = "interrupted; the camera was told to abort frame 1 of 2"
    assert (result.exit_code, result.stderr) == (130, f"alpaca-async: {message}\n")
    assert simulated.count("abortexposure") == 1
    assert not simulated.connected
    assert not list(tmp_path.iterdir())


def test_a_closed_terminal_does_not_end_a_command_that_nohup_has_started(
    run: Run, address: str, tmp_path: Path, simulated: SimulatedCamera
) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ctrl_c_when(exposure_started(simulated), number=signal.SIGHUP):
            assert run("expose", address, "-t", 1, "-o", tmp_path).exit_code == 0
    finally:
        signal.signal(signal.SIGHUP, before)
    assert simulated.count("abortexposure") == 0


def test_repeated_ctrl_c_in_a_new_process_aborts_once(
    address: str, tmp_path: Path, simulated: SimulatedCamera
) -> None:
    with started("expose", address, "-t", 30, "-o", tmp_path) as process:
        wait_until(exposure_started(simulated))
        for pause in (0.0, 0.0, 0.003, 0.003):
            process.send_signal(signal.SIGINT)
            time.sleep(pause)
        out, err = process.communicate(timeout=20)
    assert process.returncode in {130, -signal.SIGINT}  # the latter while Python exits
    assert out == ""
    assert err == "alpaca-async: interrupted; the camera was told to abort the frame\n"
    assert simulated.count("abortexposure") == 1
    assert not simulated.connected


def test_ctrl_c_before_the_event_loop_runs_is_one_line(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def press(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(_access, "require", press)
    result = run("expose", "sim")
    assert (result.exit_code, result.stderr) == (130, "alpaca-async: interrupted\n")


def test_ctrl_c_before_the_exposure_aborts_nothing(
    run: Run, address: str, tmp_path: Path, simulated: SimulatedCamera
) -> None:
    simulated.connect_time = 30.0
    with ctrl_c_when(partial(simulated.count, "connecting")):
        result = run("expose", address, "-o", tmp_path)
    assert (result.exit_code, result.stderr) == (130, "alpaca-async: interrupted\n")
    assert not simulated.count("abortexposure")


def test_json_is_one_line_for_each_frame(run: Run, address: str, tmp_path: Path) -> None:
    result = run("expose", address, "-t", 0.01, "-n", 2, "--preview", "--json", "-o", tmp_path)
    first, second = map(json.loads, result.stdout.splitlines())
    assert first["path"] == str(tmp_path / "light_0001.fits")
    assert first["preview"] == str(tmp_path / "light_0001.png")
    assert (first["width"], first["height"]) == (64, 48)
    assert first["bytes"] == 64 * 48 * np.dtype(first["dtype"]).itemsize
    assert datetime.fromisoformat(first["started"]).tzinfo is not None
    assert (second["path"], second["preview"]) == (str(tmp_path / "light_0002.fits"), None)

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from alpaca_async import (
    CameraStates,
    CameraStatus,
    DriverException,
    HostLost,
    Progress,
    TransportError,
)
from alpaca_async.cli._snapshots import Snapshot
from alpaca_async.cli._watch_table import line_of, screen

_EXPOSING = Snapshot(
    server="observatory:11111",
    number=0,
    name="Main camera",
    status=CameraStatus(
        camera_state=CameraStates.EXPOSING,
        image_ready=False,
        ccd_temperature=-10.04,
        cooler_power=34.6,
        percent_completed=42,
        heat_sink_temperature=18.0,
        is_pulse_guiding=True,
    ),
)
_IDLE = Snapshot(
    server="observatory:11111",
    number=1,
    name="Guide camera",
    status=CameraStatus(camera_state=CameraStates.IDLE, image_ready=True, percent_completed=100),
)

_DOWNLOADING = Snapshot(
    server="observatory:11111",
    number=2,
    status=CameraStatus(camera_state=CameraStates.IDLE, image_ready=True, percent_completed=100),
    progress=Progress(phase="downloading", fraction=0.756, seconds_left=0.61),
)


def drawn(*snapshots: Snapshot, width: int = 120) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    with console.capture() as shown:
        console.print(screen(snapshots, width, 1.0))
    return [line.rstrip() for line in shown.get().splitlines()]


def test_a_wide_terminal_shows_all_columns() -> None:
    title, server, main, guide, footer = drawn(_EXPOSING, _IDLE)
    columns = ["camera", "state", "done", "sensor", "cooler", "image", "heat", "sink", "guiding"]
    assert title.split() == columns
    assert server == "observatory:11111"
    assert main.startswith("  0 Main camera    exposing ")
    assert main.split()[4:] == ["━━━━", "42", "%", "-10.0", "°C", "35", "%", "18.0", "°C", "pulse"]
    assert guide.split() == ["1", "Guide", "camera", "idle", "ready"]
    assert footer.endswith(", updated every 1 s; press Ctrl-C to stop")


@pytest.mark.parametrize("width", range(20, 130, 3))
def test_lines_are_never_longer_than_the_terminal(width: int) -> None:
    console = Console(file=io.StringIO(), width=width, legacy_windows=False)
    for line in drawn(_EXPOSING, _IDLE, width=width)[:-1]:
        assert len(line) <= width
    assert console.width == width


@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (80, ["camera", "state", "done", "sensor", "cooler", "image"]),
        (40, ["camera", "state"]),
        (20, ["camera"]),
    ],
)
def test_a_narrow_terminal_shows_the_first_columns(width: int, columns: list[str]) -> None:
    assert drawn(_EXPOSING, _IDLE, width=width)[0].split() == columns


def test_columns_do_not_move_when_values_change() -> None:
    lines = drawn(_EXPOSING, _IDLE)
    other = drawn(_IDLE, Snapshot(server="observatory:11111", number=0, name="Main camera"))
    assert lines[0] == other[0]
    assert len({line.index("°C") for line in lines if "°C" in line}) == 1


def test_long_names_are_cut() -> None:
    long = Snapshot(server="here", number=0, name="A" * 100)
    assert any("…" in line for line in drawn(long))
    assert max(map(len, drawn(long))) <= 120


def test_each_error_of_a_server_is_shown_once_below_the_table() -> None:
    refused = TransportError("connection refused")
    lines = drawn(
        _EXPOSING.failed(refused),
        _IDLE.failed(refused),
        Snapshot(server="elsewhere:1").failed(DriverException(0x500, "out of order")),
    )
    assert "no answer" in lines[2]
    assert "-10.0 °C" in lines[2]
    assert "error" in lines[4]
    assert lines[5] == "observatory:11111 camera 0, camera 1: connection refused"
    assert lines[6] == "elsewhere:1: out of order (error 0x500)"


def test_a_camera_that_is_not_connected_is_shown_so() -> None:
    assert "not connected" in drawn(Snapshot(server="here", number=0, connected=False))[2]


def test_the_progress_of_a_program_is_shown_instead_of_that_of_the_camera() -> None:
    line = drawn(_DOWNLOADING)[2]
    assert line.split() == ["2", "downloading", "━━━━━━━╸", "75", "%", "ready"]
    unknown = drawn(replace(_DOWNLOADING, progress=Progress(phase="reading")))[2]
    assert unknown.split() == ["2", "reading", "ready"]


def test_a_lost_host_does_not_answer_and_has_no_progress() -> None:
    line = drawn(_DOWNLOADING.failed(HostLost("the host is lost")))[2]
    assert line.split()[:3] == ["2", "no", "answer"]


def test_a_server_without_a_reply_yet_is_shown() -> None:
    assert drawn(Snapshot(server="here:1"))[1] == "here:1"
    assert len(drawn()) == 2


@pytest.mark.parametrize(
    ("snapshot", "line"),
    [
        (
            _EXPOSING,
            (
                "observatory:11111 camera 0: camera_state=exposing image_ready=false"
                " ccd_temperature=-10.04 cooler_power=34.6 percent_completed=42"
                " heat_sink_temperature=18 is_pulse_guiding=true"
            ),
        ),
        (
            _DOWNLOADING,
            (
                "observatory:11111 camera 2: camera_state=idle image_ready=true"
                " percent_completed=100 phase=downloading fraction=0.76 seconds_left=0.6"
            ),
        ),
        (Snapshot(server="here", number=2), "here camera 2: state unknown"),
        (Snapshot(server="here", number=2, connected=False), "here camera 2: not connected"),
        (Snapshot(server="here", error="no cameras"), "here: no cameras"),
    ],
)
def test_a_sight_is_a_line(snapshot: Snapshot, line: str) -> None:
    assert line_of(snapshot) == line

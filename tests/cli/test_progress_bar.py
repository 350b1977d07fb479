from __future__ import annotations

import io

import pytest
from rich.console import Console

from alpaca_async import Progress
from alpaca_async.cli import _progress_bar
from alpaca_async.cli._progress_bar import ExposureProgressBar


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, force_interactive=True, width=100)
    monkeypatch.setattr(_progress_bar, "ERR", console)
    return screen


@pytest.mark.parametrize(
    ("report", "phase", "detail"),
    [
        (Progress(phase="exposing", fraction=0.5, seconds_left=1.25), "exposing", "1.2 s left"),
        (Progress(phase="exposing", fraction=0.5, seconds_left=271.0), "exposing", "4:31 min left"),
        (Progress(phase="reading"), "reading", ""),
        (
            Progress(
                phase="downloading",
                fraction=0.5,
                bytes_received=61_000_000,
                bytes_total=122_000_000,
                bytes_per_second=8.1e8,
            ),
            "downloading",
            "61 MB of 122 MB at 810 MB/s",
        ),
        (Progress(phase="downloading", bytes_received=1_000_000), "downloading", "1.0 MB"),
    ],
)
def test_progress_is_shown_as_a_bar(
    terminal: io.StringIO, report: Progress, phase: str, detail: str
) -> None:
    with ExposureProgressBar("frame 1 of 3") as display:
        assert display.callback is not None
        display.callback(report)
        assert display.bytes_per_second == report.bytes_per_second
    assert phase in terminal.getvalue()
    assert "frame 1 of 3" in terminal.getvalue()
    assert detail in terminal.getvalue()


def test_a_new_phase_replaces_the_bar_of_the_previous_one(terminal: io.StringIO) -> None:
    with ExposureProgressBar("") as display:
        display.show("exposing", 0.5)
        display.show("exposing", 1.0)
        terminal.truncate(0)
        display.show("writing")
    assert "writing" in terminal.getvalue()
    assert "exposing" not in terminal.getvalue()


def test_nothing_is_shown_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with ExposureProgressBar("") as display:
        assert display.callback is None
        display.show("writing")
    assert capsys.readouterr() == ("", "")

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import alpaca_async
from alpaca_async.cli import main

from .conftest import MAIN, started

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Run

_HEAVY = ("astropy", "PIL", "uvicorn", "starlette")


@pytest.mark.parametrize(
    ("missing", "arguments", "extra"),
    [
        ("astropy", ["expose", "127.0.0.1:1"], "fits"),
        ("PIL", ["expose", "127.0.0.1:1", "--preview"], "preview"),
        ("starlette", ["expose", "sim"], "testing"),
        ("uvicorn", ["info", "sim"], "testing"),
        ("uvicorn", ["sim"], "testing"),
    ],
)
def test_a_missing_extra_is_one_sentence_with_its_name(
    run: Run, monkeypatch: pytest.MonkeyPatch, missing: str, arguments: list[str], extra: str
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    result = run(*arguments)
    message = f'alpaca-async: this needs: pip install "alpaca_async[{extra}]"\n'
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", message)


def test_without_typer_the_command_says_what_it_needs() -> None:
    with started("sim", code=f"import sys; sys.modules['typer'] = None; {MAIN}") as process:
        out, err = process.communicate(timeout=20)
    message = 'alpaca-async: this needs: pip install "alpaca_async[cli]"\n'
    assert (process.returncode, out, err) == (2, "", message)


def test_main_names_the_extra_of_the_command_itself(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "typer", None)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "alpaca_async[cli]" in capsys.readouterr().err


def test_main_runs_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["alpaca-async", "--version"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"alpaca-async {alpaca_async.__version__}\n"


def test_the_package_can_be_run() -> None:
    command = [sys.executable, "-m", "alpaca_async.cli", "--version"]
    output = subprocess.run(command, capture_output=True, check=True, text=True).stdout  # noqa: S603 - ours
    assert output == f"alpaca-async {alpaca_async.__version__}\n"


def test_all_missing_extras_are_named_at_once(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("astropy", "PIL", "uvicorn"):
        monkeypatch.setitem(sys.modules, package, None)
    result = run("expose", "sim", "--preview")
    message = 'this needs: pip install "alpaca_async[fits,preview,testing]"'
    assert (result.exit_code, result.stderr) == (2, f"alpaca-async: {message}\n")


def test_help_loads_nothing_heavy() -> None:
    code = f"import atexit, sys; atexit.register(lambda: print(*sys.modules)); {MAIN}"
    with started("expose", "--help", code=code) as process:
        out, _ = process.communicate(timeout=20)
    assert "Usage: " in out
    assert not set(_HEAVY) & set(out.split())


def test_help_names_every_command(run: Run) -> None:
    result = run("--help")
    assert all(f"\n  {name} " in result.stdout for name in ("discover", "expose", "info", "sim"))


def test_a_call_without_a_command_shows_the_help(run: Run) -> None:
    result = run()
    assert result.exit_code == 2
    assert "Usage: " in result.output


def test_requests_are_shown_on_demand(run: Run, address: str) -> None:
    assert "GET" not in run("-v", "info", address).stderr
    assert f"DEBUG GET http://{address}/api/v1/camera/0/name" in run("-vv", "info", address).stderr


def test_the_error_in_full_is_shown_on_demand(run: Run) -> None:
    result = run("-vv", "info", "127.0.0.1:1")
    assert "Traceback" in result.stderr
    assert result.exit_code == 1


def _on_a_terminal(*arguments: object, **environment: str) -> str:
    """Return what stderr shows where it is a terminal."""
    ours, theirs = os.openpty()
    shown = b""
    try:
        with started(
            *arguments, stderr=theirs, TERM="xterm-256color", COLUMNS="100", **environment
        ) as process:
            os.close(theirs)
            while piece := _read(ours):
                shown += piece
            assert process.wait(20) == 0
    finally:
        os.close(ours)
    return shown.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # the other end is closed
        return b""


def test_a_terminal_shows_progress_in_colour(address: str, tmp_path: Path) -> None:
    shown = _on_a_terminal("expose", address, "-t", 0.2, "-n", 2, "-o", tmp_path)
    assert "exposing" in shown
    assert "frame 2 of 2" in shown
    assert "\x1b[38;" in shown


def test_no_color_is_honoured(address: str, tmp_path: Path) -> None:
    shown = _on_a_terminal("expose", address, "-t", 0.2, "-o", tmp_path, NO_COLOR="1")
    assert "exposing" in shown
    assert "\x1b[38;" not in shown
    assert "\x1b[3" not in shown

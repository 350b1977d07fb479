from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING

import pytest

import alpaca_async
from alpaca_async.cli import main
from alpaca_async.cli._console import ERR, OUT

from .conftest import started

if TYPE_CHECKING:
    from pathlib import Path

    from alpaca_async.testing import SimulatedCamera

    from .conftest import Run

_COMMANDS = (
    "bench",
    "cool",
    "dark",
    "discover",
    "expose",
    "flat",
    "focus",
    "get",
    "info",
    "move",
    "record",
    "set",
    "sim",
    "warm",
    "watch",
    "web",
)
_HEAVY = ("astropy", "PIL", "uvicorn", "starlette")


@pytest.mark.parametrize(
    ("missing", "arguments", "extra"),
    [
        ("starlette", ["expose", "sim", "--preview"], "testing"),
        ("uvicorn", ["info", "sim"], "testing"),
        ("uvicorn", ["sim"], "testing"),
    ],
)
def test_a_missing_extra_is_reported_with_its_name(
    run: Run, monkeypatch: pytest.MonkeyPatch, missing: str, arguments: list[str], extra: str
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    result = run(*arguments)
    message = f'a package is missing; install it with: pip install "alpaca_async[{extra}]"'
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", f"alpaca-async: {message}\n")


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


_INTERRUPT_WHILE_IMPORTING = """
import os, signal, sys
import alpaca_async_command

class Press:
    def find_spec(self, name, *_):
        if name == sys.argv[1]:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Press())
sys.argv[2:] = ["--help"]
alpaca_async_command.main()
"""


@pytest.mark.parametrize(
    "module", ["alpaca_async", "numpy", "httpx", "typer", "alpaca_async.cli._sim"]
)
def test_ctrl_c_during_any_import_is_one_line_and_130(module: str) -> None:
    with started(module, code=_INTERRUPT_WHILE_IMPORTING) as process:
        out, err = process.communicate(timeout=20)
    assert (out, err, process.returncode) == ("", "alpaca-async: interrupted\n", 130)


def test_ctrl_c_before_the_event_loop_runs_is_one_line_and_130() -> None:
    code = """
import asyncio, os, signal
import alpaca_async_command

run = asyncio.run
def press(coroutine):
    os.kill(os.getpid(), signal.SIGINT)
    run(coroutine)

asyncio.run = press
alpaca_async_command.main()
"""
    with started("info", "127.0.0.1:1", code=code) as process:
        out, err = process.communicate(timeout=20)
    assert (out, err, process.returncode) == ("", "alpaca-async: interrupted\n", 130)


def test_ctrl_c_after_the_end_of_the_command_changes_nothing() -> None:
    code = """
import atexit, os, signal
import alpaca_async_command

atexit.register(os.kill, os.getpid(), signal.SIGINT)
alpaca_async_command.main()
"""
    with started("--version", code=code) as process:
        out, err = process.communicate(timeout=20)
    assert (out, err, process.returncode) == (f"alpaca-async {alpaca_async.__version__}\n", "", 0)


_NEW_PROCESS_CODE = """
import atexit, sys
from alpaca_async.cli import main

sys.modules["typer"] = None
try:
    main()
except SystemExit as end:
    print(end.code)
del sys.modules["typer"]
atexit.register(lambda: print(*sys.modules))
main()
"""


def test_a_new_process_reports_missing_packages_and_help_imports_nothing_heavy() -> None:
    with started("expose", "--help", code=_NEW_PROCESS_CODE) as process:
        out, err = process.communicate(timeout=20)
    code, help_text = out.split("\n", 1)
    message = 'a package is missing; install it with: pip install "alpaca_async[cli]"'
    assert (code, err) == ("2", f"alpaca-async: {message}\n")
    assert "Usage: " in help_text
    assert not set(_HEAVY) & set(help_text.split())


def test_help_names_every_command(run: Run) -> None:
    result = run("--help")
    assert all(f"\n  {name} " in result.stdout for name in _COMMANDS)


@pytest.mark.parametrize("command", _COMMANDS)
def test_the_usage_line_has_one_pair_of_brackets_for_each_argument(run: Run, command: str) -> None:
    usage = run(command, "--help").stdout.splitlines()[0]
    assert not re.search(r"\[\[|\.\.\.[]}]", usage)


@pytest.mark.parametrize("command", _COMMANDS)
def test_the_help_has_the_words_of_users_not_of_python(run: Run, command: str) -> None:
    text = run(command, "--help").stdout
    assert not re.search(r"<(str|int|float|path|list)|x>=0\.", text)


def test_the_list_of_commands_says_whole_sentences(run: Run) -> None:
    assert "..." not in run("--help").stdout.partition("Commands:")[2]


def test_a_password_is_no_argument(run: Run, address: str) -> None:
    for words in (("--password", "secret"), ("--password=secret",)):
        result = run("info", address, *words)
        assert result.exit_code == 2
        assert "use --user NAME" in " ".join(result.stderr.split())
        assert "secret" not in result.stderr


def test_a_call_without_a_command_shows_the_help(run: Run) -> None:
    result = run()
    assert result.exit_code == 2
    assert "Usage: " in result.output


def test_very_verbose_logs_every_request(run: Run, address: str) -> None:
    assert "GET" not in run("-v", "info", address).stderr
    assert f"DEBUG GET http://{address}/api/v1/camera/0/name" in run("-vv", "info", address).stderr


def test_very_verbose_shows_the_traceback_of_an_error(run: Run) -> None:
    result = run("-vv", "info", "127.0.0.1:1")
    assert "Traceback" in result.stderr
    assert result.exit_code == 1


def _output_on_a_terminal(*arguments: object, **environment: str) -> str:
    """Return what the command prints when stdout is a terminal."""
    ours, theirs = os.openpty()
    shown = b""
    try:
        with started(
            *arguments, stdout=theirs, TERM="xterm-256color", COLUMNS="100", **environment
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


def test_a_terminal_is_detected_and_no_color_is_honoured(
    address: str, simulated: SimulatedCamera
) -> None:
    simulated.set_connected(True)
    simulated.start_exposure(60.0, light=True)
    shown = _output_on_a_terminal("watch", address, "-n", 2, "-i", 0.05, NO_COLOR="1")
    assert "exposing" in shown
    assert "\x1b[1mexposing" in shown
    assert "\x1b[3" not in shown


def test_a_terminal_shows_progress_in_colour(
    run: Run, address: str, tmp_path: Path, terminal: None
) -> None:
    shown = run("expose", address, "-t", 0.2, "-n", 2, "-o", tmp_path).stderr
    assert "exposing" in shown
    assert "frame 2 of 2" in shown
    assert "\x1b[3" in shown


def test_a_broken_pipe_ends_the_command_as_ctrl_c_does(
    run: Run, address: str, simulated: SimulatedCamera, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise BrokenPipeError

    monkeypatch.setattr(OUT, "_write_buffer", fail)
    monkeypatch.setattr(OUT, "quiet", False)  # restores it after the test
    monkeypatch.setattr(ERR, "quiet", False)
    result = run("get", address, "-m")
    assert (result.exit_code, result.output) == (130, "")
    assert simulated.count("gain") == 1


def complete(run: Run, monkeypatch: pytest.MonkeyPatch, line: str) -> list[str]:
    monkeypatch.setenv("_ALPACA_ASYNC_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(line.split(" ")) - 1))
    return run().stdout.split()


@pytest.mark.parametrize(
    ("line", "offers"),
    [
        ("alpaca-async wat", ["watch"]),
        ("alpaca-async get sim ccd_", ["ccd_temperature", "ccd_temperature_setpoint"]),
        ("alpaca-async set sim cooler_", ["cooler_on="]),
    ],
)
def test_the_shell_completes_commands_and_members(
    run: Run, monkeypatch: pytest.MonkeyPatch, line: str, offers: list[str]
) -> None:
    assert complete(run, monkeypatch, line) == offers


@pytest.mark.parametrize(
    "command",
    [
        "bench",
        "cool",
        "dark",
        "expose",
        "flat",
        "focus",
        "get",
        "info",
        "move",
        "set",
        "warm",
        "watch",
    ],
)
def test_every_command_reports_wrong_addresses_and_silent_servers(run: Run, command: str) -> None:
    needed: dict[str, list[object]]
    needed = {"cool": ["-10"], "set": ["gain=1"], "watch": ["--count", 1]}
    more = needed.get(command, [])
    wrong = run(command, "ftp://127.0.0.1", *more)
    message = "alpaca-async: 'ftp://127.0.0.1' is neither http nor https\n"
    assert (wrong.exit_code, wrong.stdout, wrong.stderr) == (2, "", message)
    silent = run(command, "127.0.0.1:1", *more)
    assert silent.exit_code == 1
    assert "connection refused" in silent.output
    if command != "watch":  # which goes on
        assert "is the server running, and is the address right?" in silent.output
    assert silent.output.count("\n") == 1

"""Fixtures that run the command in this process or in a new one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest
from rich.color import ColorSystem
from typer.main import get_command
from typer.testing import CliRunner

from alpaca_async.cli._app import app
from alpaca_async.cli._console import ERR, OUT
from alpaca_async.cli._event_loop import _SIGNALS
from alpaca_async.testing import SimulatedCamera, SimulatorServer, run_in_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from contextlib import AbstractContextManager

    from typer.testing import Result

_COMMAND = get_command(app)
CONNECTED = "connected camera 0, and disconnected it again\n"
"""What is printed to stderr when a camera was not connected before."""

_ROOT = Path(__file__).parents[2]


class Run(Protocol):
    def __call__(self, *arguments: object) -> Result: ...


@pytest.fixture(autouse=True)
def restored_signal_handlers() -> Iterator[None]:
    """Restore the signal handlers: an interrupted command keeps its own until the process ends."""
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command in this process, with lines long enough for a path."""

    def built_command(_: object) -> object:
        return _COMMAND

    monkeypatch.setenv("COLUMNS", "200")
    # The runner would build the command for each run, which is slower than most commands.
    monkeypatch.setattr("typer.testing._get_command", built_command)

    def invoke(*arguments: object) -> Result:
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return invoke


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the command write as to a terminal with eight colours."""
    monkeypatch.setenv("TERM", "xterm")
    for console in (OUT, ERR):
        monkeypatch.setattr(console, "_force_terminal", True)
        monkeypatch.setattr(console, "_color_system", ColorSystem.STANDARD)
        monkeypatch.setattr(console, "is_interactive", True)
        monkeypatch.setattr(console, "no_color", False)


@pytest.fixture
def simulated() -> SimulatedCamera:
    return SimulatedCamera(width=64, height=48, readout_time=0.0, connect_time=0.0)


@pytest.fixture
def address(simulated: SimulatedCamera) -> Iterator[str]:
    """The address of a server in another thread that serves `simulated`."""
    with run_in_thread(SimulatorServer([simulated])) as server:
        yield server.address


@contextmanager
def ctrl_c_after(script: Callable[[], None], *, number: int = signal.SIGINT) -> Generator[None]:
    """Run `script` in a thread during the block, then send the signal `number`."""

    def press() -> None:
        try:
            script()
        finally:
            os.kill(os.getpid(), number)

    thread = threading.Thread(target=press)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def ctrl_c_when(
    ready: Callable[[], object], *, number: int = signal.SIGINT
) -> AbstractContextManager[None]:
    """Send the signal `number` during the block, as soon as `ready` returns true."""
    return ctrl_c_after(partial(wait_until, ready), number=number)


def wait_until(ready: Callable[[], object]) -> None:
    for _ in range(4000):
        if ready():
            return
        time.sleep(0.005)
    pytest.fail("the condition did not become true in time")


@contextmanager
def started(
    *arguments: object, code: str = "", stdout: int = subprocess.PIPE, **environment: str
) -> Generator[subprocess.Popen[str]]:
    """Start the command as a process, and kill it at the end of the block."""
    how = ("-c", code) if code else ("-m", "alpaca_async.cli")
    command = [sys.executable, *how, *map(str, arguments)]
    with subprocess.Popen(  # noqa: S603 - our own command
        command,
        stdout=stdout,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": str(_ROOT), **environment},
    ) as process:
        try:
            yield process
        finally:
            process.kill()

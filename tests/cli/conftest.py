"""The command in this process, and as a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest
from typer.testing import CliRunner

from alpaca_async.cli._app import app
from alpaca_async.testing import SimulatedCamera, SimulatorServer, run_in_thread

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from typer.testing import Result

_ROOT = Path(__file__).parents[2]
MAIN = "from alpaca_async.cli import main; main()"


class Run(Protocol):
    def __call__(self, *arguments: object) -> Result: ...


@pytest.fixture(autouse=True)
def ctrl_c() -> Iterator[None]:
    """Give Ctrl-C back to pytest: an interrupted command keeps it until its process ends."""
    handler = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, handler)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command in this process, with lines long enough for a path."""
    monkeypatch.setenv("COLUMNS", "200")

    def invoke(*arguments: object) -> Result:
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return invoke


@pytest.fixture
def simulated() -> SimulatedCamera:
    return SimulatedCamera(width=64, height=48, readout_time=0.0, connect_time=0.0)


@pytest.fixture
def address(simulated: SimulatedCamera) -> Iterator[str]:
    """Where `simulated` is served, by another thread."""
    with run_in_thread(SimulatorServer([simulated])) as server:
        yield server.address


@contextmanager
def started(
    *arguments: object, code: str = MAIN, stderr: int = subprocess.PIPE, **environment: str
) -> Generator[subprocess.Popen[str]]:
    """Start the command as a process that does not outlive the block."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    with subprocess.Popen(  # noqa: S603 - our own command
        command,
        stdout=subprocess.PIPE,
        stderr=stderr,
        stdin=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": str(_ROOT), **environment},
    ) as process:
        try:
            yield process
        finally:
            process.kill()

"""Simulated cameras in a separate process: `python -m benchmarks.simulator COUNT WIDTH HEIGHT`.

A fourth argument, 0, leaves out the noise, whose computation takes longest.

Prints the address of the server. Then, for each line on stdin, it prints the times at which each
camera last received StartExposure.
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from alpaca_async.testing import SimulatedCamera, SimulatorServer, run_in_thread

from .server import ROOT

if TYPE_CHECKING:
    from collections.abc import Generator

    from .wire import Frame


class Simulator:
    """The handle of the parent process for the simulated cameras."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.address: str = json.loads(self._line())

    def starts(self) -> list[float]:
        """Return when each exposure began, in seconds; all cameras use the same clock."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        times: list[float] = json.loads(self._line())
        return times

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


@contextmanager
def simulating(count: int, frame: Frame) -> Generator[Simulator]:
    """Run cameras that are connected and have no readout time."""
    command = [sys.executable, "-m", "benchmarks.simulator", *map(str, (count, *frame))]
    with subprocess.Popen(  # noqa: S603 - this very module
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True
    ) as process:
        yield Simulator(process)


def main(count: int, width: int, height: int, noise: int = 1) -> None:
    cameras = [
        SimulatedCamera(
            width=width,
            height=height,
            readout_time=0.0,
            initially_connected=True,
            noise=bool(noise),
        )
        for _ in range(count)
    ]
    with run_in_thread(SimulatorServer(cameras)) as server:
        print(json.dumps(server.address), flush=True)
        for _ in sys.stdin:
            print(json.dumps([_last_start(camera) for camera in cameras]), flush=True)


def _last_start(camera: SimulatedCamera) -> float:
    return max(
        (request.time for request in camera.requests if request.member == "startexposure"),
        default=0.0,
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))

"""Programs that bring an event loop of their own: Qt, Jupyter, and Python's asyncio console."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from alpaca_async import CameraStates
from alpaca_async.testing import SimulatedCamera, SimulatorServer, run_in_thread

from .conftest import needs

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

ROOT = Path(__file__).parents[2]


@pytest.fixture
def simulated() -> SimulatedCamera:
    return SimulatedCamera(width=1200, height=800, readout_time=0.0, connect_time=0.0)


@pytest.fixture
def address(simulated: SimulatedCamera) -> Iterator[str]:
    with run_in_thread(SimulatorServer([simulated])) as server:
        yield server.address


@contextmanager
def running(*arguments: str) -> Generator[subprocess.Popen[str]]:
    pipe = subprocess.PIPE
    with subprocess.Popen(  # noqa: S603 - our own programs
        [sys.executable, *arguments],
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        text=True,
        cwd=ROOT,
        env=os.environ | {"QT_QPA_PLATFORM": "offscreen", "PYTHONPATH": str(ROOT)},
    ) as process:
        yield process


def python(*arguments: str, text: str = "") -> str:
    with running(*arguments) as process:
        return output(process, text)


def output(process: subprocess.Popen[str], text: str = "") -> str:
    found, errors = process.communicate(text, timeout=50)
    assert not process.returncode, errors
    return found


@needs("PySide6")
@needs("qasync")
def test_a_qt_program_exposes_and_cancels(address: str) -> None:
    found = json.loads(python("-m", "tests.interop.qt_program", address))
    assert found == {
        "shapes": [[800, 1200]] * 4,
        "cancelled": True,
        "state": 0,
    }


@needs("pyobs")
def test_a_pyobs_module_exposes_and_aborts(
    address: str, simulated: SimulatedCamera, tmp_path: Path
) -> None:
    printed = python("-m", "tests.interop.pyobs_program", address, str(tmp_path))
    found = json.loads(printed.splitlines()[-1])  # pyobs prints, too
    assert found == {
        "light": "/cache/object-0001.fits",
        "dark": "/cache/dark-0002.fits",
        "aborted": "AbortedError",
        "cancelled": "CancelledError",
        "bad binning": "InvalidArgumentError",
        "bad gain": "InvalidArgumentError",
    }
    files: Any = import_module("astropy.io.fits")
    header = files.getheader(tmp_path / "object-0001.fits")
    assert (header["NAXIS1"], header["NAXIS2"]) == (100, 50)
    assert (header["GAIN"], header["XBINNING"], header["XORGSUBF"]) == (100, 2, 100)
    assert simulated.count("abortexposure") == 2
    assert simulated.get_set_point() == -5.0
    assert simulated.state is CameraStates.IDLE


def test_the_pyobs_module_is_short() -> None:
    module = ROOT / "docs/examples/pyobs/alpaca_camera.py"
    assert len(module.read_text(encoding="utf-8").splitlines()) <= 120


def test_the_asyncio_console_awaits_a_camera(address: str) -> None:
    lines = f"""
from alpaca_async import AsyncCamera
camera = AsyncCamera({address!r})
await camera.connect()
print((await camera.expose(0.01)).data.shape)
await camera.aclose()
"""
    assert "(800, 1200)" in python("-m", "asyncio", text=lines)


def cells(address: str, *codes: str) -> str:
    start = f"""
from alpaca_async import AsyncCamera
camera = AsyncCamera({address!r})
await camera.connect()
"""
    return json.dumps([start, *codes])


@needs("ipykernel")
def test_a_notebook_shows_the_picture(address: str) -> None:
    codes = cells(
        address,
        "image = await camera.expose(0.05)\nimage",
        "import asyncio; await asyncio.create_task(camera.expose(0.01))",
        "async for each in camera.exposures(0.01, count=2): print(each.data.shape)",
    )
    _, image, task, series = json.loads(python("-m", "tests.interop.notebook", codes))
    assert image["status"] == "ok", image
    for cell in (image, task):
        assert {"image/png", "text/html"} <= set(cell["kinds"])
    assert series["text"].count("(800, 1200)") == 2


@needs("ipykernel")
def test_the_cells_of_the_how_to_run(address: str) -> None:
    page = (ROOT / "docs/how-to/use-a-notebook.md").read_text(encoding="utf-8")
    codes = re.findall(r"```ipython\n(.*?)```", page, re.DOTALL)
    placed = [code.replace("192.168.1.20:11111", address) for code in codes]
    shown = json.loads(python("-m", "tests.interop.notebook", json.dumps(placed)))
    assert [(cell["status"], cell["error"]) for cell in shown] == [("ok", "")] * 8
    image, statistics, info, progress, _, state, mean, _ = shown
    assert all("text/html" in cell["kinds"] for cell in (image, statistics, info))
    assert "exposing" in progress["text"]
    assert "IDLE" in state["text"]
    assert float(re.sub(r"np.float64|[()]", "", mean["text"])) > 0


@needs("ipykernel")
def test_interrupting_a_cell_aborts_its_exposure(address: str, simulated: SimulatedCamera) -> None:
    codes = cells(address, "await camera.expose(40)", "(await camera.expose(0.01)).data.shape")
    with running("-m", "tests.interop.notebook", codes) as process:
        while simulated.state is not CameraStates.EXPOSING and process.poll() is None:
            time.sleep(0.01)
        _, interrupted, after = json.loads(output(process, "\n"))
    assert interrupted["error"] in {"CancelledError", "KeyboardInterrupt"}
    assert simulated.count("abortexposure") == 1
    assert "(800, 1200)" in after["text"]

"""Programs that bring an event loop of their own: Qt, Jupyter, and Python's asyncio console."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

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


def python(*arguments: str, text: str = "") -> str:
    done = subprocess.run(  # noqa: S603 - our own programs
        [sys.executable, *arguments],
        input=text,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
        cwd=ROOT,
        env=os.environ | {"QT_QPA_PLATFORM": "offscreen", "PYTHONPATH": str(ROOT)},
    )
    assert not done.returncode, done.stderr
    return done.stdout


@needs("PySide6")
@needs("qasync")
def test_a_qt_program_exposes_and_cancels(address: str) -> None:
    found = json.loads(python("-m", "tests.interop.qt_program", address))
    assert found == {
        "shapes": [[800, 1200]] * 4,
        "cancelled": True,
        "state": 0,
    }


def test_the_asyncio_console_awaits_a_camera(address: str) -> None:
    lines = f"""
from alpaca_async import AsyncCamera
camera = AsyncCamera({address!r})
await camera.connect()
print((await camera.expose(0.01)).data.shape)
await camera.aclose()
"""
    assert "(800, 1200)" in python("-m", "asyncio", text=lines)


class Cell(NamedTuple):
    """What a cell of a notebook has shown."""

    status: str
    text: str
    kinds: set[str]
    error: str


class Notebook:
    """A Jupyter kernel."""

    def __init__(self, manager: Any, client: Any) -> None:  # noqa: ANN401 - has no types
        self.manager = manager
        self._client = client

    def run(self, code: str) -> Cell:
        texts: list[str] = []
        kinds: set[str] = set()
        errors: list[str] = []

        def show(message: dict[str, Any]) -> None:
            content = message["content"]
            texts.append(content.get("text", "") or content.get("data", {}).get("text/plain", ""))
            kinds.update(content.get("data", {}))
            errors.append(content.get("ename", ""))

        reply = self._client.execute_interactive(code, timeout=50, output_hook=show)
        return Cell(reply["content"]["status"], "".join(texts), kinds, "".join(errors))


@pytest.fixture
def notebook(address: str) -> Generator[Notebook]:
    start_new_kernel = import_module("jupyter_client.manager").start_new_kernel
    manager, client = start_new_kernel(kernel_name="python3", cwd=str(ROOT))
    try:
        opened = Notebook(manager, client)
        start = f"""
from alpaca_async import AsyncCamera
camera = AsyncCamera({address!r})
await camera.connect()
"""
        assert opened.run(start).status == "ok"
        yield opened
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


@needs("ipykernel")
@pytest.mark.filterwarnings("ignore")  # the warnings of Jupyter's own packages
def test_a_notebook_shows_the_picture(notebook: Notebook) -> None:
    cell = notebook.run("image = await camera.expose(0.05)\nimage")
    assert cell.status == "ok", cell
    assert "image/png" in cell.kinds
    assert notebook.run("import asyncio; await asyncio.create_task(camera.expose(0.01))").kinds
    assert notebook.run("async for each in camera.exposures(0.01, count=2): print(each.data.shape)")


@needs("ipykernel")
@pytest.mark.filterwarnings("ignore")  # the warnings of Jupyter's own packages
def test_interrupting_a_cell_aborts_its_exposure(
    notebook: Notebook, simulated: SimulatedCamera
) -> None:
    def interrupt() -> None:
        while simulated.state is not CameraStates.EXPOSING:
            time.sleep(0.01)
        notebook.manager.interrupt_kernel()

    thread = threading.Thread(target=interrupt)
    thread.start()
    cell = notebook.run("await camera.expose(40)")
    thread.join()
    assert cell.status == "error"
    assert cell.error in {"CancelledError", "KeyboardInterrupt"}
    assert simulated.state is CameraStates.IDLE
    assert "(800, 1200)" in notebook.run("(await camera.expose(0.01)).data.shape").text

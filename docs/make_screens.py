"""Makes the screenshots of the command in docs/images: `python docs/make_screens.py`.

Runs the command in tmux, against simulated cameras on ports 11111 and 11112.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

from alpaca_async import SensorType
from alpaca_async.testing import SimulatedCamera, SimulatorServer, run_in_thread

if TYPE_CHECKING:
    from collections.abc import Generator

_DOCS: Final = Path(__file__).resolve().parent
_IMAGES: Final = _DOCS / "images"
_MAIN: Final = "127.0.0.1:11111"
_SECOND: Final = "127.0.0.1:11112"
_TIMEOUT: Final = 30.0

# A screenshot must not load a font from the network.
_FORMAT: Final = re.sub(
    r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL
).replace("Fira Code, monospace", "monospace")


class Screenshot(NamedTuple):
    """A command, and the pattern on the screen at which the screenshot is taken."""

    name: str
    arguments: str
    pattern: str
    width: int = 80


_SCREENSHOTS: Final = (
    Screenshot("watch", f"watch {_MAIN} {_SECOND}", r"exposing +[━╸╺]+ +[45]\d %", width=108),
    Screenshot("info", f"info {_MAIN} -d 0", r"guide\n"),
    Screenshot("expose", f"expose {_MAIN} -d 2 -t 3 -n 5 -o pictures", r"(?s)0002.*1\.\d s left"),
    Screenshot("bench", f"bench {_MAIN} -d 2", r"- \w"),
)


def _cameras() -> tuple[SimulatorServer, SimulatorServer]:
    cold = {"cooling_rate": 100.0, "settling_time": 0.1}
    main = SimulatedCamera(name="Main camera", sensor_name="SIM1280", readout_time=0.2, **cold)
    colour = SimulatedCamera(name="Colour camera", sensor=SensorType.RGGB, seed=1, **cold)
    guider = SimulatedCamera(name="Guide camera", has_cooler=False, seed=2, stars=900)
    sky = SimulatedCamera(name="All-sky camera", has_cooler=False, seed=3)
    for camera in (main, colour, guider):
        camera.set_connected(True)
    for camera, temperature in ((main, -10.0), (colour, -5.0)):
        camera.set_cooler_on(True)
        camera.set_set_point(temperature)
    main.start_exposure(20.0, light=True)
    colour.start_exposure(0.001, light=True)
    return (
        SimulatorServer([main, colour, guider], port=11111, name="Observatory"),
        SimulatorServer([sky], port=11112, name="Roof"),
    )


@contextmanager
def _terminal(width: int) -> Generator[str]:
    """Yield the name of a tmux session with a shell."""
    name = f"screens-{os.getpid()}"
    with tempfile.TemporaryDirectory() as folder:
        shell = "env PS1='$ ' TERM=tmux-256color sh"
        size = ("-x", str(width), "-y", "30")
        _tmux("new-session", "-d", "-s", name, "-c", folder, *size, shell)
        try:
            yield name
        finally:
            _tmux("kill-session", "-t", name)


def _tmux(*arguments: str) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    finished = subprocess.run(  # noqa: S603 - constant arguments
        ["tmux", "-L", "screens", *arguments],  # noqa: S607 - found in PATH
        env={**os.environ, "PATH": path, "PYTHONPATH": str(_DOCS.parent)},
        capture_output=True,
        check=True,
        encoding="utf-8",
    )
    return finished.stdout


def _capture(screenshot: Screenshot) -> str:
    """Return the screen with its colours as soon as it matches the pattern of `screenshot`."""
    with _terminal(screenshot.width) as name:
        _wait_for(r"\$", name)
        _tmux("send-keys", "-t", name, f"alpaca-async {screenshot.arguments}", "Enter")
        _wait_for(screenshot.pattern, name)
        return _tmux("capture-pane", "-p", "-e", "-t", name).rstrip()


def _wait_for(pattern: str, name: str) -> None:
    deadline = time.monotonic() + _TIMEOUT
    while not re.search(pattern, _tmux("capture-pane", "-p", "-t", name)):
        if time.monotonic() > deadline:
            raise TimeoutError(_tmux("capture-pane", "-p", "-t", name))
        time.sleep(0.05)


def _save(screenshot: Screenshot, screen: str) -> None:
    with Path(os.devnull).open("w", encoding="utf-8") as devnull:
        console = Console(record=True, width=screenshot.width, file=devnull, force_terminal=True)
        console.print(Text.from_ansi(screen.removesuffix("$").rstrip()))
    console.save_svg(
        str(_IMAGES / f"{screenshot.name}.svg"),
        title=f"alpaca-async {screenshot.name}",
        code_format=_FORMAT,
        unique_id=screenshot.name,
    )


def main() -> None:
    """Make all screenshots."""
    with ExitStack() as stack:
        for server in _cameras():
            stack.enter_context(run_in_thread(server))
        for screenshot in _SCREENSHOTS:
            _save(screenshot, _capture(screenshot))


if __name__ == "__main__":
    main()

"""Servers and clients of other projects; without the extra `interop` their tests are skipped."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CAMERA: dict[str, Any] = {
    "name": "Their camera",
    "description": "a camera of alpaca-simulators",
    "driverinfo": "",
    "driverversion": "1.0",
    "interfaceversion": 3,
    **dict.fromkeys(("canabortexposure", "canstopexposure", "canasymmetricbin"), True),
    **dict.fromkeys(("canfastreadout", "cancelpower", "cooleron", "fastreadout"), False),
    **dict.fromkeys(("cangetcoolerpower", "canpulseguide", "cansetccdtemperature"), True),
    **dict.fromkeys(("ccdtemperature", "setccdtemperature"), -20.0),
    "cooling_time": 0.0,
    "coolerpower": 0.0,
    "electronsperadu": 1,
    "exposuremax": 3600.0,
    "exposuremin": 0.0,
    "exposureresolution": 0.001,
    "fullwellcapacity": 50000,
    "gain": 1,
    "gains": ["1", "2", "3"],
    "hasshutter": True,
    "heatsinktemperature": 25.0,
    "maxadu": 65535,
    **dict.fromkeys(("maxbinx", "maxbiny"), 8),
    "percentcompleted": 0,
    **dict.fromkeys(("pixelsizex", "pixelsizey"), 10),
    "rotation": 0.0,
    "readoutmode": 0,
    "readoutmodes": ["Fast", "Normal"],
    "sensorname": "Their sensor",
    "sensortype": 0,
    "offset": 1,
    "offsets": ["Low", "High"],
    **dict.fromkeys(("bayeroffsetx", "bayeroffsety", "startx", "starty"), 0),
    **dict.fromkeys(("binx", "biny"), 1),
    **dict.fromkeys(("cameraxsize", "numx"), 96),
    **dict.fromkeys(("cameraysize", "numy"), 64),
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "interop" in item.path.parts:
            item.add_marker(pytest.mark.interop)


@pytest.fixture
def no_blocking_calls() -> None:
    """A synchronous client blocks the loop of its test."""


def needs(package: str) -> pytest.MarkDecorator:
    missing = find_spec(package) is None
    return pytest.mark.skipif(missing, reason=f"needs {package}: pip install '.[interop]'")


@pytest.fixture(scope="session")
def alpaca_simulators(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of three cameras of alpaca-simulators, number 2 with interface version 4."""
    config = tmp_path_factory.mktemp("simulators") / "cameras.yaml"
    cameras = {
        0: CAMERA,
        1: CAMERA | {"cameraxsize": 32, "numx": 32, "cooling_time": 0.5},
        2: CAMERA | {"interfaceversion": 4},
    }
    entries = "".join(f"    {number}: {json.dumps(facts)}\n" for number, facts in cameras.items())
    config.write_text(f"devices:\n  camera:\n{entries}")
    port = free_port()
    with serve(port, config):
        yield f"127.0.0.1:{port}"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


class serve:  # noqa: N801 - read as a verb
    """Runs alpaca-simulators for the length of a block."""

    def __init__(self, port: int, config: Path) -> None:
        self._port = port
        command = "from alpaca_simulators.run_simulator import main; main()"
        options = ("--host", "127.0.0.1", "--port", str(port), "--config", str(config))
        self._command = (sys.executable, "-c", command, *options)

    def __enter__(self) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - a command of our own
            self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self._port), 1).close()
            except OSError:
                time.sleep(0.1)
            else:
                return
        raise RuntimeError("alpaca-simulators did not start")

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(10)

from __future__ import annotations

import json
from io import StringIO
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from rich.console import Console

from alpaca_async import FoundCamera
from alpaca_async.cli import _discover
from alpaca_async.testing import SimulatedCamera, SimulatorServer, run_in_thread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .conftest import Run


@pytest.fixture
def server() -> Iterator[SimulatorServer]:
    cameras = [SimulatedCamera(name=name, unique_id=f"id {name}") for name in ("[Left]", "Right")]
    with run_in_thread(SimulatorServer(cameras, discovery_port=0)) as running:
        yield running


def test_it_prints_the_address_of_each_camera(run: Run, server: SimulatorServer) -> None:
    result = run("discover", "127.0.0.1", "-t", 1, "--port", server.discovery_port)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        f"{server.address} 0 id [Left] [Left]",
        f"{server.address} 1 id Right Right",
    ]


def test_a_table_does_not_wrap_addresses_and_ids() -> None:
    camera = FoundCamera("192.168.1.20:11111", 0, "A camera with a long name", str(uuid4()))
    shown = StringIO()
    Console(file=shown, width=72).print(_discover._table([camera]))
    assert camera.address in shown.getvalue()
    assert camera.unique_id in shown.getvalue()


@pytest.mark.usefixtures("terminal")
def test_a_terminal_gets_a_table(run: Run, server: SimulatorServer) -> None:
    shown = run("discover", "127.0.0.1", "-t", 1, "--port", server.discovery_port).stdout
    heading, *rows = shown.splitlines()
    assert all(name in heading for name in ("address", "camera", "name", "unique id"))
    assert [server.address in row for row in rows] == [True, True]


def test_json_has_the_same_facts(run: Run, server: SimulatorServer) -> None:
    where = ("127.255.255.255", "--timeout", 0.2, "--port", server.discovery_port)
    first, second = json.loads(run("discover", *where, "--json").stdout)
    assert first == {
        "address": server.address,
        "device_number": 0,
        "name": "[Left]",
        "unique_id": "id [Left]",
        "device_type": "camera",
    }
    assert second["device_number"] == 1


def test_no_camera_found_is_exit_code_1_and_one_line(run: Run) -> None:
    result = run("discover", "127.0.0.1", "-t", 0.1, "--port", 9)
    message = "alpaca-async: no camera answered within 0.1 s\n"
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", message)
    empty = run("discover", "127.0.0.1", "-t", 0.1, "--port", 9, "--json")
    assert (empty.exit_code, empty.stdout, empty.stderr) == (1, "[]\n", message)


@pytest.mark.parametrize("options", [["--port", 0], ["--port", 70000], ["-t", 0]])
def test_an_impossible_option_is_a_usage_error(run: Run, options: list[object]) -> None:
    assert run("discover", *options).exit_code == 2

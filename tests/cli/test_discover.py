from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from alpaca_async.testing import SimulatedCamera, SimulatorServer, run_in_thread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .conftest import Run


@pytest.fixture
def server() -> Iterator[SimulatorServer]:
    cameras = [SimulatedCamera(name=name, unique_id=f"id {name}") for name in ("[Left]", "Right")]
    with run_in_thread(SimulatorServer(cameras, discovery_port=0)) as running:
        yield running


def test_it_shows_where_each_camera_is(run: Run, server: SimulatorServer) -> None:
    result = run("discover", "127.0.0.1", "-t", 0.2, "--port", server.discovery_port)
    assert (result.exit_code, result.stderr) == (0, "")
    header, *rows = [line.split() for line in result.stdout.splitlines()]
    assert header == ["address", "camera", "name", "unique", "id"]
    assert rows == [
        [server.address, "0", "[Left]", "id", "[Left]"],
        [server.address, "1", "Right", "id", "Right"],
    ]


def test_json_holds_the_same_for_programs(run: Run, server: SimulatorServer) -> None:
    where = ("127.255.255.255", "--timeout", 0.2, "--port", server.discovery_port)
    first, second = json.loads(run("discover", *where, "--json").stdout)
    assert first == {
        "address": server.address,
        "device_number": 0,
        "name": "[Left]",
        "unique_id": "id [Left]",
    }
    assert second["device_number"] == 1


def test_nothing_found_is_an_exit_code_and_one_line(run: Run) -> None:
    result = run("discover", "127.0.0.1", "-t", 0.1, "--port", 9)
    message = "alpaca-async: no camera answered within 0.1 s\n"
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", message)
    empty = run("discover", "127.0.0.1", "-t", 0.1, "--port", 9, "--json")
    assert (empty.exit_code, empty.stdout, empty.stderr) == (1, "[]\n", message)


@pytest.mark.parametrize("options", [["--port", 0], ["--port", 70000], ["-t", 0]])
def test_an_impossible_option_is_a_usage_error(run: Run, options: list[object]) -> None:
    assert run("discover", *options).exit_code == 2

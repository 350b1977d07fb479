from __future__ import annotations

import asyncio
import os
import signal
import socket
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from alpaca_async import (
    AlpacaClient,
    CameraInfo,
    FoundCamera,
    RequestRejected,
    SensorType,
    find_camera,
)
from alpaca_async.cli import _sim
from alpaca_async.cli._faults import FaultOrder
from alpaca_async.testing import FAULTS

from .conftest import started

if TYPE_CHECKING:
    from alpaca_async.testing import SimulatorServer

    from .conftest import Run


async def gain(address: str) -> int:
    async with AlpacaClient() as client:
        camera = client.camera(address)
        await camera.connect()
        return await camera.get_gain()


async def facts(address: str) -> tuple[int, CameraInfo]:
    async with AlpacaClient() as client:
        devices = await client.get_configured_devices(address)
        camera = client.camera(address, len(devices) - 1)
        await camera.connect()
        return len(devices), await camera.get_info()


def test_it_serves_what_was_asked_for_until_ctrl_c() -> None:
    size_and_number = ("--size", "320x200", "--cameras", 2, "--port", 0)
    kind = ("--sensor", "rggb", "--interface-version", 3, "--no-discovery")
    with started("sim", *size_and_number, *kind, PYTHONUNBUFFERED="1") as process:
        assert process.stdout is not None
        first, example = process.stdout.readline(), process.stdout.readline()
        address = first.removeprefix("2 simulated cameras at ").removesuffix(", until Ctrl-C\n")
        count, info = asyncio.run(facts(address))
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert example == f"alpaca-async expose {address} -t 2 --preview\n"
    assert (process.returncode, out, err) == (0, "stopped\n", "")
    assert count == 2
    assert (info.sensor_type, info.interface_version) == (SensorType.RGGB, 3)
    assert (info.camera_x_size, info.camera_y_size, info.name) == (320, 200, "Simulated camera 1")


def test_ctrl_c_is_how_it_ends(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    def press(text: object) -> None:
        said.append(str(text))
        if "expose" in said[-1]:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(_sim, "say", press)
    options = ("--port", 0, "--host", "0.0.0.0", "--no-discovery")  # noqa: S104 - for a moment
    assert run("sim", *options).exit_code == 0
    assert said[0].startswith("1 simulated camera at 0.0.0.0:")
    assert said[1].startswith("alpaca-async expose 127.0.0.1:")
    assert said[2:] == ["stopped"]


@pytest.mark.parametrize("options", [["--discovery-port", 0], ["--no-discovery"]])
def test_it_can_be_found_unless_it_is_told_not_to(
    run: Run, monkeypatch: pytest.MonkeyPatch, options: list[object]
) -> None:
    found: list[FoundCamera | None] = []

    async def look(server: SimulatorServer, _: str) -> None:
        async with server:
            unique_id = server.cameras[0].unique_id
            found.append(await find_camera(unique_id, ["127.0.0.1"], port=server.discovery_port))
            assert found == [FoundCamera(server.address, 0, "Simulated camera", unique_id)]

    monkeypatch.setattr(_sim, "_run", look)
    result = run("sim", "--port", 0, *options)
    if "--no-discovery" in options:
        assert isinstance(result.exception, RuntimeError)
        assert found == []
    else:
        assert (result.exit_code, len(found)) == (0, 1)


def test_it_serves_behind_a_bad_network() -> None:
    faults = ("--fault", "http_503_text:gain", "--fault", "delay:0.5", "--seed", 3)
    with started("-v", "sim", "--port", 0, *faults, PYTHONUNBUFFERED="1") as process:
        assert process.stdout is not None
        first, second = process.stdout.readline(), process.stdout.readline()
        address = second.removeprefix("1 simulated camera at ").removesuffix(", until Ctrl-C\n")
        with pytest.raises(RequestRejected, match="503"):
            asyncio.run(gain(address))
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert first == "with faults: http_503_text, delay\n"
    assert (process.returncode, out.splitlines()[-1]) == (0, "stopped")
    assert "INFO http_503_text befalls GET gain\n" in err


def test_the_faults_are_listed(run: Run) -> None:
    result = run("sim", "--fault", "list")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    kinds, names, descriptions = zip(*(line.split(maxsplit=2) for line in lines), strict=True)
    assert list(dict.fromkeys(kinds)) == ["network", "HTTP", "content", "image"]
    assert len(set(kinds)) == sum(one != other for one, other in pairwise(["", *kinds]))
    assert dict(zip(names, descriptions, strict=True)) == {
        fault.name: fault.description for fault in FAULTS.values()
    }


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("drip", ("drip", None, 1.0)),
        ("drip:gain", ("drip", "gain", 1.0)),
        ("drip:0.25", ("drip", None, 0.25)),
        ("drip:Gain:1e-3", ("drip", "Gain", 0.001)),
    ],
)
def test_a_fault_is_ordered_in_a_word(text: str, order: tuple[object, ...]) -> None:
    assert FaultOrder.parse(text) == order


@pytest.mark.parametrize(
    "text", ["drip:a:b", "drip:2", "drip:-0.1", "drip:", "drip::0.5", "drip:0.5:gain", "drip:nan"]
)
def test_a_fault_that_cannot_be_read_is_one_line(run: Run, text: str) -> None:
    result = run("sim", "--fault", text)
    message = f"alpaca-async: --fault {text!r} is not NAME[:MEMBER][:PROBABILITY]\n"
    assert (result.exit_code, result.stderr) == (1, message)


def test_a_fault_that_does_not_exist_is_one_line(run: Run) -> None:
    result = run("sim", "--port", 0, "--fault", "dripp")
    message = "alpaca-async: there is no fault 'dripp'; drip perhaps?\n"
    assert (result.exit_code, result.stderr) == (1, message)


def test_a_port_in_use_is_one_line(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        result = run("sim", "--port", other.getsockname()[1])
    assert result.exit_code == 1
    assert "address already in use" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("size", ["big", "0x5", "5x0", "-1x5", "5x"])
def test_an_impossible_size_is_one_line(run: Run, size: str) -> None:
    result = run("sim", "--size", size)
    message = f"--size {size!r} is not WIDTHxHEIGHT in pixels"
    assert (result.exit_code, result.stderr) == (1, f"alpaca-async: {message}\n")


@pytest.mark.parametrize(
    "options", [["--interface-version", 5], ["--speed-up", 0], ["--sensor", "x"], ["--port", 70000]]
)
def test_an_impossible_option_is_a_usage_error(run: Run, options: list[object]) -> None:
    assert run("sim", *options).exit_code == 2

from __future__ import annotations

import asyncio
import os
import signal
import socket
from typing import TYPE_CHECKING, Any

import pytest

from alpaca_async import AlpacaClient, CameraInfo, SensorType
from alpaca_async.cli import _sim

from .conftest import ctrl_c_when

if TYPE_CHECKING:
    from .conftest import Run


async def facts(address: str) -> tuple[int, CameraInfo]:
    async with AlpacaClient() as client:
        devices = await client.get_configured_devices(address)
        camera = client.camera(address, len(devices) - 1)
        await camera.connect()
        return len(devices), await camera.get_info()


def test_it_serves_what_was_asked_for_until_ctrl_c(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[Any] = []
    seen: list[tuple[int, CameraInfo]] = []
    monkeypatch.setattr(_sim, "say_json", said.append)

    def looked() -> bool:
        if said:
            seen.append(asyncio.run(facts(said[0]["address"])))
        return bool(said)

    size_and_number = ("--size", "320x200", "--cameras", 2, "--port", 0)
    kind = ("--sensor", "rggb", "--interface-version", 3)
    with ctrl_c_when(looked):
        result = run("sim", *size_and_number, *kind, "--json")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "stopped\n")
    assert [camera["name"] for camera in said[0]["cameras"]] == [
        "Simulated camera 0",
        "Simulated camera 1",
    ]
    ((count, info),) = seen
    assert count == 2
    assert (info.sensor_type, info.interface_version) == (SensorType.RGGB, 3)
    assert (info.camera_x_size, info.camera_y_size, info.name) == (320, 200, "Simulated camera 1")
    assert info.unique_id == said[0]["cameras"][1]["unique_id"]


def test_ctrl_c_is_how_it_ends(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    def press(text: object) -> None:
        said.append(str(text))
        if "expose" in said[-1]:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(_sim, "say", press)
    result = run("sim", "--port", 0, "--host", "0.0.0.0")  # noqa: S104 - for a moment
    assert (result.exit_code, result.stderr) == (0, "stopped\n")
    assert said[0].startswith("1 simulated camera at 0.0.0.0:")
    assert said[1].startswith("alpaca-async expose 127.0.0.1:")
    assert len(said) == 2


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
    assert (result.exit_code, result.stderr) == (2, f"alpaca-async: {message}\n")


@pytest.mark.parametrize(
    "options", [["--interface-version", 5], ["--speed-up", 0], ["--sensor", "x"], ["--port", 70000]]
)
def test_an_impossible_option_is_a_usage_error(run: Run, options: list[object]) -> None:
    assert run("sim", *options).exit_code == 2

from __future__ import annotations

import asyncio
import os
import signal
import socket
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from alpaca_async import (
    AlpacaClient,
    CameraInfo,
    FoundCamera,
    RequestRejected,
    SensorType,
    find_cameras,
)
from alpaca_async.cli import _sim
from alpaca_async.cli._faults import FaultSpec
from alpaca_async.testing import CAMERA_FAULTS, FAULTS

from .conftest import ctrl_c_when

if TYPE_CHECKING:
    from .conftest import Run


async def gain(address: str) -> int:
    async with AlpacaClient() as client:
        camera = client.camera(address)
        await camera.connect()
        return await camera.get_gain()


async def facts(address: str) -> tuple[int, CameraInfo]:
    async with AlpacaClient() as client:
        devices = await client.get_configured_devices(address)
        cameras = [device for device in devices if device.device_type == "Camera"]
        camera = client.camera(address, len(cameras) - 1)
        await camera.connect()
        return len(devices), await camera.get_info()


def test_it_serves_the_cameras_of_its_options_until_ctrl_c(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[Any] = []
    seen: list[tuple[int, CameraInfo]] = []
    monkeypatch.setattr(_sim, "print_json", said.append)

    def looked() -> bool:
        if said:
            seen.append(asyncio.run(facts(said[0]["address"])))
        return bool(said)

    size_and_number = ("--size", "320x200", "--cameras", 2, "--port", 0)
    kind = ("--sensor", "rggb", "--interface-version", 3, "--no-discovery")
    with ctrl_c_when(looked):
        result = run("sim", *size_and_number, *kind, "--json")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "stopped\n")
    assert [camera["name"] for camera in said[0]["cameras"]] == [
        "Simulated camera 0",
        "Simulated camera 1",
    ]
    ((count, info),) = seen
    assert count == 2 + 4
    assert [device["device_type"] for device in said[0]["devices"]] == [
        *("camera", "camera"),
        *("filterwheel", "focuser", "covercalibrator", "safetymonitor"),
    ]
    assert [device["device_number"] for device in said[0]["devices"]] == [0, 1, 0, 0, 0, 0]
    assert (info.sensor_type, info.interface_version) == (SensorType.RGGB, 3)
    assert (info.camera_x_size, info.camera_y_size, info.name) == (320, 200, "Simulated camera 1")
    assert info.unique_id == said[0]["cameras"][1]["unique_id"]


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    with socket.socket(type=kind) as other:
        other.bind(("127.0.0.1", 0))
        port: int = other.getsockname()[1]
        return port


@pytest.fixture
def documents(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What is printed as JSON; Ctrl-C follows at once."""
    said: list[Any] = []

    def press(document: object) -> None:
        said.append(document)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(_sim, "print_json", press)
    return said


def test_the_unique_ids_are_the_same_at_every_start_and_others_at_another_port(
    run: Run, documents: list[Any]
) -> None:
    first, second = free_port(), free_port()
    for port, host in ((first, "127.0.0.1"), (first, "localhost"), (second, "127.0.0.1")):
        options = ("--cameras", 2, "--port", port, "--host", host, "--no-discovery")
        assert run("sim", "--json", *options).exit_code == 0
    ids = [[device["unique_id"] for device in each["devices"]] for each in documents]
    assert ids[0] == ids[1]
    assert len({*ids[0], *ids[2]}) == 12


def test_the_fault_of_a_shared_unique_id_keeps_its_id(run: Run, documents: list[Any]) -> None:
    options = ("--cameras", 2, "--port", free_port(), "--no-discovery")
    assert run("sim", "--json", *options, "--fault", "shared_unique_id").exit_code == 0
    expected = CAMERA_FAULTS["shared_unique_id"].model["unique_id"]
    assert [camera["unique_id"] for camera in documents[0]["cameras"]] == [expected] * 2


def test_it_prints_its_address_and_a_command_and_ends_with_exit_code_0(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []

    def press(text: object) -> None:
        said.append(str(text))
        if "expose" in said[-1]:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(_sim, "print_line", press)
    options = ("--port", 0, "--host", "0.0.0.0", "--no-discovery")  # noqa: S104 - ends at once
    result = run("sim", *options)
    assert (result.exit_code, result.stderr) == (0, "stopped\n")
    assert said[0].startswith("1 simulated camera at 0.0.0.0:")
    assert said[1].startswith("with a filter wheel, a focuser,")
    assert said[2].startswith("try: alpaca-async expose 127.0.0.1:")
    assert len(said) == 3


def test_the_last_line_overwrites_the_ctrl_c_of_a_terminal(
    run: Run, monkeypatch: pytest.MonkeyPatch, terminal: None
) -> None:
    def press(_: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(_sim, "print_line", press)
    result = run("sim", "--port", 0, "--no-discovery")
    assert result.stderr == "\r\x1b[2mstopped\x1b[0m\n"


@pytest.mark.parametrize("options", [[], ["--fault", "delay:0.0"], ["--no-discovery"]])
def test_it_answers_discovery_unless_disabled(
    run: Run, monkeypatch: pytest.MonkeyPatch, options: list[object]
) -> None:
    said: list[Any] = []
    found: list[FoundCamera | None] = []
    monkeypatch.setattr(_sim, "print_json", said.append)
    port = free_port(socket.SOCK_DGRAM)
    answers = "--no-discovery" not in options

    async def first_camera() -> FoundCamera | None:
        timeout = 20.0 if answers else 0.5
        async with find_cameras(["127.0.0.1"], port=port, timeout=timeout) as cameras:
            return await anext(cameras, None)

    def looked() -> bool:
        if said:
            found.append(asyncio.run(first_camera()))
        return bool(said)

    with ctrl_c_when(looked):
        assert run("sim", "--port", 0, "--discovery-port", port, "--json", *options).exit_code == 0
    addresses = [camera and camera.address for camera in found]
    assert addresses == [said[0]["address"] if answers else None]


def test_it_serves_with_faults(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[Any] = []
    monkeypatch.setattr(_sim, "print_json", said.append)

    def looked() -> bool:
        if said:
            with pytest.raises(RequestRejected, match="503"):
                asyncio.run(gain(said[0]["address"]))
        return bool(said)

    faults = ("--fault", "http_503_text:gain", "--fault", "delay:0.5", "--seed", 3)
    with ctrl_c_when(looked):
        result = run("-v", "sim", "--port", 0, "--no-discovery", "--json", *faults)
    assert (result.exit_code, result.stdout) == (0, "")
    lines = result.stderr.splitlines()
    assert (lines[0], lines[-1]) == ("with faults: http_503_text, delay", "stopped")
    assert "INFO injecting http_503_text into GET gain" in lines


def test_the_faults_are_listed(run: Run) -> None:
    result = run("sim", "--fault", "list")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    kinds, names, descriptions = zip(*(line.split(maxsplit=2) for line in lines), strict=True)
    assert list(dict.fromkeys(kinds)) == [*("network", "HTTP", "content", "image", "camera")]
    assert len(set(kinds)) == sum(one != other for one, other in pairwise(["", *kinds]))
    assert dict(zip(names, descriptions, strict=True)) == {
        **{fault.name: fault.description for fault in FAULTS.values()},
        **{fault.name: fault.description for fault in CAMERA_FAULTS.values()},
    }


def test_it_serves_cameras_with_faults(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[Any] = []
    monkeypatch.setattr(_sim, "print_json", said.append)
    faults = ("--fault", "shared_unique_id", "--fault", "swapped_axes")
    with ctrl_c_when(lambda: bool(said)):
        result = run("sim", "--cameras", 2, "--port", 0, "--no-discovery", "--json", *faults)
    assert result.stderr.splitlines()[0] == "with faults: shared_unique_id, swapped_axes"
    first, second = said[0]["cameras"]
    assert first["unique_id"] == second["unique_id"]


@pytest.mark.parametrize("text", ["slow_connect:0.5", "slow_connect:connected"])
def test_a_fault_of_the_camera_takes_no_member(run: Run, text: str) -> None:
    result = run("sim", "--fault", text)
    message = "alpaca-async: --fault slow_connect takes no member and no probability\n"
    assert (result.exit_code, result.stderr) == (2, message)


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("drip", ("drip", None, 1.0)),
        ("drip:gain", ("drip", "gain", 1.0)),
        ("drip:0.25", ("drip", None, 0.25)),
        ("drip:Gain:1e-3", ("drip", "Gain", 0.001)),
    ],
)
def test_fault_options_are_parsed(text: str, spec: tuple[object, ...]) -> None:
    assert FaultSpec.parse(text) == spec


@pytest.mark.parametrize(
    "text", ["drip:a:b", "drip:2", "drip:-0.1", "drip:", "drip::0.5", "drip:0.5:gain", "drip:nan"]
)
def test_an_invalid_fault_is_one_line(run: Run, text: str) -> None:
    result = run("sim", "--fault", text)
    message = f"alpaca-async: --fault {text!r} is not valid: use NAME[:MEMBER][:PROBABILITY]\n"
    assert (result.exit_code, result.stderr) == (2, message)


def test_an_unknown_fault_is_one_line(run: Run) -> None:
    result = run("sim", "--port", 0, "--fault", "dripp")
    message = "alpaca-async: there is no fault 'dripp'; did you mean 'drip'?\n"
    assert (result.exit_code, result.stderr) == (2, message)


def test_a_port_in_use_is_one_line(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        result = run("sim", "--port", port)
    reason = f"port {port} is in use, perhaps by another alpaca-async"
    message = f"alpaca-async: {reason}; --port 0 uses a free one\n"
    assert (result.exit_code, result.stderr) == (2, message)


def test_an_address_of_another_computer_is_one_line(run: Run) -> None:
    result = run("sim", "--host", "192.0.2.1", "--port", 0)
    assert result.exit_code == 1
    assert result.stderr.startswith("alpaca-async: ")
    assert result.stderr.count("\n") == 1
    assert "in use" not in result.stderr


@pytest.mark.parametrize("size", ["big", "0x5", "5x0", "-1x5", "5x"])
def test_an_impossible_size_is_one_line(run: Run, size: str) -> None:
    result = run("sim", "--size", size)
    message = f"--size {size!r} is not valid: use WIDTHxHEIGHT in pixels"
    assert (result.exit_code, result.stderr) == (2, f"alpaca-async: {message}\n")


@pytest.mark.parametrize(
    "options", [["--interface-version", 5], ["--speed-up", 0], ["--sensor", "x"], ["--port", 70000]]
)
def test_an_impossible_option_is_a_usage_error(run: Run, options: list[object]) -> None:
    assert run("sim", *options).exit_code == 2

from __future__ import annotations

import asyncio
import os
import random
import time
from typing import TYPE_CHECKING

import pytest

from alpaca_async import (
    AlpacaClient,
    AsyncCamera,
    CameraStates,
    DriverException,
    OperationFailed,
    Progress,
    Timeouts,
)
from alpaca_async._device import known_facts, readiness
from alpaca_async._workflows import waiting as waiting_module
from alpaca_async.testing import SimulatedCamera, SimulatorServer, run_in_thread
from tests.conditions import until
from tests.scripted import ScriptedServer, ascom_error, http, value
from tests.virtual_time import in_virtual_time

from .test_exposure import Forgiving, exposing, silence

if TYPE_CHECKING:
    from collections.abc import Iterator

MOMENTS = int(os.environ.get("ALPACA_SOAK", "100"))
"""How many exposures are cancelled, each at a random time; .ci/run sets more."""


async def test_state_and_readiness_come_in_one_request(
    camera: AsyncCamera, simulated: SimulatedCamera
) -> None:
    seen: list[Progress] = []
    await camera.expose(1.2, progress=seen.append)
    assert simulated.count("imageready") == simulated.count("camerastate") == 0
    assert simulated.count("devicestate") >= 2
    assert CameraStates.EXPOSING in {progress.state for progress in seen}


@pytest.fixture
def older() -> SimulatedCamera:
    return SimulatedCamera(
        width=32, height=24, interface_version=3, readout_time=0.0, initially_connected=True
    )


async def test_older_cameras_are_polled_by_single_members(
    older: SimulatedCamera, client: AlpacaClient
) -> None:
    async with SimulatorServer([older]) as server:
        camera = client.camera(server.address)
        await camera.expose(0.02)
        await camera.expose(0.02)
    assert older.count("devicestate") == 0
    assert older.count("imageready") >= 2


@pytest.fixture
def no_lag(monkeypatch: pytest.MonkeyPatch) -> None:
    """Believe a camera that reports an image at once, as scripted ones do."""
    monkeypatch.setattr(readiness, "LAG_LIMIT", 0.0)


def records(**values: object) -> bytes:
    return value([{"Name": name, "Value": each} for name, each in values.items()])


@pytest.mark.parametrize(
    ("reply", "asked"),
    [
        (ascom_error(0x400, "no"), 1),
        (http(b"", status="404 Not Found"), 1),
        (value("idle"), 1),
        (records(CameraState=0), 2),
    ],
    ids=["not implemented", "unknown to the server", "malformed", "without ImageReady"],
)
async def test_an_unusable_device_state_is_not_requested_again(
    reply: bytes, asked: int, client: AlpacaClient, no_lag: None
) -> None:
    replies = Forgiving(
        exposing(imageready=value(True), interfaceversion=value(4), devicestate=reply)
    )
    async with ScriptedServer(replies) as server:
        camera = client.camera(server.address)
        for _ in range(2):
            await camera.expose(0.01)
    assert server.count("devicestate") == asked
    assert server.count("imageready") == 2


FAILURES = [
    pytest.param(ascom_error(0x500, "cable off"), id="driver"),
    pytest.param(ascom_error(0x407, "not connected"), id="not connected"),
    pytest.param(http(b"", status="500 Oops"), id="500"),
    pytest.param(b"HTTP/1.0 2", id="network"),
]


@pytest.mark.parametrize("reply", FAILURES)
async def test_a_device_state_that_fails_costs_no_exposure(
    reply: bytes, client: AlpacaClient, no_lag: None
) -> None:
    replies = Forgiving(
        exposing(imageready=value(True), interfaceversion=value(4), devicestate=reply)
    )
    async with ScriptedServer(replies) as server:
        camera = client.camera(server.address)
        for _ in range(3):
            await camera.expose(0.01)
    assert server.count("devicestate") == 1  # it is asked again later
    assert server.count("abortexposure") == 0


@in_virtual_time
async def test_a_device_state_that_hangs_costs_no_exposure(no_lag: None) -> None:
    replies = Forgiving(
        exposing(imageready=value(True), interfaceversion=value(4), devicestate=silence)
    )
    async with (
        ScriptedServer(replies) as server,
        AlpacaClient(timeouts=Timeouts(reply=0.2)) as client,
    ):
        camera = client.camera(server.address)
        for _ in range(3):
            await camera.expose(0.01)
    assert server.count("devicestate") == 1
    assert server.count("abortexposure") == 0


async def test_a_device_state_that_works_again_is_used_again(
    client: AlpacaClient, no_lag: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([ascom_error(0x500, "busy")])
    works = records(CameraState=0, ImageReady=True)
    replies = exposing(
        imageready=value(True),
        interfaceversion=value(4),
        devicestate=lambda _: next(answers, works),
    )
    async with ScriptedServer(Forgiving(replies)) as server:
        camera = client.camera(server.address)
        await camera.expose(0.01)
        monkeypatch.setattr(known_facts, "monotonic", lambda: time.monotonic() + 10.0)
        await camera.expose(0.01)
    assert server.count("devicestate") == 2
    assert server.count("imageready") == 1


async def test_the_state_of_a_camera_whose_device_state_fails_still_ends_the_wait(
    client: AlpacaClient,
) -> None:
    replies = exposing(interfaceversion=value(4), imageready=value(False), camerastate=value(5))
    replies["devicestate"] = ascom_error(0x500, "cable off")
    async with ScriptedServer(Forgiving(replies)) as server:
        with pytest.raises(OperationFailed, match="reports an error"):
            await client.camera(server.address).expose(20)
    assert server.count("abortexposure") == 1


async def test_the_error_state_in_device_state_raises_the_reason(
    camera: AsyncCamera, simulated: SimulatedCamera
) -> None:
    simulated.fail_exposure("shutter stuck")
    with pytest.raises(DriverException, match="shutter stuck"):
        await camera.expose(0.05)


# cancellation at any moment


@pytest.fixture
def five() -> Iterator[SimulatorServer]:
    """Five fast cameras on another thread."""
    cameras = [
        SimulatedCamera(width=16, height=12, readout_time=0.002, initially_connected=True)
        for _ in range(5)
    ]
    with run_in_thread(SimulatorServer(cameras)) as server:
        yield server


@pytest.mark.timeout(60 + MOMENTS / 4)
async def test_cancelled_at_random_moments_it_aborts_once_and_leaves_nothing(
    five: SimulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting_module, "_SETTLING", 0.0)  # otherwise few reach their download
    tasks = len(asyncio.all_tasks())
    phases: set[tuple[bool, bool]] = set()

    async def cancel_repeatedly(camera: AsyncCamera, simulated: SimulatedCamera, seed: int) -> None:
        async def set_and_expose(number: int) -> None:
            if number % 5 == 1:  # each setting clears the cached settings
                await camera.set_gain(seed)
            await camera.expose(0.01)

        dice = random.Random(seed)
        whole = 0.0
        for number in range(MOMENTS // len(five.cameras) * 11 // 10):
            starts, aborts, images = counts(simulated)
            begun = time.monotonic()
            task = asyncio.create_task(set_and_expose(number))
            if number % 10 == 0:  # measure the current duration beside the others
                await task
                whole = time.monotonic() - begun
                continue
            # Sometimes at once, or a small number of moments would miss the settings.
            await asyncio.sleep(dice.uniform(0, whole * 1.5) if number % 10 > 1 else 0)
            if task.done():
                continue
            task.cancel()
            await asyncio.wait([task])
            started = simulated.count("startexposure") - starts
            assert simulated.count("abortexposure") - aborts == started
            phases.add((started > 0, simulated.count("imagearray") > images))
        assert (await camera.expose(0.01)).data.shape == (12, 16)

    async with AlpacaClient(connections_per_server=20) as client:
        async with asyncio.TaskGroup() as group:
            for number, simulated in enumerate(five.cameras):
                camera = client.camera(five.address, number)
                group.create_task(cancel_repeatedly(camera, simulated, number))
    assert len(asyncio.all_tasks()) == tasks
    await until(lambda: not five.connections)
    assert phases == {(False, False), (True, False), (True, True)}


def counts(simulated: SimulatedCamera) -> tuple[int, ...]:
    return tuple(map(simulated.count, ("startexposure", "abortexposure", "imagearray")))

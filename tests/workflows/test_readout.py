"""How soon `expose` notices an image once it knows the readout time of the camera."""

from __future__ import annotations

import asyncio
from random import Random
from statistics import mean, median
from typing import TYPE_CHECKING

import pytest

from alpaca_async import AsyncCamera, OperationTimeout
from alpaca_async.testing import SimulatedCamera, SimulatorServer
from tests.virtual_time import in_virtual_time, now

from .test_polling import virtual

if TYPE_CHECKING:
    from alpaca_async import Progress

_POLLS = ("devicestate", "imageready", "camerastate")


def count_polls(simulated: SimulatedCamera) -> int:
    """Return how often the camera was polled since the last StartExposure."""
    members = [request.member for request in simulated.requests]
    start = len(members) - members[::-1].index("startexposure")
    return sum(member in _POLLS for member in members[start:])


async def expose(
    camera: AsyncCamera, simulated: SimulatedCamera, duration: float
) -> tuple[float, int]:
    """Expose; return how late the image was noticed, and how many polls that took."""
    await camera.expose(duration)
    assert simulated.exposure is not None
    return now() - simulated.exposure.read, count_polls(simulated)


async def repeat(
    camera: AsyncCamera, simulated: SimulatedCamera, duration: float, times: int
) -> list[tuple[float, int]]:
    return [await expose(camera, simulated, duration) for _ in range(times)]


@pytest.mark.parametrize(
    ("version", "duration", "readout"), [(4, 0.1, 0.05), (3, 8.0, 0.5), (4, 8.0, 2.0)]
)
@in_virtual_time
async def test_from_the_third_frame_on_images_are_noticed_soon(
    version: int, duration: float, readout: float
) -> None:
    """With 22 frames; tests/device/test_readout.py has the bounds for many, and longer readouts."""
    simulated = virtual(interface_version=version)
    dice = Random(readout)
    late: list[float] = []
    polls: list[int] = []
    async with SimulatorServer([simulated]) as server, AsyncCamera(server.address) as camera:
        for _ in range(24):
            simulated.readout_time = readout * dice.uniform(0.9, 1.1)
            lateness, count = await expose(camera, simulated, duration)
            late.append(lateness)
            polls.append(count)
    assert median(late[2:]) <= 0.03
    assert sorted(late[2:])[20] <= 0.1  # 95 % of 22
    assert mean(polls[2:]) <= 8


@pytest.mark.parametrize("setting", ["bin_x", "readout_mode", "num_y"])
@in_virtual_time
async def test_another_mode_is_learned_anew_and_the_former_is_remembered(setting: str) -> None:
    simulated = virtual(readout_time=0.64)
    async with SimulatorServer([simulated]) as server, AsyncCamera(server.address) as camera:
        before, after = (1, 2) if setting == "bin_x" else (0, 1)
        if setting == "num_y":
            before, after = 24, 12
        await getattr(camera, f"set_{setting}")(before)
        if setting == "bin_x":
            await camera.set_num_x(8)
        first, _, third = await repeat(camera, simulated, 8.0, 3)
        assert first[0] > 0.2
        assert third[0] < 0.1
        await getattr(camera, f"set_{setting}")(after)
        simulated.readout_time = 5.1
        changed = [lateness for lateness, _ in await repeat(camera, simulated, 8.0, 4)]
        await getattr(camera, f"set_{setting}")(before)
        simulated.readout_time = 0.64
        again, _ = await expose(camera, simulated, 8.0)
    assert max(changed[2:]) < 0.1
    assert again < 0.1


@in_virtual_time
async def test_a_setting_that_stays_the_same_changes_nothing() -> None:
    simulated = virtual(readout_time=0.64)
    async with SimulatorServer([simulated]) as server, AsyncCamera(server.address) as camera:
        for number in range(4):
            await camera.set_bin_x(1)
            await camera.set_gain(number)
            await expose(camera, simulated, 8.0)
        lateness, _ = await expose(camera, simulated, 8.0)
    assert lateness < 0.1


@in_virtual_time
async def test_nothing_is_learned_from_an_exposure_that_is_stopped_or_aborted() -> None:
    simulated = virtual(readout_time=2.0)
    async with SimulatorServer([simulated]) as server, AsyncCamera(server.address) as camera:
        await repeat(camera, simulated, 1.0, 4)
        for end in (camera.stop_exposure, camera.abort_exposure):
            for _ in range(3):
                task = asyncio.create_task(camera.expose(60))
                await asyncio.sleep(10)
                simulated.readout_time = 0.1
                await end()
                await asyncio.wait([task])
                assert task.done()
                task.exception()
        simulated.readout_time = 2.0
        await asyncio.sleep(100)
        lateness, polls = await expose(camera, simulated, 1.0)
    assert lateness < 0.1
    assert polls <= 8


@in_virtual_time
async def test_the_limit_holds_however_long_the_readout_usually_takes() -> None:
    simulated = virtual(readout_time=5.0)
    async with SimulatorServer([simulated]) as server, AsyncCamera(server.address) as camera:
        await repeat(camera, simulated, 1.0, 3)
        begun = now()
        with pytest.raises(OperationTimeout):
            await camera.expose(1.0, ready_timeout=2.0)
        assert now() - begun == pytest.approx(3.0, abs=0.01)


@in_virtual_time
async def test_a_listener_hears_of_the_state_while_the_readout_is_awaited() -> None:
    simulated = virtual(readout_time=5.0)
    reports: list[tuple[float, Progress]] = []
    async with SimulatorServer([simulated]) as server, AsyncCamera(server.address) as camera:
        await repeat(camera, simulated, 1.0, 3)
        begun = now()
        await camera.expose(1.0, progress=lambda report: reports.append((now() - begun, report)))
    reading = [time for time, report in reports if report.phase == "reading"]
    assert len([time for time in reading if 1.0 < time < 6.0]) >= 40
    states = {report.state for time, report in reports if 2.5 < time < 6.0 and report.state}
    assert {state.name for state in states} == {"READING"}


@in_virtual_time
async def test_a_connection_that_is_made_anew_forgets_the_readout_time() -> None:
    simulated = virtual(readout_time=0.64)
    async with SimulatorServer([simulated]) as server, AsyncCamera(server.address) as camera:
        await repeat(camera, simulated, 8.0, 3)
        await camera.connect()
        lateness, _ = await expose(camera, simulated, 8.0)
    assert lateness > 0.2

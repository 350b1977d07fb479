"""What a group does besides exposing: hand images over, cool, report statuses."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from alpaca_async import (
    AsyncCamera,
    CameraAddress,
    CameraGroup,
    CameraStates,
    CoolingPace,
    DriverException,
    Image,
    NotImplementedException,
    StatusOutcome,
    TransportError,
    UnexpectedError,
)
from alpaca_async.testing import SimulatedCamera, SimulatorServer, run_in_thread
from tests.conditions import until

if TYPE_CHECKING:
    from collections.abc import Iterator

PACE = CoolingPace(interval=0.02, settled=0.04)


@pytest.fixture
def server() -> Iterator[SimulatorServer]:
    cameras = [SimulatedCamera(width=32, height=24, readout_time=0.0) for _ in range(3)]
    with run_in_thread(SimulatorServer(cameras)) as running:
        yield running


def addresses(server: SimulatorServer) -> list[CameraAddress]:
    return [CameraAddress(server.address, number) for number in range(3)]


async def shape_of(camera: CameraAddress, image: Image) -> tuple[int, tuple[int, ...]]:
    return camera.device_number, image.data.shape


async def test_an_outcome_has_what_then_returned_instead_of_the_image(
    server: SimulatorServer,
) -> None:
    expected = [(number, (24, 32)) for number in range(3)]
    async with CameraGroup(addresses(server)) as group:
        await group.connect()
        at_the_end = await group.expose(0.02, then=shape_of)
        async with group.outcomes(0.02, then=shape_of) as stream:
            as_they_come = [outcome async for outcome in stream]
        async with group.exposures(0.02, count=1, then=shape_of) as rounds:
            (one_round,) = [outcomes async for outcomes in rounds]
    for outcomes in (at_the_end, sorted(as_they_come, key=lambda o: o.device_number), one_round):
        assert [outcome.result for outcome in outcomes] == expected
        assert [outcome.image for outcome in outcomes] == [None] * 3
        assert [outcome.error for outcome in outcomes] == [None] * 3


async def test_an_error_of_then_costs_its_camera_and_a_failed_exposure_skips_it(
    server: SimulatorServer,
) -> None:
    async def fail_for_the_second(camera: CameraAddress, _: Image) -> int:
        if camera.device_number == 1:
            raise OSError("disk full")
        return camera.device_number

    async with CameraGroup(addresses(server)) as group:
        await group.connect()
        server.cameras[2].fail_exposure("shutter stuck")
        outcomes = await group.expose(0.02, then=fail_for_the_second)
    assert [outcome.result for outcome in outcomes] == [0, None, None]
    assert isinstance(outcomes[1].error, UnexpectedError)
    assert outcomes[1].error.reason == "then raised OSError: disk full"
    assert isinstance(outcomes[2].error, DriverException)


async def test_cancelling_the_call_ends_then(server: SimulatorServer) -> None:
    begun: list[int] = []
    ended: list[int] = []

    async def stay(camera: CameraAddress, _: Image) -> None:
        begun.append(camera.device_number)
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(camera.device_number)

    async with CameraGroup(addresses(server)) as group:
        await group.connect()
        call = asyncio.create_task(group.expose(0.02, then=stay))
        await until(lambda: len(begun) == 3)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert sorted(ended) == [0, 1, 2]


async def test_all_cameras_are_cooled_and_an_error_costs_its_camera() -> None:
    cameras = [SimulatedCamera(width=32, height=24, has_cooler=has) for has in (True, False)]
    async with SimulatorServer(cameras) as server:
        members = [CameraAddress(server.address, number) for number in range(2)]
        async with CameraGroup(members) as group:
            await group.connect()
            outcomes = await group.cool_to(-5.0, tolerance=100.0, pace=PACE)
    assert outcomes[0].error is None
    assert isinstance(outcomes[1].error, NotImplementedException)
    assert cameras[0].get_cooler_on()
    assert cameras[0].get_set_point() == -5.0


async def test_all_cameras_are_warmed_up_and_an_error_costs_its_camera() -> None:
    cameras = [SimulatedCamera(width=32, height=24, has_cooler=has) for has in (True, False)]
    async with SimulatorServer(cameras) as server:
        members = [CameraAddress(server.address, number) for number in range(2)]
        async with CameraGroup(members) as group:
            await group.connect()
            cameras[0].set_cooler_on(True)
            outcomes = await group.warm_up(-5.0, tolerance=100.0, pace=PACE)
    assert outcomes[0].error is None
    assert isinstance(outcomes[1].error, NotImplementedException)
    assert not cameras[0].get_cooler_on()


class Gentle(AsyncCamera):
    """A camera of a caller, who has changed how it cools and warms up."""

    def __init__(self, server: SimulatorServer) -> None:
        super().__init__(server.address)
        self.ramps: list[float | None] = []

    async def cool_to(self, temperature: float, **_: object) -> None:
        self.ramps.append(temperature)

    async def warm_up(self, temperature: float | None = None, **_: object) -> None:
        self.ramps.append(temperature)


async def test_the_ramps_of_a_camera_of_the_caller_are_used(server: SimulatorServer) -> None:
    async with Gentle(server) as camera, CameraGroup([camera]) as group:
        for outcomes in (await group.cool_to(-5.0), await group.warm_up(20.0)):
            assert [outcome.error for outcome in outcomes] == [None]
        assert camera.ramps == [-5.0, 20.0]


async def test_the_statuses_of_all_cameras_come_and_an_error_is_one_of_them(
    server: SimulatorServer,
) -> None:
    seen: dict[int, list[StatusOutcome]] = {0: [], 1: [], 2: [], 9: []}
    async with CameraGroup([*addresses(server), CameraAddress("127.0.0.1:9", 9)]) as group:
        await group.connect(timeout=1)
        async with group.watch(0.02) as statuses:
            async for outcome in statuses:
                seen[outcome.device_number].append(outcome)
                if all(len(some) > 2 for some in seen.values()):
                    break
    for number in range(3):
        status = seen[number][0].status
        assert status is not None
        assert status.camera_state is CameraStates.IDLE
    assert all(isinstance(each.error, TransportError) for each in seen[9])


async def test_a_slow_listener_gets_the_latest_status_of_each_camera(
    server: SimulatorServer,
) -> None:
    async with CameraGroup(addresses(server)) as group:
        await group.connect()
        async with group.watch(0.01) as statuses:
            await anext(statuses)
            await until(lambda: all(camera.count("devicestate") > 5 for camera in server.cameras))
            server.cameras[2].set_connected(False)
            count = server.cameras[2].count("devicestate")
            await until(lambda: server.cameras[2].count("devicestate") > count + 2)
            next_three = [await anext(statuses) for _ in range(3)]
    assert sorted(each.device_number for each in next_three) == [0, 1, 2]


@pytest.mark.parametrize("interval", [0, -1, float("nan")])
def test_an_interval_must_be_positive(server: SimulatorServer, interval: float) -> None:
    with pytest.raises(ValueError, match="interval must"):
        CameraGroup(addresses(server)).watch(interval)

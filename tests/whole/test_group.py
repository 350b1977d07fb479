from __future__ import annotations

import asyncio
import pickle
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest

from alpaca_async import (
    AsyncCamera,
    CameraAddress,
    CameraGroup,
    DriverException,
    ExposureRequest,
    OperationTimeout,
    Progress,
    TransportError,
)
from alpaca_async.testing import SimulatedCamera, SimulatorServer, run_in_thread
from tests.scripted import ScriptedServer, value
from tests.workflows.test_exposure import Forgiving, exposing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.scripted import Request


def small(count: int) -> list[SimulatedCamera]:
    return [SimulatedCamera(width=32, height=24, readout_time=0.0) for _ in range(count)]


@pytest.fixture
def mixed() -> Iterator[SimulatorServer]:
    """Forty-seven cameras; the second fails, the third is slow."""
    cameras = small(47)
    cameras[1].fail_exposure("shutter stuck")
    cameras[2] = SimulatedCamera(width=32, height=24, image_delay=60)
    with run_in_thread(SimulatorServer(cameras)) as server:
        yield server


@pytest.fixture
def few() -> Iterator[SimulatorServer]:
    with run_in_thread(SimulatorServer(small(3))) as server:
        yield server


def addresses(server: SimulatorServer) -> list[CameraAddress]:
    return [CameraAddress(server.address, number) for number in range(len(server.cameras))]


async def test_48_cameras_start_together_and_three_failures_do_not_affect_the_others(
    mixed: SimulatorServer,
) -> None:
    members = [*addresses(mixed), CameraAddress("127.0.0.1:9")]
    async with CameraGroup(members) as group:
        await asyncio.gather(*(camera.connect() for camera in group.cameras[:47]))
        outcomes = await group.expose(0.1, ready_timeout=3)
        skews = [skew(mixed)]
        limit = 1.5 * await time_of_commands(group.cameras[:47])
        while min(skews) > limit and len(skews) < 4:  # other programs use the machine as well
            await group.expose(0.1, ready_timeout=0.1)
            skews.append(skew(mixed))
    assert min(skews) < limit
    assert [outcome.camera for outcome in outcomes] == list(group.cameras)
    errors = {n: type(each.error) for n, each in enumerate(outcomes) if each.error is not None}
    assert errors == {1: DriverException, 2: OperationTimeout, 47: TransportError}
    assert sum(outcome.image is not None for outcome in outcomes) == 45


def skew(server: SimulatorServer) -> float:
    """Return the seconds between the first and the last arrival of the latest starts."""
    starts = [
        max(request.time for request in camera.requests if request.member == "startexposure")
        for camera in server.cameras
    ]
    return max(starts) - min(starts)


async def time_of_commands(cameras: Iterable[AsyncCamera]) -> float:
    begun = time.monotonic()
    await asyncio.gather(*(camera.abort_exposure() for camera in cameras))
    return time.monotonic() - begun


async def test_a_camera_that_is_prepared_too_late_does_not_delay_the_others(
    few: SimulatorServer,
) -> None:
    async def slow(_: Request) -> bytes:
        await asyncio.sleep(30)
        return value(0)

    async with ScriptedServer(Forgiving(name=slow)) as tardy:
        async with CameraGroup([*addresses(few), CameraAddress(tardy.address)]) as group:
            await asyncio.gather(*(camera.connect() for camera in group.cameras[:3]))
            outcomes = await group.expose(0.05, prepare_timeout=1)
    assert [outcome.image is not None for outcome in outcomes] == [True, True, True, False]
    assert isinstance(outcomes[3].error, OperationTimeout)


async def test_an_invalid_fact_does_not_lose_the_image() -> None:
    replies = Forgiving(exposing(sensorname=value(None), connected=value(True)))
    async with (
        ScriptedServer(replies) as server,
        CameraGroup([CameraAddress(server.address)]) as group,
    ):
        (image,) = await group.expose_all(0.01)
    assert image.data.shape == (7, 3)


async def test_all_or_nothing_aborts_the_others(few: SimulatorServer) -> None:
    async with CameraGroup(addresses(few)) as group:
        await group.connect()
        assert len(await group.expose_all(0.02)) == 3
        few.cameras[1].fail_exposure("shutter stuck")
        with pytest.raises(DriverException, match="shutter stuck"):
            await group.expose_all([30, 0.02, 30])
    assert [camera.count("abortexposure") for camera in few.cameras] == [1, 1, 1]


async def test_all_or_nothing_raises_the_error_of_prepare(few: SimulatorServer) -> None:
    async def dither() -> None:
        raise ValueError("too far")

    async with CameraGroup(addresses(few)) as group:
        with pytest.raises(ValueError, match="too far"):
            await group.expose_all([0.01, ExposureRequest(0.01, prepare=dither), 0.01])
    assert [camera.count("startexposure") for camera in few.cameras] == [0, 0, 0]


async def test_outcomes_come_when_they_are_ready_and_leaving_aborts_the_rest(
    few: SimulatorServer,
) -> None:
    async with CameraGroup(addresses(few)) as group:
        await group.connect()
        async with group.outcomes([30, 0.02, 0.4]) as outcomes:
            order = [(await anext(outcomes)).camera.device_number for _ in range(2)]
        async with group.outcomes(0.02) as outcomes:
            assert len([outcome async for outcome in outcomes]) == 3
    assert order == [1, 2]
    assert [camera.count("abortexposure") for camera in few.cameras] == [1, 0, 0]


async def test_cancelled_repeatedly_it_waits_until_all_exposures_are_aborted(
    few: SimulatorServer,
) -> None:
    async with CameraGroup(addresses(few)) as group:
        await group.connect()
        tasks = len(asyncio.all_tasks())
        step = asyncio.ensure_future(anext(group.outcomes(30)))
        while not all(camera.count("startexposure") for camera in few.cameras):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        while not step.done():
            step.cancel()
            await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == tasks
    assert [camera.count("abortexposure") for camera in few.cameras] == [1, 1, 1]


async def test_images_and_progress_are_like_those_of_one_camera(few: SimulatorServer) -> None:
    seen: set[AsyncCamera] = set()

    def progress(camera: AsyncCamera, _: Progress) -> None:
        seen.add(camera)

    async with CameraGroup(addresses(few)) as group:
        await group.connect()
        for outcome in await group.expose(0.02, contiguous=False, progress=progress):
            assert outcome.image is not None
            assert outcome.image.array.flags.c_contiguous
        assert seen == set(group.cameras)


async def test_a_pickled_group_opens_its_connections_where_it_is_used(
    few: SimulatorServer,
) -> None:
    members = [CameraAddress(few.address, 1, {"bin_x": 2, "num_x": 16})]
    group: CameraGroup = pickle.loads(pickle.dumps(CameraGroup(members)))  # noqa: S301 - our own
    async with group:
        assert [outcome.error for outcome in await group.connect()] == [None]
        (outcome,) = await group.expose(0.02)
    assert outcome.image is not None
    assert outcome.image.data.shape == (24, 16)


async def test_cameras_of_the_caller_are_used_and_prepared(
    camera: AsyncCamera, simulated: SimulatedCamera
) -> None:
    async with CameraGroup([camera]) as group:
        assert group.cameras == (camera,)
        request = ExposureRequest(
            0.02, light=False, prepare=partial(camera.set_gain, 9), header={"OBJECT": "M 42"}
        )
        (outcome,) = await group.expose([request])
        assert (await group.connect())[0].error is None
    assert outcome.image is not None
    assert outcome.image.exposure is not None
    assert outcome.image.exposure.settings.gain == 9
    assert outcome.image.exposure.header == {"OBJECT": "M 42"}
    assert await camera.get_gain() == 9


async def test_invalid_counts_and_names_are_refused(few: SimulatorServer) -> None:
    async with CameraGroup(addresses(few)) as group:
        with pytest.raises(ValueError, match="2 exposures for 3 cameras"):
            await group.expose([1, 2])
    with pytest.raises(ValueError, match="no setting 'colour'"):
        CameraAddress("host", 0, {"colour": "red"})

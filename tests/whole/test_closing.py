"""Whoever closes a client, a camera or a group ends what runs through it first."""

from __future__ import annotations

import asyncio
import os
import random
from typing import TYPE_CHECKING

import pytest

from alpaca_async import (
    AlpacaClient,
    AlpacaError,
    AsyncCamera,
    CameraGroup,
    CameraStates,
    CoolingPace,
    Outcome,
    TransportError,
)
from alpaca_async.testing import SimulatedCamera, SimulatorServer
from tests.conditions import until

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

MOMENTS = int(os.environ.get("ALPACA_SOAK", "200"))
"""How often a client is closed at a random moment."""

LONG = 60.0


def new_camera() -> SimulatedCamera:
    return SimulatedCamera(
        width=64, height=48, readout_time=0.02, connect_time=0.0, initially_connected=True
    )


@pytest.fixture
def simulated() -> SimulatedCamera:
    return new_camera()


async def started(simulated: SimulatedCamera) -> None:
    await until(lambda: simulated.state is CameraStates.EXPOSING)


def other_tasks() -> set[asyncio.Task[object]]:
    return {each for each in asyncio.all_tasks() if each is not asyncio.current_task()}


async def fails_when(simulated: SimulatedCamera) -> None:
    await started(simulated)
    raise RuntimeError("the filter wheel is stuck")


async def test_a_failing_sibling_leaves_no_camera_exposing(
    server: SimulatorServer, simulated: SimulatedCamera
) -> None:
    with pytest.raises(RuntimeError, match="stuck"):
        async with AsyncCamera(server.address) as camera:
            await asyncio.gather(camera.expose(LONG), fails_when(simulated))
    assert simulated.state is CameraStates.IDLE
    assert simulated.count("abortexposure", "PUT") == 1


async def test_callers_get_an_error_that_says_why(
    server: SimulatorServer, simulated: SimulatedCamera
) -> None:
    client = AlpacaClient()
    exposing = asyncio.create_task(client.camera(server.address).expose(LONG))
    await started(simulated)
    await client.aclose()
    with pytest.raises(TransportError, match=r"camera/0/startexposure: the client was closed$"):
        await exposing
    with pytest.raises(TransportError, match="the client is closed"):
        await client.camera(server.address).expose(1)


async def test_exposures_that_nobody_iterates_are_aborted_too(
    server: SimulatorServer, simulated: SimulatedCamera
) -> None:
    async with AlpacaClient() as client:
        images = client.camera(server.address).exposures([0.02, LONG])
        await anext(images)
        await started(simulated)
    assert simulated.state is CameraStates.IDLE
    assert simulated.count("abortexposure", "PUT") == 1
    with pytest.raises(TransportError, match="the client was closed"):
        await anext(images)


async def test_a_ramp_holds_the_temperature_that_it_has_reached(
    server: SimulatorServer, simulated: SimulatedCamera
) -> None:
    async with AsyncCamera(server.address) as camera:
        ramp = asyncio.create_task(camera.cool_to(-30, rate=60, pace=CoolingPace(interval=0.01)))
        await until(lambda: simulated.cooler.on)
    with pytest.raises(TransportError, match="ccdtemperature: the client was closed"):
        await ramp
    assert simulated.cooler.on
    assert simulated.cooler.set_point > -30


async def test_listeners_are_told_at_once_however_long_the_interval(
    server: SimulatorServer,
) -> None:
    async with AsyncCamera(server.address) as camera:
        statuses = camera.watch(LONG)
        await anext(statuses)
        waiting = asyncio.ensure_future(anext(statuses))
        await asyncio.sleep(0)
    with pytest.raises(TransportError, match="the client was closed"):
        await waiting
    await statuses.aclose()


async def test_a_group_ends_its_exposures_and_leaves_lent_cameras_open(
    server: SimulatorServer, simulated: SimulatedCamera, client: AlpacaClient
) -> None:
    camera = client.camera(server.address)
    with pytest.raises(RuntimeError, match="stuck"):
        async with CameraGroup([camera]) as group:
            await asyncio.gather(group.expose(LONG), fails_when(simulated))
    assert simulated.state is CameraStates.IDLE
    assert (await camera.expose(0.01)).exposure is not None


async def test_an_operation_may_close_its_own_client(server: SimulatorServer) -> None:
    client = AlpacaClient()
    images = client.camera(server.address).exposures(0.01, before_each=lambda _: client.aclose())
    with pytest.raises(TransportError):
        await anext(images)


async def test_closing_can_be_cancelled_but_waits_for_the_abort(
    server: SimulatorServer, simulated: SimulatedCamera
) -> None:
    client = AlpacaClient()
    exposing = asyncio.create_task(client.camera(server.address).expose(LONG))
    await started(simulated)
    closing = asyncio.create_task(client.aclose())
    await asyncio.sleep(0)
    closing.cancel()
    await asyncio.gather(closing, exposing, return_exceptions=True)
    assert closing.cancelled()
    assert simulated.state is CameraStates.IDLE


async def test_a_group_has_to_be_entered(client: AlpacaClient) -> None:
    with pytest.raises(RuntimeError, match="async with"):
        await CameraGroup([client.camera("127.0.0.1:9")]).expose(1)


async def expose(camera: AsyncCamera) -> None:
    await camera.expose(0.1)


async def take_exposures(camera: AsyncCamera) -> None:
    async with camera.exposures(0.03) as images:
        async for _ in images:
            pass


async def cool(camera: AsyncCamera) -> None:
    await camera.cool_to(-30, rate=60, pace=CoolingPace(interval=0.01))


async def watch(camera: AsyncCamera) -> None:
    async with camera.watch(0.01) as statuses:
        async for _ in statuses:
            pass


async def expose_in_a_group(camera: AsyncCamera) -> None:
    async with CameraGroup([camera]) as group:
        outcomes: list[Outcome] = await group.expose(0.1)
    for outcome in outcomes:
        if outcome.error is not None:
            raise outcome.error


@pytest.mark.timeout(300 if MOMENTS > 200 else 60)
@pytest.mark.parametrize(
    "work", [expose, take_exposures, cool, watch, expose_in_a_group], ids=lambda each: each.__name__
)
async def test_a_client_that_is_closed_at_random_moments_leaves_the_camera_idle(
    work: Callable[[AsyncCamera], Awaitable[None]],
) -> None:
    rng = random.Random(work.__name__)
    for _ in range(MOMENTS // 5):
        simulated = new_camera()
        async with SimulatorServer([simulated]) as server:
            client = AlpacaClient()
            task = asyncio.ensure_future(work(client.camera(server.address)))
            await asyncio.sleep(rng.uniform(0, 0.15))
            await client.aclose()
            assert simulated.state is CameraStates.IDLE
            result = (await asyncio.gather(task, return_exceptions=True))[0]
            assert result is None or isinstance(result, AlpacaError), repr(result)
            check_aborts(simulated)
        assert not other_tasks()


def check_aborts(simulated: SimulatedCamera) -> None:
    """Each start was followed by its image, or by one abort."""
    starts = simulated.count("startexposure", "PUT")
    aborts = simulated.count("abortexposure", "PUT")
    images = simulated.count("imagearray")
    assert aborts <= 1
    assert starts - images <= aborts <= starts

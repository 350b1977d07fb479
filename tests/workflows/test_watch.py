from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING

import pytest

from alpaca_async import AlpacaClient, AsyncCamera, CameraStates, DriverException
from tests.conditions import until
from tests.scripted import ScriptedServer, ascom_error, value
from tests.virtual_time import in_virtual_time, now

from .test_exposure import Forgiving
from .test_sequence import our_tasks

if TYPE_CHECKING:
    from alpaca_async.testing import SimulatedCamera
    from tests.scripted import Request


STATE = value([{"Name": "CameraState", "Value": 0}])


@in_virtual_time
async def test_fifty_listeners_share_one_request_per_poll() -> None:
    replies = Forgiving(interfaceversion=value(4), devicestate=STATE)

    async def listen(camera: AsyncCamera) -> list[float]:
        async with camera.watch(2.0) as statuses:
            times: list[float] = []
            async for status in statuses:
                assert status.camera_state is CameraStates.IDLE
                times.append(now())
                if len(times) == 4:
                    break
        return times

    async with ScriptedServer(replies) as server, AsyncCamera(server.address) as camera:
        tasks = our_tasks()
        heard = await asyncio.gather(*(listen(camera) for _ in range(50)))
        assert heard == [pytest.approx([0, 2, 4, 6])] * 50
        assert server.count("devicestate") == 4
        assert our_tasks() <= tasks + 1  # the connection's, of the server


@in_virtual_time
async def test_a_slow_poll_is_followed_by_the_next_after_the_interval() -> None:
    polled: list[float] = []

    async def slow(_: Request) -> bytes:
        polled.append(now())
        await asyncio.sleep(5 if len(polled) == 2 else 0.5)
        return STATE

    replies = Forgiving(interfaceversion=value(4), devicestate=slow)
    async with ScriptedServer(replies) as server, AsyncCamera(server.address) as camera:
        async with camera.watch(2.0) as statuses:
            for _ in range(5):
                await anext(statuses)
    assert polled == pytest.approx([0, 2, 7, 9, 11])


async def test_a_late_listener_gets_the_latest_status_at_once(
    camera: AsyncCamera, simulated: SimulatedCamera
) -> None:
    async with camera.watch(30) as first, camera.watch(30) as second:
        status = await anext(first)
        assert await anext(second) is status
    assert simulated.count("devicestate") == 1


async def test_a_slow_listener_gets_only_the_latest_status(
    camera: AsyncCamera, simulated: SimulatedCamera
) -> None:
    async with camera.watch(0.02) as statuses:
        await anext(statuses)
        await camera.start_exposure(30)
        polls = simulated.count("devicestate")
        await until(lambda: simulated.count("devicestate") >= polls + 3)
        assert (await anext(statuses)).camera_state is CameraStates.EXPOSING


async def test_each_interval_has_its_own_poll_and_zero_is_refused(camera: AsyncCamera) -> None:
    async with camera.watch(0.05) as fast, camera.watch(30) as slow:
        await anext(slow)
        for _ in range(3):
            await anext(fast)
    with pytest.raises(ValueError, match="positive"):
        camera.watch(0)


async def test_an_ended_poller_is_removed(camera: AsyncCamera) -> None:
    for interval in (0.5, 0.6, 0.7):
        async with camera.watch(interval) as statuses:
            await anext(statuses)
    assert list(camera._record.pollers.get()) == [0.7]


async def test_an_error_reaches_every_listener_and_the_next_watch_begins_anew(
    client: AlpacaClient,
) -> None:
    replies = iter([value(0), ascom_error(0x500, "cable off"), value(0)])
    scripted = Forgiving(
        interfaceversion=value(2), imageready=value(False), camerastate=lambda _: next(replies)
    )
    # A connection error ends the stream; an error of a single member becomes None.
    async with ScriptedServer(scripted) as server:
        camera = client.camera(server.address)
        async with camera.watch(0.01) as statuses:
            states = [(await anext(statuses)).camera_state for _ in range(3)]
    assert states == [CameraStates.IDLE, None, CameraStates.IDLE]

    failing = Forgiving(interfaceversion=value(4), devicestate=ascom_error(0x500, "cable off"))
    async with ScriptedServer(failing) as server:
        camera = client.camera(server.address)

        async def listen() -> None:
            async with camera.watch(0.05) as statuses:
                await anext(statuses)

        ends = await asyncio.gather(*(listen() for _ in range(5)), return_exceptions=True)
        assert [type(end) for end in ends] == [DriverException] * 5
        assert server.count("devicestate") == 1
        failing["devicestate"] = value([{"Name": "ImageReady", "Value": True}])
        async with camera.watch(0.05) as statuses:
            assert (await anext(statuses)).image_ready


async def test_an_error_without_a_waiting_listener_is_ignored(client: AlpacaClient) -> None:
    idle = value([{"Name": "CameraState", "Value": 0}])
    states = iter([idle, ascom_error(0x500, "cable off")])
    scripted = Forgiving(interfaceversion=value(4), devicestate=lambda _: next(states))
    async with ScriptedServer(scripted) as server:
        camera = client.camera(server.address)
        async with camera.watch(0.02) as statuses:
            await anext(statuses)
            (poller,) = camera._record.pollers.get().values()
            await until(lambda: poller.ended)


async def test_leaving_a_loop_without_async_with_ends_the_polling(
    camera: AsyncCamera, simulated: SimulatedCamera
) -> None:
    tasks = our_tasks()
    async for _ in camera.watch(0.01):
        break
    gc.collect()
    await until(lambda: our_tasks() == tasks)


async def test_cancelling_a_listener_ends_the_polling(camera: AsyncCamera) -> None:
    async def listen() -> None:
        async with camera.watch(0.01) as statuses:
            async for _ in statuses:
                pass

    tasks = our_tasks()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(listen(), 0.1)
    assert our_tasks() == tasks

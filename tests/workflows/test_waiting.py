from __future__ import annotations

import asyncio
import os
import random
import selectors
import sys
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from alpaca_async import (
    AlpacaClient,
    AscomError,
    AsyncCamera,
    CameraStates,
    DriverException,
    ExposureAborted,
    OperationFailed,
    OperationTimeout,
    Progress,
    Timeouts,
)
from alpaca_async._device import readiness
from alpaca_async._workflows import waiting as waiting_module
from alpaca_async.testing import SimulatedCamera, SimulatorServer, run_in_thread
from tests.conditions import until
from tests.scripted import ScriptedServer, ascom_error, http, value

from .test_exposure import Forgiving, exposing

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

    from numpy.typing import NDArray

    from tests.scripted import Answer, Reply, Request

SPEED = 30.0
MOMENTS = int(os.environ.get("ALPACA_SOAK", "100"))
"""How many exposures are cancelled, each at a random time; .ci/run sets more."""


class FastSelector(selectors.DefaultSelector):
    """Waits for a fraction of the timeout."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(timeout if timeout is None else timeout / SPEED)


class FastLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock runs fast."""

    def __init__(self) -> None:
        super().__init__(FastSelector())

    def time(self) -> float:
        return super().time() * SPEED


def run_fast(scenario: Coroutine[object, object, None]) -> None:
    with asyncio.Runner(loop_factory=FastLoop) as runner:
        runner.run(scenario)


def equal_timeouts(limit: float) -> Timeouts:
    return Timeouts(establish=limit, reply=limit, long=limit, stall=limit, first_byte=limit)


async def seconds(work: Coroutine[object, object, object]) -> float:
    """Return the duration of `work` by a clock that runs as fast as the loop's."""
    begun = time.monotonic()
    await work
    return (time.monotonic() - begun) * SPEED


@pytest.mark.parametrize("version", [3, 4])
@pytest.mark.parametrize("readout", [0.0, 1.0])
def test_a_minute_takes_ten_requests_and_readiness_is_noticed_soon(
    version: int, readout: float
) -> None:
    simulated = SimulatedCamera(
        width=32,
        height=24,
        interface_version=version,
        readout_time=readout,
        speed_up=SPEED,
        initially_connected=True,
    )

    async def scenario(address: str) -> None:
        async with AlpacaClient(timeouts=equal_timeouts(400)) as client:
            camera = client.camera(address)
            await camera.expose(0.5)
            others = [await seconds(camera.expose(0.04)) - readout for _ in range(3)]
            simulated.requests.clear()
            took = await seconds(camera.expose(60))
        assert len(simulated.requests) <= 10
        assert 60 + readout <= took < (60 + readout) * 1.05 + 2 * max(others)  # start and download

    with run_in_thread(SimulatorServer([simulated])) as server:
        run_fast(scenario(server.address))


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
    replies = Forgiving(exposing(interfaceversion=value(4), devicestate=reply))
    async with ScriptedServer(replies) as server:
        camera = client.camera(server.address)
        for _ in range(2):
            await camera.expose(0.01)
    assert server.count("devicestate") == asked
    assert server.count("imageready") == 2


async def test_a_device_state_that_fails_is_an_error(client: AlpacaClient) -> None:
    reply = ascom_error(0x500, "cable off")
    replies = Forgiving(exposing(interfaceversion=value(4), devicestate=reply))
    async with ScriptedServer(replies) as server:
        with pytest.raises(DriverException, match="cable off"):
            await client.camera(server.address).expose(0.01)
    assert server.count("abortexposure") == 1


async def test_the_error_state_in_device_state_raises_the_reason(
    camera: AsyncCamera, simulated: SimulatedCamera
) -> None:
    simulated.fail_exposure("shutter stuck")
    with pytest.raises(DriverException, match="shutter stuck"):
        await camera.expose(0.05)


async def test_the_error_state_during_the_exposure_raises_within_a_second(
    client: AlpacaClient,
) -> None:
    reply = records(CameraState=5, ImageReady=False)
    replies = exposing(interfaceversion=value(4), devicestate=reply, imageready=value(False))
    async with ScriptedServer(Forgiving(replies)) as server:
        begun = time.monotonic()
        with pytest.raises(OperationFailed, match="reports an error"):
            await client.camera(server.address).expose(20)
    assert time.monotonic() - begun < 2


async def test_a_start_that_answers_after_the_exposure_causes_no_second_wait(
    client: AlpacaClient,
) -> None:
    async def late(_: Request) -> bytes:
        await asyncio.sleep(0.5)
        return value(None)

    async with ScriptedServer(Forgiving(exposing(startexposure=late))) as server:
        begun = time.monotonic()
        await client.camera(server.address).expose(0.5)
    assert time.monotonic() - begun < 0.9


# stopping


async def test_a_stopped_exposure_delivers_its_image_at_once(
    camera: AsyncCamera, simulated: SimulatedCamera
) -> None:
    task = asyncio.create_task(camera.expose(30))
    await asyncio.sleep(0.2)
    await camera.stop_exposure()
    image = await asyncio.wait_for(task, 1)
    assert image.exposure is not None
    assert image.exposure.duration == 30
    stopped_after = image.exposure.stopped_after
    assert stopped_after is not None
    assert image.exposure.last_exposure_duration == pytest.approx(stopped_after, abs=0.5)
    assert simulated.count("abortexposure") == 0


@pytest.mark.parametrize("again", [value(None), ascom_error(0x40B, "idle")])
async def test_a_stop_before_the_start_is_answered_is_repeated(
    again: bytes, client: AlpacaClient
) -> None:
    async def slow(_: Request) -> bytes:
        await asyncio.sleep(0.3)
        return value(None)

    stops = iter([value(None), again])
    replies = exposing(startexposure=slow, stopexposure=lambda _: next(stops))
    async with ScriptedServer(Forgiving(replies)) as server:
        camera = client.camera(server.address)
        task = asyncio.create_task(camera.expose(30))
        await asyncio.sleep(0.1)
        await camera.stop_exposure()
        image = await asyncio.wait_for(task, 2)
    assert image.exposure is not None
    assert image.exposure.stopped_after == 0.0
    assert (server.count("stopexposure"), server.count("abortexposure")) == (2, 0)


@pytest.mark.parametrize("version", [3, 4])
async def test_an_exposure_that_another_client_stops_is_not_idle_without_an_image(
    version: int, client: AlpacaClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_FIRST_STATE", "_STATE_INTERVAL", "_IDLE_GRACE"):
        monkeypatch.setattr(waiting_module, name, 0.05)
    simulated = SimulatedCamera(
        width=32, height=24, interface_version=version, readout_time=0.0, initially_connected=True
    )
    async with SimulatorServer([simulated]) as server:
        camera = client.camera(server.address)
        task = asyncio.create_task(camera.expose(0.6, progress=lambda _: None))
        await asyncio.sleep(0.1)
        await client.camera(server.address).stop_exposure()
        image = await task
    assert image.data.shape == (24, 32)
    assert simulated.count("abortexposure") == 0


# stale images


class StaleImageCamera(SimulatedCamera):
    """Shows the image of an aborted exposure at the time of its end, and seems idle then."""

    _stale_image_due = float("inf")

    def abort_exposure(self) -> None:
        if self.exposure is not None:
            self._stale_image_due = self.exposure.exposed
        super().abort_exposure()

    @property
    def _shows_stale_image(self) -> bool:
        """Whether the stale image is shown: the next exposure replaces it after its readout."""
        newer = self.exposure
        return self.now >= self._stale_image_due and not (newer and newer.is_ready(self.now))

    @property
    def state(self) -> CameraStates:
        if self._shows_stale_image and self.exposure and self.now < self.exposure.exposed + 0.02:
            return CameraStates.IDLE
        return super().state

    def get_image_ready(self) -> bool:
        return self._shows_stale_image or super().get_image_ready()

    def image(self) -> NDArray[np.uint16]:
        return np.zeros((3, 2), np.uint16) if self._shows_stale_image else super().image()


@pytest.mark.parametrize("version", [3, 4])
async def test_the_image_of_an_aborted_exposure_is_not_taken_for_ours(
    version: int, client: AlpacaClient
) -> None:
    stale_camera = StaleImageCamera(
        width=32, height=24, interface_version=version, readout_time=0.3, initially_connected=True
    )
    async with SimulatorServer([stale_camera]) as server:
        camera = client.camera(server.address)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await camera.expose(0.3)
        image = await camera.expose(0.5)
    assert image.data.shape == (24, 32)


async def test_an_image_that_is_ready_too_early_is_not_taken_for_ours(
    client: AlpacaClient,
) -> None:
    stale_camera = StaleImageCamera(width=32, height=24, readout_time=0.3, initially_connected=True)
    async with SimulatorServer([stale_camera]) as server:
        await client.camera(server.address).start_exposure(0.2)
        await client.camera(server.address).abort_exposure()
        image = await client.camera(server.address).expose(1.2)
    assert image.data.shape == (24, 32)


@pytest.mark.parametrize("version", [2, 4])
async def test_a_camera_that_is_never_idle_still_delivers_its_image(
    version: int, client: AlpacaClient, monkeypatch: pytest.MonkeyPatch, no_lag: None
) -> None:
    monkeypatch.setattr(waiting_module, "_STALE_IMAGE_MARGIN", 0.3)
    replies: dict[str, Reply] = exposing(
        interfaceversion=value(version),
        devicestate=records(CameraState=4, ImageReady=True),
        camerastate=value(4),
    )
    async with ScriptedServer(Forgiving(replies)) as server:
        camera = client.camera(server.address)
        await camera.start_exposure(0.02)
        await camera.abort_exposure()
        begun = time.monotonic()
        await camera.expose(0.05)
        assert 0.3 < time.monotonic() - begun < 1.5
        begun = time.monotonic()
        await camera.expose(0.05)
        assert time.monotonic() - begun < 0.3


async def test_a_failed_check_for_a_stale_image_does_not_lose_the_image() -> None:
    reads = 0

    async def silence() -> bytes:
        await asyncio.sleep(10)
        return b""

    def state(_: Request) -> Answer:
        nonlocal reads
        reads += 1
        return silence() if reads == 1 else value(0)

    replies: dict[str, Reply] = exposing(interfaceversion=value(2), camerastate=state)
    async with (
        ScriptedServer(Forgiving(replies)) as server,
        AlpacaClient(timeouts=Timeouts(reply=0.2)) as client,
    ):
        camera = client.camera(server.address)
        await camera.start_exposure(0.02)
        await camera.abort_exposure()
        await camera.expose(0.05)
    assert reads >= 2
    assert server.count("abortexposure") == 1


@pytest.mark.parametrize("moment", [0.1, 0.35], ids=["integrating", "polling"])
async def test_an_abort_by_another_task_ends_the_wait_at_once(
    client: AlpacaClient, moment: float
) -> None:
    slow = SimulatedCamera(width=16, height=12, image_delay=30, initially_connected=True)
    async with SimulatorServer([slow]) as server:
        camera = client.camera(server.address)
        exposing = asyncio.create_task(camera.expose(0.3))
        waiting = asyncio.create_task(camera.wait_image_ready())
        await asyncio.sleep(moment)
        await camera.abort_exposure()
        ends = await asyncio.wait_for(
            asyncio.gather(exposing, waiting, return_exceptions=True), timeout=1
        )
        assert [type(end) for end in ends] == [ExposureAborted, ExposureAborted]
        assert "camera/0/imageready: the exposure was aborted" in str(ends[0])
    assert slow.count("abortexposure") == 1


async def test_an_abort_before_the_start_is_answered_ends_the_exposure(
    client: AlpacaClient,
) -> None:
    async def slow(_: Request) -> bytes:
        await asyncio.sleep(0.3)
        return value(None)

    async with ScriptedServer(Forgiving(exposing(startexposure=slow))) as server:
        camera = client.camera(server.address)
        task = asyncio.create_task(camera.expose(30))
        await asyncio.sleep(0.1)
        await camera.abort_exposure()
        with pytest.raises(ExposureAborted, match="startexposure"):
            await asyncio.wait_for(task, 1)
    assert server.count("abortexposure") == 2


async def test_a_refused_abort_does_not_end_the_wait(client: AlpacaClient) -> None:
    camera_model = SimulatedCamera(width=16, height=12, initially_connected=True)
    camera_model.refuse("abortexposure")
    async with SimulatorServer([camera_model]) as server:
        camera = client.camera(server.address)
        exposing = asyncio.create_task(camera.expose(0.3))
        await asyncio.sleep(0.1)
        with pytest.raises(AscomError):
            await camera.abort_exposure()
        assert (await exposing).data.shape == (12, 16)


async def test_an_old_abort_causes_no_delay(
    camera: AsyncCamera, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting_module, "_STALE_IMAGE_MARGIN", 0.1)
    monkeypatch.setattr(waiting_module, "_SETTLING", 5.0)
    await camera.start_exposure(0.01)
    await camera.abort_exposure()
    await asyncio.sleep(0.15)
    begun = time.monotonic()
    await camera.expose(0.01)
    assert time.monotonic() - begun < 2


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
    latencies: list[float] = []
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
            begun = time.monotonic()
            task.cancel()
            await asyncio.wait([task])
            latencies.append(time.monotonic() - begun)
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
    await asyncio.sleep(0.05)
    assert five.connections == 0
    assert phases == {(False, False), (True, False), (True, True)}
    # Only half of them, because other programs use the machine as well.
    if sys.gettrace() is None:  # counting lines slows down server and client alike
        assert sorted(latencies)[len(latencies) // 2] < 0.1


def counts(simulated: SimulatedCamera) -> tuple[int, ...]:
    return tuple(map(simulated.count, ("startexposure", "abortexposure", "imagearray")))


async def test_an_image_that_is_never_ready_ends_at_the_deadline(client: AlpacaClient) -> None:
    never = SimulatedCamera(
        width=32, height=24, image_delay=float("inf"), readout_time=0.0, initially_connected=True
    )
    async with SimulatorServer([never]) as server:
        begun = time.monotonic()
        with pytest.raises(OperationTimeout):
            await client.camera(server.address).expose(0.1, ready_timeout=0.4)
    assert 0.5 <= time.monotonic() - begun < 1.5
    assert never.count("abortexposure") == 1


class SleepingLoop(asyncio.SelectorEventLoop):
    """A loop whose clock stands still while the computer sleeps."""

    slept = 0.0

    def time(self) -> float:
        return super().time() - self.slept


@pytest.mark.parametrize("watched", [True, False])
def test_a_computer_that_wakes_up_finds_the_image(
    watched: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulated = SimulatedCamera(width=32, height=24, readout_time=0.0, initially_connected=True)
    wall = time.time

    async def story(address: str) -> float:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SleepingLoop)
        async with AlpacaClient() as client:
            progress = (lambda _: None) if watched else None
            camera = client.camera(address)
            task = asyncio.create_task(camera.expose(2.0, progress=progress))
            await until(lambda: camera._record.exposures.has_waiters)
            # An hour passes: by the system's clock, not by that of the loop.
            monkeypatch.setattr(time, "time", lambda: wall() + 3600)
            begun = loop.time()
            simulated.speed_up = 100.0
            await task
            return loop.time() - begun

    with (
        run_in_thread(SimulatorServer([simulated])) as server,
        asyncio.Runner(loop_factory=SleepingLoop) as runner,
    ):
        assert runner.run(story(server.address)) < 1.9

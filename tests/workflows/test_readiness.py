"""Servers that report the previous image as ready for a while after StartExposure."""

from __future__ import annotations

import asyncio
import os
from random import Random
from typing import TYPE_CHECKING, Final

import numpy as np
import pytest

from alpaca_async import AsyncCamera, InvalidValueException
from alpaca_async._device.readiness import LAG_LIMIT, Readiness, ReadinessHistory
from alpaca_async.testing import SimulatedCamera, SimulatorServer
from tests.scripted import ScriptedServer, ascom_error, http, imagebytes, value
from tests.virtual_time import in_virtual_time

if TYPE_CHECKING:
    from tests.scripted import Reply, Request

FRAMES: Final = int(os.environ.get("ALPACA_SOAK", "60")) // 4
"""For each duration; .ci/run asks for more."""


class LaggingCamera:
    """Answers StartExposure `lag` seconds before its driver begins; pixels are frame numbers."""

    def __init__(self, version: int, *, lags: tuple[float, float] = (0.03, 0.2)) -> None:
        self.frames = 0
        self._ready = False
        self._busy = False
        self._image = 0
        self._lags = lags
        self._rng = Random(1)
        self._tasks: set[asyncio.Task[None]] = set()
        self.replies: dict[str, Reply] = {
            "interfaceversion": value(version),
            "startexposure": self._start,
            "imageready": lambda _: value(self._ready),
            "camerastate": lambda _: value(2 if self._busy else 0),
            "devicestate": lambda _: value(
                [
                    {"Name": "ImageReady", "Value": self._ready},
                    {"Name": "CameraState", "Value": 2 if self._busy else 0},
                ]
            ),
            "imagearray": self._download,
        }

    def _start(self, request: Request) -> bytes:
        self.frames += 1
        task = asyncio.create_task(self._drive(float(request.parameters["Duration"]), self.frames))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return value(None)

    async def _drive(self, duration: float, number: int) -> None:
        await asyncio.sleep(self._rng.uniform(*self._lags))
        self._ready, self._busy = False, True
        await asyncio.sleep(duration + 0.005)
        self._ready, self._busy, self._image = True, False, number

    def _download(self, _: Request) -> bytes:
        if not self._ready:
            return ascom_error(1, "No image available")
        pixels = np.full(12, self._image, "<u2").tobytes()
        return http(imagebytes(pixels, 4, 3, kind=8), "application/imagebytes")


class Forgiving(dict[str, "Reply"]):
    def __missing__(self, member: str) -> Reply:
        return ascom_error(0x400, f"no {member}")


@pytest.mark.timeout(60 + FRAMES)
@pytest.mark.parametrize("version", [3, 4])
@pytest.mark.parametrize("duration", [0.0, 0.01, 0.05, 0.1])
@in_virtual_time
async def test_every_frame_is_new(version: int, duration: float) -> None:
    lagging = LaggingCamera(version)
    replies = Forgiving(lagging.replies)
    async with ScriptedServer(replies) as server, AsyncCamera(server.address) as camera:
        for number in range(1, FRAMES + 1):
            image = await camera.expose(duration)
            assert set(image.data.flat) == {number}
    assert lagging.frames == FRAMES


@pytest.mark.parametrize("version", [3, 4])
@pytest.mark.parametrize("duration", [0.05, 1.0])
@in_virtual_time
async def test_a_start_that_arrives_late_does_not_let_the_previous_image_pass(
    version: int, duration: float
) -> None:
    lagging = LaggingCamera(version)
    start = lagging.replies["startexposure"]
    assert callable(start)

    async def delayed(request: Request) -> bytes:
        await asyncio.sleep(1.5 if lagging.frames >= 3 else 0.0)
        reply = start(request)
        assert isinstance(reply, bytes)
        return reply

    replies = Forgiving({**lagging.replies, "startexposure": delayed})
    async with ScriptedServer(replies) as server, AsyncCamera(server.address) as camera:
        for number in range(1, 6):
            image = await camera.expose(duration if number > 3 else 0.05)
            assert set(image.data.flat) == {number}


@in_virtual_time
async def test_an_exposure_that_was_started_by_hand_is_waited_for_as_well() -> None:
    lagging = LaggingCamera(3)
    replies = Forgiving(lagging.replies)
    async with ScriptedServer(replies) as server, AsyncCamera(server.address) as camera:
        for number in range(1, 6):
            await camera.start_exposure(0.01)
            await camera.wait_image_ready()
            assert set((await camera.get_image()).data.flat) == {number}


@pytest.mark.parametrize("version", [3, 4])
@in_virtual_time
async def test_a_prompt_camera_is_soon_polled_no_more_than_before(version: int) -> None:
    simulated = SimulatedCamera(
        width=32,
        height=24,
        readout_time=0.03,
        interface_version=version,
        initially_connected=True,
        clock=asyncio.get_running_loop().time,
    )
    async with SimulatorServer([simulated]) as server, AsyncCamera(server.address) as camera:
        for _ in range(3):
            await camera.expose(0.05)
        member = "devicestate" if version == 4 else "imageready"
        polled: list[str] = []
        simulated.requests.clear()
        await camera.expose(0.05)
        polled = [request.member for request in simulated.requests]
    assert polled.index(member) > polled.index("startexposure")
    assert polled.count(member) <= 5


async def test_limits_that_are_known_are_checked_before_any_request(
    camera: AsyncCamera, simulated: SimulatedCamera
) -> None:
    simulated.exposure_min = 0.002
    await camera.get_info()
    simulated.requests.clear()
    with pytest.raises(InvalidValueException, match=r"4000 s is above ExposureMax, 3600 s"):
        await camera.expose(4000)
    with pytest.raises(ValueError, match=r"0.001 s is below ExposureMin, 0.002 s"):
        await camera.start_exposure(0.001)
    assert not simulated.requests
    for within in (0.0, 0.002, 3600.0):
        await camera.start_exposure(within, light=within > 0)
        await camera.abort_exposure()


def test_a_camera_is_trusted_when_it_was_prompt_often_enough() -> None:
    history = ReadinessHistory()
    for _ in range(3):
        assert not history.trusted
        assert Readiness(history, 10.0).is_new(10.01, ready=False, busy=False) is False
    assert history.trusted
    assert Readiness(history, 10.0).is_new(10.01, ready=True, busy=False)
    assert not Readiness(history, 10.0).needs_early_poll(0.1)


def test_polls_that_come_late_make_no_camera_trusted() -> None:
    history = ReadinessHistory()
    for _ in range(9):
        Readiness(history, 10.0).is_new(10.03, ready=False, busy=False)
    assert not history.trusted


def test_a_camera_that_lagged_once_is_never_trusted() -> None:
    history = ReadinessHistory(prompt=2)
    readiness = Readiness(history, 10.0)
    assert not readiness.is_new(10.01, ready=True, busy=False)
    assert not readiness.is_new(10.02, ready=False, busy=False)
    assert readiness.is_new(10.03, ready=True, busy=False)
    history.prompt = 9
    assert not history.trusted


def test_a_busy_camera_has_begun_though_its_old_image_is_ready() -> None:
    readiness = Readiness(ReadinessHistory(), 10.0)
    assert not readiness.is_new(10.01, ready=True, busy=True)
    assert readiness.is_new(10.02, ready=True, busy=False)


def test_every_camera_is_believed_in_the_end() -> None:
    readiness = Readiness(ReadinessHistory(), 10.0)
    assert not readiness.is_new(10.0 + LAG_LIMIT / 2, ready=True, busy=False)
    assert readiness.is_new(10.0 + LAG_LIMIT, ready=True, busy=False)
    assert not readiness.needs_early_poll(LAG_LIMIT)

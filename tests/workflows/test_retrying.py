"""Exposures that fail are repeated, and cameras that are busy after an abort are awaited."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from alpaca_async import (
    AlpacaClient,
    AlpacaError,
    AsyncCamera,
    CameraStates,
    DriverException,
    ExposureAborted,
    Image,
    InvalidOperationException,
    OperationFailed,
    OperationTimeout,
    Reconnect,
)
from alpaca_async.testing import SimulatedCamera, SimulatorServer
from tests.conditions import until
from tests.scripted import ScriptedServer, ascom_error, http, imagebytes, value

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from tests.scripted import Reply, Request


class FailingCamera:
    """Fails in the exposures of these numbers, each in its way; pixels are the numbers."""

    def __init__(self, failures: dict[int, str], *, flush: float = 0.0) -> None:
        self.starts = 0
        self.state = CameraStates.IDLE
        self._failures = failures
        self._flush = flush
        self._tasks: set[asyncio.Task[None]] = set()
        self._image_broken = False

    def replies(self) -> dict[str, Reply]:
        return Members(
            {
                "interfaceversion": value(3),
                "connected": value(True),
                "startexposure": self._start,
                "abortexposure": self._abort,
                "imageready": lambda _: value(self._ready),
                "camerastate": lambda _: value(int(self.state)),
                "imagearray": self._download,
            }
        )

    _ready = False

    def _start(self, request: Request) -> bytes:
        if self.state is not CameraStates.IDLE:
            return ascom_error(0x40B, "the camera is not idle")
        self.starts += 1
        self._ready = False
        failure = self._failures.get(self.starts, "")
        if failure == "refuse":
            return ascom_error(0x500, "no USB")
        self.state = CameraStates.EXPOSING
        self._later(float(request.parameters["Duration"]), failure)
        return value(None)

    def _later(self, seconds: float, failure: str) -> None:
        async def end() -> None:
            await asyncio.sleep(seconds)
            if failure == "hang":
                return
            self.state = CameraStates.ERROR if failure == "error" else CameraStates.IDLE
            self._ready = not failure or failure == "cut"
            self._image_broken = failure == "cut"

        self._spawn(end())

    def _abort(self, _: Request) -> bytes:
        self.state, self._ready = CameraStates.READING, False

        async def flush() -> None:
            await asyncio.sleep(self._flush)
            self.state = CameraStates.IDLE

        self._spawn(flush())
        return value(None)

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        for task in self._tasks:
            task.cancel()
        self._tasks = {asyncio.ensure_future(work)}

    def _download(self, _: Request) -> bytes:
        whole = http(
            imagebytes(np.full(6, self.starts, "<u2").tobytes(), 3, 2, kind=8),
            "application/imagebytes",
        )
        broken, self._image_broken = self._image_broken, False
        return http(b"nonsense", "text/plain") if broken else whole


class Members(dict[str, "Reply"]):
    def __missing__(self, member: str) -> Reply:
        return ascom_error(0x400, f"no {member}")


async def frames(camera: AsyncCamera, **arguments: Any) -> list[Image]:  # noqa: ANN401 - of exposures
    async with camera.exposures(0.05, ready_timeout=0.3, **arguments) as images:
        return [image async for image in images]


@pytest.mark.parametrize("failure", ["hang", "error", "refuse"])
async def test_one_bad_exposure_does_not_end_the_night(
    failure: str, client: AlpacaClient, caplog: pytest.LogCaptureFixture
) -> None:
    failing = FailingCamera({3: failure}, flush=0.1)
    async with ScriptedServer(failing.replies()) as server:
        with caplog.at_level(logging.WARNING):
            images = await frames(client.camera(server.address), count=5, retries=2)
    assert [int(image.data[0, 0]) for image in images] == [1, 2, 4, 5, 6]
    failures = [image.exposure.failures for image in images if image.exposure]
    assert [len(each) for each in failures] == [0, 0, 1, 0, 0]
    assert "the exposure is repeated" in caplog.text


async def test_an_image_whose_download_failed_is_downloaded_again(client: AlpacaClient) -> None:
    failing = FailingCamera({2: "cut"})
    async with ScriptedServer(failing.replies()) as server:
        images = await frames(client.camera(server.address), count=3, retries=1)
    assert [int(image.data[0, 0]) for image in images] == [1, 2, 3]
    assert failing.starts == 3


@pytest.mark.parametrize(
    ("failure", "kind"),
    [("hang", OperationTimeout), ("error", OperationFailed), ("refuse", DriverException)],
)
async def test_the_last_error_is_raised_when_no_retry_is_left(
    failure: str, kind: type[AlpacaError], client: AlpacaClient
) -> None:
    failing = FailingCamera(dict.fromkeys(range(2, 99), failure))
    async with ScriptedServer(failing.replies()) as server:
        images = client.camera(server.address).exposures(0.05, ready_timeout=0.3, retries=2)
        await anext(images)
        with pytest.raises(kind):
            await anext(images)
    assert failing.starts == 4


async def test_an_exposure_that_never_succeeds_can_be_skipped(client: AlpacaClient) -> None:
    failing = FailingCamera({2: "error", 3: "refuse"})
    async with ScriptedServer(failing.replies()) as server:
        camera = client.camera(server.address)
        images = await frames(camera, count=4, retries=1, on_failure="skip")
    assert [int(image.data[0, 0]) for image in images] == [1, 4, 5]


async def test_without_retries_nothing_is_repeated(client: AlpacaClient) -> None:
    failing = FailingCamera({1: "refuse"})
    async with ScriptedServer(failing.replies()) as server:
        with pytest.raises(DriverException):
            await frames(client.camera(server.address), count=2)
    assert failing.starts == 1


async def test_an_exposure_that_somebody_aborts_is_not_repeated(client: AlpacaClient) -> None:
    failing = FailingCamera({})
    async with ScriptedServer(failing.replies()) as server:
        camera = client.camera(server.address)
        images = camera.exposures(60, retries=5)
        first = asyncio.ensure_future(anext(images))
        await until(lambda: failing.starts)
        await camera.abort_exposure()
        with pytest.raises(ExposureAborted):
            await first
    assert failing.starts == 1


async def test_retrying_and_reconnecting_compose(client: AlpacaClient) -> None:
    failing = FailingCamera({2: "error", 4: "hang"})
    replies = failing.replies()

    def lost_once(_: Request) -> bytes:
        replies["imagearray"] = failing._download
        raise ConnectionResetError

    replies["imagearray"] = lost_once
    async with ScriptedServer(replies) as server:
        how = Reconnect(interval=0.02)
        images = await frames(client.camera(server.address), count=4, retries=1, reconnect=how)
    assert [int(image.data[0, 0]) for image in images] == [1, 3, 5, 6]


async def test_a_camera_that_is_busy_after_an_abort_is_awaited(client: AlpacaClient) -> None:
    failing = FailingCamera({}, flush=0.5)
    async with ScriptedServer(failing.replies()) as server:
        camera = client.camera(server.address)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await camera.expose(60)
        image = await camera.expose(0.05)
    assert int(image.data[0, 0]) == 2


async def test_a_refusal_without_an_abort_before_it_is_raised(client: AlpacaClient) -> None:
    failing = FailingCamera({})
    failing.state = CameraStates.EXPOSING
    async with ScriptedServer(failing.replies()) as server:
        with pytest.raises(InvalidOperationException):
            await client.camera(server.address).expose(0.05)


@pytest.mark.parametrize("arguments", [{"retries": -1}, {"on_failure": "ignore"}, {"count": -1}])
def test_arguments_are_checked(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(arguments))):
        AsyncCamera("127.0.0.1:9").exposures(1.0, **arguments)


async def test_a_camera_that_a_dead_process_left_exposing_can_be_taken_over() -> None:
    simulated = SimulatedCamera(width=32, height=24, initially_connected=True)
    async with SimulatorServer([simulated]) as server:
        async with AsyncCamera(server.address) as dead:
            await dead.start_exposure(60)
        async with AsyncCamera(server.address) as camera:
            await camera.connect()
            assert simulated.state is CameraStates.EXPOSING
            await camera.connect(abort=True)
            assert (await camera.expose(0.01)).exposure is not None
            await camera.connect(abort=True)
    assert simulated.count("abortexposure", "PUT") == 1

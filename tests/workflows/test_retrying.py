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
    TransportError,
    TransportTimeout,
)
from alpaca_async.testing import SimulatedCamera, SimulatorServer
from tests.conditions import until
from tests.scripted import ScriptedServer, ascom_error, http, imagebytes, value
from tests.virtual_time import in_virtual_time, now

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


@in_virtual_time
async def test_a_camera_that_is_slow_and_has_lost_a_start_exposes_again() -> None:
    async def slow(_: Request) -> bytes:
        await asyncio.sleep(3)
        return value(int(CameraStates.IDLE))

    async def never(_: Request) -> bytes:
        await asyncio.Event().wait()
        return b""

    failing = FailingCamera({})
    replies = failing.replies()
    start = replies["startexposure"]
    replies |= {"camerastate": slow, "startexposure": never}
    async with ScriptedServer(replies) as server, AsyncCamera(server.address) as camera:
        with pytest.raises(TransportTimeout):
            await frames(camera, count=1)
        replies["startexposure"] = start
        assert len(await frames(camera, count=1)) == 1


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


async def commands(client: AlpacaClient, replies: dict[str, Reply]) -> list[str]:
    """Return what is sent to take the images 1 and 3 with one retry."""
    async with ScriptedServer(replies) as server:
        images = await frames(client.camera(server.address), count=2, retries=1)
    assert [int(image.data[0, 0]) for image in images] == [1, 3]
    return [each.member for each in server.requests if each.verb == "PUT"]


async def test_the_image_before_is_not_taken_for_that_of_a_refused_exposure(
    client: AlpacaClient,
) -> None:
    failing = FailingCamera({2: "refuse"})

    def start(request: Request) -> bytes:
        reply = failing._start(request)
        failing._ready = failing.starts == 2
        return reply

    sent = await commands(client, Members({**failing.replies(), "startexposure": start}))
    assert sent == ["startexposure", "startexposure", "abortexposure", "startexposure"]


async def test_an_image_that_is_lost_in_its_download_is_taken_again(client: AlpacaClient) -> None:
    failing = FailingCamera({2: "cut"})

    def download(request: Request) -> bytes:
        failing._ready = not failing._image_broken
        return failing._download(request)

    sent = await commands(client, Members({**failing.replies(), "imagearray": download}))
    assert sent == ["startexposure", "startexposure", "abortexposure", "startexposure"]


async def test_an_image_whose_download_failed_is_downloaded_again(
    client: AlpacaClient, caplog: pytest.LogCaptureFixture
) -> None:
    failing = FailingCamera({2: "cut"})
    async with ScriptedServer(failing.replies()) as server:
        images = await frames(client.camera(server.address), count=3, retries=1)
    assert [int(image.data[0, 0]) for image in images] == [1, 2, 3]
    assert failing.starts == 3
    assert "the download failed: " in caplog.text
    assert "the image is downloaded again" in caplog.text
    assert "the exposure is repeated" not in caplog.text


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


async def test_a_camera_is_aborted_after_an_image_that_is_skipped(client: AlpacaClient) -> None:
    failing = FailingCamera({2: "cut"})
    async with ScriptedServer(failing.replies()) as server:
        images = await frames(client.camera(server.address), count=3, on_failure="skip")
    assert [int(image.data[0, 0]) for image in images] == [1, 3]
    sent = [each.member for each in server.requests if each.verb == "PUT"]
    assert sent == ["startexposure", "startexposure", "abortexposure", "startexposure"]


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


async def test_a_loss_is_a_failure_like_others_if_there_is_no_reconnecting(
    client: AlpacaClient,
) -> None:
    failing = FailingCamera({})
    replies = failing.replies()

    def lost_once(_: Request) -> bytes:
        replies["startexposure"] = failing._start
        raise ConnectionResetError

    replies["startexposure"] = lost_once
    async with ScriptedServer(replies) as server:
        images = await frames(client.camera(server.address), count=2, retries=1)
    assert [int(image.data[0, 0]) for image in images] == [1, 2]
    assert [len(each.exposure.failures) for each in images if each.exposure] == [1, 0]


async def test_a_failure_that_is_no_loss_does_not_reconnect(client: AlpacaClient) -> None:
    async def prepare() -> None:
        raise AssertionError("the camera was never lost")

    failing = FailingCamera({2: "error"})
    async with ScriptedServer(failing.replies()) as server:
        how = Reconnect(prepare=prepare)
        images = await frames(client.camera(server.address), count=3, retries=1, reconnect=how)
    assert [int(image.data[0, 0]) for image in images] == [1, 3, 4]


async def test_a_camera_that_cannot_tell_whether_it_has_the_image_ends_the_sequence(
    client: AlpacaClient,
) -> None:
    failing = FailingCamera({1: "cut"})
    replies = failing.replies()

    def download(request: Request) -> bytes:
        replies["imageready"] = ascom_error(0x500, "cable off")
        return failing._download(request)

    replies["imagearray"] = download
    async with ScriptedServer(replies) as server:
        with pytest.raises(DriverException, match="cable off"):
            await frames(client.camera(server.address), count=2, retries=5)
    assert failing.starts == 1


@in_virtual_time
async def test_after_a_failed_download_replies_may_get_lost_for_a_while() -> None:
    failing = FailingCamera({1: "cut"})
    replies = failing.replies()
    losses = iter(range(9))

    def is_ready(_: Request) -> bytes:
        if next(losses, None) is not None:
            raise ConnectionResetError
        return value(failing._ready)

    def download(request: Request) -> bytes:
        replies.update(imageready=is_ready, imagearray=failing._download)
        return failing._download(request)

    replies["imagearray"] = download
    async with ScriptedServer(replies) as server, AsyncCamera(server.address) as camera:
        (image,) = await frames(camera, count=1, retries=1)
    assert int(image.data[0, 0]) == 1
    assert not server.count("abortexposure")


@in_virtual_time
async def test_a_camera_that_is_gone_after_a_failure_ends_the_sequence_after_ten_seconds() -> None:
    failing = FailingCamera({1: "refuse"})
    replies = failing.replies()

    def gone(_: Request) -> bytes:
        raise ConnectionResetError

    def start(request: Request) -> bytes:
        replies["camerastate"] = replies["abortexposure"] = gone
        return failing._start(request)

    replies["startexposure"] = start
    async with ScriptedServer(replies) as server, AsyncCamera(server.address) as camera:
        with pytest.raises(TransportError, match="camerastate"):
            await frames(camera, count=2, retries=5)
        assert 10 <= now() < 11
    assert failing.starts == 1


@pytest.mark.parametrize("attempts", [0, 1])
@in_virtual_time
async def test_a_camera_that_is_lost_after_a_failure_is_waited_for(attempts: int) -> None:
    """Here it aborts a refused exposure when it is lost; one loss may be followed up."""
    failing = FailingCamera({1: "refuse"})
    replies = failing.replies()

    def gone(_: Request) -> bytes:
        raise ConnectionResetError

    def start(request: Request) -> bytes:
        if not failing.starts:
            replies["camerastate"] = gone
        return failing._start(request)

    async def prepare() -> None:
        replies["camerastate"] = lambda _: value(int(failing.state))

    replies["startexposure"] = start
    how = Reconnect(interval=0.02, attempts=attempts, prepare=prepare)
    async with ScriptedServer(replies) as server, AsyncCamera(server.address) as camera:
        taking = frames(camera, count=1, retries=1, reconnect=how)
        if attempts:
            (image,) = await taking
            assert int(image.data[0, 0]) == 2
        else:
            with pytest.raises(TransportError, match="camerastate"):
                await taking


async def test_an_image_of_an_unknown_exposure_is_aborted(client: AlpacaClient) -> None:
    """The reply to StartExposure is lost: an image that is ready afterwards may be any."""
    failing = FailingCamera({})
    replies = failing.replies()

    def lost_once(_: Request) -> bytes:
        replies["startexposure"] = failing._start
        failing._ready = True
        raise ConnectionResetError

    replies["startexposure"] = lost_once
    replies["abortexposure"] = ascom_error(0x500, "not now")
    async with ScriptedServer(replies) as server:
        how = Reconnect(interval=0.02)
        images = await frames(client.camera(server.address), count=1, reconnect=how)
        sent = [each.member for each in server.requests]
    assert [int(image.data[0, 0]) for image in images] == [1]
    commands = ("startexposure", "abortexposure")
    sent = [member for member in sent if member in commands]
    assert sent == ["startexposure", "abortexposure", "abortexposure", "startexposure"]


@in_virtual_time
async def test_a_camera_that_is_busy_after_an_abort_is_awaited() -> None:
    failing = FailingCamera({}, flush=20)
    async with ScriptedServer(failing.replies()) as server, AsyncCamera(server.address) as camera:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await camera.expose(60)
        image = await camera.expose(0.05)
        assert 20 <= now() < 21
    assert int(image.data[0, 0]) == 2


@in_virtual_time
async def test_a_camera_that_is_busy_for_a_minute_after_an_abort_is_asked_all_the_same() -> None:
    failing = FailingCamera({}, flush=300)
    async with ScriptedServer(failing.replies()) as server, AsyncCamera(server.address) as camera:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await camera.expose(60)
        with pytest.raises(InvalidOperationException):
            await camera.expose(0.05)
        assert 60 <= now() < 61


@in_virtual_time
async def test_a_camera_that_was_aborted_before_another_exposure_is_not_awaited() -> None:
    failing = FailingCamera({})
    async with ScriptedServer(failing.replies()) as server, AsyncCamera(server.address) as camera:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await camera.expose(60)
        await camera.expose(0.05)
        failing.state = CameraStates.EXPOSING
        begun = now()
        with pytest.raises(InvalidOperationException):
            await camera.expose(0.05)
        assert now() == begun


async def test_a_refusal_without_an_abort_before_it_is_raised(client: AlpacaClient) -> None:
    failing = FailingCamera({})
    failing.state = CameraStates.EXPOSING
    async with ScriptedServer(failing.replies()) as server:
        with pytest.raises(InvalidOperationException, match=r"connect\(abort=True\)") as caught:
            await client.camera(server.address).expose(0.05)
    assert "abort" not in caught.value.message


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


async def test_taking_over_a_camera_survives_a_lost_reply(client: AlpacaClient) -> None:
    failing = FailingCamera({})
    failing.state = CameraStates.EXPOSING
    replies = failing.replies()

    def lost_once(_: Request) -> bytes:
        replies["camerastate"] = lambda _: value(int(failing.state))
        return http(b"<html>")

    replies["camerastate"] = lost_once
    async with ScriptedServer(replies) as server:
        await client.camera(server.address).connect(abort=True)
    assert server.count("abortexposure") == 1


async def test_a_camera_that_does_not_tell_its_state_after_an_abort_is_not_waited_for(
    client: AlpacaClient,
) -> None:
    failing = FailingCamera({1: "refuse"})
    replies = failing.replies() | {"camerastate": ascom_error(0x500, "no state")}
    async with ScriptedServer(replies) as server:
        images = await frames(client.camera(server.address), count=1, retries=1)
        asked = server.requests
    assert [int(image.data[0, 0]) for image in images] == [2]
    sent = [each.member for each in asked if each.verb == "PUT"]
    assert sent == ["startexposure", "abortexposure", "startexposure"]

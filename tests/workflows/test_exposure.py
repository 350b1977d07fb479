from __future__ import annotations

import asyncio
import contextlib
import math
import random
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest

from alpaca_async import (
    AlpacaClient,
    AlpacaError,
    AsyncCamera,
    CameraStates,
    GuideDirections,
    InvalidOperationException,
    InvalidValueException,
    NotConnectedException,
    OperationTimeout,
    Progress,
    SensorType,
    TransportError,
    TransportTimeout,
)
from alpaca_async._device import patience
from alpaca_async._workflows import exposure_facts
from alpaca_async.testing import SimulatedCamera, SimulatorServer
from tests.conditions import until
from tests.scripted import Request, ScriptedServer, ascom_error, http, imagebytes, value
from tests.virtual_time import in_virtual_time, now

if TYPE_CHECKING:
    from tests.scripted import Reply


async def test_an_image_has_pixels_and_the_facts_of_the_exposure(
    camera: AsyncCamera, simulated: SimulatedCamera
) -> None:
    await camera.set_gain(100)
    await camera.get_info()  # which an image on a busy machine may not wait for
    await camera.get_settings()
    before = datetime.now(UTC)
    image = await camera.expose(0.05)
    assert image.data.shape == (48, 64)
    assert image.data.flags.c_contiguous
    exposure = image.exposure
    assert exposure is not None
    assert (exposure.duration, exposure.light) == (0.05, True)
    assert before <= exposure.started <= datetime.now(UTC)
    assert 0 < exposure.started_uncertainty < (datetime.now(UTC) - before).total_seconds()
    assert exposure.last_exposure_duration == pytest.approx(0.05)
    assert exposure.last_exposure_start_time is not None
    assert (exposure.settings.gain, exposure.settings.bin_x) == (100, 1)
    assert exposure.info.name == simulated.name
    assert exposure.info.unique_id == simulated.unique_id
    assert exposure.info.sensor_type is SensorType.MONOCHROME
    assert exposure.ccd_temperature is not None


async def test_a_dark_frame_is_requested_and_recorded(
    camera: AsyncCamera, simulated: SimulatedCamera
) -> None:
    image = await camera.expose(0.02, light=False, contiguous=False)
    assert not image.exposure.light
    assert np.shares_memory(image.data, image.array)
    (start,) = (r for r in simulated.requests if r.member == "startexposure")
    assert start.parameters["Light"] == "False"


async def test_the_second_exposure_costs_at_most_ten_requests(
    camera: AsyncCamera, simulated: SimulatedCamera
) -> None:
    await camera.get_info()
    await camera.get_settings()
    await camera.expose(0.02)
    simulated.requests.clear()
    await camera.expose(0.02)
    assert len(simulated.requests) <= 10


async def test_settings_are_read_again_after_a_change(camera: AsyncCamera) -> None:
    assert (await camera.get_settings()).gain == 0
    await camera.set_gain(7)
    assert (await camera.get_settings()).gain == 7
    assert await camera.get_settings() is await camera.get_settings()


async def test_settings_that_change_while_they_are_read_are_not_cached(
    camera: AsyncCamera,
) -> None:
    reading = asyncio.create_task(camera.get_settings())
    await asyncio.sleep(0)
    await camera.set_gain(9)
    await reading
    assert (await camera.get_settings()).gain == 9


async def test_info_that_could_not_be_read_is_read_again(client: AlpacaClient) -> None:
    answers = iter([ascom_error(0x500, "USB is slow"), value("IMX455")])
    replies = Forgiving(sensorname=lambda _: next(answers))
    async with ScriptedServer(replies) as server:
        camera = client.camera(server.address)
        assert (await camera.get_info()).sensor_name is None
        assert (await camera.get_info()).sensor_name == "IMX455"
        assert (await camera.get_info()).sensor_name == "IMX455"


async def test_info_read_before_the_connection_changed_is_not_cached(
    client: AlpacaClient,
) -> None:
    connected = asyncio.Event()

    async def sensor(_: Request) -> bytes:
        name = "IMX455" if connected.is_set() else ""
        await connected.wait()
        return value(name)

    async with ScriptedServer(Forgiving(sensorname=sensor, connected=value(None))) as server:
        camera = client.camera(server.address)
        early = asyncio.create_task(camera.get_info())
        await until(lambda: server.count("sensorname"))
        await camera.set_connected(True)
        connected.set()
        await early
        assert (await camera.get_info()).sensor_name == "IMX455"


async def test_info_of_a_disconnected_camera_is_not_cached(
    server: SimulatorServer, client: AlpacaClient
) -> None:
    camera = client.camera(server.address)
    with pytest.raises(NotConnectedException):
        await camera.get_info()
    await camera.connect()
    assert (await camera.get_info()).camera_x_size == 64


@pytest.mark.parametrize("duration", [float("nan"), -1.0, float("inf"), True, "1"])
async def test_a_wrong_duration_is_refused_before_any_request(
    duration: float, camera: AsyncCamera, simulated: SimulatedCamera
) -> None:
    simulated.requests.clear()
    with pytest.raises((TypeError, ValueError), match="duration"):
        await camera.expose(duration)
    assert not simulated.requests


@pytest.mark.parametrize(
    ("direction", "duration"), [(4, 100), (True, 100), (0, -1), (0, 1.5), ("north", 100)]
)
async def test_a_wrong_pulse_is_refused_before_any_request(
    direction: object, duration: object, camera: AsyncCamera, simulated: SimulatedCamera
) -> None:
    simulated.requests.clear()
    with pytest.raises((TypeError, ValueError), match=r"direction|duration"):
        await camera.pulse_guide(cast("GuideDirections", direction), cast("int", duration))
    assert not simulated.requests


async def test_a_refused_start_is_not_aborted(
    camera: AsyncCamera, simulated: SimulatedCamera
) -> None:
    with pytest.raises(InvalidValueException):
        await camera.expose(1e9)
    assert simulated.count("abortexposure") == 0


@in_virtual_time
async def test_progress_reports_the_phases_in_order() -> None:
    seen: list[Progress] = []
    replies = Forgiving(exposing(imageready=lambda _: value(now() > 3)))
    async with ScriptedServer(replies) as server, AsyncCamera(server.address) as camera:
        await camera.expose(2, progress=seen.append)
    phases = list(dict.fromkeys(progress.phase for progress in seen))
    assert phases == ["exposing", "reading", "downloading"]
    fractions = [p.fraction for p in seen if p.phase == "exposing" and p.fraction is not None]
    assert fractions == sorted(fractions)
    assert len(fractions) >= 20
    assert seen[-1].bytes_received == seen[-1].bytes_total


@in_virtual_time
async def test_the_state_is_part_of_the_progress() -> None:
    seen: list[Progress] = []
    replies = Forgiving(exposing(camerastate=value(2)))
    async with ScriptedServer(replies) as server, AsyncCamera(server.address) as camera:
        await camera.expose(1.2, progress=seen.append)
    assert CameraStates.EXPOSING in {progress.state for progress in seen}


async def test_wait_image_ready_waits_for_an_exposure_started_elsewhere(
    camera: AsyncCamera,
) -> None:
    await camera.start_exposure(0.1, False)
    await camera.wait_image_ready(timeout=5)
    assert (await camera.get_image_array()).shape == (64, 48)


async def test_waiting_ends_at_its_deadline(
    camera: AsyncCamera, simulated: SimulatedCamera
) -> None:
    await camera.start_exposure(30)
    with pytest.raises(OperationTimeout, match=r"no image within 0\.2 s") as caught:
        await camera.wait_image_ready(timeout=0.2)
    assert caught.value.member == "camera/0/imageready"
    assert simulated.count("abortexposure") == 0


def exposing(**replies: Reply) -> dict[str, Reply]:
    """Return the replies of a camera that has an image at the second poll, except for `replies`.

    An image at the first one may be that before the exposure, which takes half a second to tell.
    """
    image = http(imagebytes(bytes(42), 3, 7), "application/imagebytes")
    begun = False

    def start(_: Request) -> bytes:
        nonlocal begun
        begun = True
        return value(None)

    def is_ready(_: Request) -> bytes:
        nonlocal begun
        first, begun = begun, False
        return value(not first)

    return {
        "startexposure": start,
        "abortexposure": value(None),
        "imageready": is_ready,
        "camerastate": value(0),
        "imagearray": image,
        **replies,
    }


async def silence(_: Request) -> bytes:
    """Never reply."""
    await asyncio.Event().wait()
    return b""


class Forgiving(dict[str, "Reply"]):
    """Replies NotImplemented to every member without a reply."""

    def __missing__(self, member: str) -> Reply:
        return ascom_error(0x400, f"{member} is not implemented")


async def test_a_minimal_camera_can_expose(
    client: AlpacaClient,
) -> None:
    async with ScriptedServer(Forgiving(exposing())) as server:
        image = await client.camera(server.address).expose(0.01)
    assert image.exposure.info.name is None
    assert image.exposure.settings.gain is None
    assert image.exposure.last_exposure_start_time is None


async def test_a_fact_that_cannot_be_read_does_not_lose_the_image(
    client: AlpacaClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "alpaca_async")
    replies = Forgiving(exposing(gain=http(b"oops"), lastexposureduration=value("nan")))
    async with ScriptedServer(replies) as server:
        image = await client.camera(server.address).expose(0.01)
    assert image.exposure.settings.gain is None
    assert "camera/0/gain" in caplog.text


async def test_a_late_fact_does_not_delay_the_image(
    client: AlpacaClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(exposure_facts, "_GRACE", 0.1)
    replies = Forgiving(exposing(gain=silence, ccdtemperature=value(-5.0)))
    async with ScriptedServer(replies) as server:
        image = await asyncio.wait_for(client.camera(server.address).expose(0.01), 3)
    assert image.exposure.ccd_temperature == -5
    assert image.exposure.settings.gain is None
    assert "too late" in caplog.text


async def test_the_error_of_imageready_is_preferred_to_the_error_state(
    client: AlpacaClient,
) -> None:
    replies = Forgiving(
        exposing(camerastate=value(5), imageready=ascom_error(0x40B, "shutter stuck"))
    )
    async with ScriptedServer(replies) as server:
        with pytest.raises(InvalidOperationException, match="shutter stuck"):
            await client.camera(server.address).expose(20)


BROKEN = b"HTTP/1.0 2"
LOST = [
    pytest.param(BROKEN, id="network"),
    pytest.param(http(b"restarting", "text/plain", status="503 Busy"), id="503"),
    pytest.param(http(b"oops", "text/plain", status="500 No"), id="500"),
    pytest.param(http(b"<html>"), id="nonsense"),
]


@pytest.mark.parametrize("lost", LOST)
async def test_a_few_failed_polls_do_not_lose_the_image(client: AlpacaClient, lost: bytes) -> None:
    answers = iter([lost] * 3)
    replies = Forgiving(exposing(imageready=lambda _: next(answers, value(True))))
    async with ScriptedServer(replies) as server:
        image = await client.camera(server.address).expose(0.01)
    assert image.data.shape == (7, 3)
    assert server.count("abortexposure") == 0


@pytest.mark.parametrize("lost", LOST)
@in_virtual_time
async def test_a_failed_read_of_the_state_does_not_lose_the_image(lost: bytes) -> None:
    replies = Forgiving(exposing(camerastate=lost))
    async with ScriptedServer(replies) as server, AsyncCamera(server.address) as camera:
        await camera.expose(1.1)
    assert server.count("camerastate") == 1


@pytest.mark.parametrize("lost", LOST)
async def test_a_camera_that_stays_unreachable_ends_the_wait(
    client: AlpacaClient, monkeypatch: pytest.MonkeyPatch, lost: bytes
) -> None:
    monkeypatch.setattr(patience, "LOSS_GRACE", 0.1)
    async with ScriptedServer(Forgiving(exposing(imageready=lost))) as server:
        with pytest.raises(AlpacaError, match="camera/0/imageready"):
            await client.camera(server.address).expose(0.01)
    assert server.count("abortexposure") == 1


@pytest.mark.parametrize("status", ["400 Bad", "404 Not Found", "500 No"])
async def test_a_rejection_with_a_reason_ends_the_wait(client: AlpacaClient, status: str) -> None:
    reply = b'{"ErrorNumber": 1025, "ErrorMessage": "there is no such camera"}'
    async with ScriptedServer(Forgiving(exposing(imageready=http(reply, status=status)))) as server:
        with pytest.raises(AlpacaError, match="camera/0/imageready"):
            await client.camera(server.address).expose(0.01)
    assert server.count("imageready") == 1
    assert server.count("abortexposure") == 1


async def test_a_camera_without_abort_is_stopped_instead(client: AlpacaClient) -> None:
    replies = exposing(imageready=value(False), camerastate=value(2), stopexposure=value(None))
    del replies["abortexposure"]
    async with ScriptedServer(Forgiving(replies)) as server:
        with pytest.raises(OperationTimeout):
            await client.camera(server.address).expose(0.01, ready_timeout=0.1)
    assert server.count("stopexposure") == 1


async def test_a_failed_abort_is_logged_and_the_first_error_raised(
    client: AlpacaClient, caplog: pytest.LogCaptureFixture
) -> None:
    replies = exposing(imageready=value(False), camerastate=value(2))
    replies["abortexposure"] = ascom_error(0x500, "cable off")
    async with ScriptedServer(Forgiving(replies)) as server:
        with pytest.raises(OperationTimeout):
            await client.camera(server.address).expose(0.01, ready_timeout=0.1)
    assert "cable off" in caplog.text


async def test_a_failed_download_leaves_the_image_in_the_camera(client: AlpacaClient) -> None:
    images = iter([http(b"", "application/imagebytes"), exposing()["imagearray"]])
    replies = Forgiving(exposing(imagearray=lambda _: next(images)))  # type: ignore[arg-type,return-value]
    async with ScriptedServer(replies) as server:
        camera = client.camera(server.address)
        with pytest.raises(Exception, match="after 0 of 44 bytes"):
            await camera.expose(0.01)
        assert (await camera.get_image()).data.shape == (7, 3)
    assert server.count("abortexposure") == 0
    assert server.count("startexposure") == 1


@in_virtual_time
async def test_a_lost_reply_to_startexposure_is_aborted_and_not_sent_again() -> None:
    replies = Forgiving(exposing(startexposure=silence))
    async with ScriptedServer(replies) as server, AsyncCamera(server.address) as camera:
        with pytest.raises(TransportError, match="may have executed"):
            await camera.expose(0.01)
    assert server.count("startexposure") == server.count("abortexposure") == 1


async def test_cancelled_before_the_first_request_sends_nothing(client: AlpacaClient) -> None:
    async with ScriptedServer(Forgiving(exposing())) as server:
        task = asyncio.create_task(client.camera(server.address).expose(1))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0.05)
    assert [request.member for request in server.requests] == []


@in_virtual_time
async def test_cancelled_while_the_start_is_in_flight_waits_and_aborts_once() -> None:
    order: list[str] = []

    async def slow_start(_: Request) -> bytes:
        await asyncio.sleep(1.9)
        order.append("started")
        return value(None)

    def abort(_: Request) -> bytes:
        order.append("aborted")
        return value(None)

    replies = Forgiving(exposing(startexposure=slow_start, abortexposure=abort))
    async with ScriptedServer(replies) as server, AsyncCamera(server.address) as camera:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await camera.expose(1)
    assert order == ["started", "aborted"]


@in_virtual_time
async def test_a_camera_that_takes_longer_to_answer_a_start_than_other_requests_exposes_again() -> (
    None
):
    async def slow_start(_: Request) -> bytes:
        await asyncio.sleep(20)
        return value(None)

    replies = Forgiving(exposing(startexposure=slow_start))
    async with ScriptedServer(replies) as server, AsyncCamera(server.address) as camera:
        for _ in range(2):
            await camera.expose(60)
    assert server.count("startexposure") == 2


@in_virtual_time
async def test_a_start_that_is_not_answered_in_time_is_given_more_the_next_time() -> None:
    async def start(_: Request) -> bytes:
        if server.count("startexposure") > 1:
            await asyncio.sleep(60)
        return value(None)

    replies = Forgiving(exposing(startexposure=start))
    async with ScriptedServer(replies) as server, AsyncCamera(server.address) as camera:
        await camera.expose(60)
        with pytest.raises(TransportTimeout):
            await camera.expose(60)
        await camera.expose(60)


@in_virtual_time
async def test_a_camera_that_hangs_at_its_starts_is_given_more_time_only_once() -> None:
    replies = Forgiving(exposing())
    async with ScriptedServer(replies) as server, AsyncCamera(server.address) as camera:
        await camera.expose(60)
        replies["startexposure"] = silence
        lasted: list[float] = []
        for _ in range(4):
            began = now()
            with pytest.raises(TransportTimeout):
                await camera.expose(60)
            lasted.append(now() - began)
    assert lasted == [pytest.approx(seconds) for seconds in (10, 160, 10, 10)]


@in_virtual_time
async def test_a_start_that_was_answered_because_the_exposure_was_stopped_tells_nothing() -> None:
    stopped = asyncio.Event()

    async def answer_at_the_end(_: Request) -> bytes:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(60):
                await stopped.wait()
        stopped.clear()
        return value(None)

    async def stop(_: Request) -> bytes:
        stopped.set()
        await asyncio.sleep(0.1)
        return value(None)

    replies = Forgiving(exposing(startexposure=answer_at_the_end, stopexposure=stop))
    async with ScriptedServer(replies) as server, AsyncCamera(server.address) as camera:
        exposing_now = asyncio.create_task(camera.expose(60))
        await asyncio.sleep(1)
        await camera.stop_exposure()
        await exposing_now
        stopped.clear()
        await camera.expose(60)


@in_virtual_time
async def test_cancelled_while_a_start_is_not_answered_aborts_in_two_seconds() -> None:
    replies = Forgiving(exposing(startexposure=silence))
    async with ScriptedServer(replies) as server, AsyncCamera(server.address) as camera:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await camera.expose(1)
        assert now() == pytest.approx(2.1)
    assert server.count("abortexposure") == 1


async def test_cancelled_while_the_start_is_in_flight_and_its_reply_lost_aborts_once(
    client: AlpacaClient,
) -> None:
    started, lose = asyncio.Event(), asyncio.Event()

    async def lost(_: Request) -> bytes:
        started.set()
        await lose.wait()
        raise ConnectionResetError

    async with ScriptedServer(Forgiving(exposing(startexposure=lost))) as server:
        task = asyncio.create_task(client.camera(server.address).expose(1))
        await started.wait()
        task.cancel()
        await asyncio.sleep(0)
        lose.set()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert server.count("abortexposure") == 1


async def test_cancelled_while_the_image_is_downloaded_aborts_once(client: AlpacaClient) -> None:
    async with ScriptedServer(Forgiving(exposing(imagearray=silence))) as server:
        task = asyncio.create_task(client.camera(server.address).expose(0.01))
        await until(lambda: server.count("imagearray"))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert server.count("abortexposure") == 1


@in_virtual_time
async def test_cancelled_while_a_start_that_is_refused_is_in_flight_does_not_abort() -> None:
    async def refuse(_: Request) -> bytes:
        await asyncio.sleep(1)
        return ascom_error(0x40B, "busy")

    replies = Forgiving(exposing(startexposure=refuse))
    async with ScriptedServer(replies) as server, AsyncCamera(server.address) as camera:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await camera.expose(1)
    assert server.count("abortexposure") == 0


async def test_cancelled_twice_still_aborts(
    camera: AsyncCamera, simulated: SimulatedCamera
) -> None:
    task = asyncio.create_task(camera.expose(10))
    await until(lambda: simulated.state is CameraStates.EXPOSING)
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert simulated.count("abortexposure") == 1
    assert simulated.state is CameraStates.IDLE


async def test_an_invalid_timeout_starts_nothing(
    camera: AsyncCamera, simulated: SimulatedCamera
) -> None:
    with pytest.raises(ValueError, match="ready_timeout must be finite"):
        await camera.expose(0.01, ready_timeout=math.nan)
    with pytest.raises(ValueError, match="timeout must be finite"):
        await camera.wait_image_ready(timeout=math.nan)
    assert simulated.count("startexposure") == 0


async def test_an_error_in_a_progress_function_aborts(
    camera: AsyncCamera, simulated: SimulatedCamera
) -> None:
    def broken(_: Progress) -> None:
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        await camera.expose(10, progress=broken)
    assert simulated.count("abortexposure") == 1
    assert simulated.state is CameraStates.IDLE


@in_virtual_time
async def test_cancelled_while_an_error_is_being_aborted_aborts_once() -> None:
    async def slow_abort(_: Request) -> bytes:
        await asyncio.sleep(2)
        return value(None)

    replies = exposing(imageready=ascom_error(0x500, "broken"), abortexposure=slow_abort)
    async with ScriptedServer(Forgiving(replies)) as server, AsyncCamera(server.address) as camera:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await camera.expose(0.01)
        assert now() >= 2
    assert server.count("abortexposure") == 1


@pytest.mark.parametrize(
    ("reply", "aborts"),
    [
        (http(b"<html>"), 1),
        (http(b"oops", "text/plain", status="500 Oops"), 1),
        (http(b"who?", "text/plain", status="400 Bad Request"), 0),
        (http(b'{"ErrorNumber": 1025}', status="500 Oops"), 0),
    ],
    ids=["nonsense", "failed server", "refused", "failed server with a reason"],
)
async def test_a_start_that_may_have_been_executed_is_aborted(
    client: AlpacaClient, reply: bytes, aborts: int
) -> None:
    async with ScriptedServer(Forgiving(exposing(startexposure=reply))) as server:
        with pytest.raises(AlpacaError) as caught:
            await client.camera(server.address).expose(1)
    assert caught.value.outcome_unknown == bool(aborts)
    assert server.count("abortexposure") == aborts


async def test_the_end_of_the_program_while_the_start_is_in_flight_aborts(
    client: AlpacaClient,
) -> None:
    async with ScriptedServer(Forgiving(exposing(startexposure=silence))) as server:
        before = asyncio.all_tasks()
        exposing_task = asyncio.create_task(client.camera(server.address).expose(1))
        await until(lambda: server.count("startexposure"))
        started = {task for task in asyncio.all_tasks() - before if "_serve" not in repr(task)}
        for task in started:  # as asyncio.run does when its main function has ended
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await exposing_task
    assert len(started) == 2
    assert server.count("abortexposure") == 1


async def test_cancelled_at_any_moment_the_camera_is_idle_and_takes_the_next_exposure(
    camera: AsyncCamera, simulated: SimulatedCamera
) -> None:
    dice = random.Random(7)
    await camera.expose(0.01)
    await camera.get_info()  # late facts would be read meanwhile
    await camera.get_settings()
    tasks_before = len(asyncio.all_tasks())
    for _ in range(60):
        starts, aborts = (simulated.count(m) for m in ("startexposure", "abortexposure"))
        try:
            async with asyncio.timeout(dice.uniform(0, 0.06)):
                await camera.expose(0.03)
        except TimeoutError:
            started = simulated.count("startexposure") - starts
            assert simulated.count("abortexposure") - aborts == started
        assert len(asyncio.all_tasks()) <= tasks_before + 4  # connections of the server
    assert (await camera.expose(0.01)).data.shape == (48, 64)


async def test_waiting_is_cancelled_without_an_abort(
    camera: AsyncCamera, simulated: SimulatedCamera
) -> None:
    await camera.start_exposure(10)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await camera.wait_image_ready()
    assert simulated.count("abortexposure") == 0


@pytest.mark.parametrize("sensor", [SensorType.RGGB, SensorType.COLOR])
async def test_colour_images_have_planes(sensor: SensorType, client: AlpacaClient) -> None:
    simulated = SimulatedCamera(width=32, height=24, sensor=sensor, readout_time=0)
    async with SimulatorServer([simulated]) as server:
        camera = client.camera(server.address)
        await camera.connect()
        image = await camera.expose(0.02)
    planes = (3,) if sensor is SensorType.COLOR else ()
    assert image.data.shape == (24, 32, *planes)
    assert image.array.shape == (32, 24, *planes)
    assert image.exposure.info.sensor_type is sensor


async def test_the_header_is_read_while_the_exposure_runs(
    camera: AsyncCamera, simulated: SimulatedCamera
) -> None:
    before: list[tuple[int, int]] = []

    async def altitude() -> tuple[float, str]:
        before.append((simulated.count("startexposure"), simulated.count("imagearray")))
        return 45.5, "[deg]"

    image = await camera.expose(0.2, header={"OBJECT": "M 42", "ALT": altitude, "FILTER": None})
    assert image.exposure.header == {"OBJECT": "M 42", "ALT": (45.5, "[deg]"), "FILTER": None}
    assert before == [(1, 0)]


async def test_a_header_is_read_by_one_function(camera: AsyncCamera) -> None:
    async def mount() -> dict[str, object]:
        return {"RA": 83.8, "DEC": (-5.4, "[deg]")}

    image = await camera.expose(0.01, header=mount)
    assert image.exposure.header == {"RA": 83.8, "DEC": (-5.4, "[deg]")}


async def test_a_late_or_failing_header_loses_only_its_keywords(
    camera: AsyncCamera, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(exposure_facts, "_GRACE", 0.3)
    ended: list[str] = []

    async def asleep() -> str:
        try:
            await asyncio.sleep(30)
        finally:
            ended.append("asleep")
        return "never"

    async def broken() -> str:
        raise RuntimeError("the mount is gone")

    async def odd() -> list[int]:
        return [1]

    async def focus() -> int:
        return 7

    header = {"A": asleep, "B": broken, "C": odd, "FOCUSPOS": focus, "OBJECT": "M 42"}
    image = await asyncio.wait_for(camera.expose(0.01, header=header), 3)
    assert image.exposure.header == {"FOCUSPOS": 7, "OBJECT": "M 42"}
    assert image.exposure.last_exposure_start_time is not None
    assert image.exposure.info.name is not None
    assert ended == ["asleep"]
    assert "the mount is gone" in caplog.text
    assert "C = [1]" in caplog.text
    assert "too late" in caplog.text


async def test_a_header_whose_source_was_cancelled_does_not_cancel_the_exposure(
    camera: AsyncCamera, caplog: pytest.LogCaptureFixture
) -> None:
    weather = asyncio.create_task(asyncio.sleep(60, 7.0))
    asyncio.get_running_loop().call_later(0.02, weather.cancel)

    async def temperature() -> float:
        return await weather

    image = await camera.expose(0.2, header={"AMBTEMP": temperature, "OBJECT": "M 42"})
    assert image.exposure.header == {"OBJECT": "M 42"}
    assert "header keywords are missing" in caplog.text


async def test_a_cancelled_exposure_ends_the_reading_of_its_header(camera: AsyncCamera) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def asleep() -> dict[str, object]:
        begun.set()
        try:
            await asyncio.sleep(30)
        finally:
            ended.set()
        return {}

    exposing = asyncio.create_task(camera.expose(30, header=asleep))
    await asyncio.wait_for(begun.wait(), 3)
    exposing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await exposing
    assert ended.is_set()


async def test_a_header_that_cannot_be_written_is_refused_before_the_start(
    camera: AsyncCamera, simulated: SimulatedCamera
) -> None:
    async def late() -> int:
        return 1

    for header in ({"NINELETTE": 1}, {"A": [1]}, {"NAXIS": late}):
        with pytest.raises(ValueError, match=r"FITS|describes"):
            await camera.expose(0.01, header=header)
    assert simulated.count("startexposure") == 0

"""When a wait polls, and how soon it notices an image: in virtual time, so exact on any machine."""

from __future__ import annotations

import asyncio
import math
from itertools import pairwise
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from alpaca_async import (
    AlpacaClient,
    AscomError,
    AsyncCamera,
    CameraStates,
    ExposureAborted,
    MalformedResponse,
    OperationFailed,
    OperationTimeout,
    Timeouts,
)
from alpaca_async._workflows import clock as clock_module
from alpaca_async.testing import SimulatedCamera, SimulatorServer
from tests.scripted import ScriptedServer, ascom_error, http, value
from tests.virtual_time import in_virtual_time, now

from .test_exposure import Forgiving, exposing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from numpy.typing import NDArray

    from alpaca_async import Progress
    from tests.scripted import Request


def virtual(model: type[SimulatedCamera] = SimulatedCamera, **facts: Any) -> SimulatedCamera:  # noqa: ANN401 - of any camera
    """Return a small connected camera with the clock of the running loop."""
    clock = asyncio.get_running_loop().time
    return model(width=32, height=24, initially_connected=True, clock=clock, **facts)


def after(seconds: float, answer: bytes) -> Callable[[Request], Awaitable[bytes]]:
    """Return a reply that takes `seconds`."""

    async def reply(_: Request) -> bytes:
        await asyncio.sleep(seconds)
        return answer

    return reply


@pytest.mark.parametrize(
    ("version", "readout", "most"), [(4, 0.0, 10), (4, 1.0, 12), (3, 0.0, 12), (3, 1.0, 14)]
)
@in_virtual_time
async def test_a_minute_costs_ten_requests(version: int, readout: float, most: int) -> None:
    """Older cameras are asked for gain and offset one by one, and a readout is polled."""
    simulated = virtual(interface_version=version, readout_time=readout)
    async with SimulatorServer([simulated]) as server, AsyncCamera(server.address) as camera:
        await camera.expose(0.5)
        simulated.requests.clear()
        await camera.expose(60)
    assert len(simulated.requests) <= most


@pytest.mark.parametrize("version", [3, 4])
@pytest.mark.parametrize("duration", [0.1, 1.0, 60.0])
@pytest.mark.parametrize("readout", [0.0, 0.3, 1.0, 3.0, 6.0, 10.0])
@in_virtual_time
async def test_readiness_is_noticed_within_a_twentieth_of_the_time_waited(
    version: int, duration: float, readout: float
) -> None:
    simulated = virtual(interface_version=version, readout_time=readout)
    async with SimulatorServer([simulated]) as server, AsyncCamera(server.address) as camera:
        begun = now()
        await camera.expose(duration)
        took = now() - begun
    assert duration + readout <= took + 1e-6
    assert took <= (duration + readout) * 1.05 + 0.1


@in_virtual_time
async def test_single_members_are_asked_for_the_state_once_a_second() -> None:
    simulated = virtual(interface_version=3, readout_time=10.0)
    async with SimulatorServer([simulated]) as server, AsyncCamera(server.address) as camera:
        await camera.expose(0.1)
    assert 8 <= simulated.count("camerastate") <= 10
    assert simulated.count("imageready") > 20


@pytest.mark.parametrize(("watched", "states"), [(False, 2), (True, 100)])
@in_virtual_time
async def test_the_state_is_read_each_minute_or_each_second_for_a_listener(
    watched: bool, states: int
) -> None:
    simulated = virtual(interface_version=3, readout_time=0.0)
    seen: list[Progress] = []
    async with SimulatorServer([simulated]) as server, AsyncCamera(server.address) as camera:
        await camera.expose(100.5, progress=seen.append if watched else None)
    assert simulated.count("camerastate") == states
    if watched:
        left = [each.seconds_left or 0.0 for each in seen if each.phase == "exposing"]
        assert left[0] == 100.5
        assert max(a - b for a, b in pairwise(left)) == pytest.approx(0.1)
        for each in seen[: len(left)]:
            assert each.fraction == pytest.approx(1 - (each.seconds_left or 0.0) / 100.5)


@pytest.mark.parametrize("version", [3, 4])
@in_virtual_time
async def test_an_error_state_ends_the_exposure_after_a_second(version: int) -> None:
    state = [{"Name": "CameraState", "Value": 5}, {"Name": "ImageReady", "Value": False}]
    replies = exposing(
        interfaceversion=value(version),
        devicestate=value(state),
        camerastate=value(5),
        imageready=value(False),
    )
    async with ScriptedServer(Forgiving(replies)) as server, AsyncCamera(server.address) as camera:
        begun = now()
        with pytest.raises(OperationFailed, match="reports an error"):
            await camera.expose(20)
        assert now() - begun == pytest.approx(1.0)
    assert server.count("abortexposure") == 1


@in_virtual_time
async def test_a_camera_that_is_idle_without_an_image_fails_after_ten_seconds() -> None:
    replies = Forgiving(exposing(imageready=value(False)))
    async with ScriptedServer(replies) as server, AsyncCamera(server.address) as camera:
        begun = now()
        with pytest.raises(OperationFailed, match="idle, but has no image"):
            await camera.expose(0.1)
        assert 10 < now() - begun < 13


@in_virtual_time
async def test_a_camera_that_is_idle_now_and_then_may_still_deliver() -> None:
    """Each time that it is busy, the seconds of being idle begin anew."""
    replies = Forgiving(
        exposing(
            imageready=lambda _: value(now() > 40),
            camerastate=lambda _: value(2 if now() % 8 < 2 else 0),
        )
    )
    async with ScriptedServer(replies) as server, AsyncCamera(server.address) as camera:
        await camera.expose(0.1)
        assert now() < 42


@in_virtual_time
async def test_an_image_that_never_comes_ends_the_wait_at_its_deadline() -> None:
    replies = Forgiving(exposing(imageready=value(False), camerastate=value(2)))
    async with ScriptedServer(replies) as server, AsyncCamera(server.address) as camera:
        begun = now()
        with pytest.raises(OperationTimeout, match=r"no image within 7 s"):
            await camera.expose(3, ready_timeout=7)
        assert now() - begun == pytest.approx(10.0)
    assert server.count("abortexposure") == 1


@pytest.mark.parametrize(("lost", "survives"), [(9.0, True), (11.0, False)])
@in_virtual_time
async def test_polls_may_get_lost_for_ten_seconds(lost: float, survives: bool) -> None:
    def ready(_: Request) -> bytes:
        return http(b"<html>") if 2 <= now() < 2 + lost else value(now() > 14)

    replies = Forgiving(exposing(camerastate=value(2), imageready=ready))
    async with ScriptedServer(replies) as server, AsyncCamera(server.address) as camera:
        if survives:
            await camera.expose(1)
            assert 14 < now() < 15
        else:
            with pytest.raises(MalformedResponse, match="camera/0/imageready"):
                await camera.expose(1)
            assert 12 <= now() < 12.5
    assert server.count("abortexposure") == (not survives)


@in_virtual_time
async def test_each_poll_that_works_begins_the_ten_seconds_anew() -> None:
    def ready(_: Request) -> bytes:
        return http(b"<html>") if now() % 8 < 5 else value(now() > 40)

    replies = Forgiving(exposing(camerastate=value(2), imageready=ready))
    async with ScriptedServer(replies) as server, AsyncCamera(server.address) as camera:
        await camera.expose(1)
        assert now() > 40


@in_virtual_time
async def test_a_slow_read_of_the_state_does_not_delay_the_image() -> None:
    replies = Forgiving(exposing(imageready=value(True), camerastate=after(3.0, value(2))))
    async with ScriptedServer(replies) as server, AsyncCamera(server.address) as camera:
        begun = now()
        await camera.expose(6)
        assert now() - begun == pytest.approx(6.0)
    assert server.count("camerastate") == 1


@in_virtual_time
async def test_a_start_that_is_answered_after_the_exposure_causes_no_second_wait() -> None:
    replies = Forgiving(exposing(startexposure=after(5.0, value(None))))
    async with ScriptedServer(replies) as server, AsyncCamera(server.address) as camera:
        begun = now()
        await camera.expose(5)
        assert 5 <= now() - begun < 5.5
        begun = now()
        await camera.expose(8)  # which may begin when it is answered
        assert 13 <= now() - begun < 13.5


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
@pytest.mark.parametrize("pair", [(0.3, 0.5), (0.8, 0.9), (60.0, 62.0), (60.0, 90.0), (300.0, 2.0)])
@in_virtual_time
async def test_the_image_of_an_aborted_exposure_is_not_taken_for_ours(
    version: int, pair: tuple[float, float]
) -> None:
    aborted, ours = pair
    stale = virtual(StaleImageCamera, interface_version=version, readout_time=0.3)
    async with SimulatorServer([stale]) as server, AsyncCamera(server.address) as camera:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await camera.expose(aborted)
        image = await camera.expose(ours)
    assert image.data.shape == (24, 32)


@in_virtual_time
async def test_an_image_that_is_ready_too_early_is_not_taken_for_ours() -> None:
    stale = virtual(StaleImageCamera, readout_time=0.3)
    async with SimulatorServer([stale]) as server, AsyncCamera(server.address) as camera:
        await camera.start_exposure(0.2)
        await camera.abort_exposure()
        image = await camera.expose(1.2)
    assert image.data.shape == (24, 32)


@pytest.mark.parametrize("version", [2, 4])
@in_virtual_time
async def test_a_camera_that_is_never_idle_delivers_its_image_ten_seconds_late(
    version: int,
) -> None:
    state = [{"Name": "CameraState", "Value": 4}, {"Name": "ImageReady", "Value": True}]
    replies = exposing(
        interfaceversion=value(version), devicestate=value(state), camerastate=value(4)
    )
    async with ScriptedServer(Forgiving(replies)) as server, AsyncCamera(server.address) as camera:
        await camera.start_exposure(0.02)
        await camera.abort_exposure()
        begun = now()
        await camera.expose(1.0)
        assert 11 <= now() - begun < 12
        begun = now()
        await camera.expose(1.0)
        assert now() - begun == pytest.approx(1.0, abs=0.1)


@in_virtual_time
async def test_an_abort_delays_the_next_image_by_a_tenth_of_a_second() -> None:
    simulated = virtual(readout_time=0.0)
    async with SimulatorServer([simulated]) as server, AsyncCamera(server.address) as camera:
        await camera.start_exposure(0.5)
        await camera.abort_exposure()
        begun = now()
        await camera.expose(1.0)
        assert 1.1 <= now() - begun < 1.25


@pytest.mark.parametrize(("since", "late"), [(8.0, True), (12.0, False)])
@in_virtual_time
async def test_an_abort_is_forgotten_ten_seconds_after_its_exposure(
    since: float, late: bool
) -> None:
    replies = Forgiving(exposing(camerastate=value(4)))
    async with ScriptedServer(replies) as server, AsyncCamera(server.address) as camera:
        await camera.start_exposure(1.0)
        await camera.abort_exposure()
        await asyncio.sleep(1.0 + since)
        begun = now()
        await camera.expose(1.0)
        assert (now() - begun > 2) is late


@in_virtual_time
async def test_a_failed_check_for_a_stale_image_does_not_lose_the_image() -> None:
    reads = 0

    async def state(_: Request) -> bytes:
        nonlocal reads
        reads += 1
        await asyncio.sleep(math.inf if reads == 1 else 0)
        return value(0)

    replies = Forgiving(exposing(interfaceversion=value(2), camerastate=state))
    async with (
        ScriptedServer(replies) as server,
        AlpacaClient(timeouts=Timeouts(reply=2.0)) as client,
    ):
        camera = client.camera(server.address)
        await camera.start_exposure(0.02)
        await camera.abort_exposure()
        await camera.expose(0.05)
    assert reads >= 2
    assert server.count("abortexposure") == 1


# stopped, aborted, cancelled


@pytest.mark.parametrize("version", [3, 4])
@in_virtual_time
async def test_a_stopped_exposure_delivers_its_image_at_once(version: int) -> None:
    simulated = virtual(interface_version=version, readout_time=0.0)
    async with SimulatorServer([simulated]) as server, AsyncCamera(server.address) as camera:
        task = asyncio.create_task(camera.expose(300))
        await asyncio.sleep(20.3)
        await camera.stop_exposure()
        image = await task
        assert now() == 20.3
    assert image.exposure.duration == 300
    assert image.exposure.stopped_after == pytest.approx(20.3)
    assert image.exposure.last_exposure_duration == pytest.approx(20.3)
    assert simulated.count("abortexposure") == 0


@pytest.mark.parametrize("moment", [0.05, 0.2, 30.0, 61.0], ids=str)
@in_virtual_time
async def test_an_abort_by_another_task_ends_the_wait_at_once(moment: float) -> None:
    simulated = virtual(image_delay=300.0)
    async with SimulatorServer([simulated]) as server, AsyncCamera(server.address) as camera:
        exposing = asyncio.create_task(camera.expose(60))
        waiting = asyncio.create_task(camera.wait_image_ready())
        await asyncio.sleep(moment)
        await camera.abort_exposure()
        ends = await asyncio.gather(exposing, waiting, return_exceptions=True)
        assert now() == moment
    assert [type(end).__name__ for end in ends] == ["ExposureAborted", "ExposureAborted"]
    assert "camera/0/imageready: the exposure was aborted" in str(ends[0])
    assert simulated.count("abortexposure") == 1


@pytest.mark.parametrize("moment", [0.0, 0.05, 0.2, 1.0, 30.0, 60.1, 61.5], ids=str)
@in_virtual_time
async def test_cancelling_takes_no_time(moment: float) -> None:
    simulated = virtual(readout_time=2.0)
    async with SimulatorServer([simulated]) as server, AsyncCamera(server.address) as camera:
        await camera.get_settings()
        task = asyncio.create_task(camera.expose(60))
        await asyncio.sleep(moment)
        task.cancel()
        await asyncio.wait([task])
        assert now() == moment
    assert simulated.count("abortexposure") == simulated.count("startexposure")


@pytest.mark.parametrize("version", [3, 4])
@in_virtual_time
async def test_an_exposure_that_another_client_stops_is_not_idle_without_an_image(
    version: int,
) -> None:
    simulated = virtual(interface_version=version, readout_time=0.0)
    async with SimulatorServer([simulated]) as server, AsyncCamera(server.address) as camera:
        task = asyncio.create_task(camera.expose(60, progress=lambda _: None))
        await asyncio.sleep(20)
        async with AsyncCamera(server.address) as other:
            await other.stop_exposure()
        assert (await task).data.shape == (24, 32)
    assert simulated.count("abortexposure") == 0


@in_virtual_time
async def test_an_abort_before_the_start_is_answered_ends_the_exposure() -> None:
    replies = Forgiving(exposing(startexposure=after(5.0, value(None))))
    async with ScriptedServer(replies) as server, AsyncCamera(server.address) as camera:
        task = asyncio.create_task(camera.expose(30))
        await asyncio.sleep(1)
        await camera.abort_exposure()
        with pytest.raises(ExposureAborted, match="startexposure"):
            await task
        assert now() == pytest.approx(5.0)
    assert server.count("abortexposure") == 2


@in_virtual_time
async def test_a_refused_abort_does_not_end_the_wait() -> None:
    simulated = virtual()
    simulated.refuse("abortexposure")
    async with SimulatorServer([simulated]) as server, AsyncCamera(server.address) as camera:
        task = asyncio.create_task(camera.expose(30))
        await asyncio.sleep(10)
        with pytest.raises(AscomError):
            await camera.abort_exposure()
        assert (await task).data.shape == (24, 32)


@pytest.mark.parametrize("again", [value(None), ascom_error(0x40B, "idle")])
@in_virtual_time
async def test_a_stop_before_the_start_is_answered_is_repeated(again: bytes) -> None:
    stops = iter([value(None), again])
    replies = exposing(startexposure=after(0.3, value(None)), stopexposure=lambda _: next(stops))
    async with ScriptedServer(Forgiving(replies)) as server, AsyncCamera(server.address) as camera:
        task = asyncio.create_task(camera.expose(30))
        await asyncio.sleep(0.1)
        await camera.stop_exposure()
        image = await task
        assert now() < 1
    assert image.exposure.stopped_after == 0.0
    assert (server.count("stopexposure"), server.count("abortexposure")) == (2, 0)


# sleep of the computer


@pytest.mark.parametrize("watched", [True, False])
@pytest.mark.parametrize(("slept", "late"), [(3600.0, 1.0), (10.0, 50.0), (1.5, 57.0)])
@in_virtual_time
async def test_a_computer_that_wakes_up_finds_the_image(
    watched: bool, slept: float, late: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clocks of the system and the camera go on meanwhile; that of the loop does not."""
    loop, away = asyncio.get_running_loop(), [0.0]
    monkeypatch.setattr(clock_module, "time", SimpleNamespace(time=lambda: loop.time() + away[0]))
    simulated = SimulatedCamera(
        width=32,
        height=24,
        readout_time=0.0,
        initially_connected=True,
        clock=lambda: loop.time() + away[0],
    )
    async with SimulatorServer([simulated]) as server, AsyncCamera(server.address) as camera:
        progress: Callable[[Progress], None] | None = (lambda _: None) if watched else None
        task = asyncio.create_task(camera.expose(60, progress=progress))
        await asyncio.sleep(2.5)
        away[0] = slept
        await task
        assert now() - 2.5 <= late + 1
        assert now() + slept >= 60

"""What is known of an exposure, when, and what it costs to find out."""

from __future__ import annotations

import asyncio
import time
from dataclasses import fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from alpaca_async import AlpacaClient, AsyncCamera, CameraInfo, CameraSettings
from alpaca_async._device import known_facts
from alpaca_async._device.cached_facts import READ_EACH_TIME
from alpaca_async._workflows import exposure_facts
from tests.conditions import until
from tests.link import Link
from tests.scripted import Request, ScriptedServer, ascom_error, http, value
from tests.virtual_time import in_virtual_time, now

from .test_exposure import Forgiving, exposing

if TYPE_CHECKING:
    from collections.abc import Callable

    from alpaca_async import Exposure, Image
    from tests.scripted import Answer, Reply

POLLS = {"devicestate", "imageready", "camerastate", "interfaceversion"}
NO_FACTS = POLLS | {"startexposure", "abortexposure", "imagearray"}


async def silence(_: Request) -> bytes:
    await asyncio.sleep(1000)
    return b""


def facts_of(image: Image[Exposure]) -> Exposure:
    return image.exposure


class Facts(Forgiving):
    """A camera with an image at once, whose facts have the values given by a test."""

    def __init__(self, **replies: Reply) -> None:
        super().__init__(exposing(binx=value(1), biny=value(1), numx=value(3), numy=value(7)))
        self.update(replies)


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Advance the clock of the pauses before members are asked again."""
    passed = 0.0

    def advance(seconds: float) -> None:
        nonlocal passed
        passed += seconds

    monkeypatch.setattr(known_facts, "monotonic", lambda: time.monotonic() + passed)
    return advance


# what failed is not known


async def test_only_answers_are_remembered(client: AlpacaClient) -> None:
    gains = iter([ascom_error(0x500, "USB is slow"), http(b"<html>"), value(7)])
    async with ScriptedServer(Facts(gain=lambda _: next(gains))) as server:
        camera = client.camera(server.address)
        found = [(await camera.get_settings()).gain for _ in range(4)]
        assert found == [None, None, 7, 7]
        assert server.count("binx") == server.count("electronsperadu") == 1


async def test_a_setting_that_failed_once_is_in_the_headers_of_later_images(
    client: AlpacaClient, later: Callable[[float], None]
) -> None:
    failure = ascom_error(0x500, "USB is slow")
    failures = {"gain": failure, "electronsperadu": failure, "sensorname": http(b"<html>")}
    answers = {"gain": value(5), "electronsperadu": value(0.8), "sensorname": value("IMX455")}

    def answer(request: Request) -> bytes:
        return failures.pop(request.member, answers[request.member])

    async with ScriptedServer(Facts(**dict.fromkeys(answers, answer))) as server:
        camera = client.camera(server.address)
        assert facts_of(await camera.expose(0.01)).settings.gain is None
        assert facts_of(await camera.expose(0.01)).settings.gain == 5
        assert server.count("electronsperadu") == 1
        later(10.0)
        await camera.expose(0.01)
        await until(lambda: not camera._record.other_facts - READ_EACH_TIME)
        last = facts_of(await camera.expose(0.01))
    assert (last.settings.gain, last.settings.electrons_per_adu) == (5, 0.8)
    assert last.info.sensor_name == "IMX455"


async def test_a_fact_that_hangs_costs_one_image_its_grace(
    client: AlpacaClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(exposure_facts, "_CAMERA_GRACE", 0.1)
    caplog.set_level("INFO", "alpaca_async")
    replies = Facts(electronsperadu=silence, readoutmode=value(1), maxadu=value(4095))
    async with ScriptedServer(replies) as server:
        camera = client.camera(server.address)
        for _ in range(4):
            exposure = facts_of(await camera.expose(0.01))
        assert caplog.text.count("in the header of a later image") == 1
        assert server.count("electronsperadu") == 1
        await until(lambda: not camera._record.other_facts - READ_EACH_TIME - {"electrons_per_adu"})
        exposure = facts_of(await camera.expose(0.01))
        assert (exposure.settings.bin_x, exposure.settings.readout_mode) == (1, 1)
        assert exposure.info.max_adu == 4095
        assert exposure.settings.electrons_per_adu is None


@pytest.mark.parametrize("member", ["gain", "lastexposureduration", "ccdtemperature"])
async def test_a_fact_of_each_exposure_that_hangs_costs_one_image_its_grace(
    member: str,
    client: AlpacaClient,
    monkeypatch: pytest.MonkeyPatch,
    later: Callable[[float], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(exposure_facts, "_GRACE", 0.1)
    async with ScriptedServer(Facts(**{member: silence})) as server:
        camera = client.camera(server.address)
        for _ in range(4):
            await camera.expose(0.01)
        assert server.count(member) == caplog.text.count("too late") == 1
        later(10.0)
        server.replies[member] = value(3)
        exposure = facts_of(await camera.expose(0.01))
        assert server.count(member) == 2
    found = (
        exposure.settings.gain,
        exposure.last_exposure_duration,
        exposure.ccd_temperature,
    )
    assert 3 in found


async def test_a_fact_that_goes_on_failing_is_asked_for_less_and_less_often(
    client: AlpacaClient, later: Callable[[float], None]
) -> None:
    failure = ascom_error(0x500, "USB is slow")
    async with ScriptedServer(Facts(electronsperadu=failure)) as server:
        camera = client.camera(server.address)
        asked: list[int] = []
        for second in range(0, 100, 10):
            await camera.expose(0.01)
            await until(lambda: not camera._record.other_facts - READ_EACH_TIME)
            if server.count("electronsperadu") > len(asked):
                asked.append(second)
            later(10.0)
    assert asked == [0, 10, 30, 70]


# facts do not delay images


async def test_what_is_late_for_one_image_is_in_the_header_of_the_next(
    client: AlpacaClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exposure_facts, "_CAMERA_GRACE", 0.0)
    answered = asyncio.Event()

    async def slow(_: Request) -> bytes:
        await answered.wait()
        return value("IMX455")

    async with ScriptedServer(Facts(sensorname=slow)) as server:
        camera = client.camera(server.address)
        assert facts_of(await camera.expose(0.01)).info.sensor_name is None
        await until(lambda: server.count("sensorname"))
        answered.set()
        await until(lambda: not camera._record.info.unknown)
        assert facts_of(await camera.expose(0.01)).info.sensor_name == "IMX455"
    assert server.count("sensorname") == 1


@pytest.mark.parametrize("connections", [1, 2, 4])
async def test_facts_leave_a_connection_for_what_cannot_wait(connections: int) -> None:
    pending: list[str] = []

    class Held(dict[str, "Reply"]):
        def __missing__(self, _: str) -> Reply:
            async def hold(request: Request) -> bytes:
                pending.append(request.member)
                return await silence(request)

            return hold

    replies = Held(exposing(interfaceversion=value(3), imageready=value(False)))
    async with (
        ScriptedServer(replies) as server,
        AlpacaClient(connections_per_server=connections) as client,
    ):
        camera = client.camera(server.address)
        reading = asyncio.create_task(camera.get_settings())
        also = asyncio.create_task(client.camera(server.address, 1).get_info())
        await until(lambda: len(pending) >= max(connections - 1, 1))
        if connections > 1:
            await camera.start_exposure(10)
            assert not await camera.get_image_ready()
            await camera.abort_exposure()
            assert len(pending) == connections - 1
        reading.cancel()
        also.cancel()
        await asyncio.wait([reading, also])


async def test_closing_the_client_ends_the_reading_of_late_facts(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "alpaca_async")
    monkeypatch.setattr(exposure_facts, "_CAMERA_GRACE", 0.05)
    async with ScriptedServer(Facts(sensorname=silence, electronsperadu=silence)) as server:
        before = asyncio.all_tasks()
        async with AlpacaClient() as client:
            await client.camera(server.address).expose(0.01)
            reading = {task for task in asyncio.all_tasks() - before if "FactReader" in repr(task)}
            assert reading
        assert all(task.done() for task in reading)
        assert not any(task.exception() for task in reading)
    assert "still unknown" not in caplog.text  # they ended before their connections did


async def test_an_exposure_that_ends_early_ends_the_reading_of_its_facts(
    client: AlpacaClient,
) -> None:
    replies = Facts(gain=silence, imagearray=ascom_error(0x500, "no image"))
    async with ScriptedServer(replies) as server:
        camera = client.camera(server.address)
        with pytest.raises(Exception, match="no image"):
            await camera.expose(0.05)
        await until(lambda: not camera._record.awaited_facts - READ_EACH_TIME)
        await asyncio.sleep(0)
        assert not [task for task in asyncio.all_tasks() if "ExposureFacts" in repr(task)]
    assert server.count("gain") == 1


async def test_a_second_download_reads_what_the_first_one_interrupted(
    client: AlpacaClient,
) -> None:
    began = asyncio.Event()

    async def slow_time(_: Request) -> bytes:
        began.set()
        return await silence(_)

    async def broken_image(_: Request) -> bytes:
        await began.wait()
        return ascom_error(0x500, "USB")

    images: list[Reply] = [broken_image, exposing()["imagearray"]]
    times: list[Reply] = [slow_time, value("2026-03-01T12:00:00")]

    def next_of(replies: list[Reply]) -> Callable[[Request], Answer]:
        def answer(request: Request) -> Answer:
            reply = replies.pop(0)
            return reply if isinstance(reply, bytes) else reply(request)

        return answer

    replies = Facts(imagearray=next_of(images), lastexposurestarttime=next_of(times))
    async with ScriptedServer(replies) as server:
        async with client.camera(server.address).exposures(0.01, count=1, retries=1) as stream:
            (image,) = [image async for image in stream]
    assert facts_of(image).last_exposure_start_time == "2026-03-01T12:00:00"
    assert server.count("startexposure") == 1


@in_virtual_time
async def test_a_gain_that_is_not_answered_is_the_last_known_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    replies = Facts(gain=value(7))
    async with ScriptedServer(replies) as server, AsyncCamera(server.address) as camera:
        await camera.expose(0.01)
        replies["gain"] = silence
        lost = await camera.expose(0.01)
        not_asked = await camera.expose(0.01)
    assert facts_of(lost).settings.gain == facts_of(not_asked).settings.gain == 7
    assert "gain could not be read: the image has the last known value, 7" in caplog.text


@in_virtual_time
async def test_a_gain_that_was_set_and_is_not_answered_is_that_one() -> None:
    replies = Facts(gain=lambda request: value(7) if request.verb == "PUT" else silence(request))
    async with ScriptedServer(replies) as server, AsyncCamera(server.address) as camera:
        await camera.set_gain(7)
        assert facts_of(await camera.expose(0.01)).settings.gain == 7


@in_virtual_time
async def test_a_gain_that_is_unknown_is_missing_and_that_is_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with ScriptedServer(Facts(gain=silence)) as server, AsyncCamera(server.address) as camera:
        assert facts_of(await camera.expose(0.01)).settings.gain is None
    assert "gain could not be read: the image has no GAIN" in caplog.text


async def test_zeros_of_a_clock_that_has_shown_milliseconds_are_milliseconds(
    client: AlpacaClient, caplog: pytest.LogCaptureFixture
) -> None:
    times = [datetime.now(UTC).replace(microsecond=thousands) for thousands in (250_000, 0)]
    replies = iter([value(time.isoformat(timespec="milliseconds")) for time in times])
    async with ScriptedServer(Facts(lastexposurestarttime=lambda _: next(replies))) as server:
        camera = client.camera(server.address)
        images = [await camera.expose(0.01) for _ in times]
    assert [facts_of(image).start_decimals for image in images] == [3, 3]
    assert "no fraction" not in caplog.text


TEXTS = dict.fromkeys(("name", "sensorname", "driverversion"), "a text")
OTHERS: dict[str, Any] = {
    "interfaceversion": 4,
    "exposuremin": 0.001,
    "exposuremax": 3600.0,
    "numx": 3,
    "numy": 7,
    "readoutmodes": ["Fast"],
    "configureddevices": [],
    "lastexposurestarttime": "2026-03-01T12:00:00",
    "devicestate": [
        {"Name": "CameraState", "Value": 0},
        {"Name": "ImageReady", "Value": True},
        {"Name": "CCDTemperature", "Value": -10.0},
        {"Name": "CoolerPower", "Value": 40.0},
    ],
}


class Complete(dict[str, "Reply"]):
    """A camera that has every member."""

    def __init__(self) -> None:
        super().__init__(startexposure=value(None), imagearray=exposing()["imagearray"])

    def __missing__(self, member: str) -> Reply:
        return value((TEXTS | OTHERS).get(member, 1))


class Exposed(Complete):
    """A camera whose image is ready when its exposure is over; `state` is what DeviceState has.

    None stands for a camera that is older than Platform 7.
    """

    def __init__(self, state: tuple[str, ...] | None, readout: float) -> None:
        super().__init__()
        self._due = 0.0
        self._readout = readout
        self._state = state
        self["startexposure"] = self._start
        self["imageready"] = lambda _: value(now() >= self._due)
        self["devicestate"] = lambda _: self._status()
        if state is None:
            self["interfaceversion"] = value(3)

    def _start(self, request: Request) -> bytes:
        self._due = now() + float(request.parameters["Duration"]) + self._readout
        return value(None)

    def _status(self) -> bytes:
        if self._state is None:
            return ascom_error(0x400, "DeviceState is of Platform 7")
        members = [{"Name": "ImageReady", "Value": now() >= self._due}]
        return value([*members, *({"Name": name, "Value": 40.0} for name in self._state)])


CAMERAS = [
    pytest.param(("CCDTemperature", "CoolerPower"), id="Platform 7"),
    pytest.param((), id="without temperature"),
    pytest.param(None, id="older"),
]


@pytest.mark.parametrize("state", CAMERAS)
@pytest.mark.parametrize(
    ("duration", "readout"), [(0.1, 0.0), (0.4, 0.0), (0.5, 0.1), (1.0, 0.0), (0.1, 1.0)]
)
@in_virtual_time
async def test_a_link_of_300_ms_delays_no_image_by_facts(
    duration: float, readout: float, state: tuple[str, ...] | None
) -> None:
    """Each later image takes three round trips: StartExposure, a poll, the image.

    A long readout may be over just after a poll: the next one is a round trip later.
    """
    late = 0.3 if readout > 0.5 else 0.0
    took: list[float] = []
    unknown: list[int] = []
    async with (
        ScriptedServer(Exposed(state, readout)) as server,
        Link(server.address, 0.3) as link,
        AsyncCamera(link.address) as camera,
    ):
        while not unknown or unknown[-1]:
            begun = now()
            await camera.expose(duration)
            took.append(now() - begun)
            unknown.append(len(camera._record._unknown))
        last = facts_of(await camera.expose(duration))
    assert took[0] <= duration + readout + 1.9, took
    assert max(took[1:]) <= duration + readout + 0.91 + late, took
    assert unknown == sorted(set(unknown), reverse=True)  # there is progress by each exposure
    assert len(unknown) <= 20
    assert None not in (last.last_exposure_duration, last.cooler_power)


@in_virtual_time
async def test_the_temperature_comes_with_the_poll_where_it_can() -> None:
    async with ScriptedServer(Complete()) as server, AsyncCamera(server.address) as camera:
        exposure = facts_of(await camera.expose(1.0))
    assert (exposure.ccd_temperature, exposure.cooler_power) == (-10.0, 40.0)
    assert server.count("ccdtemperature") == server.count("coolerpower") == 0


def test_every_fact_has_a_reader() -> None:
    names = {field.name for kind in (CameraInfo, CameraSettings) for field in fields(kind)}
    camera = AlpacaClient().camera("127.0.0.1:1")
    assert camera._info_readers().keys() | camera._settings_readers().keys() == names

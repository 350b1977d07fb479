"""Several objects of one client that stand for the same camera share what is known of it."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import pytest

from alpaca_async import (
    AlpacaClient,
    AlpacaError,
    ExposureAborted,
    InvalidOperationException,
)
from alpaca_async._device.exposure_log import ExposureLog
from alpaca_async._device.record import DeviceRecord
from alpaca_async._fits.header_source import HeaderReader
from alpaca_async._protocol.pixeltype import AS_SENT
from alpaca_async._workflows.exposure import ExposureOrder
from alpaca_async.testing import SimulatedCamera, SimulatorServer
from tests.conditions import until
from tests.scripted import ScriptedServer, value
from tests.workflows.test_exposure import Forgiving, exposing

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable

    from alpaca_async import AsyncCamera
    from alpaca_async._device.exposure_log import StartedExposure
    from tests.scripted import Reply


@pytest.fixture
def simulated() -> SimulatedCamera:
    return SimulatedCamera(
        width=32, height=24, readout_time=0.02, connect_time=0.0, initially_connected=True
    )


@pytest.fixture
async def other(server: SimulatorServer, client: AlpacaClient) -> AsyncCamera:
    """A second object for the same camera."""
    return client.camera(server.address)


async def test_an_exposure_that_another_object_aborts_never_returns_anothers_pixels(
    camera: AsyncCamera, other: AsyncCamera, simulated: SimulatedCamera
) -> None:
    first = asyncio.create_task(camera.expose(60))
    await until(lambda: simulated.count("startexposure", "PUT"))
    await other.abort_exposure()
    image = await other.expose(0.05)
    with pytest.raises(ExposureAborted, match="was aborted"):
        await first
    assert image.exposure.last_exposure_duration == pytest.approx(0.05)
    assert simulated.count("abortexposure", "PUT") == 1


async def test_an_exposure_that_another_start_replaces_ends(client: AlpacaClient) -> None:
    replies: dict[str, Reply] = {
        "interfaceversion": value(3),
        "startexposure": value(None),
        "camerastate": value(2),
        "imageready": value(False),
    }
    async with ScriptedServer(replies) as server:
        first = asyncio.create_task(client.camera(server.address).expose(0.05))
        await until(lambda: server.count("startexposure"))
        await client.camera(server.address).start_exposure(60)
        with pytest.raises(ExposureAborted, match="another exposure was started before"):
            await first
        sent = [request.member for request in server.requests if request.verb == "PUT"]
    assert sent == ["startexposure", "startexposure"]


async def test_an_exposure_that_is_replaced_before_its_image_is_fetched_has_no_image(
    client: AlpacaClient,
) -> None:
    async with ScriptedServer(Forgiving(exposing())) as server:
        camera = client.camera(server.address)
        order = ExposureOrder(
            duration=0.01, light=True, ready_timeout=60, progress=None, keywords=HeaderReader(None)
        )
        taken = await camera._take(order)
        await client.camera(server.address).start_exposure(60)
        with pytest.raises(ExposureAborted, match="another exposure was started before"):
            await camera._fetch(taken, AS_SENT, contiguous=True)
    assert not server.count("imagearray")
    assert not server.count("abortexposure")


async def test_a_start_that_is_refused_replaces_nothing(
    camera: AsyncCamera, other: AsyncCamera, simulated: SimulatedCamera
) -> None:
    first = asyncio.create_task(camera.expose(0.3))
    await until(lambda: simulated.count("startexposure", "PUT"))
    with pytest.raises(InvalidOperationException):
        await other.expose(0.1)
    assert (await first).exposure is not None
    assert not simulated.count("abortexposure", "PUT")


async def test_an_exposure_whose_image_was_fetched_is_over(
    camera: AsyncCamera, simulated: SimulatedCamera
) -> None:
    await camera.expose(0.01)
    assert camera._record.exposures.latest is None
    await camera.abort_exposure()
    assert camera._record.exposures.stale_image_due == -float("inf")


async def test_an_exposure_whose_download_failed_is_over(client: AlpacaClient) -> None:
    replies = {
        "interfaceversion": value(3),
        "startexposure": value(None),
        "camerastate": value(0),
        "imageready": value(True),
        "imagearray": value(None),
    }
    async with ScriptedServer(dict(replies)) as server:
        camera = client.camera(server.address)
        with pytest.raises(AlpacaError):
            await camera.expose(0.01)
    assert camera._record.exposures.latest is None


async def test_what_one_object_sets_is_known_to_the_other(
    camera: AsyncCamera, other: AsyncCamera
) -> None:
    before = await camera.get_settings()
    assert await other.get_settings() is before
    await other.set_gain(200)
    await other.set_frame(bin_x=2, bin_y=2)
    settings = await camera.get_settings()
    assert (settings.gain, settings.bin_x) == (200, 2)
    assert await camera.get_info() is await other.get_info()


async def test_objects_of_other_clients_and_of_other_cameras_share_nothing(
    server: SimulatorServer, camera: AsyncCamera, client: AlpacaClient
) -> None:
    await camera.get_settings()
    async with AlpacaClient() as stranger:
        assert stranger.camera(server.address)._record is not camera._record
    assert client.camera(server.address, 1)._record is not camera._record
    assert client.camera(server.address)._record is camera._record


async def test_a_record_is_kept_for_as_long_as_an_object_needs_it(client: AlpacaClient) -> None:
    for number in range(100):
        client.camera("127.0.0.1:9", number)
    assert len(client._shared) <= 1


async def test_a_camera_of_a_client_closes_no_connections(
    server: SimulatorServer, client: AlpacaClient
) -> None:
    async with client.camera(server.address) as borrowed:
        await borrowed.get_name()
    assert await borrowed.get_name()


async def test_a_camera_that_is_found_where_it_was_keeps_what_is_known(
    server: SimulatorServer, client: AlpacaClient
) -> None:
    camera = client.camera(server.address)
    info = await camera.get_info()
    camera._move_to(camera.server, camera.device_number)
    assert await camera.get_info() is info


async def test_facts_of_the_former_address_are_no_longer_read(
    server: SimulatorServer, camera: AsyncCamera
) -> None:
    source = camera._fact_source()
    camera._move_to("http://127.0.0.1:9", 0)
    assert await source.read("gain") is False
    assert not camera._record.retry_pauses.has_failed("gain")


async def test_objects_share_one_attempt_to_connect(client: AlpacaClient) -> None:
    simulated = SimulatedCamera(width=32, height=24, connect_time=0.1)
    async with SimulatorServer([simulated]) as server:
        cameras = [client.camera(server.address) for _ in range(5)]
        await asyncio.gather(*(each.connect() for each in cameras))
    assert simulated.count("connect", "PUT") == 1


def test_a_restart_is_seen_in_numbers_that_begin_anew() -> None:
    record = DeviceRecord()
    for number in (1000, 1001, 999, 0, 1002):
        record.answered(number)
    assert record.restarts == 0
    record.answered(3)
    assert record.restarts == 1


def record_with_facts() -> DeviceRecord:
    record = DeviceRecord()
    record.info.add("name", "ours", record.info.version)
    record.settings.add("gain", 7, record.settings.version)
    record.has_device_state = True
    record.missing_members = frozenset({"cooler_on"})
    return record


def known_facts(record: DeviceRecord) -> tuple[object, ...]:
    info, settings = record.info.known, record.settings.known
    return (info.name, settings.gain, record.has_device_state, record.missing_members)


KNOWN = ("ours", 7, True, frozenset({"cooler_on"}))
NO_SETTINGS = ("ours", None, True, frozenset({"cooler_on"}))
NOTHING = (None, None, None, frozenset[str]())


@pytest.mark.parametrize(
    ("last", "number", "restarts"),
    [(1000, 500, 0), (1000, 499, 1), (0, 1, 0), (3, 1, 0), (4, 1, 1), (1000, 0, 0), (1, 1000, 0)],
)
def test_a_number_below_half_of_the_last_one_is_a_restart(
    last: int, number: int, restarts: int
) -> None:
    record = record_with_facts()
    record.answered(last)
    record.answered(number)
    assert record.restarts == restarts
    assert known_facts(record) == (NOTHING if restarts else KNOWN)


@pytest.mark.parametrize(
    ("member", "known"),
    [
        *[(member, NOTHING) for member in ("Connect", "Disconnect", "Connected")],
        *[(m, KNOWN) for m in ("StartExposure", "StopExposure", "AbortExposure", "PulseGuide")],
        *[(member, NO_SETTINGS) for member in ("Gain", "BinX", "Action", "SetCCDTemperature")],
    ],
)
def test_a_command_makes_forget_what_it_may_have_changed(
    member: str, known: tuple[object, ...]
) -> None:
    record = record_with_facts()
    record.command_sent(member)
    assert known_facts(record) == known


def test_a_device_that_has_moved_keeps_what_is_still_valid() -> None:
    former, record = record_with_facts(), record_with_facts()
    former.set_values, record.set_values = {"Gain": 7, "BinX": 2}, {"Gain": 1, "NumX": 9}
    assert former.is_first_warning("clock")
    assert record.is_first_warning("signs")
    record.adopt(former)
    assert record.set_values == {"Gain": 7, "BinX": 2, "NumX": 9}
    assert record.exposures is former.exposures
    assert record.deliveries is former.deliveries
    assert record.warnings == {"clock", "signs"}
    assert known_facts(record) == NOTHING


def test_each_topic_has_one_first_warning() -> None:
    record = DeviceRecord()
    firsts = [record.is_first_warning(topic) for topic in ("clock", "signs", "clock", "signs")]
    assert firsts == [True, True, False, False]


def test_an_abort_ends_all_exposures_that_may_run_and_none_that_begins_later() -> None:
    log = ExposureLog()
    first, second = log.start(0.0, 10.0), log.start(0.0, 12.0)
    ended = log.abort()
    later = log.start(0.0, 99.0)
    log.aborted(ended)
    assert [each.aborted for each in (first, second, later)] == [True, True, False]
    assert log.stale_image_due == 12.0
    assert log.latest is later


def test_an_abort_of_an_idle_camera_leaves_no_stale_image() -> None:
    log = ExposureLog()
    exposure = log.start(0.0, 10.0)
    log.started(exposure, 0.1)
    log.ended(exposure)
    log.aborted(log.abort())
    assert log.stale_image_due == -float("inf")
    assert not exposure.aborted


def test_no_exposure_is_lost_that_several_threads_record_at_once(often_switching: None) -> None:
    log = ExposureLog()
    others = [log.start(0.0, 10.0) for _ in range(50)]

    def expose() -> None:
        for _ in range(4000):
            exposure = log.start(0.0, 1.0)
            assert exposure in log.abort()
            log.ended(exposure)

    with ThreadPoolExecutor(2) as threads:
        for running in [threads.submit(expose) for _ in range(2)]:
            running.result()
    assert list(log.abort()) == others


@dataclass(eq=False)
class WaiterElsewhere:
    """Waits in the event loop of another thread, which is busy when it is told something."""

    exposure: StartedExposure | None
    calls: list[Callable[[], object]] = field(default_factory=list["Callable[[], object]"])
    aborted: bool = False

    def __post_init__(self) -> None:
        self.loop = cast("AbstractEventLoop", self)

    def call_soon_threadsafe(self, callback: Callable[[], object]) -> None:
        self.calls.append(callback)

    def abort(self) -> None:
        self.aborted = True

    def stop(self) -> None: ...


@pytest.mark.parametrize("has_left", [False, True])
def test_a_wait_that_ends_before_it_hears_of_an_abort_is_not_told(has_left: bool) -> None:
    log = ExposureLog()
    waiter = WaiterElsewhere(log.start(0.0, 10.0))
    log.join(waiter)
    log.aborted(log.abort())
    if has_left:
        log.leave(waiter)
    for call in waiter.calls:
        call()
    assert waiter.aborted is not has_left


def test_the_first_stop_is_the_one_that_ended_the_exposure() -> None:
    log = ExposureLog()
    exposure = log.start(100.0, 60.0)
    assert (exposure.stopped, exposure.stopped_after(0.5)) == (False, None)
    log.stopped(log.stop(), 107.0)
    log.stopped(log.stop(), 120.0)
    assert (exposure.stopped, exposure.stopped_after(0.5)) == (True, 6.5)
    assert exposure.stopped_after(8.0) == 0.0


def test_a_warning_is_the_first_one_once_for_each_topic_also_at_a_new_address() -> None:
    record, moved = DeviceRecord(), DeviceRecord()
    assert [record.is_first_warning(topic) for topic in "aba"] == [True, True, False]
    moved.adopt(record)
    assert [moved.is_first_warning(topic) for topic in "abc"] == [False, False, True]

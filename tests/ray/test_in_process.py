"""Cameras on workers that are not processes: what each call returns, and how a loss is handled."""

from __future__ import annotations

import asyncio
import gc
import logging
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from unittest.mock import Mock

import pytest

from alpaca_async import (
    AlpacaError,
    CameraAddress,
    CameraStates,
    CoolingPace,
    DriverException,
    ExposureRequest,
    HostLost,
    Image,
    OperationTimeout,
    Progress,
    TransportError,
    UnexpectedError,
)
from alpaca_async.ray import CameraHost, CameraHosts, _cluster
from alpaca_async.ray import _remote as remote_module
from alpaca_async.ray import _round as round_module
from alpaca_async.ray import _worker as worker_module
from alpaca_async.testing import SimulatedCamera, SimulatorServer
from tests.conditions import until

from .in_process import ActorDiedError, InProcessRay, install
from .test_hosts import SHORT, errors, exposing, starts

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

pytestmark = pytest.mark.usefixtures("ray")


@pytest.fixture
async def ray(monkeypatch: pytest.MonkeyPatch) -> InProcessRay:
    return install(monkeypatch)


@pytest.fixture
async def server() -> AsyncIterator[SimulatorServer]:
    """Four cameras."""
    cameras = [SimulatedCamera(width=64, height=48, readout_time=0.0) for _ in range(4)]
    async with SimulatorServer(cameras) as running:
        yield running


def two_hosts(server: SimulatorServer) -> list[CameraHost]:
    """One worker with the cameras 1 and 0, one with 3 and 2."""
    return [
        CameraHost([CameraAddress(server.address, n) for n in numbers], resource="dome")
        for numbers in ((1, 0), (3, 2))
    ]


@asynccontextmanager
async def connected(server: SimulatorServer, *, max_images: int = 2) -> AsyncGenerator[CameraHosts]:
    async with CameraHosts(two_hosts(server), max_images=max_images) as cameras:
        assert errors(await cameras.connect()) == {}
        yield cameras


async def number_of(camera: CameraAddress, _: Image) -> int:
    return camera.device_number


async def fail(_: CameraAddress, __: Image) -> None:
    raise OSError("disk full")


async def test_outcomes_are_in_the_order_of_the_caller(
    server: SimulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(round_module, "_CALLS_AT_ONCE", 2)
    async with connected(server) as cameras:
        assert [each.device_number for each in cameras.cameras] == [1, 0, 3, 2]
        images = await cameras.expose_all([0.04, 0.03, 0.02, 0.01])
        outcomes = await cameras.expose(SHORT, then=number_of)
        picture = await images[2].get()
    assert [each.device_number for each in images] == [1, 0, 3, 2]
    assert [each.result for each in outcomes] == [1, 0, 3, 2]
    assert [each.image for each in outcomes] == [None] * 4
    assert picture.metadata == images[2].metadata
    assert picture.exposure == images[2].exposure
    assert [each.exposure.duration for each in images] == [0.04, 0.03, 0.02, 0.01]
    assert images[0].server == f"http://{server.address}"
    assert starts(server) == [2] * 4


async def test_outcomes_are_yielded_as_soon_as_they_are_known(server: SimulatorServer) -> None:
    looked_at = [asyncio.Event() for _ in server.cameras]

    async def look(camera: CameraAddress, _: Image) -> None:
        await looked_at[camera.device_number].wait()

    async with connected(server) as cameras:
        async with cameras.outcomes([SHORT, SHORT, SHORT, 60], then=look) as outcomes:
            for number in (3, 0, 1):
                looked_at[number].set()
                assert (await anext(outcomes)).device_number == number
            await until(exposing(server, [2]))
    assert [camera.count("abortexposure") for camera in server.cameras] == [0, 0, 1, 0]


async def test_rounds_of_a_sequence(server: SimulatorServer) -> None:
    async with connected(server) as cameras:
        async with cameras.exposures(SHORT, count=3, then=number_of) as rounds:
            results = [[each.result for each in outcomes] async for outcomes in rounds]
    assert results == [[1, 0, 3, 2]] * 3


async def test_an_error_costs_its_camera_only(server: SimulatorServer) -> None:
    server.cameras[3].fail_exposure("shutter stuck")
    async with connected(server) as cameras:
        outcomes = await cameras.expose(SHORT)
        failed = await cameras.expose(SHORT, then=fail)
    assert list(errors(outcomes)) == [3]
    assert isinstance(errors(outcomes)[3], DriverException)
    assert errors(outcomes)[3].member.startswith("camera/3")
    assert all(isinstance(error, UnexpectedError) for error in errors(failed).values())
    assert len(errors(failed)) == 4


async def test_expose_all_starts_nothing_if_one_cannot_be_prepared(server: SimulatorServer) -> None:
    async def prepare() -> None:
        raise OSError("no filter")

    requests = [SHORT] * 3 + [ExposureRequest(SHORT, prepare=prepare)]
    async with connected(server) as cameras:
        with pytest.raises(UnexpectedError, match="no filter"):
            await cameras.expose_all(requests)
        assert starts(server) == [0] * 4
        assert list(errors(await cameras.expose(requests))) == [2]
    assert starts(server) == [1, 1, 0, 1]


async def test_an_error_of_expose_all_aborts_the_others(server: SimulatorServer) -> None:
    server.cameras[2].fail_exposure("shutter stuck")
    async with connected(server) as cameras:
        with pytest.raises(DriverException, match="shutter stuck"):
            await cameras.expose_all([60, 60, 60, SHORT])
        assert all(each.state is not CameraStates.EXPOSING for each in server.cameras)


async def test_cancelling_aborts_every_exposure_once(server: SimulatorServer) -> None:
    async with connected(server) as cameras:
        task = asyncio.create_task(cameras.expose(60))
        await until(exposing(server))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert {camera.state for camera in server.cameras} == {CameraStates.IDLE}
        assert errors(await cameras.expose(SHORT)) == {}
    assert [camera.count("abortexposure") for camera in server.cameras] == [1] * 4


async def test_cancelling_the_preparation_starts_nothing(server: SimulatorServer) -> None:
    preparing = asyncio.Event()

    async def prepare() -> None:
        preparing.set()
        await asyncio.Event().wait()

    async with connected(server) as cameras:
        task = asyncio.create_task(cameras.expose(ExposureRequest(SHORT, prepare=prepare)))
        await preparing.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert errors(await cameras.expose(SHORT)) == {}
    assert starts(server) == [1] * 4


async def test_a_worker_that_dies_costs_its_running_frames(
    server: SimulatorServer, ray: InProcessRay
) -> None:
    async with connected(server) as cameras:
        call = asyncio.create_task(cameras.expose([60, 60, SHORT, SHORT]))
        await until(exposing(server, (0, 1)))
        ray.actors[0].die()
        outcomes = await call
        again = await cameras.expose(SHORT)
    assert sorted(errors(outcomes)) == [0, 1]
    assert str(errors(outcomes)[0]).startswith(
        f"http://{server.address} camera/0: the host is lost: ActorDiedError: The actor died."
    )
    assert errors(again) == {}
    assert starts(server) == [2] * 4


async def test_a_worker_that_dies_between_rounds_costs_nothing(
    server: SimulatorServer, ray: InProcessRay
) -> None:
    async with connected(server) as cameras:
        ray.actors[1].die()
        assert errors(await cameras.expose(SHORT)) == {}
    assert starts(server) == [1] * 4


async def test_a_worker_that_dies_while_it_prepares_prepares_again(
    server: SimulatorServer, ray: InProcessRay
) -> None:
    prepared: list[int] = []

    async def prepare() -> None:
        prepared.append(1)
        if len(prepared) == 1:
            await asyncio.Event().wait()

    async with connected(server) as cameras:
        requests = [ExposureRequest(SHORT, prepare=prepare)] + [SHORT] * 3
        call = asyncio.create_task(cameras.expose(requests))
        await until(lambda: prepared)
        ray.actors[0].die()
        assert errors(await call) == {}
    assert len(prepared) == 2
    assert starts(server) == [1] * 4


async def test_a_worker_that_hangs_is_killed_and_comes_back(
    server: SimulatorServer, ray: InProcessRay, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connected(server) as cameras:
        with monkeypatch.context() as soon:
            soon.setattr(remote_module, "_PING_INTERVAL", 0.05)
            soon.setattr(remote_module, "_PING_LIMIT", 0.2)
            ray.actors[0].hangs = True
            outcomes = await cameras.expose(SHORT)
        again = await cameras.expose(SHORT)
    assert errors(outcomes) == errors(again) == {}
    assert not ray.actors[0].hangs


async def test_a_worker_that_does_not_prepare_in_time_costs_its_cameras(
    server: SimulatorServer, ray: InProcessRay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(round_module, "_GRACE", 0.1)
    async with connected(server) as cameras:
        ray.actors[0].hangs = True
        outcomes = await cameras.expose(SHORT, prepare_timeout=0.1)
        ray.actors[0].hangs = False
    assert sorted(errors(outcomes)) == [0, 1]
    assert all(isinstance(each, OperationTimeout) for each in errors(outcomes).values())
    assert "the host was not prepared within 0.2 s" in str(errors(outcomes)[1])


async def test_a_host_that_does_not_start_costs_its_cameras(
    server: SimulatorServer, ray: InProcessRay
) -> None:
    async with CameraHosts(two_hosts(server)) as cameras:
        ray.actors[0].hangs = True
        outcomes = await cameras.connect(timeout=0.2)
        exposed = await cameras.expose(SHORT, prepare_timeout=0)
    for each in (outcomes, exposed):
        assert sorted(errors(each)) == [0, 1]
        assert isinstance(errors(each)[0], HostLost)
        assert "is there a Ray node with the resource 'dome'?" in str(errors(each)[0])


async def test_exposures_wait_until_images_are_deleted(server: SimulatorServer) -> None:
    async with connected(server, max_images=1) as cameras:
        kept = (await cameras.expose(SHORT))[1].image
        gc.collect()
        refused = await cameras.expose(SHORT, prepare_timeout=0.1)
        gc.collect()
        waiting = asyncio.create_task(cameras.expose(SHORT, prepare_timeout=20))
        await asyncio.sleep(0.05)
        before = starts(server)
        assert kept is not None
        del kept, refused
        gc.collect()
        assert errors(await waiting) == {}
    assert before[0] == 1


async def test_progress_and_statuses_come_from_all_workers(
    server: SimulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "_PROGRESS_INTERVAL", 0.05)
    seen: set[tuple[int, str]] = set()
    watched: set[int] = set()

    def note(camera: CameraAddress, progress: Progress) -> None:
        seen.add((camera.device_number, progress.phase))

    async with connected(server) as cameras:
        assert errors(await cameras.expose(0.4, progress=note)) == {}
        async with cameras.watch(0.05) as statuses:
            async for each in statuses:
                assert each.status is not None
                watched.add(each.device_number)
                if len(watched) == 4:
                    break
    assert {number for number, phase in seen if phase == "exposing"} == {0, 1, 2, 3}


async def test_statuses_tell_of_a_lost_host(server: SimulatorServer, ray: InProcessRay) -> None:
    lost, back = set[int](), set[int]()
    async with connected(server) as cameras, cameras.watch(0.05) as statuses:
        assert (await anext(statuses)).error is None
        ray.actors[0].die()
        async for each in statuses:
            if each.error is not None:
                lost.add(each.device_number)
            elif each.device_number in lost:
                back.add(each.device_number)
            if back == {0, 1}:
                break
    assert lost == {0, 1}


async def test_cameras_are_taken_over_by_a_process_that_was_restarted_while_nothing_ran(
    server: SimulatorServer, ray: InProcessRay
) -> None:
    async with connected(server) as cameras:
        server.cameras[1].start_exposure(60.0, light=True)  # of the process that has died
        ray.actors[0].process = ray.actors[0]._make()
        assert errors(await cameras.expose(SHORT)) == {}


async def test_a_late_reply_of_a_lost_process_does_not_lose_the_next_one(
    server: SimulatorServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    reply: asyncio.Future[tuple[str, float]] = asyncio.get_running_loop().create_future()
    async with connected(server) as cameras:
        worker = cameras._workers[0]
        with monkeypatch.context() as slow:
            slow.setattr(_cluster, "future_of", Mock(return_value=reply))
            measuring = asyncio.create_task(worker.measure_clock())
            await asyncio.sleep(0)
        worker.lose_new_process()
        reply.set_result(("the lost process", 0.0))
        await measuring
        await worker._there.wait()
        await worker.measure_clock()
        assert errors(await cameras.expose(SHORT)) == {}
    assert caplog.text.count("is lost") == 1


@pytest.mark.parametrize(("apart", "warns"), [(5.0, True), (0.0, False)])
async def test_clocks_that_differ_are_warned_of(
    server: SimulatorServer,
    ray: InProcessRay,
    caplog: pytest.LogCaptureFixture,
    apart: float,
    warns: bool,
) -> None:
    async def ping() -> tuple[str, float]:
        return "", datetime.now(UTC).timestamp() + apart

    async with CameraHosts(two_hosts(server)) as cameras:
        ray.actors[1].process.ping = ping
        ray.actors[1].process._process = ""
        await cameras.connect()
        first, last = await cameras.get_clock_offsets()
        with caplog.at_level(logging.WARNING, "alpaca_async"):
            await cameras.expose(SHORT)
            assert "the clocks" not in caplog.text
            await cameras.expose(SHORT, at=datetime.now(UTC) + timedelta(seconds=0.2))
    assert last.offset - first.offset == pytest.approx(apart, abs=0.5)
    assert [len(each.cameras) for each in (first, last)] == [2, 2]
    assert ("the clocks of the hosts differ" in caplog.text) is warns


async def test_all_cameras_are_cooled(server: SimulatorServer) -> None:
    pace = CoolingPace(interval=0.02, settled=0.04)
    async with connected(server) as cameras:
        assert errors(await cameras.cool_to(-5.0, tolerance=100.0, pace=pace)) == {}
        task = asyncio.create_task(cameras.cool_to(-40.0, pace=pace))
        await until(lambda: all(each.get_set_point() == -40.0 for each in server.cameras))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert all(each.get_set_point() > -40.0 for each in server.cameras)


async def test_a_worker_forgets_the_calls_that_have_ended(
    server: SimulatorServer, ray: InProcessRay
) -> None:
    async with connected(server) as cameras:
        ray.actors[0].die()
        assert errors(await cameras.expose(SHORT)) == {}
        assert errors(await cameras.connect()) == {}
        await until(lambda: not any(each.process._tasks for each in ray.actors))
        assert not any(each.process._runs for each in ray.actors)


async def test_all_cameras_are_warmed_up(server: SimulatorServer) -> None:
    pace = CoolingPace(interval=0.02, settled=0.04)
    for camera in server.cameras:
        camera.set_connected(True)
        camera.set_cooler_on(True)
    async with connected(server) as cameras:
        assert errors(await cameras.warm_up(20.0, tolerance=100.0, pace=pace)) == {}
    assert not any(each.get_cooler_on() for each in server.cameras)


async def test_closing_aborts_the_exposures(server: SimulatorServer, ray: InProcessRay) -> None:
    async with connected(server) as cameras:
        call = asyncio.create_task(cameras.expose(60))
        await until(exposing(server))
    with pytest.raises(TransportError, match="the client was closed"):
        await call
    assert {camera.state for camera in server.cameras} == {CameraStates.IDLE}
    assert not any(actor.restarts for actor in ray.actors)


async def test_a_process_that_restarts_before_the_preparation_is_noticed(
    server: SimulatorServer, ray: InProcessRay
) -> None:
    loop = asyncio.get_running_loop()

    async with connected(server) as cameras:
        process = ray.actors[0].process
        name: str = await process.open()

        async def restart_soon() -> str:
            loop.call_soon(ray.actors[0].die)
            return name

        process.open = restart_soon
        assert errors(await cameras.expose(SHORT)) == {}
    assert starts(server) == [1] * 4


async def test_a_worker_that_dies_while_others_prepare_costs_its_frames(
    server: SimulatorServer, ray: InProcessRay
) -> None:
    preparing, go_on = asyncio.Event(), asyncio.Event()

    async def prepare() -> None:
        preparing.set()
        await go_on.wait()

    async with connected(server) as cameras:
        requests = [SHORT] * 3 + [ExposureRequest(SHORT, prepare=prepare)]
        call = asyncio.create_task(cameras.expose(requests))
        await preparing.wait()
        await until(
            lambda: any(run.prepared.done() for run in ray.actors[0].process._runs.values())
        )
        for _ in range(50):  # iterations of the event loop, until the reply is there
            await asyncio.sleep(0)
        ray.actors[0].die()
        go_on.set()
        outcomes = await call
        again = await cameras.expose(SHORT)
    assert sorted(errors(outcomes)) == [0, 1]
    assert all(isinstance(error, HostLost) for error in errors(outcomes).values())
    assert errors(again) == {}
    assert starts(server) == [1, 1, 2, 2]


async def test_what_hangs_at_the_end_is_not_waited_for(
    server: SimulatorServer,
    ray: InProcessRay,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(remote_module, "_END_LIMIT", 0.1)
    async with connected(server) as cameras:
        call = asyncio.create_task(cameras.expose(60))
        await until(exposing(server))
        ray.actors[0].hangs = True
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    assert "a host did not abort its exposures within 0.1 s" in caplog.text
    assert "a host could not be closed: TimeoutError()" in caplog.text


@pytest.mark.parametrize(
    ("raised", "kind"), [(OSError("no memory"), UnexpectedError), (HostLost("gone"), HostLost)]
)
async def test_an_error_of_the_worker_is_that_of_its_cameras(
    server: SimulatorServer, ray: InProcessRay, raised: Exception, kind: type[AlpacaError]
) -> None:
    async def fail_to_connect(*_: object) -> None:
        raise raised

    async with CameraHosts(two_hosts(server)) as cameras:
        ray.actors[0].process.connect = fail_to_connect
        found = errors(await cameras.connect())
    assert sorted(found) == [0, 1]
    assert {type(error) for error in found.values()} == {kind}
    assert str(raised) in str(found[0])


async def test_cameras_are_taken_over_as_soon_as_that_succeeds(
    server: SimulatorServer, ray: InProcessRay, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "alpaca_async")
    async with connected(server) as cameras:
        call = asyncio.create_task(cameras.expose([60, 60, SHORT, SHORT]))
        await until(exposing(server, (0, 1)))
        ray.actors[0].die()
        process = ray.actors[0].process
        connect = process.connect

        async def fail_once(*_: object) -> None:
            process.connect = connect
            raise OSError("no route")

        process.connect = fail_once
        assert sorted(errors(await call)) == [0, 1]
        assert errors(await cameras.expose(SHORT)) == {}
    assert "the host is not back yet: RayTaskError: no route" in caplog.text


async def test_progress_ends_with_its_worker(server: SimulatorServer, ray: InProcessRay) -> None:
    def note(_: CameraAddress, __: Progress) -> None:
        """Do nothing."""

    async with connected(server) as cameras:
        call = asyncio.create_task(cameras.expose(60, progress=note))
        await until(exposing(server))
        for actor in ray.actors:
            actor.die()
        assert len(errors(await call)) == 4


async def test_a_process_that_is_gone_already_cannot_be_killed(
    server: SimulatorServer, ray: InProcessRay, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill(*_: object, **__: object) -> None:
        raise ActorDiedError("The actor died.")

    async with connected(server):
        monkeypatch.setattr(ray, "kill", kill)


async def test_hosts_say_where_their_workers_run(ray: InProcessRay) -> None:
    hosts: list[CameraAddress | CameraHost] = [
        CameraHost([CameraAddress("a:1")], resource="dome"),
        CameraHost([CameraAddress("b:1")], labels={"site": "east"}),
        CameraAddress("c:1"),
    ]
    async with CameraHosts(hosts):
        dome, east, any_node = ray.options
    assert (dome["resources"], "label_selector" in dome) == ({"dome": 0.001}, False)
    assert (east["label_selector"], "scheduling_strategy" in east) == ({"site": "east"}, False)
    assert any_node["scheduling_strategy"] == "SPREAD"
    assert all((each["max_restarts"], each["max_task_retries"]) == (-1, 0) for each in ray.options)


async def test_the_interval_of_statuses_is_positive(server: SimulatorServer) -> None:
    async with CameraHosts(two_hosts(server)) as cameras:
        with pytest.raises(ValueError, match="interval must be positive"):
            cameras.watch(0)

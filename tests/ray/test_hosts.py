"""Cameras on the workers of a Ray cluster, some of which are killed."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from collections import Counter
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from alpaca_async import (
    AlpacaError,
    CameraAddress,
    CameraGroup,
    CameraStates,
    CoolingPace,
    DriverException,
    Exposure,
    ExposureRequest,
    HostLost,
    Image,
    OperationTimeout,
    Progress,
    TransportError,
    UnexpectedError,
)
from alpaca_async._optional import load
from alpaca_async.ray import CameraHost, CameraHosts, HostOutcome
from alpaca_async.ray import _remote as remote_module
from alpaca_async.testing import SimulatedCamera, SimulatorServer
from tests.conditions import until

from .conftest import SITES, Cluster, add_node

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Sequence

    from alpaca_async._group.member import Then

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("cluster")]

ALL = range(48)
FOUR = range(4)
SHORT = 0.01


def addresses(server: SimulatorServer, numbers: Iterable[int] = ALL) -> list[CameraAddress]:
    return [CameraAddress(server.address, number) for number in numbers]


def four_hosts(server: SimulatorServer) -> list[CameraHost]:
    """Two workers at each site, with twelve cameras each."""
    return [
        CameraHost(addresses(server, range(12 * n, 12 * n + 12)), resource=SITES[n // 2])
        for n in range(4)
    ]


def two_hosts(server: SimulatorServer) -> list[CameraHost]:
    """One worker at each site, with two cameras each."""
    return [CameraHost(addresses(server, (2 * n, 2 * n + 1)), SITES[n]) for n in range(2)]


@asynccontextmanager
async def connected(
    hosts: Sequence[CameraHost | CameraAddress], *, max_images: int = 2
) -> AsyncGenerator[CameraHosts]:
    async with CameraHosts(hosts, max_images=max_images) as cameras:
        assert errors(await cameras.connect()) == {}
        yield cameras


def errors(outcomes: Iterable[HostOutcome]) -> dict[int, AlpacaError]:
    return {each.device_number: each.error for each in outcomes if each.error is not None}


def starts(server: SimulatorServer) -> list[int]:
    return [camera.count("startexposure") for camera in server.cameras]


def exposing(server: SimulatorServer, numbers: Iterable[int] = FOUR) -> Callable[[], bool]:
    cameras = [server.cameras[number] for number in numbers]
    return lambda: all(camera.state is CameraStates.EXPOSING for camera in cameras)


async def process_of(_: CameraAddress, __: Image) -> int:
    return os.getpid()


async def node_of(_: CameraAddress, __: Image) -> str:
    return str(load("ray", extra="ray").get_runtime_context().get_node_id())


async def processes(cameras: CameraHosts) -> dict[int, int]:
    outcomes = await cameras.expose(SHORT, then=process_of)
    assert errors(outcomes) == {}
    return {each.device_number: int(str(each.result)) for each in outcomes}


async def save(folder: Path, camera: CameraAddress, image: Image[Exposure]) -> str:
    name = f"{camera.device_number}_{image.exposure.started:%H%M%S%f}.fits"
    return str(await image.save_fits(folder / name))


async def test_48_cameras_on_four_workers_expose_and_save(
    server: SimulatorServer, tmp_path: Path
) -> None:
    async with connected(four_hosts(server)) as cameras:
        images = await cameras.expose_all(0.05)
        assert len(images) == 48
        picture = await images[17].get()
        async with cameras.exposures(SHORT, count=5, then=partial(save, tmp_path)) as rounds:
            saved = [[each.result for each in outcomes] async for outcomes in rounds]
    assert picture.data.shape == (48, 64)
    assert not picture.data.flags.writeable
    assert picture.exposure == images[17].exposure
    assert [len(set(names)) for names in saved] == [48] * 5
    assert len(list(tmp_path.iterdir())) == 240  # noqa: ASYNC240 - a few names
    assert Path(str(saved[4][47])).stat().st_size > 64 * 48 * 2  # noqa: ASYNC240 - at once
    assert starts(server) == [6] * 48


async def test_one_line_moves_a_script_from_one_loop_to_many_hosts(server: SimulatorServer) -> None:
    some = addresses(server, range(6))
    for make in (CameraGroup, CameraHosts):
        async with make(some) as cameras:
            await cameras.connect()
            server.cameras[2].fail_exposure("shutter stuck")
            outcomes = await cameras.expose([0.02, 0.02, 0.02, 0.02, 0.02, 0.02], then=process_of)
            async with cameras.watch(0.05) as statuses:
                status = (await anext(statuses)).status
        assert status is not None
        assert status.camera_state is CameraStates.IDLE
        assert [each.device_number for each in outcomes if each.result] == [0, 1, 3, 4, 5]
        assert isinstance(outcomes[2].error, DriverException)
        with pytest.raises(TransportError):
            await cameras.expose(SHORT)


async def test_a_killed_worker_costs_its_running_frames_and_takes_part_again(
    server: SimulatorServer,
) -> None:
    async with connected(four_hosts(server)) as cameras:
        pids = await processes(cameras)
        held = (await cameras.expose(SHORT))[0].image
        lost = [number for number in ALL if pids[number] == pids[0]]
        call = asyncio.create_task(cameras.expose([60.0] * 12 + [1.5] * 36))
        await until(exposing(server, ALL))
        os.kill(pids[0], signal.SIGKILL)
        outcomes = await call
        again = await cameras.expose(SHORT)
        assert held is not None
        assert (await held.get()).data.shape == (48, 64)  # the store is not the worker's
    assert lost == list(range(12))
    assert list(errors(outcomes)) == lost
    assert all(isinstance(error, HostLost) for error in errors(outcomes).values())
    assert str(outcomes[3].error).startswith(f"http://{server.address} camera/3: the host is lost")
    assert errors(again) == {}
    assert starts(server) == [4] * 48
    assert [camera.count("abortexposure") for camera in server.cameras] == [1] * 12 + [0] * 36


async def test_frames_of_a_killed_worker_are_errors_long_before_the_others_end(
    server: SimulatorServer,
) -> None:
    async with connected(two_hosts(server)) as cameras:
        pids = await processes(cameras)
        async with cameras.outcomes(60) as outcomes:
            waiting = asyncio.ensure_future(anext(outcomes))
            await until(exposing(server))
            os.kill(pids[3], signal.SIGKILL)
            first = [await waiting, await anext(outcomes)]
        assert not exposing(server, [0])()
        assert not exposing(server, [1])()
        await until(lambda: not any(exposing(server, [number])() for number in (2, 3)))
    assert sorted(errors(first)) == [2, 3]


async def test_a_worker_that_dies_between_rounds_costs_nothing(server: SimulatorServer) -> None:
    async with connected(two_hosts(server)) as cameras:
        pids = await processes(cameras)
        os.kill(pids[0], signal.SIGKILL)
        outcomes = await cameras.expose(SHORT)
        assert errors(outcomes) == {}
        assert (await processes(cameras))[0] != pids[0]


async def test_a_killed_worker_in_a_sequence(server: SimulatorServer) -> None:
    failed: list[list[int]] = []
    async with connected(two_hosts(server)) as cameras:
        pids = await processes(cameras)
        async with cameras.exposures(0.5, count=5, then=process_of) as rounds:
            async for outcomes in rounds:
                failed.append(sorted(errors(outcomes)))
                if len(failed) == 2:
                    await until(exposing(server))
                    os.kill(pids[2], signal.SIGKILL)
    assert failed == [[], [], [2, 3], [], []]
    assert starts(server)[:4] == [6] * 4


@pytest.mark.timeout(110)  # Ray notices the loss of a node after about 15 s
async def test_a_lost_node_costs_its_running_frames_and_another_node_takes_over(
    cluster: Cluster,
) -> None:
    first = add_node(cluster, "roof")
    cameras = [SimulatedCamera(width=640, height=480, readout_time=0.0) for _ in range(4)]
    async with SimulatorServer(cameras) as server:
        hosts = [
            CameraHost(addresses(server, (0, 1)), resource="roof"),
            CameraHost(addresses(server, (2, 3)), resource="west"),
        ]
        async with connected(hosts, max_images=4) as group:
            held = await group.expose_all(0.01)
            call = asyncio.create_task(group.expose(2.0))
            await until(exposing(server))
            await asyncio.to_thread(cluster.remove_node, first, allow_graceful=False)
            outcomes = await call
            with pytest.raises(HostLost, match="the image is lost"):
                await held[0].get()
            assert (await held[2].get()).data.shape == (480, 640)
            absent = await group.expose(SHORT, prepare_timeout=0.1)
            second = add_node(cluster, "roof")  # sets signal handlers, so not in a thread
            again = await group.expose(SHORT, then=node_of, prepare_timeout=40)
    await asyncio.to_thread(cluster.remove_node, second)
    assert sorted(errors(outcomes)) == sorted(errors(absent)) == [0, 1]
    assert all(isinstance(error, HostLost) for error in errors(absent).values())
    assert [each.result for each in again[:2]] == [second.node_id] * 2
    assert errors(again) == {}
    assert starts(server) == [3, 3, 4, 4]


async def test_a_worker_that_hangs_is_replaced(
    server: SimulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connected(two_hosts(server)) as cameras:
        pids = await processes(cameras)
        monkeypatch.setattr(remote_module, "_PING_LIMIT", 0.3)
        monkeypatch.setattr(remote_module, "_PING_INTERVAL", 0.1)
        call = asyncio.create_task(cameras.expose(1.0))
        await until(exposing(server))
        os.kill(pids[0], signal.SIGSTOP)
        outcomes = await call
        monkeypatch.undo()
        again = await cameras.expose(SHORT)
    assert list(errors(outcomes)) == [0, 1]
    assert "does not answer" in str(outcomes[0].error)
    assert errors(again) == {}


async def test_cancelling_the_call_aborts_every_exposure(server: SimulatorServer) -> None:
    async with connected(two_hosts(server)) as cameras:
        for call in (cameras.expose(60), cameras.expose_all(60)):
            task = asyncio.create_task(call)
            await until(exposing(server))
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert {camera.state for camera in server.cameras} == {CameraStates.IDLE}
        async with cameras.exposures(60) as rounds:
            waiting = asyncio.ensure_future(anext(rounds))
            await until(exposing(server))
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        assert {camera.state for camera in server.cameras} == {CameraStates.IDLE}
    assert [camera.count("abortexposure") for camera in server.cameras[:4]] == [3] * 4


async def test_cancelling_while_hosts_prepare_starts_nothing(
    server: SimulatorServer, tmp_path: Path
) -> None:
    async def prepare() -> None:
        (tmp_path / "preparing").touch()
        await asyncio.Event().wait()

    async with connected(two_hosts(server)) as cameras:
        requests = [SHORT] * 3 + [ExposureRequest(SHORT, prepare=prepare)]
        task = asyncio.create_task(cameras.expose(requests))
        await until((tmp_path / "preparing").exists)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert errors(await cameras.expose(SHORT)) == {}
    assert starts(server)[:4] == [1] * 4


async def test_an_error_of_expose_all_aborts_the_others(server: SimulatorServer) -> None:
    server.cameras[3].fail_exposure("shutter stuck")
    durations = [60.0] * 4
    durations[3] = SHORT
    async with connected(two_hosts(server)) as cameras:
        with pytest.raises(DriverException, match="shutter stuck"):
            await cameras.expose_all(durations)
        assert not any(exposing(server, [number])() for number in FOUR)


async def test_closing_aborts_the_exposures_and_ends_the_processes(server: SimulatorServer) -> None:
    async with connected(two_hosts(server)) as cameras:
        pids = set((await processes(cameras)).values())
        call = asyncio.create_task(cameras.expose(60))
        await until(exposing(server))
    with pytest.raises(TransportError, match="the client was closed"):
        await call
    assert not any(exposing(server, [number])() for number in FOUR)
    await until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))


async def test_exposures_wait_until_the_program_deletes_images(server: SimulatorServer) -> None:
    async with connected([CameraHost(addresses(server, [0]), "west")], max_images=1) as cameras:
        kept = await cameras.expose(SHORT)
        (refused,) = await cameras.expose(SHORT, prepare_timeout=0.1)
        waiting = asyncio.create_task(cameras.expose(SHORT))
        await asyncio.sleep(0.2)
        assert starts(server)[0] == 1
        del kept
        gc.collect()
        assert errors(await waiting) == {}
    assert isinstance(refused.error, OperationTimeout)
    assert refused.error.reason.startswith("1 images of the camera are still in the object store")


async def test_a_sequence_keeps_two_images_of_a_camera_at_most(server: SimulatorServer) -> None:
    async with connected([CameraHost(addresses(server, [0]), "west")]) as cameras:
        async with cameras.exposures(SHORT, count=4) as rounds:
            async for (outcome,) in rounds:
                assert outcome.image is not None
                assert (await outcome.image.get()).data.shape == (48, 64)
                await asyncio.sleep(0.1)


async def test_a_host_without_a_node_costs_its_cameras_only(server: SimulatorServer) -> None:
    hosts = [
        CameraHost(addresses(server, [0]), resource="nowhere"),
        CameraHost(addresses(server, [1]), labels={"site": "east"}),
    ]
    async with CameraHosts(hosts) as cameras:
        outcomes = await cameras.connect(timeout=8)
        exposed = await cameras.expose(SHORT, prepare_timeout=0.5)
    for each in (outcomes, exposed):
        assert list(errors(each)) == [0]
    assert isinstance(outcomes[0].error, HostLost)
    assert "with the resource 'nowhere'" in outcomes[0].error.reason


async def fail(_: CameraAddress, __: Image) -> None:
    raise OSError("disk full")


async def return_a_generator(_: CameraAddress, __: Image) -> object:
    return (line for line in "not picklable")


@pytest.mark.parametrize("then", [fail, return_a_generator])
async def test_an_error_of_then_is_the_outcome(server: SimulatorServer, then: Then) -> None:
    async with connected([CameraHost(addresses(server, [0]), "west")]) as cameras:
        (outcome,) = await cameras.expose(SHORT, then=then)
        assert isinstance(outcome.error, UnexpectedError)
        assert errors(await cameras.expose(SHORT)) == {}


async def test_exposures_start_at_a_time_by_the_clocks_of_the_hosts(
    server: SimulatorServer,
) -> None:
    async with connected(two_hosts(server)) as cameras:
        offsets = await cameras.get_clock_offsets()
        at = datetime.now(UTC) + timedelta(seconds=0.5)
        outcomes = await cameras.expose(SHORT, at=at)
    assert [len(each.cameras) for each in offsets] == [2, 2]
    assert all(abs(each.offset) <= each.uncertainty + 0.001 for each in offsets)
    for outcome in outcomes:
        assert outcome.image is not None
        assert outcome.image.exposure.started >= at


async def test_progress_of_all_cameras_comes_to_the_driver(server: SimulatorServer) -> None:
    seen: Counter[int] = Counter()

    def note(camera: CameraAddress, progress: Progress) -> None:
        seen[camera.device_number] += progress.phase == "exposing"

    async with connected(two_hosts(server)) as cameras:
        assert errors(await cameras.expose(1.5, progress=note)) == {}
    assert set(seen) == set(FOUR)
    assert max(seen.values()) <= 4


async def test_statuses_come_from_all_hosts_and_the_loss_of_one_is_among_them(
    server: SimulatorServer,
) -> None:
    lost: set[int] = set()
    back: set[int] = set()
    async with connected(two_hosts(server)) as cameras:
        pids = await processes(cameras)
        async with cameras.watch(0.1) as statuses:
            assert (await anext(statuses)).status is not None
            os.kill(pids[0], signal.SIGKILL)
            async for each in statuses:
                if each.error is not None:
                    lost.add(each.device_number)
                elif each.device_number in lost:
                    back.add(each.device_number)
                if back == {0, 1}:
                    break
    assert lost == {0, 1}


async def test_all_cameras_are_cooled(server: SimulatorServer) -> None:
    pace = CoolingPace(interval=0.02, settled=0.04)
    async with connected(two_hosts(server)) as cameras:
        outcomes = await cameras.cool_to(-5.0, tolerance=100.0, pace=pace)
    assert errors(outcomes) == {}
    assert all(camera.get_set_point() == -5.0 for camera in server.cameras[:4])


def mean_of(image: Image) -> float:
    return float(np.mean(image.data))


async def test_a_task_of_ray_gets_an_image_by_its_reference(server: SimulatorServer) -> None:
    ray = load("ray", extra="ray")
    mean = ray.remote(num_cpus=0)(mean_of)
    async with connected([CameraHost(addresses(server, [0]), "west")]) as cameras:
        (image,) = await cameras.expose_all(SHORT)
        assert await mean.remote(image.ref) == pytest.approx(np.mean((await image.get()).data))

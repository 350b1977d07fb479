"""The cameras of `CameraHosts`, seen from another program."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from alpaca_async import AlpacaClient, CameraAddress, CameraStates, HostLost
from alpaca_async.ray import CameraHost, CameraHosts, HostStatus, watch_hosts
from alpaca_async.ray import _observing as observing_module
from alpaca_async.ray import _worker as worker_module
from alpaca_async.ray._placement import cameras_in, name_of
from alpaca_async.ray._worker import Worker
from tests.conditions import until

from .test_hosts import FOUR, SHORT, addresses, connected, errors, exposing, processes, two_hosts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from alpaca_async.testing import SimulatorServer

    from .conftest import Cluster

with_ray = pytest.mark.ray


async def watch_command(cluster: Cluster, *options: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "alpaca_async.cli", "watch", "--ray", cluster.address, *options),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


async def ended(process: asyncio.subprocess.Process) -> tuple[int | None, str, str]:
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


def puts(server: SimulatorServer) -> int:
    return sum(each.verb == "PUT" for camera in server.cameras for each in camera.requests)


async def find(statuses: AsyncIterator[HostStatus], wanted: str, cameras: set[int]) -> None:
    """Read statuses until each of `cameras` has had one whose error contains `wanted`."""
    while cameras:
        status = await anext(statuses)
        reason = "" if status.error is None else status.error.reason
        if (status.status is None) == bool(wanted) and wanted in reason:
            cameras.discard(status.device_number)


@with_ray
async def test_the_command_shows_status_and_progress_and_disturbs_no_exposure(
    server: SimulatorServer, cluster: Cluster
) -> None:
    async with connected(two_hosts(server)) as cameras:
        call = asyncio.create_task(cameras.expose(8.0))
        await until(exposing(server))
        before = puts(server)
        code, out, err = await ended(await watch_command(cluster, "-n", "3", "-i", "0.3", "--json"))
        assert puts(server) == before
        assert exposing(server)()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    assert (code, err) == (0, "")
    records: list[dict[str, Any]] = [json.loads(line) for line in out.splitlines()]
    assert {each["device_number"] for each in records} == set(FOUR)
    assert {each["camera_state"] for each in records} == {"EXPOSING"}
    last = records[-1]["progress"]
    assert last["phase"] == "exposing"
    assert 0.0 < last["fraction"] < 1.0
    assert last["seconds_left"] > 0.0


@with_ray
async def test_ctrl_c_ends_the_command_and_nothing_else(
    server: SimulatorServer, cluster: Cluster
) -> None:
    async with connected(two_hosts(server)) as cameras:
        call = asyncio.create_task(cameras.expose(3.0))
        await until(exposing(server))
        process = await watch_command(cluster, "-i", "0.1")
        assert process.stdout is not None
        first = await process.stdout.readline()
        process.send_signal(signal.SIGINT)
        code, _, err = await ended(process)
        assert errors(await call) == {}
        assert errors(await cameras.expose(SHORT)) == {}
    assert b"phase=exposing fraction=0." in first
    assert (code, err) == (130, "alpaca-async: interrupted\n")


@with_ray
async def test_an_observer_that_is_killed_costs_the_program_nothing(
    server: SimulatorServer, cluster: Cluster
) -> None:
    async with connected(two_hosts(server)) as cameras:
        process = await watch_command(cluster, "-i", "0.1")
        assert process.stdout is not None
        await process.stdout.readline()
        process.kill()
        await ended(process)
        assert errors(await cameras.expose(SHORT)) == {}


@with_ray
async def test_a_cluster_without_hosts_is_an_error(cluster: Cluster) -> None:
    code, out, err = await ended(await watch_command(cluster))
    assert (code, out) == (1, "")
    assert err == "alpaca-async: no CameraHosts run in this Ray cluster\n"


@with_ray
async def test_hosts_whose_program_has_not_connected_are_shown_so(
    server: SimulatorServer, cluster: Cluster
) -> None:
    async with CameraHosts(two_hosts(server)):
        code, out, _ = await ended(await watch_command(cluster, "-n", "1"))
    assert code == 1
    assert out.count(": the host has not connected its cameras yet\n") == 4
    assert not any(camera.requests for camera in server.cameras)


@with_ray
@pytest.mark.usefixtures("cluster")
async def test_a_lost_host_and_the_next_program_are_seen(server: SimulatorServer) -> None:
    async with connected(two_hosts(server)) as cameras:
        statuses = watch_hosts(0.1)
        first = [await anext(statuses) for _ in FOUR]
        assert sorted(first, key=lambda status: status.device_number) == [
            HostStatus(server.address, number) for number in FOUR
        ]
        await find(statuses, "", set(FOUR))
        os.kill((await processes(cameras))[0], signal.SIGKILL)
        await find(statuses, "the host is lost", {0, 1})
        await find(statuses, "", {0, 1})
    await find(statuses, "the program of the host has ended", set(FOUR))
    async with connected([CameraHost(addresses(server, [7]), "east")]):
        await find(statuses, "", {7})
        await statuses.aclose()


@with_ray
@pytest.mark.usefixtures("cluster")
async def test_a_host_that_hangs_does_not_answer(
    server: SimulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observing_module, "_SILENCE", 0.5)
    async with connected(two_hosts(server)) as cameras:
        pid = (await processes(cameras))[0]
        async with watch_hosts(0.1) as statuses:
            await find(statuses, "", set(FOUR))
            os.kill(pid, signal.SIGSTOP)
            await find(statuses, "the host does not answer", {0, 1})
            os.kill(pid, signal.SIGCONT)
            await find(statuses, "", set(FOUR))


async def test_a_new_process_shows_nothing_before_it_has_taken_over(
    server: SimulatorServer,
) -> None:
    worker = Worker(addresses(server, [0]), AlpacaClient)
    with pytest.raises(HostLost, match="has not connected its cameras yet"):
        await anext(worker.observe(0.1))
    assert not server.cameras[0].requests


async def test_a_worker_stops_reading_for_an_observer_that_does_not_ask_again(
    server: SimulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "_OBSERVATION", 0.0)
    worker = Worker(addresses(server, FOUR), AlpacaClient)
    await worker.connect("key", 10.0, abort=False)
    seen = [status async for status in worker.observe(0.01)]
    await worker.close()
    assert 1 <= len(seen) <= 4
    assert seen[0].status is not None
    assert seen[0].status.camera_state is CameraStates.IDLE
    assert seen[0].progress is None


def test_the_name_of_a_worker_lists_its_cameras() -> None:
    cameras = [CameraAddress("a:1", 3), CameraAddress("[::1]:2", 0, {"gain": 5})]
    name = name_of(cameras, "key")
    assert name != name_of(cameras, "another")
    assert cameras_in(name) == [CameraAddress("a:1", 3), CameraAddress("[::1]:2", 0)]


@pytest.mark.parametrize(
    "name", ["", "{", "[]", '["key", 1]', '["key", [["a"]]]', '["key", [[1, "x"]]]']
)
def test_other_names_list_none(name: str) -> None:
    assert cameras_in(name) == []


@pytest.mark.parametrize("interval", [0, -1.0])
def test_an_interval_must_be_positive(interval: float) -> None:
    with pytest.raises(ValueError, match="interval"):
        watch_hosts(interval)

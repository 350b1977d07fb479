from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest

from alpaca_async import (
    AlpacaClient,
    FoundCamera,
    FoundDevice,
    OperationFailed,
    Timeouts,
    TransportError,
    find_camera,
    find_cameras,
    find_devices,
)
from alpaca_async._discovery import discovery, finding
from alpaca_async._discovery.same_server import is_same_server
from alpaca_async.testing import (
    SimulatedCamera,
    SimulatedFocuser,
    SimulatedRig,
    SimulatorServer,
)
from tests.conditions import open_files, until
from tests.scripted import ScriptedServer, http, value
from tests.virtual_time import in_virtual_time, now

from .udp import answering, naming

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from tests.scripted import Reply, Request

LOCALHOST = ["127.0.0.1"]


def camera_named(name: str) -> SimulatedCamera:
    return SimulatedCamera(name=name, unique_id=f"id of {name}", width=64, height=48)


async def names(
    port: int, hosts: Iterable[str] = LOCALHOST, client: AlpacaClient | None = None
) -> list[str]:
    async with find_cameras(hosts, timeout=1.0, port=port, client=client) as cameras:
        return sorted([camera.name async for camera in cameras])


@in_virtual_time
async def test_all_cameras_of_all_servers_are_found() -> None:
    left = SimulatorServer([camera_named("a"), camera_named("b")], discovery_port=0)
    right = SimulatorServer([camera_named("c")], host="127.0.0.2")
    async with left, right, answering(naming(right.port), host="127.0.0.2") as responder:
        async with find_cameras(LOCALHOST, timeout=1.0, port=left.discovery_port) as cameras:
            found = [camera async for camera in cameras]
        assert found == [
            FoundCamera(left.address, 0, "a", "id of a"),
            FoundCamera(left.address, 1, "b", "id of b"),
        ]
        assert await names(responder.port, ["127.0.0.2"]) == ["c"]


async def test_devices_of_every_type_are_found() -> None:
    rig = SimulatedRig([camera_named("a")])
    async with SimulatorServer(rig.devices, discovery_port=0) as server:
        port = server.discovery_port
        async with find_devices(LOCALHOST, timeout=1.0, port=port) as devices:
            found = [device async for device in devices]
        assert found[0] == FoundCamera(server.address, 0, "a", "id of a")
        assert [device.device_type for device in found[1:]] == [
            *("filterwheel", "focuser", "covercalibrator", "safetymonitor")
        ]
        async with find_devices(
            LOCALHOST, device_type="Focuser", timeout=1.0, port=port
        ) as focusers:
            (focuser,) = [device async for device in focusers]
        unique_id = rig.focuser.unique_id
        assert focuser == FoundDevice(server.address, 0, "Simulated focuser", unique_id, "focuser")
        assert await names(port) == ["a"]


@in_virtual_time
async def test_devices_of_different_types_may_have_the_same_id(
    caplog: pytest.LogCaptureFixture,
) -> None:
    camera, focuser = camera_named("shared"), SimulatedFocuser(unique_id="id of shared")
    async with SimulatorServer([camera, focuser], discovery_port=0) as server:
        port = server.discovery_port
        async with find_devices(LOCALHOST, timeout=1.0, port=port) as devices:
            assert len([device async for device in devices]) == 2
        assert await find_camera("id of shared", LOCALHOST, timeout=1.0, port=port) is not None
    assert "the same unique id" not in caplog.text


async def test_cameras_without_an_id_are_not_searched_for() -> None:
    with pytest.raises(ValueError, match="unique_id must not be empty"):
        await find_camera("", LOCALHOST)


async def test_a_found_camera_can_be_used() -> None:
    async with SimulatorServer([camera_named("a")], discovery_port=0) as server:
        found = await find_camera("id of a", LOCALHOST, timeout=1.0, port=server.discovery_port)
        assert found is not None
        async with AlpacaClient() as client:
            assert await client.camera(found.address, found.device_number).get_name() == "a"


@in_virtual_time
async def test_cameras_are_yielded_before_the_search_ends() -> None:
    async with SimulatorServer([camera_named("a")], discovery_port=0) as server:
        async with find_cameras(LOCALHOST, timeout=30, port=server.discovery_port) as cameras:
            async for camera in cameras:
                assert camera.name == "a"
                break
        assert now() < 1


@in_virtual_time
async def test_a_camera_with_several_addresses_is_yielded_once() -> None:
    camera = camera_named("a")
    async with SimulatorServer([camera]) as one, SimulatorServer([camera]) as two:
        async with answering(naming(one.port), naming(two.port)) as responder:
            assert await names(responder.port) == ["a"]


# Unique ids that are not unique


def twin(unique_id: str) -> SimulatedCamera:
    """A camera of a server that makes the unique id of the model's name."""
    return SimulatedCamera(name="CCD", unique_id=unique_id, width=64, height=48)


@asynccontextmanager
async def twins(unique_id: str) -> AsyncGenerator[tuple[SimulatorServer, SimulatorServer, int]]:
    """Serve two cameras with the same id on two servers; yield these and the discovery port."""
    async with (
        SimulatorServer([twin(unique_id)]) as east,
        SimulatorServer([twin(unique_id)]) as west,
        answering(naming(east.port), naming(west.port)) as responder,
    ):
        yield east, west, responder.port


async def found_at(port: int) -> list[str]:
    async with find_cameras(LOCALHOST, timeout=1.0, port=port) as cameras:
        return sorted([camera.address async for camera in cameras])


@in_virtual_time
async def test_two_cameras_with_the_same_id_are_both_found_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with twins("both") as (east, west, port):
        for _ in range(2):
            assert await found_at(port) == sorted([east.address, west.address])
        places = ", ".join(sorted(f"camera 0 at {each.address}" for each in (east, west)))
    assert caplog.messages.count(f"{places} have the same unique id, 'both'") == 1


@in_virtual_time
async def test_two_servers_without_reply_numbers_are_two() -> None:
    device = {"DeviceName": "x", "DeviceType": "Camera", "DeviceNumber": 0, "UniqueID": "pi"}
    reply: dict[str, Reply] = {"configureddevices": value([device], ServerTransactionID=1)}
    async with ScriptedServer(reply) as east, ScriptedServer(reply) as west:
        ports = [int(each.address.rpartition(":")[2]) for each in (east, west)]
        async with answering(*map(naming, ports)) as responder:
            assert await found_at(responder.port) == sorted([east.address, west.address])


@in_virtual_time
async def test_a_server_that_does_not_tell_in_time_whether_it_is_another_is_another(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "alpaca_async")
    device = {"DeviceName": "x", "DeviceType": "Camera", "DeviceNumber": 0, "UniqueID": "slow"}

    def once(server: list[ScriptedServer]) -> Reply:
        async def answer(_: Request) -> bytes:
            if server[0].count("configureddevices") > 1:
                await asyncio.Event().wait()
            return value([device], ServerTransactionID=1)

        return answer

    servers: list[list[ScriptedServer]] = [[], []]
    east, west = (ScriptedServer({"configureddevices": once(each)}) for each in servers)
    servers[0].append(east)
    servers[1].append(west)
    async with east, west:
        ports = [int(each.address.rpartition(":")[2]) for each in (east, west)]
        async with (
            answering(*map(naming, ports)) as responder,
            AlpacaClient(timeouts=Timeouts(reply=60)) as client,
            find_cameras(LOCALHOST, timeout=1, port=responder.port, client=client) as cameras,
        ):
            found = sorted([camera.address async for camera in cameras])
    assert found == sorted([east.address, west.address])
    assert "may be another address of" in caplog.text


@in_virtual_time
async def test_two_cameras_of_one_server_with_the_same_id_are_both_found() -> None:
    cameras = [twin("one server"), twin("one server")]
    async with SimulatorServer(cameras, discovery_port=0) as server:
        assert await found_at(server.discovery_port) == [server.address] * 2


@pytest.mark.parametrize("offset", [0, 1, 2, 1000])
async def test_servers_are_told_apart_whatever_their_numbers_are(offset: int) -> None:
    east, west = twin("numbers"), twin("numbers")
    for _ in range(offset):
        next(east.reply_numbers)
    async with SimulatorServer([east]) as one, SimulatorServer([west]) as other:
        async with AlpacaClient() as client:
            assert not await is_same_server(client, one.address, other.address)
            assert not await is_same_server(client, other.address, one.address)
            assert await is_same_server(client, one.address, one.address)


async def test_a_server_that_fails_is_not_another_one() -> None:
    async with SimulatorServer([twin("alone")]) as server, AlpacaClient() as client:
        assert not await is_same_server(client, server.address, "127.0.0.1:1")


@in_virtual_time
async def test_no_camera_is_chosen_of_two_with_the_same_id() -> None:
    async with twins("chosen") as (east, west, port):
        with pytest.raises(OperationFailed, match="use the address instead") as caught:
            await find_camera("chosen", LOCALHOST, timeout=1.0, port=port)
        assert east.address in str(caught.value)
        assert west.address in str(caught.value)


@in_virtual_time
async def test_the_camera_at_its_last_address_is_chosen() -> None:
    async with twins("stays") as (east, west, port):
        for server in (east, west):
            found = await find_camera(
                "stays", LOCALHOST, timeout=1.0, port=port, last_address=server.address
            )
            assert found == FoundCamera(server.address, 0, "CCD", "stays")


@pytest.mark.parametrize("knows_its_address", [True, False])
@in_virtual_time
async def test_a_camera_that_was_elsewhere_all_along_has_not_moved(
    knows_its_address: bool,
) -> None:
    unique_id = f"all along {knows_its_address}"
    async with twins(unique_id) as (east, west, port):
        await found_at(port)
        last = east.address if knows_its_address else None
        search = partial(find_camera, unique_id, LOCALHOST, timeout=1.0, last_address=last)
        async with answering(naming(west.port)) as responder:
            with pytest.raises(OperationFailed, match="does not tell which camera"):
                await search(port=responder.port)
        async with (
            SimulatorServer([twin(unique_id)]) as moved,
            answering(naming(west.port), naming(moved.port)) as responder,
        ):
            found = await search(port=responder.port)
            assert found is not None
            assert found.address == moved.address


@in_virtual_time
async def test_a_camera_whose_server_fails_is_not_looked_for_elsewhere() -> None:
    async with (
        ScriptedServer({"configureddevices": http(b"", status="500 No")}) as broken,
        SimulatorServer([twin("waits")]) as west,
    ):
        ports = int(broken.address.rpartition(":")[2]), west.port
        async with answering(*map(naming, ports)) as responder:
            search = partial(find_camera, "waits", LOCALHOST, timeout=1.0, port=responder.port)
            with pytest.raises(OperationFailed, match="does not list its devices"):
                await search(last_address=broken.address)
            found = await search(last_address="127.0.0.1:1")
            assert found is not None
            assert found.address == west.address


# Servers


@asynccontextmanager
async def serving_devices(*records: dict[str, object]) -> AsyncGenerator[int]:
    """Serve a list of devices and discovery; yield the discovery port."""
    async with ScriptedServer({"configureddevices": value(records)}) as server:
        port = int(server.address.rpartition(":")[2])
        async with answering(naming(port)) as responder:
            yield responder.port


@in_virtual_time
async def test_other_devices_are_ignored_and_the_type_is_case_insensitive() -> None:
    records: list[dict[str, object]] = [
        {"DeviceName": "a", "DeviceType": "camera", "DeviceNumber": "0", "UniqueID": "1"},
        {"DeviceName": "b", "DeviceType": "Focuser", "DeviceNumber": 0, "UniqueID": "2"},
        {"DeviceName": "c", "DeviceType": "CAMERA", "DeviceNumber": 7, "UniqueID": "3"},
    ]
    async with serving_devices(*records) as port:
        assert await names(port) == ["a", "c"]


@in_virtual_time
async def test_cameras_without_an_id_are_distinguished_by_address_and_number() -> None:
    records: list[dict[str, object]] = [
        {"DeviceName": "x", "DeviceType": "Camera", "DeviceNumber": n} for n in (0, 0, 1)
    ]
    async with serving_devices(*records) as port:
        assert await names(port) == ["x", "x"]


@in_virtual_time
async def test_the_number_of_cameras_of_a_server_is_limited() -> None:
    records: list[dict[str, object]] = [
        {"DeviceName": "x", "DeviceType": "Camera", "DeviceNumber": n} for n in range(1000)
    ]
    async with serving_devices(*records) as port:
        assert len(await names(port)) == 256


@in_virtual_time
async def test_a_failing_server_loses_only_its_own_cameras_and_is_logged(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "_QUERY_TIMEOUT", 2.0)

    async def never_reply() -> bytes:
        await asyncio.Event().wait()
        return b""

    async with AsyncExitStack() as stack:
        good = await stack.enter_async_context(SimulatorServer([camera_named("a")]))
        servers = [
            ScriptedServer({"configureddevices": http(b"<html>login</html>")}),
            ScriptedServer({"configureddevices": http(b"", status="500 No")}),
            ScriptedServer({"configureddevices": lambda _: never_reply()}),
        ]
        for server in servers:
            await stack.enter_async_context(server)
        ports = [int(s.address.rpartition(":")[2]) for s in servers]
        responder = await stack.enter_async_context(
            answering(naming(1), *map(naming, ports), naming(good.port))
        )
        assert await names(responder.port) == ["a"]
        assert now() == pytest.approx(2, abs=0.2)
    text = caplog.text
    assert "devices of a discovered server: http://127.0.0.1:1 management/v1/config" in text
    assert "the reply is not JSON: login" in text
    assert "HTTP status 500" in text
    assert f"127.0.0.1:{ports[2]} did not list its devices in time" in text
    assert len(caplog.records) == 4


@in_virtual_time
async def test_at_most_sixteen_servers_are_queried_concurrently() -> None:
    active = max_active = queried = 0

    async def slow() -> bytes:
        nonlocal active, max_active, queried
        queried += 1
        active += 1
        max_active = max(max_active, active)
        await asyncio.sleep(1)  # in which every other request arrives
        active -= 1
        return value([])

    async with AsyncExitStack() as stack:
        ports: list[int] = []
        for _ in range(20):
            server = ScriptedServer({"configureddevices": lambda _: slow()})
            await stack.enter_async_context(server)
            ports.append(int(server.address.rpartition(":")[2]))
        responder = await stack.enter_async_context(answering(*map(naming, ports)))
        assert await names(responder.port) == []
        assert now() == pytest.approx(2, abs=0.2)
    assert (max_active, queried) == (16, 20)


@in_virtual_time
async def test_credentials_are_sent_only_if_the_client_is_given() -> None:
    seen: list[str | None] = []

    def note(request: Request) -> bytes:
        seen.append(request.headers.get("authorization"))
        return value([])

    async with ScriptedServer({"configureddevices": note}) as server:
        async with answering(naming(int(server.address.rpartition(":")[2]))) as responder:
            async with AlpacaClient(auth=("user", "secret")) as client:
                await names(responder.port)
                await names(responder.port, client=client)
                await names(responder.port, client=client)  # it is still open
    assert seen[0] is None
    assert [text is not None and text.startswith("Basic ") for text in seen[1:]] == [True, True]


async def test_an_unknown_camera_is_none() -> None:
    async with SimulatorServer([camera_named("a")], discovery_port=0) as server:
        found = await find_camera("other", LOCALHOST, timeout=0.1, port=server.discovery_port)
    assert found is None


async def test_a_search_that_cannot_start_raises_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(_: object) -> None:
        raise TransportError("no sockets")

    monkeypatch.setattr(discovery, "_open_sockets", fail)
    with pytest.raises(TransportError, match="no sockets"):
        await names(9)


async def test_leaving_the_block_ends_all_tasks(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "asyncio")
    async with SimulatorServer([camera_named("a"), camera_named("b")], discovery_port=0) as server:
        tasks = len(asyncio.all_tasks())
        async with find_cameras(LOCALHOST, timeout=30, port=server.discovery_port) as cameras:
            await anext(cameras)
            assert len(asyncio.all_tasks()) > tasks
        await until(lambda: len(asyncio.all_tasks()) <= tasks)
    assert "never retrieved" not in caplog.text


async def test_cancelling_a_search_again_and_again_closes_its_connections() -> None:
    async with SimulatorServer([camera_named("a")], discovery_port=0) as server:
        tasks, files = len(asyncio.all_tasks()), open_files()
        cameras = find_cameras(LOCALHOST, timeout=30, port=server.discovery_port)
        await anext(cameras)
        search = asyncio.ensure_future(anext(cameras))
        await asyncio.sleep(0)
        while not search.done():
            search.cancel()
            await asyncio.sleep(0)
        await until(lambda: open_files() == files)  # the server closes its end
        assert len(asyncio.all_tasks()) == tasks

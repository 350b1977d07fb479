from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest

from alpaca_async import (
    AlpacaClient,
    AscomError,
    AsyncCamera,
    DriverException,
    ExposureRequest,
    IncompleteImage,
    InvalidValueException,
    NotConnectedException,
    OperationFailed,
    OperationTimeout,
    Reconnect,
    RequestRejected,
    Timeouts,
    TransportError,
    find_cameras,
)
from alpaca_async._device import patience
from alpaca_async._workflows import idle, recovery
from alpaca_async._workflows.framing import FRAME_MEMBERS
from alpaca_async.testing import FaultProxy, SimulatedCamera, SimulatorServer
from tests.conditions import until
from tests.discovery.udp import answering, naming
from tests.relay import Relay
from tests.scripted import ScriptedServer, ascom_error, http, value
from tests.virtual_time import in_virtual_time, now

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from alpaca_async import Exposure, Image
    from tests.scripted import Reply, Request

ID = "the camera of this night"
WIDTH, HEIGHT = 640, 480
HALF = WIDTH * HEIGHT  # of its bytes
SOON = Reconnect(interval=0.02, timeout=10)
HERE = ("127.0.0.1",)


def new_camera(unique_id: str = ID, **facts: object) -> SimulatedCamera:
    """Return a camera that was just switched on."""
    model: dict[str, object] = {"width": WIDTH, "height": HEIGHT, "readout_time": 0.0}
    model |= {"connect_time": 0.0, "stars": 5, "noise": False, "unique_id": unique_id, **facts}
    return SimulatedCamera(**model)  # type: ignore[arg-type]


@pytest.fixture
def simulated() -> SimulatedCamera:
    return new_camera()


@pytest.fixture
async def relay(server: SimulatorServer) -> AsyncIterator[Relay]:
    async with Relay(server.address) as running:
        yield running


@pytest.fixture
async def camera(relay: Relay, client: AlpacaClient) -> AsyncCamera:
    camera = client.camera(relay.address)
    await camera.connect()
    return camera


async def set_up(camera: AsyncCamera) -> None:
    await camera.set_readout_mode(1)
    await camera.set_gain(120)
    await camera.set_offset(40)
    await camera.set_sub_exposure_duration(0.5)
    await camera.set_frame(bin_x=2, bin_y=2, start_x=10, start_y=20, num_x=200, num_y=100)


def settings_of(simulated: SimulatedCamera) -> tuple[object, ...]:
    s = simulated
    frame = (s.bin_x, s.bin_y, s.start_x, s.start_y, s.num_x, s.num_y)
    return (s.readout_mode, s.gain, s.offset, s.sub_exposure_duration, *frame)


SET_UP = (1, 120, 40, 0.5, 2, 2, 10, 20, 200, 100)


async def test_after_a_restart_the_settings_are_restored(camera: AsyncCamera, relay: Relay) -> None:
    await set_up(camera)
    await camera.set_ccd_temperature_setpoint(-10)
    await camera.set_cooler_on(True)
    relay.cut()
    with pytest.raises(TransportError):
        await camera.get_gain()
    restarted = new_camera()
    async with SimulatorServer([restarted]) as server:
        relay.target = server.address
        await relay.mend()
        await camera.reconnect(SOON)
        assert restarted.connected
        assert settings_of(restarted) == SET_UP
        assert not restarted.get_cooler_on()
        assert (await camera.expose(0.01)).data.shape == (100, 200)


async def test_a_camera_that_was_not_lost_is_only_read(
    camera: AsyncCamera, simulated: SimulatedCamera
) -> None:
    await set_up(camera)
    simulated.requests.clear()
    await camera.reconnect(Reconnect())
    assert simulated.requests
    assert {request.verb for request in simulated.requests} == {"GET"}


async def test_only_settings_of_this_object_that_differ_are_restored(
    camera: AsyncCamera, simulated: SimulatedCamera
) -> None:
    await camera.set_gain(5)
    simulated.offset = 7
    simulated.gain = 0
    simulated.requests.clear()
    await camera.reconnect(Reconnect())
    puts = [request.member for request in simulated.requests if request.verb == "PUT"]
    assert puts == ["gain"]
    assert (simulated.gain, simulated.offset) == (5, 7)


async def test_a_frame_that_the_camera_already_had_is_restored_as_well(
    camera: AsyncCamera, simulated: SimulatedCamera
) -> None:
    simulated.bin_x = simulated.bin_y = 2
    simulated.num_x, simulated.num_y = 100, HEIGHT // 2
    await camera.set_frame(bin_x=2, bin_y=2, num_x=100, num_y=80)
    wanted = settings_of(simulated)
    simulated.bin_x = simulated.bin_y = 1
    simulated.num_x, simulated.num_y = WIDTH, HEIGHT
    await camera.reconnect(Reconnect())
    assert settings_of(simulated) == wanted


@in_virtual_time
async def test_while_the_camera_is_gone_calls_fail_at_once_and_do_not_search() -> None:
    async with SimulatorServer([new_camera()]) as server, Relay(server.address) as relay:
        async with AsyncCamera(relay.address) as camera:
            await camera.get_name()
            relay.cut()
            begun = now()
            for call in (camera.get_gain(), camera.set_gain(1), camera.expose(5), camera.connect()):
                with pytest.raises(TransportError):
                    await call
            assert now() == begun
            await relay.mend()
            before = relay.connections
            await asyncio.sleep(60)
            assert relay.connections == before


async def test_reconnect_waits_until_the_camera_is_back(camera: AsyncCamera, relay: Relay) -> None:
    relay.cut()
    back = asyncio.create_task(camera.reconnect(SOON))
    await asyncio.sleep(0.15)
    assert not back.done()
    await relay.mend()
    await back


@in_virtual_time
async def test_a_camera_that_does_not_come_back_is_a_timeout() -> None:
    asked: list[float] = []

    def refuse(_: Request) -> bytes:
        asked.append(now())
        return ascom_error(0x500, "no USB")

    async with ScriptedServer({"connected": refuse}) as server:
        async with AsyncCamera(server.address) as camera:
            with pytest.raises(OperationTimeout, match=r"did not come back within 20 s") as caught:
                await camera.reconnect(Reconnect(timeout=20, interval=3))
            assert now() == 20
    assert asked == pytest.approx(list(range(0, 20, 3)))
    assert (caught.value.server, caught.value.member) == (camera.server, "camera/0/connected")


async def test_waiting_can_be_cancelled(camera: AsyncCamera, relay: Relay) -> None:
    relay.cut()
    tasks = len(asyncio.all_tasks())
    back = asyncio.create_task(camera.reconnect(SOON))
    await asyncio.sleep(0.05)
    back.cancel()
    with pytest.raises(asyncio.CancelledError):
        await back
    assert len(asyncio.all_tasks()) <= tasks


async def test_a_timeout_of_the_caller_is_not_converted(camera: AsyncCamera, relay: Relay) -> None:
    async def late() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError) as caught:
        await camera.reconnect(Reconnect(prepare=late))
    assert not isinstance(caught.value, OperationTimeout)


async def test_prepare_is_awaited_when_the_camera_is_back(
    camera: AsyncCamera, simulated: SimulatedCamera
) -> None:
    simulated.set_connected(False)

    async def prepare() -> None:
        assert simulated.connected
        await camera.set_cooler_on(True)

    await camera.reconnect(Reconnect(prepare=prepare))
    assert simulated.get_cooler_on()


async def test_the_error_of_a_refused_setting_is_raised(
    camera: AsyncCamera, simulated: SimulatedCamera
) -> None:
    await camera.set_gain(200)
    simulated.gain = 0
    simulated.gain_range = (0, 100)
    with pytest.raises(InvalidValueException):
        await camera.reconnect(SOON)


async def test_a_camera_that_is_lost_again_is_waited_for_again(
    camera: AsyncCamera, simulated: SimulatedCamera, monkeypatch: pytest.MonkeyPatch
) -> None:
    await camera.set_gain(200)
    simulated.gain = 0
    simulated.refuse("gain", error=NotConnectedException(0x407, "switched off"))
    await camera.reconnect(SOON)
    assert simulated.gain == 200


# At another address


async def test_a_camera_is_found_by_its_id_at_another_address_and_number(
    camera: AsyncCamera, relay: Relay
) -> None:
    await set_up(camera)
    relay.cut()
    moved = new_camera()
    cameras = [new_camera("another"), moved]
    async with SimulatorServer(cameras, host="127.0.0.2", discovery_port=0) as server:
        how = Reconnect(
            interval=0.02,
            timeout=10,
            unique_id=ID,
            hosts=("127.0.0.2",),
            port=server.discovery_port,
        )
        await camera.reconnect(how)
        assert (camera.server, camera.device_number) == (f"http://{server.address}", 1)
        assert camera.setup_url == f"http://{server.address}/setup/v1/camera/1/setup"
        assert settings_of(moved) == SET_UP
        assert not cameras[0].connected
        assert (await camera.get_info()).unique_id == ID


async def test_the_number_may_change_on_the_same_server(client: AlpacaClient) -> None:
    first, second = new_camera("another"), new_camera()
    async with SimulatorServer([first, second]) as server:
        camera = client.camera(server.address, 0)  # its number before the other was plugged in
        await camera.reconnect(Reconnect(unique_id=ID, hosts=()))
        assert (camera.server, camera.device_number) == (f"http://{server.address}", 1)
        assert second.connected
        assert not first.connected


async def test_another_camera_at_the_same_address_is_not_taken_for_it(client: AlpacaClient) -> None:
    stranger, ours = new_camera("another"), new_camera()
    async with SimulatorServer([stranger]) as taken, SimulatorServer([ours]) as moved:
        camera = client.camera(taken.address)
        async with answering(naming(taken.port), naming(moved.port)) as responder:
            how = Reconnect(unique_id=ID, hosts=HERE, port=responder.port)
            await camera.reconnect(how)
        assert camera.server == f"http://{moved.address}"
    assert ours.connected
    assert not stranger.connected


async def test_an_unknown_id_is_searched_for_until_the_timeout(
    client: AlpacaClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "alpaca_async")
    monkeypatch.setattr(recovery, "_SEARCH_TIMEOUT", 0.05)
    async with SimulatorServer([new_camera("another")]) as server:
        camera = client.camera(server.address)
        how = Reconnect(unique_id=ID, hosts=HERE, port=9, timeout=1.0, interval=0.02)
        with pytest.raises(OperationTimeout):
            await camera.reconnect(how)
    assert caplog.text.count(f"no server has the camera {ID}") > 1


async def test_a_camera_with_the_same_id_that_was_there_all_along_is_left_alone(
    camera: AsyncCamera, relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two telescopes with the same model of camera: one is lost, the other is not taken."""
    monkeypatch.setattr(recovery, "_SEARCH_TIMEOUT", 0.1)
    other = new_camera()
    east = int(relay.address.rpartition(":")[2])
    async with SimulatorServer([other]) as west, answering(naming(east), naming(west.port)) as both:
        async with find_cameras(HERE, timeout=0.2, port=both.port) as cameras:
            assert len([found async for found in cameras]) == 2
        relay.cut()
        how = Reconnect(unique_id=ID, hosts=HERE, port=both.port, timeout=1.0, interval=0.02)
        with pytest.raises(OperationTimeout):
            await camera.reconnect(how)
        assert camera.server == f"http://{relay.address}"
        assert other.count("connected") == other.count("connect") == 0


async def test_a_camera_whose_server_answers_only_discovery_is_waited_for(
    client: AlpacaClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "_SEARCH_TIMEOUT", 0.1)
    other = new_camera()
    silent = {"configureddevices": http(b"", status="500 Crashed")}
    async with ScriptedServer(dict(silent)) as east, SimulatorServer([other]) as west:
        camera = client.camera(east.address)
        ports = int(east.address.rpartition(":")[2]), west.port
        async with answering(*map(naming, ports)) as both:
            how = Reconnect(unique_id=ID, hosts=HERE, port=both.port, timeout=0.6, interval=0.02)
            with pytest.raises(OperationTimeout):
                await camera.reconnect(how)
        assert camera.server == f"http://{east.address}"
    assert other.count("connected") == 0


async def test_a_camera_behind_https_is_not_searched_for(client: AlpacaClient) -> None:
    camera = client.camera("https://127.0.0.1:1")
    with pytest.raises(ValueError, match="requires an http server"):
        await camera.reconnect(Reconnect(unique_id=ID))
    with pytest.raises(ValueError, match="requires an http server"):
        camera.exposures(1, reconnect=Reconnect(unique_id=ID))


def test_invalid_arguments_are_refused() -> None:
    with pytest.raises(TypeError, match="not a string"):
        Reconnect(hosts="localhost")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="each of hosts must be a string"):
        Reconnect(hosts=(7,))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="port must be between"):
        Reconnect(port=0)
    with pytest.raises(ValueError, match="unique_id must not be empty"):
        Reconnect(unique_id="")
    with pytest.raises(ValueError, match="timeout"):
        Reconnect(timeout=-1)
    with pytest.raises(ValueError, match="interval"):
        Reconnect(interval=float("nan"))


# Cached facts


async def test_settings_are_read_again_after_a_restart(camera: AsyncCamera, relay: Relay) -> None:
    await camera.set_gain(50)
    assert (await camera.get_settings()).gain == 50
    relay.cut()
    with pytest.raises(TransportError):
        await camera.get_gain()
    async with SimulatorServer([new_camera(initially_connected=True)]) as server:
        relay.target = server.address
        await relay.mend()
        assert (await camera.get_settings()).gain == 0


async def test_settings_are_read_again_if_the_camera_was_not_connected(
    camera: AsyncCamera, simulated: SimulatedCamera
) -> None:
    await camera.get_settings()
    simulated.set_connected(False)
    for call in (camera.get_gain(), camera.start_exposure(1)):
        await camera.connect()
        await camera.get_settings()
        simulated.set_connected(False)
        with pytest.raises(NotConnectedException):
            await call
        simulated.set_connected(True)
        simulated.gain = 33
        assert (await camera.get_settings()).gain == 33
        simulated.gain = 0


async def test_a_restart_between_requests_is_detected_by_the_transaction_ids(
    camera: AsyncCamera, relay: Relay
) -> None:
    await camera.set_gain(50)
    for _ in range(40):
        await camera.get_camera_state()
    assert (await camera.expose(0.01)).data.shape == (HEIGHT, WIDTH)
    restarted = new_camera(initially_connected=True)
    async with SimulatorServer([restarted]) as server:
        relay.target = server.address
        relay.cut()
        await relay.mend()
        image = await camera.expose(0.01)
    assert restarted.count("startexposure") == 1
    assert image.exposure.settings.gain == 0


async def test_a_server_without_transaction_ids_gets_no_more_requests(
    client: AlpacaClient,
) -> None:
    async with ScriptedServer({}) as server:
        camera = client.camera(server.address)
        known = camera._record.settings.known
        for number in (7, 0, 0, 8, 6):
            server.replies["gain"] = value(1, ServerTransactionID=number)
            await camera.get_gain()
            assert camera._record.settings.known is known


async def test_all_facts_are_read_again_after_connecting_again(
    camera: AsyncCamera, relay: Relay
) -> None:
    assert (await camera.get_info()).camera_x_size == WIDTH
    assert (await camera.get_status()).camera_state is not None
    other = new_camera(width=100, interface_version=3, has_cooler=False)
    async with SimulatorServer([other]) as server:
        relay.target = server.address
        relay.cut()
        await relay.mend()
        await camera.connect()
        assert (await camera.get_info()).camera_x_size == 100
        other.requests.clear()
        await camera.get_status()
        assert "devicestate" not in {request.member for request in other.requests}


# Sequences


async def taken(
    camera: AsyncCamera, how: Reconnect | None, count: int = 3, duration: float = 0.01
) -> list[Image[Exposure]]:
    async with camera.exposures(duration, count=count, reconnect=how) as frames:
        return [image async for image in frames]


def starts(simulated: SimulatedCamera) -> int:
    return simulated.count("startexposure")


async def test_a_sequence_continues_if_the_server_dies_in_a_download_and_returns_elsewhere(
    client: AlpacaClient, simulated: SimulatedCamera
) -> None:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(SimulatorServer([simulated], discovery_port=0))
        relay = await stack.enter_async_context(Relay(server.address))
        camera = client.camera(relay.address)
        await camera.connect()
        await camera.set_gain(30)
        restarted = new_camera()
        port = server.discovery_port

        async def die_and_return() -> None:
            await relay.is_cut.wait()
            await server.__aexit__(None, None, None)
            await asyncio.sleep(0.1)
            again = SimulatorServer([restarted], discovery_port=port)
            await stack.enter_async_context(again)

        dying = asyncio.create_task(die_and_return())
        how = Reconnect(interval=0.05, timeout=20, unique_id=ID, hosts=HERE, port=port)
        images: list[Image[Exposure]] = []
        async with camera.exposures(0.01, count=4, reconnect=how) as frames:
            async for image in frames:
                images.append(image)
                if len(images) == 1:
                    relay.cut_after = HALF
        await dying
        assert camera.server != f"http://{relay.address}"
    assert len(images) == 4
    assert all(image.data.shape == (HEIGHT, WIDTH) for image in images)
    assert starts(simulated) + starts(restarted) == 5
    assert starts(restarted) >= 2
    gains = [image.exposure.settings.gain for image in images]
    assert gains == [30] * 4


async def test_without_reconnecting_the_same_loss_is_one_typed_error(
    camera: AsyncCamera, relay: Relay
) -> None:
    images: list[Image[Exposure]] = []
    async with camera.exposures(0.01, count=4) as frames:
        images.append(await anext(frames))
        relay.cut_after = HALF
        with pytest.raises((TransportError, IncompleteImage)):
            images.extend([image async for image in frames])
        with pytest.raises(StopAsyncIteration):
            await anext(frames)
    assert 1 <= len(images) < 4


async def mend_later(relay: Relay, *, times: int = 1) -> None:
    for _ in range(times):
        await relay.is_cut.wait()
        await asyncio.sleep(0.05)
        await relay.mend()


async def test_an_image_that_survived_the_loss_is_downloaded(
    camera: AsyncCamera, relay: Relay, simulated: SimulatedCamera
) -> None:
    await camera.set_gain(30)
    relay.cut_after = HALF
    mending = asyncio.create_task(mend_later(relay))
    images = await taken(camera, SOON)
    await mending
    assert len(images) == starts(simulated) == 3
    assert simulated.count("abortexposure") == 0
    exposure = images[0].exposure
    assert exposure is not None
    assert exposure.settings.gain == 30


async def test_an_exposure_that_could_not_be_polled_is_aborted_and_repeated(
    camera: AsyncCamera,
    relay: Relay,
    simulated: SimulatedCamera,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(patience, "LOSS_GRACE", 0.05)
    simulated.readout_time = 30.0
    abort = simulated.abort_exposure

    def abort_and_be_quick() -> None:
        abort()
        simulated.readout_time = 0.0

    monkeypatch.setattr(simulated, "abort_exposure", abort_and_be_quick)
    sequence = asyncio.create_task(taken(camera, SOON, count=1))
    await until(lambda: camera._record.exposures.has_waiters)
    relay.cut()
    await until(lambda: "could not be aborted" in caplog.text)
    await relay.mend()
    assert len(await sequence) == 1
    assert (starts(simulated), simulated.count("abortexposure")) == (2, 1)


@in_virtual_time
async def test_an_exposure_that_a_restart_between_two_polls_ended_is_repeated() -> None:
    clock = asyncio.get_running_loop().time
    old, new = (new_camera(initially_connected=True, clock=clock) for _ in range(2))
    async with (
        SimulatorServer([old]) as server,
        SimulatorServer([new]) as restarted,
        Relay(server.address) as relay,
        AsyncCamera(relay.address) as camera,
    ):
        for _ in range(40):
            await camera.get_camera_state()
        sequence = asyncio.create_task(taken(camera, SOON, count=1, duration=30))
        await asyncio.sleep(10)
        relay.target = restarted.address
        relay.cut()
        await relay.mend()
        assert len(await sequence) == 1
    assert starts(new) == 1


@pytest.mark.parametrize("leave", ["cancelled", "failed"])
async def test_an_exposure_that_could_not_be_polled_is_aborted_if_reconnecting_fails(
    camera: AsyncCamera,
    relay: Relay,
    simulated: SimulatedCamera,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    leave: str,
) -> None:
    monkeypatch.setattr(patience, "LOSS_GRACE", 0.05)
    back = asyncio.Event()

    async def prepare() -> None:
        back.set()
        if leave == "failed":
            raise ValueError(leave)
        await asyncio.sleep(60)

    how = Reconnect(interval=0.02, timeout=10, prepare=prepare)
    simulated.readout_time = 30.0
    sequence = asyncio.create_task(taken(camera, how, count=1))
    await until(lambda: camera._record.exposures.has_waiters)
    relay.cut()
    await until(lambda: "could not be aborted" in caplog.text)
    await relay.mend()
    await back.wait()
    sequence.cancel()
    await asyncio.wait([sequence])
    assert (starts(simulated), simulated.count("abortexposure")) == (1, 1)


async def test_what_comes_before_an_exposure_is_repeated_with_it(
    camera: AsyncCamera, simulated: SimulatedCamera
) -> None:
    numbers: list[int] = []

    async def before(number: int) -> None:
        numbers.append(number)

    async def prepare() -> None:
        if len(numbers) == 2:
            simulated.set_connected(False)
        await camera.set_gain(len(numbers))

    requests = [ExposureRequest(0.01, prepare=prepare)] * 3
    async with camera.exposures(requests, before_each=before, reconnect=SOON) as frames:
        images = [image async for image in frames]
    assert numbers == [0, 1, 1, 2]
    gains = [image.exposure.settings.gain for image in images]
    assert gains == [1, 3, 4]


async def test_a_server_that_dies_at_every_image_ends_the_sequence(
    camera: AsyncCamera, relay: Relay, simulated: SimulatedCamera
) -> None:
    async def lose_the_image(_: int) -> None:
        relay.cut_after = HALF

    async def mend() -> None:
        while True:
            await mend_later(relay)
            simulated.abort_exposure()  # as a restart would
            simulated.set_connected(False)

    mending = asyncio.create_task(mend())
    how = Reconnect(interval=0.02, timeout=10, attempts=2)
    with pytest.raises((TransportError, IncompleteImage)):
        async with camera.exposures(0.01, before_each=lose_the_image, reconnect=how) as frames:
            await anext(frames)
    mending.cancel()
    assert starts(simulated) == 3


async def test_an_error_of_the_camera_itself_ends_the_sequence(
    camera: AsyncCamera, simulated: SimulatedCamera
) -> None:
    simulated.fail_exposure("no shutter")
    with pytest.raises(DriverException, match="no shutter"):
        await taken(camera, SOON)
    assert starts(simulated) == 1


async def test_an_error_of_another_server_ends_the_sequence(camera: AsyncCamera) -> None:
    async def turn_the_wheel(_: int) -> None:
        raise TransportError("refused").at("http://127.0.0.1:1", "filterwheel/0/position")

    with pytest.raises(TransportError, match="refused"):
        async with camera.exposures(0.01, before_each=turn_the_wheel, reconnect=SOON) as frames:
            await anext(frames)


@pytest.mark.parametrize(("status", "lost"), [("503 Busy", True), ("500 No", False)])
async def test_a_gateway_without_its_server_is_a_loss(
    client: AlpacaClient, status: str, lost: bool
) -> None:
    async with ScriptedServer({"startexposure": http(b"", status=status)}) as server:
        camera = client.camera(server.address)
        with pytest.raises(RequestRejected) as caught:
            await camera.start_exposure(1)
        assert camera._is_loss(caught.value) is lost


@pytest.mark.long
@pytest.mark.timeout(120)
async def test_a_frame_is_restored_over_a_network_that_loses_replies(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Twenty times, each at most ten seconds of a network with real time limits."""
    for module in (idle, recovery):
        monkeypatch.setattr(module, "READ_LIMIT", 0.1)

    async def restore(seed: int) -> None:
        simulated = SimulatedCamera(width=64, height=48, initially_connected=True)
        async with (
            SimulatorServer([simulated]) as server,
            FaultProxy(server.address, seed=seed) as proxy,
            AlpacaClient() as client,
        ):
            camera = client.camera(proxy.address)
            await camera.set_frame(num_x=32, num_y=24)
            await camera.set_gain(50)
            simulated.reset_settings()
            proxy.add("lose_reply", probability=0.05)
            simulated.requests.clear()
            await camera.reconnect(Reconnect(timeout=10.0, interval=0.1))
            assert (simulated.num_x, simulated.num_y, simulated.gain) == (32, 24, 50)
            assert len(simulated.requests) < 40

    for seed in range(20):
        await restore(seed)


async def test_what_could_not_be_set_is_still_wanted(client: AlpacaClient) -> None:
    simulated = SimulatedCamera(width=64, height=48, initially_connected=True)
    async with SimulatorServer([simulated]) as server:
        camera = client.camera(server.address)
        await camera.set_frame(num_x=32)
        simulated.refuse("NumY")
        with pytest.raises(AscomError):
            await camera.set_frame(num_x=16, num_y=16)
        simulated.reset_settings()
        await camera.reconnect()
    assert simulated.num_x == 32


async def test_a_camera_that_silently_keeps_another_value_is_given_up() -> None:
    """Each round sends once what is missing."""

    async with (
        ScriptedServer(forgetful := Forgetful(gain=200)) as server,
        AsyncCamera(server.address) as camera,
    ):
        await camera.set_gain(200)
        forgetful["gain"] = lambda request: value(0 if request.verb == "GET" else None)
        with pytest.raises(OperationFailed, match="the camera does not take Gain"):
            await camera.reconnect(SOON)
    sent = [each for each in server.requests if (each.verb, each.member) == ("PUT", "gain")]
    assert len(sent) == 1 + recovery._RESTORE_ROUNDS


@in_virtual_time
async def test_a_value_that_is_not_answered_once_is_read_again() -> None:
    lost = 0

    async def gain(request: Request) -> bytes:
        nonlocal lost
        if request.verb == "GET" and not lost:
            lost += 1
            await asyncio.Event().wait()
        return value(200)

    async with (
        ScriptedServer(Forgetful(gain=200)) as server,
        AlpacaClient(timeouts=Timeouts(reply=1.0)) as client,
    ):
        camera = client.camera(server.address)
        await camera.set_gain(200)
        server.replies["gain"] = gain
        await camera.reconnect(SOON)
    assert lost == 1
    assert server.count("gain") == 3


@pytest.mark.parametrize("member", ["connected", "gain", "numx"])
@in_virtual_time
async def test_the_log_names_what_was_not_answered(
    member: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "alpaca_async")
    replies = Forgetful(gain=200)
    replies.update((name.lower(), value(1)) for name in FRAME_MEMBERS)

    async def lose_one(_: Request) -> bytes:
        server.replies[member] = answer
        await asyncio.Event().wait()
        return b""

    async with ScriptedServer(replies) as server, AsyncCamera(server.address) as camera:
        await camera.set_gain(200)
        await camera.set_num_x(1)
        answer, server.replies[member] = server.replies[member], lose_one
        await camera.reconnect(SOON)
    assert f" camera/0/{member}: no reply within 2 s" in caplog.text


class Forgetful(dict[str, "Reply"]):
    """The replies of a connected camera with a gain."""

    def __init__(self, gain: int) -> None:
        members: dict[str, Reply] = {"interfaceversion": value(3), "connected": value(True)}
        super().__init__(members | {"gain": value(gain)})

    def __missing__(self, member: str) -> Reply:
        return ascom_error(0x400, f"no {member}")

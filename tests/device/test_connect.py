from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, TypeVar

import pytest

from alpaca_async import (
    AlpacaClient,
    AsyncCamera,
    AsyncDevice,
    DriverException,
    OperationFailed,
    OperationTimeout,
    RequestRejected,
    Timeouts,
    TransportError,
    TransportTimeout,
)
from alpaca_async._device import device as device_module
from alpaca_async._device import patience
from alpaca_async.testing import SimulatedCamera, SimulatorServer
from tests.scripted import Request, ScriptedServer, ascom_error, http, value
from tests.virtual_time import in_virtual_time, now

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.scripted import Reply

T = TypeVar("T")
BAD_REQUEST = http(b"no such member", "text/plain", status="400 Bad Request")


@pytest.fixture
def quick_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_module, "_CONNECTED_GRACE", 0.1)


@pytest.mark.parametrize("version", [3, 4])
async def test_connect_disconnect_and_connect_again_connects(
    version: int, client: AlpacaClient
) -> None:
    simulated = SimulatedCamera(interface_version=version, connect_time=0.05)
    async with SimulatorServer([simulated]) as server:
        camera = client.camera(server.address)
        for _ in range(2):
            await camera.connect()
            assert await camera.get_connected()
            assert not await camera.get_connecting()
            await camera.disconnect()
            assert not await camera.get_connected()
    member = "connect" if version == 4 else "connected"
    assert simulated.count(member, "PUT") == (2 if version == 4 else 4)


@in_virtual_time
async def test_without_waiting_connecting_is_reported() -> None:
    simulated = SimulatedCamera(clock=asyncio.get_running_loop().time, connect_time=0.1)
    async with SimulatorServer([simulated]) as server, AsyncCamera(server.address) as camera:
        await camera.connect(wait=False)
        assert await camera.get_connecting()
        assert not await camera.get_connected()
        await camera.connect()
        assert await camera.get_connected()
        await camera.disconnect(wait=False)
        assert await camera.get_connecting()


@pytest.mark.parametrize("connected", [True, False])
@in_virtual_time
async def test_an_older_device_is_connecting_while_a_command_of_this_client_is_answered(
    connected: bool,
) -> None:
    async def slow(request: Request) -> bytes:
        await asyncio.sleep(1 if request.verb == "PUT" else 0)
        return value(connected if request.verb == "GET" else None)

    members = old_device(connected=slow)
    async with ScriptedServer(members) as server, AsyncCamera(server.address) as camera:
        assert not await camera.get_connecting()
        command = asyncio.create_task(camera.connect() if connected else camera.disconnect())
        await asyncio.sleep(0.5)
        assert await camera.get_connecting()
        await command
        assert not await camera.get_connecting()


@pytest.mark.parametrize("version", [3, 4])
@in_virtual_time
async def test_two_tasks_that_connect_at_once_send_one_connect(version: int) -> None:
    simulated = SimulatedCamera(
        clock=asyncio.get_running_loop().time, interface_version=version, connect_time=0.05
    )
    async with SimulatorServer([simulated]) as server, AsyncCamera(server.address) as camera:
        await asyncio.gather(*(camera.connect() for _ in range(5)))
    assert simulated.count("connect", "PUT") + simulated.count("connected", "PUT") == 1


@in_virtual_time
async def test_one_of_two_connecting_tasks_can_be_cancelled() -> None:
    simulated = SimulatedCamera(clock=asyncio.get_running_loop().time, connect_time=0.2)
    async with SimulatorServer([simulated]) as server, AsyncCamera(server.address) as camera:
        first, second = (asyncio.create_task(camera.connect()) for _ in range(2))
        await asyncio.sleep(0.05)
        first.cancel()
        await second
        assert first.cancelled()
        assert await camera.get_connected()
    assert simulated.count("disconnect", "PUT") == 0


@in_virtual_time
async def test_a_cancelled_connect_is_undone() -> None:
    simulated = SimulatedCamera(clock=asyncio.get_running_loop().time, connect_time=0.1)
    async with SimulatorServer([simulated]) as server, AsyncCamera(server.address) as camera:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.03):
                await camera.connect()
        await asyncio.sleep(0.2)
        assert not simulated.connected
        assert not camera._record.connecting.running
        await camera.connect()
        assert simulated.connected


@in_virtual_time
async def test_a_new_connect_waits_until_a_cancelled_one_is_undone() -> None:
    commands: list[str] = []

    async def connected(request: Request) -> bytes:
        if request.verb == "GET":
            return value(commands[-1:] == ["True"])
        commands.append(request.parameters["Connected"])
        await asyncio.sleep(0.1)
        return value(None)

    async with (
        ScriptedServer(old_device(connected=connected)) as server,
        AsyncCamera(server.address) as camera,
    ):
        first = asyncio.create_task(camera.connect())
        await asyncio.sleep(0.05)
        first.cancel()
        await asyncio.sleep(0)
        await camera.connect()
        with pytest.raises(asyncio.CancelledError):
            await first
    assert commands == ["True", "False", "True"]


@in_virtual_time
async def test_a_cancelled_blocking_connect_is_undone() -> None:
    commands: list[str] = []

    async def connected(request: Request) -> bytes:
        if request.verb == "GET":
            return value(False)
        commands.append(request.parameters["Connected"])
        await asyncio.sleep(0.2 if commands == ["True"] else 0)
        return value(None)

    async with (
        ScriptedServer(old_device(connected=connected)) as server,
        AsyncCamera(server.address) as camera,
    ):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await camera.connect()
    assert commands == ["True", "False"]


@in_virtual_time
async def test_a_device_that_was_connected_is_not_disconnected_by_a_connect_that_fails() -> None:
    replies: dict[str, Reply] = {
        "interfaceversion": value(4),
        "connected": value(True),
        "connect": value(None),
        "connecting": value(True),
    }
    async with ScriptedServer(replies) as server, AsyncCamera(server.address) as camera:
        with pytest.raises(OperationTimeout):
            await camera.connect(timeout=0.1)
    commands = [request.member for request in server.requests if request.verb == "PUT"]
    assert commands == ["connect"]


@in_virtual_time
async def test_a_connect_that_times_out_is_undone() -> None:
    simulated = SimulatedCamera(clock=asyncio.get_running_loop().time, connect_time=30)
    async with SimulatorServer([simulated]) as server, AsyncCamera(server.address) as camera:
        with pytest.raises(OperationTimeout, match=r"not connected within 0\.1 s") as caught:
            await camera.connect(timeout=0.1)
    assert caught.value.member == "camera/0/connecting"
    assert simulated.count("disconnect", "PUT") == 1


def old_device(**replies: Reply) -> dict[str, Reply]:
    """Return the replies of a Platform 6 device that is connected through `Connected`."""
    state = {"connected": False}

    def connected(request: Request) -> bytes:
        if request.verb == "PUT":
            state["connected"] = request.parameters["Connected"] == "True"
            return value(None)
        return value(state["connected"])

    missing: dict[str, Reply] = dict.fromkeys(("connect", "connecting", "disconnect"), BAD_REQUEST)
    return {"interfaceversion": value(3), "connected": connected, **missing, **replies}


@pytest.mark.parametrize(
    "no_connect",
    [BAD_REQUEST, http(b"{}", status="404 Not Found"), ascom_error(0x400, "not implemented")],
)
async def test_a_device_that_claims_platform_7_without_connect_falls_back(
    no_connect: bytes, client: AlpacaClient
) -> None:
    replies = old_device(interfaceversion=value(4), connect=no_connect, disconnect=no_connect)
    async with ScriptedServer(replies) as server:
        camera = client.camera(server.address)
        await camera.connect()
        assert await camera.get_connected()
        await camera.disconnect()
        assert not await camera.get_connected()


async def test_a_device_of_another_type_has_the_common_members(client: AlpacaClient) -> None:
    async with ScriptedServer(old_device(interfaceversion=value(1))) as server:
        device = client.device(server.address, "SafetyMonitor", 2)
        await device.connect()
        assert await device.get_connected()
    assert device.device_type == "safetymonitor"


PLATFORM_7 = {
    "Camera": 4,
    "CoverCalibrator": 2,
    "Dome": 3,
    "FilterWheel": 3,
    "Focuser": 4,
    "ObservingConditions": 2,
    "Rotator": 4,
    "SafetyMonitor": 3,
    "Switch": 3,
    "Telescope": 4,
    "Video": 2,
}
"""By type, the first version of the interface that has Connect, as ASCOM lists them."""


@pytest.mark.parametrize("kind", PLATFORM_7)
@pytest.mark.parametrize("older", [0, 1])
async def test_each_type_has_connect_since_a_version_of_its_own(
    kind: str, older: int, client: AlpacaClient
) -> None:
    version = value(PLATFORM_7[kind] - older)
    replies = old_device(interfaceversion=version, connect=value(None), connected=value(True))
    async with ScriptedServer(replies) as server:
        await client.device(server.address, kind).connect()
    assert server.count("connect") == (not older)


@in_virtual_time
async def test_a_device_may_take_half_a_minute_to_connect() -> None:
    members = old_device(connected=value(False))
    async with ScriptedServer(members) as server, AsyncDevice(server.address, "dome") as dome:
        with pytest.raises(OperationTimeout, match="not connected within 30 s"):
            await dome.connect()
        assert now() == 30


async def test_a_device_without_a_version_is_treated_as_old(client: AlpacaClient) -> None:
    async with ScriptedServer(old_device(interfaceversion=BAD_REQUEST)) as server:
        await client.camera(server.address).connect()
        assert server.count("connect") == 0


async def test_a_refused_connect_sends_no_disconnect(client: AlpacaClient) -> None:
    replies: dict[str, Reply] = {
        "interfaceversion": value(4),
        "connected": value(False),
        "connect": ascom_error(0x500, "no USB"),
    }
    async with ScriptedServer(replies) as server:
        camera = client.camera(server.address)
        for _ in range(2):
            with pytest.raises(DriverException, match="no USB"):
                await camera.connect()
        assert not camera._record.connecting.running
    commands = [request.member for request in server.requests if request.verb == "PUT"]
    assert commands == ["connect", "connect"]


@in_virtual_time
async def test_a_connect_that_ends_without_a_connection_fails(quick_grace: None) -> None:
    async with (
        ScriptedServer(old_device(connected=value(False))) as server,
        AsyncCamera(server.address) as camera,
    ):
        with pytest.raises(OperationFailed, match="not connected"):
            await camera.connect()
        assert now() == 30


@in_virtual_time
async def test_a_device_that_has_finished_connecting_must_soon_be_connected() -> None:
    replies = old_device(
        connected=value(False),
        connecting=lambda _: value(server.count("connecting") < 3),
    )
    async with ScriptedServer(replies) as server, AsyncCamera(server.address) as camera:
        with pytest.raises(OperationFailed, match="accepted the command, but is not") as caught:
            await camera.connect()
        assert now() < 5
    assert not isinstance(caught.value, OperationTimeout)


@in_virtual_time
async def test_a_failed_undo_does_not_hide_the_error(
    quick_grace: None, caplog: pytest.LogCaptureFixture
) -> None:
    def connected(request: Request) -> bytes:
        on = request.verb == "GET" or request.parameters["Connected"] == "True"
        return value(False) if on else ascom_error(0x500, "stuck")

    caplog.set_level("INFO", "alpaca_async")
    async with (
        ScriptedServer(old_device(connected=connected)) as server,
        AsyncCamera(server.address) as camera,
    ):
        with pytest.raises(OperationFailed, match="not connected"):
            await camera.connect()
    assert "stuck" in caplog.text


@pytest.mark.parametrize("member", ["connect", "connecting"])
@in_virtual_time
async def test_other_rejections_do_not_mean_a_missing_member(member: str) -> None:
    broken = http(b"crashed", "text/plain", status="500 Oops")
    replies = old_device(interfaceversion=value(4), connect=value(None), disconnect=value(None))
    async with (
        ScriptedServer(replies | {member: broken}) as server,
        AsyncCamera(server.address) as camera,
    ):
        with pytest.raises(RequestRejected, match="crashed"):
            await camera.connect()


@in_virtual_time
async def test_a_server_that_dies_while_connecting_is_a_transport_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def dies(_: Request) -> bytes:
        raise ConnectionResetError

    monkeypatch.setattr(patience, "LOSS_GRACE", 0.1)
    replies = old_device(interfaceversion=value(4), connect=dies, connecting=dies)
    async with ScriptedServer(replies) as server, AsyncCamera(server.address) as camera:
        with pytest.raises(TransportError):
            await camera.connect()
    assert server.count("connect") == server.count("disconnect") == 1


async def test_a_command_that_cannot_be_sent_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(patience, "LOSS_GRACE", 0.1)
    async with AsyncCamera("127.0.0.1:1") as camera:
        monkeypatch.setattr(camera, "_is_platform_7", at_once(False))
        monkeypatch.setattr(camera, "_is_connected", at_once(None))
        with pytest.raises(TransportError, match="camera/0/connected: ") as caught:
            await camera.connect()
    assert not caught.value.outcome_unknown


def at_once(result: T) -> Callable[[], Awaitable[T]]:
    async def answer() -> T:
        return result

    return answer


@in_virtual_time
async def test_a_server_that_answers_nothing_while_it_connects_is_waited_for() -> None:
    """It answers neither the command nor a poll before the device is connected."""
    connected = asyncio.Event()

    async def busy(request: Request) -> bytes:
        if server.count("connected") > 1:
            await connected.wait()
        return value(None if request.verb == "PUT" else connected.is_set())

    async with (
        ScriptedServer(old_device(connected=busy)) as server,
        AlpacaClient(timeouts=Timeouts(reply=2.0)) as client,
    ):
        asyncio.get_running_loop().call_later(20, connected.set)
        await client.camera(server.address).connect()
        assert 20 <= now() < 25
    sent = [r.parameters["Connected"] for r in server.requests if r.verb == "PUT"]
    assert sent == ["True"]


@in_virtual_time
async def test_a_late_reply_to_a_poll_is_not_the_timeout_of_the_attempt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def never(_: Request) -> bytes:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(patience, "LOSS_GRACE", 0.1)
    async with (
        ScriptedServer(old_device(interfaceversion=never)) as server,
        AlpacaClient(timeouts=Timeouts(reply=2.0)) as client,
    ):
        with pytest.raises(TransportTimeout, match="interfaceversion"):
            await client.camera(server.address).connect(timeout=30)


@in_virtual_time
async def test_a_lost_reply_to_the_command_is_looked_after() -> None:
    def lost(_: Request) -> bytes:
        raise ConnectionResetError

    replies = old_device(
        interfaceversion=value(4),
        connect=lost,
        connected=lambda _: value(server.count("connect") > 0),
    )
    async with ScriptedServer(replies) as server, AsyncCamera(server.address) as camera:
        await camera.connect(timeout=5)
    assert server.count("connect") == 1
    assert not server.count("disconnect")


@in_virtual_time
async def test_a_device_that_is_connected_is_not_waited_for_an_answer() -> None:
    async def never(request: Request) -> bytes:
        if request.verb == "PUT":
            await asyncio.Event().wait()
        return value(server.count("connected") > 2)

    async with (
        ScriptedServer(old_device(connected=never)) as server,
        AlpacaClient(timeouts=Timeouts(reply=2.0)) as client,
    ):
        camera = client.camera(server.address)
        await camera.connect(timeout=5)
        ours = [each for each in asyncio.all_tasks() if "_serve" not in repr(each.get_coro())]
        assert ours == [asyncio.current_task()]


@pytest.mark.parametrize("fault", ["lost", "garbage", "500", "404 after it worked"])
@in_virtual_time
async def test_a_poll_that_fails_changes_nothing(fault: str) -> None:
    def connecting(_: Request) -> bytes:
        number = server.count("connecting")
        if number == 3:
            if fault == "lost":
                raise ConnectionResetError
            return {
                "garbage": http(b"<html>"),
                "500": http(b"", status="500 Oops"),
                "404 after it worked": http(b"", status="404 Not Found"),
            }[fault]
        return value(number < 6)

    replies = old_device(
        interfaceversion=value(4),
        connect=value(None),
        connecting=connecting,
        connected=lambda _: value(server.count("connecting") >= 6),
    )
    async with ScriptedServer(replies) as server, AsyncCamera(server.address) as camera:
        await camera.connect(timeout=10)
    assert server.count("connecting") >= 6
    assert not server.count("disconnect")


@pytest.mark.parametrize("version", [3, 4])
async def test_connecting_takes_as_long_as_its_timeout_allows(version: int) -> None:
    """Some servers answer only when the device is connected, others answer at once."""

    async def slow(request: Request) -> bytes:
        if request.verb == "PUT":
            await asyncio.sleep(0.3)
        return value(server.count("connect") + server.count("connected") > 3)

    quick = Timeouts(establish=3.0, reply=3.0, long=0.1)
    replies = old_device(interfaceversion=value(version), connect=slow, connected=slow)
    async with ScriptedServer(replies) as server, AlpacaClient(timeouts=quick) as client:
        await client.camera(server.address).connect(timeout=10)
    assert not server.count("disconnect")


@in_virtual_time
async def test_a_device_that_is_connected_some_seconds_later_is_waited_for(
    quick_grace: None,
) -> None:
    replies = old_device(connected=lambda _: value(server.count("connected") > 9))
    async with ScriptedServer(replies) as server, AsyncCamera(server.address) as camera:
        await camera.connect(timeout=10)
    sent = [r.parameters["Connected"] for r in server.requests if r.verb == "PUT"]
    assert sent == ["True"]


@pytest.mark.parametrize(
    ("reply", "undone"),
    [
        (value(False), True),
        (ascom_error(0x407, "not connected"), True),
        (value(True), False),
        (ascom_error(0x500, "busy"), False),
        (value("maybe"), False),
        (http(b"", status="500 Oops"), False),
    ],
)
@in_virtual_time
async def test_a_failed_connect_undoes_only_what_it_knows_it_did(
    reply: bytes, undone: bool
) -> None:
    def connected(request: Request) -> bytes:
        return value(None) if request.verb == "PUT" else reply

    replies = old_device(connected=connected, connecting=value(True))
    async with ScriptedServer(replies) as server, AsyncCamera(server.address) as camera:
        with pytest.raises(OperationTimeout):
            await camera.connect(timeout=0.1)
    sent = [r.parameters["Connected"] for r in server.requests if r.verb == "PUT"]
    assert sent == (["True", "False"] if undone else ["True"])


class ComparingServer:
    """A Platform 6 device whose server takes these texts for true, and any other for false."""

    def __init__(self, *true: str, takes: float = 0.0, connected: bool = False) -> None:
        self.sent: list[str] = []
        self._true = true
        self._takes = takes
        self._since = 0.0 if connected else math.inf

    def replies(self, **others: Reply) -> dict[str, Reply]:
        return old_device(connected=self._connected, **others)

    def _connected(self, request: Request) -> bytes:
        if request.verb == "GET":
            return value(now() >= self._since)
        text = request.parameters["Connected"]
        self.sent.append(text)
        if text not in self._true:
            self._since = math.inf
        elif self._since == math.inf:
            self._since = now() + self._takes
        return value(None)


@in_virtual_time
async def test_the_next_attempt_uses_the_other_spelling_and_it_is_remembered() -> None:
    device = ComparingServer("true", takes=3)
    async with (
        ScriptedServer(device.replies()) as server,
        AsyncCamera(server.address) as camera,
    ):
        with pytest.raises(OperationTimeout):
            await camera.connect()
        assert device.sent == ["True", "False"]
        await camera.connect()
        await camera.disconnect()
        assert not await camera.get_connected()
        await camera.connect()
        assert await camera.get_connected()
        assert camera._record.spelling.lowercase
    assert device.sent == ["True", "False", "true", "false", "true"]


@in_virtual_time
async def test_a_slow_device_gets_one_command_in_each_attempt() -> None:
    device = ComparingServer("True", "true", takes=50)
    async with ScriptedServer(device.replies()) as server, AsyncCamera(server.address) as camera:
        for _ in range(3):
            with pytest.raises(OperationTimeout):
                await camera.connect()
        assert device.sent == ["True", "False", "true", "False", "True", "False"]
        await camera.connect(timeout=60)
        assert len(device.sent) == 7


@in_virtual_time
async def test_a_device_that_takes_fifty_seconds_gets_one_command() -> None:
    device = ComparingServer("True", takes=50)
    async with ScriptedServer(device.replies()) as server, AsyncCamera(server.address) as camera:
        await camera.connect(timeout=60)
        assert now() >= 50
    assert device.sent == ["True"]


@in_virtual_time
async def test_disconnecting_needs_no_spelling() -> None:
    """Whatever a server takes for true, `False` is something else."""
    device = ComparingServer("true", connected=True)
    async with ScriptedServer(device.replies()) as server, AsyncCamera(server.address) as camera:
        await camera.disconnect()
        assert not await camera.get_connected()
    assert device.sent == ["False"]


@in_virtual_time
async def test_a_spelling_that_has_connected_is_kept() -> None:
    device = ComparingServer("True", takes=10)
    async with ScriptedServer(device.replies()) as server, AsyncCamera(server.address) as camera:
        await camera.connect()
        await camera.disconnect()
        for _ in range(2):
            with pytest.raises(OperationTimeout):
                await camera.connect(timeout=5)
        await camera.connect()
        assert camera._record.spelling.lowercase is None  # other members may compare differently
    assert device.sent == ["True", "False"] * 3 + ["True"]


@in_virtual_time
async def test_an_attempt_that_was_given_up_soon_changes_no_spelling() -> None:
    device = ComparingServer("True", takes=10)
    async with ScriptedServer(device.replies()) as server, AsyncCamera(server.address) as camera:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await camera.connect()
        await camera.connect()
    assert device.sent == ["True", "False", "True"]


@in_virtual_time
async def test_a_connected_device_that_connecting_disconnects_is_connected_at_once() -> None:
    device = ComparingServer("true", connected=True)
    async with ScriptedServer(device.replies()) as server, AsyncCamera(server.address) as camera:
        await camera.connect()
        assert await camera.get_connected()
        assert now() < 2
        await camera.connect()
    assert device.sent == ["True", "true", "true"]


@in_virtual_time
async def test_a_connected_device_gets_no_second_command() -> None:
    device = ComparingServer("True", connected=True)
    async with ScriptedServer(device.replies()) as server, AsyncCamera(server.address) as camera:
        await camera.connect()
    assert device.sent == ["True"]


@in_virtual_time
async def test_what_another_member_has_shown_is_used_to_connect() -> None:
    device = ComparingServer("true")
    async with ScriptedServer(device.replies()) as server, AsyncCamera(server.address) as camera:
        camera._record.spelling.lowercase = True
        await camera.connect()
    assert device.sent == ["true"]


@in_virtual_time
async def test_a_device_that_reports_connecting_has_understood(quick_grace: None) -> None:
    device = ComparingServer("True", takes=40)
    polls = value(True)
    async with (
        ScriptedServer(device.replies(connecting=polls)) as server,
        AsyncCamera(server.address) as camera,
    ):
        for _ in range(2):
            with pytest.raises(OperationTimeout):
                await camera.connect()
    assert device.sent == ["True", "False"] * 2

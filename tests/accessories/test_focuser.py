from __future__ import annotations

import asyncio

import pytest

from alpaca_async import (
    AlpacaClient,
    InvalidOperationException,
    InvalidValueException,
    OperationFailed,
    OperationTimeout,
    TransportError,
)
from tests.scripted import Reply, Request, ScriptedServer, value
from tests.virtual_time import in_virtual_time, now

from .rigs import served


@in_virtual_time
async def test_it_returns_when_the_focuser_is_there() -> None:
    async with served() as here:
        await here.focuser.move_to(8000)
        assert 3 <= now() < 3.6
        assert await here.focuser.get_position() == 8000
        assert here.rig.focuser.count("move") == 1
        assert here.rig.focuser.count("halt") == 0


@in_virtual_time
async def test_where_it_is_already_nothing_takes_time() -> None:
    async with served() as here:
        await here.focuser.move_to(5000)
        assert now() < 0.1


@pytest.mark.parametrize("lag", [0.2, 1.5])
@in_virtual_time
async def test_a_driver_that_begins_late_is_waited_for(lag: float) -> None:
    async with served(focuser={"start_lag": lag}) as here:
        await here.focuser.move_to(5001)
        assert now() >= lag
        assert here.rig.focuser.get_position() == 5001


@in_virtual_time
async def test_it_moves_by_a_distance() -> None:
    async with served() as here:
        await here.focuser.move_by(-40)
        assert here.rig.focuser.get_position() == 4960


@pytest.mark.parametrize("lag", [0.0, 0.5])
@in_virtual_time
async def test_a_relative_focuser_moves_by_a_distance(lag: float) -> None:
    async with served(focuser={"absolute": False, "start_lag": lag}) as here:
        await here.focuser.move_by(1000)
        assert 1 + lag <= now() < 1.6 + lag
        assert here.rig.focuser.defocus(1000) == 0


@in_virtual_time
async def test_a_relative_focuser_is_not_sent_to_a_position() -> None:
    async with served(focuser={"absolute": False}) as here:
        with pytest.raises(InvalidOperationException, match=r"focuser/0/absolute.*relative"):
            await here.focuser.move_to(100)
        assert here.rig.focuser.count("move") == 0


@in_virtual_time
async def test_a_relative_focuser_that_never_says_that_it_moves_is_done_after_two_seconds() -> None:
    replies = {"absolute": value(False), "ismoving": value(False), "move": value(None)}
    async with ScriptedServer({**replies}) as server, AlpacaClient() as client:
        await client.focuser(server.address).move_by(5)
        assert 2 <= now() < 3


@in_virtual_time
async def test_a_movement_need_not_be_waited_for() -> None:
    async with served() as here:
        await here.focuser.move(9000)
        assert now() < 0.1
        assert await here.focuser.get_is_moving()
        await asyncio.sleep(5)
        assert await here.focuser.get_position() == 9000


@in_virtual_time
async def test_cancelling_halts_it() -> None:
    async with served() as here:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await here.focuser.move_to(9000)
        assert here.rig.focuser.count("halt") == 1
        assert 5900 < here.rig.focuser.get_position() < 6100
        assert not here.rig.focuser.get_is_moving()


@in_virtual_time
async def test_a_movement_that_takes_too_long_is_halted() -> None:
    async with served() as here:
        with pytest.raises(
            OperationTimeout, match=r"focuser/0/move: at .*, not at 9000, after 2 s"
        ):
            await here.focuser.move_to(9000, timeout=2)
        assert not here.rig.focuser.get_is_moving()


@in_virtual_time
async def test_a_movement_may_take_five_minutes() -> None:
    async with served(focuser={"speed": 1.0, "absolute": False}) as here:
        with pytest.raises(OperationTimeout, match="after 300 s"):
            await here.focuser.move_by(1000)
        assert now() == pytest.approx(300, abs=0.1)
        assert here.rig.focuser.count("halt") == 1


@in_virtual_time
async def test_closing_the_client_halts_it() -> None:
    async with served() as here:
        moving = asyncio.create_task(here.focuser.move_to(9000))
        await asyncio.sleep(1)
        await here.client.aclose()
        with pytest.raises(TransportError, match="the client was closed"):
            await moving
        assert here.rig.focuser.count("halt") == 1
        assert not here.rig.focuser.get_is_moving()


@in_virtual_time
async def test_a_focuser_that_cannot_halt_moves_on(caplog: pytest.LogCaptureFixture) -> None:
    async with served(focuser={"can_halt": False}) as here:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await here.focuser.move_to(9000)
        assert here.rig.focuser.get_is_moving()
    assert "does not implement Halt" in caplog.text


@in_virtual_time
async def test_a_halt_that_is_not_answered_takes_five_seconds(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def silence(_: Request) -> bytes:
        await asyncio.sleep(3600)
        return value(None)

    replies = {"absolute": value(True), "ismoving": value(True), "position": value(1)}
    server = ScriptedServer({**replies, "move": value(None), "halt": silence})
    async with server, AlpacaClient() as client:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await client.focuser(server.address).move_to(200)
        assert now() == pytest.approx(6)
    assert "Halt failed" in caplog.text


@in_virtual_time
async def test_cancelled_before_the_reply_to_a_second_command_it_halts() -> None:
    async def take(_: Request) -> bytes:
        await asyncio.sleep(0 if now() < 0.5 else 2)
        return value(None)

    replies = {"absolute": value(True), "ismoving": value(False), "position": value(200)}
    server = ScriptedServer({**replies, "move": take, "halt": value(None)})
    async with server, AlpacaClient() as client:
        focuser = client.focuser(server.address)
        await focuser.move_to(200)
        await asyncio.sleep(1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await focuser.move_to(300)
        assert server.count("halt") == 1


def for_ten_seconds(_: Request) -> bytes:
    return value(now() < 10)


def approaching(_: Request) -> bytes:
    return value(min(100 + int(now() * 10), 200))


def jumping(_: Request) -> bytes:
    return value(100 if now() < 10 else 200)


@pytest.mark.parametrize(
    ("is_moving", "position"),
    [
        (value(False), approaching),
        (for_ten_seconds, jumping),
        (for_ten_seconds, value(200)),
    ],
    ids=["it does not say that it moves", "its position stays for a while", "it still moves"],
)
@in_virtual_time
async def test_what_moves_or_changes_is_waited_for(is_moving: Reply, position: Reply) -> None:
    replies: dict[str, Reply] = {"absolute": value(True), "move": value(None)}
    server = ScriptedServer({**replies, "ismoving": is_moving, "position": position})
    async with server, AlpacaClient() as client:
        await client.focuser(server.address).move_to(200, timeout=None)
        assert 10 <= now() < 11


@in_virtual_time
async def test_a_refused_position_is_not_halted() -> None:
    async with served() as here:
        with pytest.raises(InvalidValueException):
            await here.focuser.move_to(10001)
        assert here.rig.focuser.count("halt") == 0


@in_virtual_time
async def test_another_movement_fails_the_first_and_is_not_halted() -> None:
    async with served() as here:
        first = asyncio.create_task(here.focuser.move_to(9000))
        await asyncio.sleep(1)
        await here.focuser.move_to(7000)
        with pytest.raises(OperationFailed, match="another command"):
            await first
        assert here.rig.focuser.count("halt") == 0
        assert here.rig.focuser.get_position() == 7000


@in_virtual_time
async def test_cancelling_a_replaced_movement_does_not_halt_the_other() -> None:
    async with served() as here:
        first = asyncio.create_task(here.focuser.move_to(9000))
        await asyncio.sleep(0.5)
        second = asyncio.create_task(here.focuser.move_to(6000))
        await asyncio.sleep(0.01)
        assert here.rig.focuser.count("move") == 2
        first.cancel()
        await second
        assert here.rig.focuser.count("halt") == 0


@in_virtual_time
async def test_the_halt_of_another_task_ends_the_wait() -> None:
    async with served() as here:
        moving = asyncio.create_task(here.focuser.move_to(9000))
        await asyncio.sleep(1)
        await here.focuser.halt()
        with pytest.raises(OperationFailed, match="another command"):
            await moving
        assert now() < 2


@in_virtual_time
async def test_a_halt_by_another_program_is_noticed() -> None:
    async with served() as here, AlpacaClient() as other:
        moving = asyncio.create_task(here.focuser.move_to(9000))
        await asyncio.sleep(1)
        await other.focuser(here.address).halt()
        with pytest.raises(OperationFailed, match=r"stopped at \d+, not at 9000"):
            await moving
        assert now() < 4
        assert here.rig.focuser.count("halt") == 1


class Imprecise:
    """A focuser that stops beside its goal, and may lose the reply to Move."""

    def __init__(self, *, off_by: int = 0, loses_reply: bool = False) -> None:
        self.position = 100
        self._off_by = off_by
        self._loses_reply = loses_reply
        self.server = ScriptedServer(
            {
                "absolute": value(True),
                "ismoving": value(False),
                "position": lambda _: value(self.position),
                "move": self._move,
                "halt": value(None),
            }
        )

    def _move(self, request: Request) -> bytes:
        self.position = int(request.parameters["Position"]) + self._off_by
        if self._loses_reply:
            raise ConnectionError
        return value(None)


@in_virtual_time
async def test_it_may_rest_a_few_steps_beside_its_goal() -> None:
    focuser = Imprecise(off_by=2)
    async with focuser.server as server, AlpacaClient() as client:
        await client.focuser(server.address).move_to(200)
        assert now() >= 2  # it may still have been on its way
        focuser._off_by = 3
        with pytest.raises(OperationFailed, match="stopped at 203, not at 200"):
            await client.focuser(server.address).move_to(200)
        focuser._off_by = 2
        with pytest.raises(OperationFailed, match="stopped at 302, not at 300"):
            await client.focuser(server.address).move_to(300, tolerance=1)


@in_virtual_time
async def test_a_lost_reply_is_looked_after_and_the_command_not_repeated() -> None:
    focuser = Imprecise(loses_reply=True)
    async with focuser.server as server, AlpacaClient() as client:
        await client.focuser(server.address).move_to(200)
        assert server.count("move") == 1
        assert server.count("halt") == 0


@in_virtual_time
async def test_a_focuser_that_cannot_be_reached_is_not_halted() -> None:
    async with ScriptedServer({"absolute": value(True)}) as server:
        address = server.address
        async with AlpacaClient() as client:
            await client.focuser(address).get_absolute()
    async with AlpacaClient() as client:
        with pytest.raises(TransportError):
            await client.focuser(address).move_to(200)


@in_virtual_time
async def test_temperature_compensation_is_set_and_read() -> None:
    async with served() as here:
        await here.focuser.set_temp_comp(True)
        assert await here.focuser.get_temp_comp()
        assert await here.focuser.get_temperature() == 12.0


@pytest.mark.parametrize("wrong", ["100", 1.5, True])
async def test_a_position_that_is_no_int_is_refused_before_any_request(
    wrong: object, client: AlpacaClient
) -> None:
    with pytest.raises(TypeError):
        await client.focuser("127.0.0.1:1").move_to(wrong)  # type: ignore[arg-type]

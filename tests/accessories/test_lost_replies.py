"""Commands whose reply is late or lost: the device is asked, and the command is not repeated."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from alpaca_async import (
    AlpacaClient,
    CoverStatus,
    InvalidValueException,
    OperationFailed,
    OperationTimeout,
)
from alpaca_async.testing import FaultProxy
from tests.scripted import ScriptedServer, ascom_error, value
from tests.virtual_time import in_virtual_time, now

from .rigs import Served, served

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tests.scripted import Reply, Request

EXECUTED, NOT_EXECUTED = "lose_reply", "silence"


@asynccontextmanager
async def losing(
    fault: str, member: str, **options: dict[str, Any]
) -> AsyncGenerator[tuple[Served, Served]]:
    """A rig, and the same one through a proxy that loses the reply to one command."""
    async with served(**options) as here, FaultProxy(here.address) as proxy:
        proxy.add(fault, member=member, verb="PUT", times=1)
        yield here, Served(here.rig, here.client, proxy.address)


@in_virtual_time
async def test_a_cover_that_closes_is_seen_to_close() -> None:
    async with losing(EXECUTED, "closecover") as (here, there):
        await there.cover.close_cover()
        assert 2 <= now() < 3
        assert here.rig.cover_calibrator.count("closecover") == 1
        assert here.rig.cover_calibrator.count("haltcover") == 0


@in_virtual_time
async def test_a_wheel_that_turns_is_seen_to_turn() -> None:
    async with losing(EXECUTED, "position") as (here, there):
        await there.wheel.move_to(2)
        assert now() < 3
        assert here.rig.filter_wheel.count("position", "PUT") == 1


@in_virtual_time
async def test_a_focuser_that_moves_is_seen_to_move() -> None:
    async with losing(EXECUTED, "move") as (here, there):
        await there.focuser.move_to(5500)
        assert now() < 3
        assert here.rig.focuser.get_position() == 5500
        assert here.rig.focuser.count("move") == 1


@in_virtual_time
async def test_a_calibrator_that_lights_up_is_seen_to() -> None:
    async with losing(EXECUTED, "calibratoron") as (here, there):
        await there.cover.calibrator_on(20)
        assert now() < 3
        assert here.rig.cover_calibrator.count("calibratoron") == 1


@in_virtual_time
async def test_a_cover_that_does_not_begin_is_told_so() -> None:
    async with losing(NOT_EXECUTED, "closecover") as (here, there):
        with pytest.raises(OperationFailed, match="is OPEN, not CLOSED, and does not") as raised:
            await there.cover.close_cover()
        assert raised.value.outcome_unknown
        assert 10 <= now() < 13
        assert here.rig.cover_calibrator.count("haltcover") == 0


@in_virtual_time
async def test_a_wheel_may_report_the_former_filter_until_the_limit() -> None:
    async with losing(NOT_EXECUTED, "position") as (_, there):
        with pytest.raises(OperationTimeout, match="position 0, not 2, after 60 s") as raised:
            await there.wheel.move_to(2)
        assert raised.value.outcome_unknown


@in_virtual_time
async def test_whether_a_relative_focuser_has_moved_is_not_guessed() -> None:
    async with losing(EXECUTED, "move", focuser={"absolute": False}) as (_, there):
        with pytest.raises(OperationFailed, match="was not seen to move") as raised:
            await there.focuser.move_by(10)
        assert raised.value.outcome_unknown


@in_virtual_time
async def test_a_limit_before_the_decision_says_that_the_outcome_is_unknown() -> None:
    async with losing(NOT_EXECUTED, "closecover") as (_, there):
        with pytest.raises(OperationTimeout, match="after 5 s") as raised:
            await there.cover.close_cover(timeout=5)
        assert raised.value.outcome_unknown


@in_virtual_time
async def test_a_network_that_comes_back_ends_the_wait() -> None:
    async with served() as here, FaultProxy(here.address) as proxy:
        silence = proxy.add("silence")
        there = Served(here.rig, here.client, proxy.address)
        closing = asyncio.create_task(there.cover.close_cover())
        await asyncio.sleep(20)
        silence.remove()
        with pytest.raises(OperationFailed) as raised:
            await closing
        assert raised.value.outcome_unknown
        assert now() < 20 + 15


class Blocking:
    """A wheel that answers the command only when it is in place, after `seconds`."""

    def __init__(self, seconds: float, *, version: int, answers_polls: bool) -> None:
        self._seconds = seconds
        self._answers_polls = answers_polls
        self._position = 0
        self._idle = asyncio.Event()
        self._idle.set()
        replies: dict[str, Reply] = {"position": self._reply, "interfaceversion": value(version)}
        self.server = ScriptedServer(replies)

    async def _reply(self, request: Request) -> bytes:
        if request.verb == "GET":
            if not self._answers_polls:
                await self._idle.wait()
            return value(self._position)
        self._idle.clear()
        await asyncio.sleep(self._seconds)
        self._position = int(request.parameters["Position"])
        self._idle.set()
        return value(None)


@pytest.mark.parametrize("answers_polls", [True, False])
@in_virtual_time
async def test_an_old_server_may_answer_when_the_movement_is_over(answers_polls: bool) -> None:
    wheel = Blocking(45, version=2, answers_polls=answers_polls)
    async with wheel.server as server, AlpacaClient() as client:
        await client.filter_wheel(server.address).move_to(2)
        assert 45 <= now() < 46
        assert sum(request.verb == "PUT" for request in server.requests) == 1


@pytest.mark.parametrize("delay", [1.0, 5.0, 20.0])
@in_virtual_time
async def test_a_late_refusal_is_raised_as_it_is(delay: float) -> None:
    async def refusal(request: Request) -> bytes:
        if request.verb == "GET":
            return value(0)
        await asyncio.sleep(delay)
        return ascom_error(0x401, "no such filter")

    replies: dict[str, Reply] = {"position": refusal, "interfaceversion": value(2)}
    async with ScriptedServer(replies) as server, AlpacaClient() as client:
        with pytest.raises(InvalidValueException, match="no such filter") as raised:
            await client.filter_wheel(server.address).move_to(9)
        assert delay <= now() < delay + 1
        assert not raised.value.outcome_unknown


@in_virtual_time
async def test_cancelling_before_the_reply_halts_the_cover() -> None:
    async with losing(EXECUTED, "closecover") as (here, there):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await there.cover.close_cover()
        assert here.rig.cover_calibrator.count("haltcover") == 1
        assert await here.cover.get_cover_state() is CoverStatus.UNKNOWN


@in_virtual_time
async def test_a_halt_without_a_reply_is_logged_with_its_reason(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with served() as here, FaultProxy(here.address) as proxy:
        proxy.add("silence", member="haltcover")
        closing = asyncio.create_task(
            Served(here.rig, here.client, proxy.address).cover.close_cover()
        )
        await asyncio.sleep(1)
        closing.cancel()
        await asyncio.wait([closing])
    assert "HaltCover failed: no reply within 5 s" in caplog.text

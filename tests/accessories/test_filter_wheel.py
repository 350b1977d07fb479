from __future__ import annotations

import asyncio

import pytest

from alpaca_async import (
    AlpacaClient,
    CoverStatus,
    InvalidValueException,
    OperationFailed,
    OperationTimeout,
    TransportError,
)
from alpaca_async.testing import SimulatedFilter
from tests.scripted import Request, ScriptedServer, value
from tests.virtual_time import in_virtual_time, now

from .rigs import served


async def test_a_simulated_wheel_may_take_no_time() -> None:
    async with served(wheel={"seconds_per_filter": 0}, cover={"opening_time": 0}) as here:
        await here.wheel.move_to(3)
        assert await here.wheel.get_position() == 3
        assert await here.cover.get_cover_state() is CoverStatus.OPEN


@pytest.mark.parametrize(("chosen", "position"), [("B", 3), (3, 3), ("L", 0), ("b", 3)])
@in_virtual_time
async def test_it_returns_when_the_filter_is_in_place(chosen: str | int, position: int) -> None:
    async with served() as here:
        await here.wheel.move_to(chosen)
        assert 0.5 * position <= now() < 0.5 * position + 0.6
        assert await here.wheel.get_position() == position
        assert here.rig.filter_wheel.count("position", "PUT") == 1


@in_virtual_time
async def test_names_and_offsets_belong_together() -> None:
    async with served() as here:
        names, offsets = await here.wheel.get_names(), await here.wheel.get_focus_offsets()
        assert dict(zip(names, offsets, strict=True))["R"] == 40


@in_virtual_time
async def test_a_position_that_is_set_is_not_waited_for() -> None:
    async with served() as here:
        await here.wheel.set_position(4)
        assert await here.wheel.get_position() == -1


@in_virtual_time
async def test_an_unknown_name_is_an_error_that_lists_the_names() -> None:
    async with served() as here:
        with pytest.raises(InvalidValueException, match=r"no filter has the name 'S': \['L', 'R'"):
            await here.wheel.move_to("S")
        assert here.rig.filter_wheel.count("position") == 0


@in_virtual_time
async def test_a_name_of_two_filters_is_an_error() -> None:
    twice = (SimulatedFilter("R"), SimulatedFilter("R"))
    async with served(wheel={"filters": twice}) as here:
        with pytest.raises(InvalidValueException, match="several filters have the name 'R'"):
            await here.wheel.move_to("R")


@in_virtual_time
async def test_names_that_differ_only_in_case_have_to_be_spelled_exactly() -> None:
    filters = (SimulatedFilter("L"), SimulatedFilter("HA"), SimulatedFilter("Ha"))
    async with served(wheel={"filters": filters}) as here:
        await here.wheel.move_to("Ha")
        assert await here.wheel.get_position() == 2
        with pytest.raises(InvalidValueException, match="several filters have the name 'ha'"):
            await here.wheel.move_to("ha")


@in_virtual_time
async def test_a_position_outside_of_the_wheel_is_refused_by_the_device() -> None:
    async with served() as here:
        with pytest.raises(InvalidValueException, match="0 to 4, not 5"):
            await here.wheel.move_to(5)


@in_virtual_time
async def test_a_stuck_wheel_times_out_and_says_where_it_is() -> None:
    async with served(wheel={"jammed": True}) as here:
        with pytest.raises(
            OperationTimeout, match=r"filterwheel/0/position: at position -1, not 1, after 60 s"
        ):
            await here.wheel.move_to("R")
        assert now() == pytest.approx(60, abs=0.01)


@in_virtual_time
async def test_a_driver_that_begins_late_is_waited_for() -> None:
    async with served(wheel={"start_lag": 0.3}) as here:
        await here.wheel.move_to("R")
        assert now() >= 0.8


@in_virtual_time
async def test_the_second_of_two_movements_wins() -> None:
    async with served() as here:
        first = asyncio.create_task(here.wheel.move_to("Ha"))
        await asyncio.sleep(0.3)
        await here.wheel.move_to("R")
        with pytest.raises(OperationFailed, match="another command"):
            await first


@in_virtual_time
async def test_the_second_of_two_movements_wins_before_either_is_answered() -> None:
    position = 0

    async def answer(request: Request) -> bytes:
        nonlocal position
        if request.verb == "PUT":
            position = int(request.parameters["Position"])
            await asyncio.sleep(0.5)
        return value(position)

    async with ScriptedServer({"position": answer}) as server, AlpacaClient() as client:
        wheel = client.filter_wheel(server.address)
        first = asyncio.create_task(wheel.move_to(1))
        await asyncio.sleep(0.2)
        await wheel.move_to(2)
        with pytest.raises(OperationFailed, match="another command"):
            await first


@in_virtual_time
async def test_lost_polls_are_tolerated_for_ten_seconds() -> None:
    async with ScriptedServer({"position": value(1)}) as server, AlpacaClient() as client:
        wheel = client.filter_wheel(server.address)
        await wheel.move_to(1)

        def answer(request: object) -> bytes:
            if getattr(request, "verb", "") == "PUT":
                return value(None)
            raise ConnectionError

        server.replies["position"] = answer
        begun = now()
        with pytest.raises(TransportError):
            await wheel.move_to(2)
        assert 10 <= now() - begun < 11

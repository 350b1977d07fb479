from __future__ import annotations

import asyncio

import pytest

from alpaca_async import (
    AlpacaClient,
    CalibratorStatus,
    CoverStatus,
    InvalidValueException,
    NotImplementedException,
    OperationFailed,
    OperationTimeout,
)
from tests.scripted import ScriptedServer, value
from tests.virtual_time import in_virtual_time, now

from .rigs import served


@in_virtual_time
async def test_the_cover_is_waited_for() -> None:
    async with served() as here:
        await here.cover.close_cover()
        assert 2 <= now() < 2.6
        assert await here.cover.get_cover_state() is CoverStatus.CLOSED
        await here.cover.open_cover()
        assert await here.cover.get_cover_state() is CoverStatus.OPEN
        assert here.rig.cover_calibrator.count("haltcover") == 0


@in_virtual_time
async def test_a_driver_that_begins_late_is_waited_for() -> None:
    async with served(cover={"start_lag": 0.5}) as here:
        await here.cover.close_cover()
        assert now() >= 2.5


@in_virtual_time
async def test_a_cover_need_not_be_waited_for() -> None:
    async with served() as here:
        await here.cover.close_cover(wait=False)
        assert now() < 0.1
        assert await here.cover.get_cover_moving()


@in_virtual_time
async def test_cancelling_halts_the_cover() -> None:
    async with served() as here:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await here.cover.close_cover()
        assert await here.cover.get_cover_state() is CoverStatus.UNKNOWN
        assert here.rig.cover_calibrator.count("haltcover") == 1


@in_virtual_time
async def test_a_cover_that_takes_too_long_is_halted() -> None:
    async with served(cover={"opening_time": 500}) as here:
        for number, (move, goal) in enumerate(
            [(here.cover.close_cover, "CLOSED"), (here.cover.open_cover, "OPEN")], start=1
        ):
            with pytest.raises(
                OperationTimeout, match=f"the cover is MOVING, not {goal}, after 120 s"
            ):
                await move()
            assert now() == pytest.approx(120 * number, abs=0.2)
            assert here.rig.cover_calibrator.count("haltcover") == number


@in_virtual_time
async def test_a_cover_that_another_program_halts_is_noticed() -> None:
    async with served() as here, AlpacaClient() as other:
        closing = asyncio.create_task(here.cover.close_cover())
        await asyncio.sleep(1)
        await other.cover_calibrator(here.address).halt_cover()
        with pytest.raises(OperationFailed, match="is UNKNOWN, not CLOSED, and does not move"):
            await closing
        assert now() < 4


@in_virtual_time
async def test_a_cover_with_an_error_fails() -> None:
    replies = {"opencover": value(None), "coverstate": value(5)}
    async with ScriptedServer({**replies}) as server, AlpacaClient() as client:
        with pytest.raises(OperationFailed, match="the cover is ERROR, not OPEN"):
            await client.cover_calibrator(server.address).open_cover()
        assert now() < 3


@in_virtual_time
async def test_the_calibrator_is_waited_for() -> None:
    async with served() as here:
        await here.cover.calibrator_on(40)
        assert 1 <= now() < 1.6
        assert await here.cover.get_calibrator_state() is CalibratorStatus.READY
        assert await here.cover.get_brightness() == 40
        await here.cover.calibrator_on(50)
        assert await here.cover.get_brightness() == 50
        await here.cover.calibrator_off()
        assert await here.cover.get_calibrator_state() is CalibratorStatus.OFF
        assert here.rig.cover_calibrator.count("calibratoroff") == 1


@in_virtual_time
async def test_the_calibrator_need_not_be_waited_for() -> None:
    async with served() as here:
        await here.cover.calibrator_on(40, wait=False)
        assert now() < 0.1
        assert await here.cover.get_calibrator_changing()
        await asyncio.sleep(2)
        assert await here.cover.get_calibrator_state() is CalibratorStatus.READY
        begun = now()
        await here.cover.calibrator_off(wait=False)
        assert now() - begun < 0.1
        assert await here.cover.get_brightness() == 0


@in_virtual_time
async def test_a_calibrator_that_takes_too_long_is_turned_off() -> None:
    async with served(cover={"warm_up_time": 100}) as here:
        with pytest.raises(
            OperationTimeout, match=r"/calibratoron: the calibrator is NOT_READY after 60 s"
        ):
            await here.cover.calibrator_on(40)
        assert now() == pytest.approx(60, abs=0.1)
        assert here.rig.cover_calibrator.count("calibratoroff") == 1


@in_virtual_time
async def test_a_light_that_changes_late_is_waited_for() -> None:
    async with served(cover={"start_lag": 0.5}) as here:
        await here.cover.calibrator_on(40)
        await here.cover.calibrator_on(50)
        assert await here.cover.get_brightness() == 50
        assert now() >= 3


@in_virtual_time
async def test_a_brightness_of_0_is_on() -> None:
    async with served() as here:
        await here.cover.calibrator_on(0)
        assert await here.cover.get_calibrator_state() is CalibratorStatus.READY


@in_virtual_time
async def test_cancelling_turns_the_calibrator_off() -> None:
    async with served(cover={"warm_up_time": 30}) as here:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await here.cover.calibrator_on(40)
        assert await here.cover.get_brightness() == 0


@in_virtual_time
async def test_a_calibrator_that_does_not_change_fails() -> None:
    replies = {"calibratoron": value(None), "calibratorstate": value(1)}
    async with ScriptedServer({**replies}) as server, AlpacaClient() as client:
        with pytest.raises(OperationFailed, match="the calibrator is OFF, and does not change"):
            await client.cover_calibrator(server.address).calibrator_on(1)


@in_virtual_time
async def test_cover_and_calibrator_do_not_replace_each_other() -> None:
    async with served() as here, asyncio.TaskGroup() as tasks:
        tasks.create_task(here.cover.close_cover())
        await tasks.create_task(here.cover.calibrator_on(7))


@pytest.mark.parametrize(
    ("lacking", "call"),
    [
        ("has_cover", "open_cover"),
        ("has_cover", "close_cover"),
        ("has_calibrator", "calibrator_off"),
    ],
)
@in_virtual_time
async def test_what_is_not_there_says_so(lacking: str, call: str) -> None:
    async with served(cover={lacking: False}) as here:
        with pytest.raises(NotImplementedException):
            await getattr(here.cover, call)()


@in_virtual_time
async def test_the_states_of_what_is_not_there_say_so() -> None:
    async with served(cover={"has_cover": False, "has_calibrator": False}) as here:
        assert await here.cover.get_cover_state() is CoverStatus.NOT_PRESENT
        assert await here.cover.get_calibrator_state() is CalibratorStatus.NOT_PRESENT


@in_virtual_time
async def test_a_brightness_out_of_range_is_refused() -> None:
    async with served() as here:
        with pytest.raises(InvalidValueException):
            await here.cover.calibrator_on(await here.cover.get_max_brightness() + 1)
        assert here.rig.cover_calibrator.count("calibratoroff") == 0

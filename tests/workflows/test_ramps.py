"""How long coolers are driven and watched: in virtual time, with the times that users have."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from alpaca_async import (
    AlpacaError,
    AsyncCamera,
    CoolingProgress,
    InvalidValueException,
    OperationFailed,
    OperationTimeout,
)
from alpaca_async.testing import SimulatedCamera, SimulatorServer
from tests.scripted import ScriptedServer, ascom_error, http, value
from tests.virtual_time import in_virtual_time, now

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.scripted import Answer, Reply, Request

LOST = http(b"<html>")


class ScriptedCooler:
    """A cooler whose sensor has a temperature by the clock, whatever it is told."""

    def __init__(
        self,
        temperature: Callable[[float], float],
        *,
        power: float | None = 50.0,
        heat_sink: float | None = None,
    ) -> None:
        self.on = False
        self.set_point = 20.0
        self.sent: list[float] = []
        self._temperature = temperature
        missing = ascom_error(0x400, "no")
        self.replies: dict[str, Reply] = {
            "interfaceversion": value(3),
            "ccdtemperature": lambda _: value(self._temperature(now())),
            "coolerpower": missing if power is None else value(power),
            "heatsinktemperature": missing if heat_sink is None else value(heat_sink),
            "setccdtemperature": self.take_set_point,
            "cooleron": self._turn,
        }

    def take_set_point(self, request: Request) -> bytes:
        if request.verb == "GET":
            return value(self.set_point)
        self.set_point = float(request.parameters["SetCCDTemperature"])
        self.sent.append(self.set_point)
        return value(None)

    def _turn(self, request: Request) -> bytes:
        if request.verb == "GET":
            return value(self.on)
        self.on = request.parameters["CoolerOn"].lower() == "true"
        return value(None)


def falling(
    *, by: float = 1.0, every: float = 1.0, start: float = 15.0
) -> Callable[[float], float]:
    """Return a temperature that falls in steps, as a sensor reports it."""
    return lambda time: round(start - by * (time // every), 3)


@in_virtual_time
async def test_a_rate_moves_the_set_point_slowly() -> None:
    simulated = SimulatedCamera(
        width=8, height=8, initially_connected=True, clock=asyncio.get_running_loop().time
    )
    seen = list[CoolingProgress]()
    async with SimulatorServer([simulated]) as server, AsyncCamera(server.address) as camera:
        await camera.cool_to(5, rate=5, progress=seen.append)
        took = now()
    sent = [
        float(request.parameters["SetCCDTemperature"])
        for request in simulated.requests
        if request.verb == "PUT" and request.member == "setccdtemperature"
    ]
    assert sent == pytest.approx([15 - 5 * second / 60 for second in range(0, 121, 2)], abs=0.01)
    assert 150 <= took < 180  # two minutes, and thirty seconds within the tolerance
    assert [each.set_point for each in seen[: len(sent)]] == pytest.approx(sent, abs=0.01)
    assert seen[-1].temperature == pytest.approx(5.0, abs=0.5)
    assert seen[-1].power == pytest.approx(22.0, abs=3.0)


@in_virtual_time
async def test_the_fraction_is_that_of_the_way() -> None:
    cooler = ScriptedCooler(falling(by=0.1))
    seen = list[CoolingProgress]()
    async with ScriptedServer(cooler.replies) as server, AsyncCamera(server.address) as camera:
        with pytest.raises(OperationTimeout):
            await camera.cool_to(-5, timeout=300, progress=seen.append)
    for each in seen:
        assert each.fraction == pytest.approx(1 - abs(each.temperature + 5) / 20)
    assert any(0.49 < each.fraction < 0.51 for each in seen)


@in_virtual_time
async def test_a_ramp_of_no_length_is_complete() -> None:
    cooler = ScriptedCooler(lambda _: -5.0)
    seen = list[CoolingProgress]()
    async with ScriptedServer(cooler.replies) as server, AsyncCamera(server.address) as camera:
        await camera.cool_to(-5, progress=seen.append)
    assert {each.fraction for each in seen} == {1.0}


@in_virtual_time
async def test_the_temperature_is_stable_after_thirty_seconds_within_the_tolerance() -> None:
    cooler = ScriptedCooler(lambda time: -9.6 if time >= 100 or 60 <= time < 85 else -9.4)
    async with ScriptedServer(cooler.replies) as server, AsyncCamera(server.address) as camera:
        await camera.cool_to(-10)
        assert 130 <= now() <= 132


@in_virtual_time
async def test_passing_through_is_not_stable() -> None:
    cooler = ScriptedCooler(falling(by=0.1))
    async with ScriptedServer(cooler.replies) as server, AsyncCamera(server.address) as camera:
        with pytest.raises(OperationTimeout):
            await camera.cool_to(10, timeout=100)


@in_virtual_time
async def test_the_goal_must_be_sent_although_the_tolerance_is_met_before() -> None:
    cooler = ScriptedCooler(lambda _: 14.7)
    async with ScriptedServer(cooler.replies) as server, AsyncCamera(server.address) as camera:
        await camera.cool_to(14.6, rate=0.1)
        assert 90 <= now() < 94
    assert cooler.sent[-1] == 14.6


@in_virtual_time
async def test_the_tolerance_is_within_the_tolerance() -> None:
    cooler = ScriptedCooler(lambda _: -9.5)
    async with ScriptedServer(cooler.replies) as server, AsyncCamera(server.address) as camera:
        await camera.cool_to(-10, tolerance=0.5)
        assert now() == pytest.approx(30.0)


@pytest.mark.parametrize(
    ("power", "stalls"), [(100.0, True), (99.0, True), (98.9, False), (None, False)]
)
@in_virtual_time
async def test_a_cooler_at_full_power_that_comes_no_closer_is_stalled(
    power: float | None, stalls: bool
) -> None:
    cooler = ScriptedCooler(lambda _: -5.0, power=power)
    async with ScriptedServer(cooler.replies) as server, AsyncCamera(server.address) as camera:
        if stalls:
            stalled = r"at full power, but stays at -5\.0 °C"
            with pytest.raises(OperationFailed, match=stalled) as caught:
                await camera.cool_to(-20, timeout=400)
            assert caught.value.member == "camera/0/ccdtemperature"
            assert 180 <= now() <= 184
        else:
            with pytest.raises(OperationTimeout, match=r"at -5\.0 °C after 400 s, 15\.0 degrees"):
                await camera.cool_to(-20, timeout=400)
            assert now() == pytest.approx(400)
    assert cooler.sent == [-20.0, -5.0]
    assert cooler.on


@pytest.mark.parametrize(("every", "stalls"), [(170.0, False), (190.0, True)])
@in_virtual_time
async def test_a_tenth_of_a_degree_in_three_minutes_is_no_stall(every: float, stalls: bool) -> None:
    cooler = ScriptedCooler(falling(by=0.1, every=every, start=-5.0), power=100.0)
    async with ScriptedServer(cooler.replies) as server, AsyncCamera(server.address) as camera:
        with pytest.raises(OperationFailed if stalls else OperationTimeout):
            await camera.cool_to(-20, timeout=400)


@in_virtual_time
async def test_full_power_near_the_goal_is_no_stall() -> None:
    cooler = ScriptedCooler(lambda time: -19.6 if time % 20 < 10 else -19.4, power=100.0)
    async with ScriptedServer(cooler.replies) as server, AsyncCamera(server.address) as camera:
        with pytest.raises(OperationTimeout):
            await camera.cool_to(-20, timeout=400)


@in_virtual_time
async def test_a_cooler_that_was_not_at_full_power_begins_to_stall_anew() -> None:
    cooler = ScriptedCooler(lambda _: -5.0)
    cooler.replies["coolerpower"] = lambda _: value(50.0 if now() % 100 < 10 else 100.0)
    async with ScriptedServer(cooler.replies) as server, AsyncCamera(server.address) as camera:
        with pytest.raises(OperationTimeout):
            await camera.cool_to(-20, timeout=400)


# warming up


@in_virtual_time
async def test_the_cooler_is_turned_off_where_the_sensor_is_warm() -> None:
    cooler = ScriptedCooler(lambda time: -10.0 + time / 10, heat_sink=18.0)
    cooler.on = True
    async with ScriptedServer(cooler.replies) as server, AsyncCamera(server.address) as camera:
        await camera.warm_up()
        assert now() == pytest.approx(276, abs=2)  # when it has 17.5 °C
    assert cooler.sent == [18.0]
    assert not cooler.on


@in_virtual_time
async def test_the_sensor_is_warm_where_it_rises_no_more() -> None:
    cooler = ScriptedCooler(lambda time: min(-10.0 + time / 10, 12.0), heat_sink=18.0)
    cooler.on = True
    async with ScriptedServer(cooler.replies) as server, AsyncCamera(server.address) as camera:
        await camera.warm_up()
        assert now() == pytest.approx(250, abs=3)  # thirty seconds after it reached 12 °C
    assert not cooler.on


@in_virtual_time
async def test_a_sensor_that_waits_for_the_set_point_is_not_warm() -> None:
    """It follows the set point by a tenth of a degree per minute, so it seems steady meanwhile."""
    cooler = ScriptedCooler(lambda time: min(10.0 + time / 600, 11.0), heat_sink=18.0)
    cooler.on = True
    async with ScriptedServer(cooler.replies) as server, AsyncCamera(server.address) as camera:
        await camera.warm_up(11.0, rate=0.1)
        assert now() == pytest.approx(600, abs=3)
    assert cooler.sent == sorted(cooler.sent)
    assert cooler.sent[-1] == 11.0
    assert not cooler.on


# lost replies


@pytest.mark.parametrize("member", ["ccdtemperature", "coolerpower"])
@pytest.mark.parametrize(("lost", "survives"), [(9.0, True), (14.0, False)])
@in_virtual_time
async def test_polls_may_get_lost_for_ten_seconds(member: str, lost: float, survives: bool) -> None:
    cooler = ScriptedCooler(lambda _: -10.0)
    reply = cooler.replies[member]
    assert not isinstance(reply, bytes) or member == "coolerpower"
    cooler.replies[member] = lambda request: (
        LOST if 10 < now() < 10 + lost else reply(request) if callable(reply) else reply
    )
    async with ScriptedServer(cooler.replies) as server, AsyncCamera(server.address) as camera:
        if survives or member == "coolerpower":
            await camera.cool_to(-10)
        else:
            with pytest.raises(AlpacaError, match="camera/0/ccdtemperature"):
                await camera.cool_to(-10)
            assert 20 <= now() < 24
            assert cooler.sent == [-10.0, -10.0]


@pytest.mark.parametrize("member", ["cooleron", "heatsinktemperature", "ccdtemperature"])
@in_virtual_time
async def test_the_first_replies_of_a_warm_up_may_get_lost(member: str) -> None:
    cooler = ScriptedCooler(lambda _: 18.0, heat_sink=18.0)
    cooler.on = True
    reply = cooler.replies[member]
    cooler.replies[member] = lambda request: (
        LOST if now() < 5 else reply(request) if callable(reply) else reply
    )
    async with ScriptedServer(cooler.replies) as server, AsyncCamera(server.address) as camera:
        await camera.warm_up()
    assert not cooler.on


@pytest.mark.parametrize("taken", [True, False])
@in_virtual_time
async def test_a_set_point_whose_reply_was_lost_is_read_and_sent_again_if_it_was_not_taken(
    taken: bool,
) -> None:
    cooler = ScriptedCooler(lambda _: -10.0)

    def lost_once(request: Request) -> bytes:
        cooler.replies["setccdtemperature"] = cooler.take_set_point
        if taken:
            cooler.take_set_point(request)
        return LOST

    cooler.replies["setccdtemperature"] = lost_once
    async with ScriptedServer(cooler.replies) as server, AsyncCamera(server.address) as camera:
        await camera.cool_to(-10)
    verbs = [each.verb for each in server.requests if each.member == "setccdtemperature"]
    assert verbs == (["PUT", "GET"] if taken else ["PUT", "GET", "PUT"])
    assert cooler.sent == [-10.0]


@pytest.mark.parametrize(("set_point", "commands"), [(-9.9, 1), (-9.8, 2)])
@in_virtual_time
async def test_a_camera_may_round_the_set_point_to_a_tenth(set_point: float, commands: int) -> None:
    cooler = ScriptedCooler(lambda _: -10.0)

    def rounded_and_lost(request: Request) -> bytes:
        cooler.replies["setccdtemperature"] = cooler.take_set_point
        cooler.take_set_point(request)
        cooler.set_point = set_point
        return LOST

    cooler.replies["setccdtemperature"] = rounded_and_lost
    async with ScriptedServer(cooler.replies) as server, AsyncCamera(server.address) as camera:
        await camera.cool_to(-10)
    assert len(cooler.sent) == commands


@pytest.mark.parametrize("taken", [True, False])
@in_virtual_time
async def test_the_reply_to_turning_the_cooler_on_may_get_lost(taken: bool) -> None:
    cooler = ScriptedCooler(lambda _: -10.0)
    turn = cooler.replies["cooleron"]
    assert callable(turn)

    def lost_once(request: Request) -> Answer:
        if request.verb == "GET":
            return turn(request)
        cooler.replies["cooleron"] = turn
        if taken:
            turn(request)
        return LOST

    cooler.replies["cooleron"] = lost_once
    async with ScriptedServer(cooler.replies) as server, AsyncCamera(server.address) as camera:
        await camera.cool_to(-10)
    assert cooler.on


# ends


@in_virtual_time
async def test_an_error_of_the_callback_holds_the_temperature() -> None:
    cooler = ScriptedCooler(falling())

    def fail(status: CoolingProgress) -> None:
        if status.temperature <= 5:
            raise LookupError("of the caller")

    async with ScriptedServer(cooler.replies) as server, AsyncCamera(server.address) as camera:
        with pytest.raises(LookupError, match="of the caller"):
            await camera.cool_to(-20, progress=fail)
    assert cooler.sent == [-20.0, pytest.approx(5, abs=1)]
    assert cooler.on


@pytest.mark.parametrize("reply", [value(None), LOST])
@in_virtual_time
async def test_a_ramp_that_ends_with_its_first_command_holds_the_temperature(reply: bytes) -> None:
    cooler = ScriptedCooler(lambda _: 15.0)

    async def slow(request: Request) -> bytes:
        await asyncio.sleep(1)
        taken = cooler.take_set_point(request)
        return reply if request.verb == "PUT" and len(cooler.sent) == 1 else taken

    cooler.replies["setccdtemperature"] = slow
    async with ScriptedServer(cooler.replies) as server, AsyncCamera(server.address) as camera:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5 if reply != LOST else 1.5):
                await camera.cool_to(-20)
    assert cooler.sent == [-20.0, 15.0]


@in_virtual_time
async def test_a_refused_set_point_is_not_followed_by_another() -> None:
    cooler = ScriptedCooler(lambda _: 15.0)
    cooler.replies["setccdtemperature"] = ascom_error(0x401, "too cold")
    async with ScriptedServer(cooler.replies) as server, AsyncCamera(server.address) as camera:
        with pytest.raises(InvalidValueException, match="too cold"):
            await camera.cool_to(-90)
    assert server.count("setccdtemperature") == 1


@in_virtual_time
async def test_a_hold_that_is_not_answered_takes_five_seconds(
    caplog: pytest.LogCaptureFixture,
) -> None:
    cooler = ScriptedCooler(falling(by=0.1))

    async def silent(request: Request) -> bytes:
        await asyncio.sleep(0 if now() < 50 else 60)
        return cooler.take_set_point(request)

    cooler.replies["setccdtemperature"] = silent
    async with ScriptedServer(cooler.replies) as server, AsyncCamera(server.address) as camera:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(51):
                await camera.cool_to(-20)
        assert now() == pytest.approx(56)
    assert "the current temperature could not be held: no reply within 5 s" in caplog.text


@pytest.mark.parametrize("warms", [False, True], ids=["cooling", "warming"])
@in_virtual_time
async def test_cancelled_while_the_first_set_point_is_sent_it_holds_the_temperature(
    warms: bool,
) -> None:
    cooler = ScriptedCooler(lambda _: -5.0)
    cooler.on = True

    async def slow(request: Request) -> bytes:
        reply = cooler.take_set_point(request)
        await asyncio.sleep(2)
        return reply

    cooler.replies["setccdtemperature"] = slow
    async with ScriptedServer(cooler.replies) as server, AsyncCamera(server.address) as camera:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await (camera.warm_up(10.0) if warms else camera.cool_to(-20))
    assert cooler.sent == [10.0 if warms else -20.0, -5.0]


@in_virtual_time
async def test_cancelled_after_a_lost_reply_to_the_first_set_point_it_holds_too() -> None:
    cooler = ScriptedCooler(lambda _: -5.0)

    def taken_and_lost(request: Request) -> bytes:
        cooler.replies["setccdtemperature"] = cooler.take_set_point
        cooler.take_set_point(request)
        return LOST

    cooler.replies["setccdtemperature"] = taken_and_lost
    async with ScriptedServer(cooler.replies) as server, AsyncCamera(server.address) as camera:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await camera.cool_to(-20)
    assert cooler.sent == [-20.0, -5.0]


@in_virtual_time
async def test_after_a_set_point_that_was_refused_nothing_is_held() -> None:
    cooler = ScriptedCooler(lambda _: -5.0)
    requests: list[str] = []

    def refuse(request: Request) -> bytes:
        requests.append(request.verb)
        return ascom_error(0x401, "too cold")

    cooler.replies["setccdtemperature"] = refuse
    async with ScriptedServer(cooler.replies) as server, AsyncCamera(server.address) as camera:
        with pytest.raises(AlpacaError, match="too cold"):
            await camera.cool_to(-20)
    assert requests == ["PUT"]

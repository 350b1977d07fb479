from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from alpaca_async import (
    AlpacaClient,
    AlpacaError,
    AsyncCamera,
    CoolingPace,
    CoolingProgress,
    InvalidOperationException,
    InvalidValueException,
    NotImplementedException,
    OperationFailed,
    OperationTimeout,
    Timeouts,
)
from alpaca_async.testing import FaultProxy, SimulatedCamera, SimulatorServer

if TYPE_CHECKING:
    from collections.abc import Callable

PACE = CoolingPace(interval=0.01, settled=0.05, stalled=0.15)
NEVER = CoolingPace(interval=0.01, settled=60.0, stalled=60.0)


def cold(**facts: float) -> SimulatedCamera:
    """Return a camera at 15 °C that cools by thirty degrees in a moment."""
    return SimulatedCamera(width=8, height=8, connect_time=0.0, speed_up=2000.0, **facts)  # type: ignore[arg-type]  # numbers and booleans


@pytest.fixture
def simulated() -> SimulatedCamera:
    return cold()


def set_points(simulated: SimulatedCamera) -> list[float]:
    return [
        float(request.parameters["SetCCDTemperature"])
        for request in simulated.requests
        if request.verb == "PUT" and request.member == "setccdtemperature"
    ]


async def until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110 - a simulated camera has no events
        await asyncio.sleep(0.001)


async def test_the_cooler_is_on_and_the_temperature_stable_afterwards(
    camera: AsyncCamera, simulated: SimulatedCamera
) -> None:
    await camera.cool_to(-10, pace=PACE)
    assert simulated.get_cooler_on()
    assert simulated.get_ccd_temperature() == pytest.approx(-10.0, abs=0.5)
    assert set_points(simulated) == [-10.0]
    members = [request.member for request in simulated.requests if request.verb == "PUT"]
    assert members[-2:] == ["setccdtemperature", "cooleron"]


async def test_a_cooler_that_is_on_is_not_turned_on_again(
    camera: AsyncCamera, simulated: SimulatedCamera
) -> None:
    simulated.set_cooler_on(True)
    await camera.cool_to(14.9, pace=PACE)
    assert simulated.count("cooleron", "PUT") == 0


async def test_a_rate_moves_the_set_point_slowly(
    camera: AsyncCamera, simulated: SimulatedCamera
) -> None:
    seen = list[CoolingProgress]()
    begun = asyncio.get_running_loop().time()
    await camera.cool_to(5, rate=60 * 50, pace=PACE, progress=seen.append)
    assert asyncio.get_running_loop().time() - begun >= 0.2
    sent = set_points(simulated)
    assert sent == sorted(sent, reverse=True)
    assert sent[0] == pytest.approx(15.0, abs=0.5)
    assert sent[-1] == 5.0
    assert len(sent) >= 5
    fractions = [moment.fraction for moment in seen]
    assert fractions[0] < 0.3
    assert fractions[-1] > 0.9
    assert all(0 <= fraction <= 1 for fraction in fractions)
    assert seen[-1].set_point == 5.0
    assert seen[-1].temperature == pytest.approx(5.0, abs=0.5)
    assert seen[-1].power == pytest.approx(22.0, abs=3.0)


async def test_a_slow_set_point_reaches_the_goal_although_the_tolerance_is_met_before(
    camera: AsyncCamera, simulated: SimulatedCamera
) -> None:
    await camera.cool_to(14.7, rate=60, pace=PACE)
    assert set_points(simulated)[-1] == 14.7


async def test_passing_through_is_not_stable(
    camera: AsyncCamera, simulated: SimulatedCamera
) -> None:
    task = asyncio.create_task(camera.cool_to(10, pace=NEVER))
    await until(lambda: simulated.get_ccd_temperature() < 10.2)
    await asyncio.sleep(0.05)
    assert not task.done()
    task.cancel()
    await asyncio.wait([task])


class TestACoolerThatIsTooWeak:
    @pytest.fixture
    def simulated(self) -> SimulatedCamera:
        return cold(max_cooling=20.0)

    async def test_is_seen_by_its_power_and_held_where_it_got(
        self, camera: AsyncCamera, simulated: SimulatedCamera
    ) -> None:
        with pytest.raises(
            OperationFailed, match=r"at full power, but stays at -5\.0 °C"
        ) as failed:
            await camera.cool_to(-20, pace=PACE)
        assert not isinstance(failed.value, OperationTimeout)
        assert failed.value.member == "camera/0/ccdtemperature"
        assert set_points(simulated) == [-20.0, pytest.approx(-5.0, abs=0.2)]
        assert simulated.get_cooler_on()

    async def test_that_gets_within_the_tolerance_is_strong_enough(
        self, camera: AsyncCamera
    ) -> None:
        await camera.cool_to(-5.3, pace=CoolingPace(interval=0.01, settled=0.3, stalled=0.1))


class TestACoolerThatDoesNotReportItsPower:
    @pytest.fixture
    def simulated(self) -> SimulatedCamera:
        return cold(max_cooling=20.0, can_get_cooler_power=False)

    async def test_ends_in_time(self, camera: AsyncCamera, simulated: SimulatedCamera) -> None:
        seen = list[CoolingProgress]()
        with pytest.raises(OperationTimeout, match=r"at -5\.0 °C after 0\.4 s, 15\.0 degrees"):
            await camera.cool_to(-20, timeout=0.4, pace=PACE, progress=seen.append)
        assert set_points(simulated) == [-20.0, pytest.approx(-5.0, abs=0.2)]
        assert {moment.power for moment in seen} == {None}


async def test_full_power_is_no_stall_while_the_sensor_approaches_the_goal() -> None:
    # The time constant is 0.2 s, the power 99 % all the time.
    simulated = SimulatedCamera(
        width=8,
        height=8,
        initially_connected=True,
        max_cooling=20.0,
        cooling_rate=4.0,
        settling_time=5.0,
        speed_up=25.0,
    )
    async with SimulatorServer([simulated]) as server, AsyncCamera(server.address) as camera:
        await camera.cool_to(-4.8, pace=PACE)


async def test_cancelled_it_holds_the_current_temperature(
    camera: AsyncCamera, simulated: SimulatedCamera
) -> None:
    task = asyncio.create_task(camera.cool_to(-20, pace=PACE))
    await until(lambda: simulated.get_ccd_temperature() < 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    first, held = set_points(simulated)
    assert first == -20.0
    assert -19 < held < 15
    assert simulated.get_cooler_on()


class _SlowToAnswer(SimulatedCamera):
    def answer_delay(self, verb: str, member: str) -> float:
        return 0.2 if member == "ccdtemperature" else 0.0


class TestCancelledBeforeAnyCommand:
    @pytest.fixture
    def simulated(self) -> SimulatedCamera:
        return _SlowToAnswer(width=8, height=8, connect_time=0.0)

    async def test_sends_none(self, camera: AsyncCamera, simulated: SimulatedCamera) -> None:
        task = asyncio.create_task(camera.cool_to(-20, pace=PACE))
        await until(lambda: simulated.count("ccdtemperature"))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert set_points(simulated) == []


async def test_a_hold_that_fails_is_logged(
    camera: AsyncCamera, simulated: SimulatedCamera, caplog: pytest.LogCaptureFixture
) -> None:
    simulated.refuse("setccdtemperature", nth=2)
    task = asyncio.create_task(camera.cool_to(-20, pace=PACE))
    await until(lambda: simulated.count("coolerpower"))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert "the current temperature could not be held" in caplog.text


async def test_a_set_point_that_is_refused_is_the_cameras_error(
    camera: AsyncCamera, simulated: SimulatedCamera
) -> None:
    with pytest.raises(InvalidValueException):
        await camera.cool_to(-200, pace=PACE)
    assert not simulated.get_cooler_on()
    simulated.refuse("cooleron")
    with pytest.raises(InvalidOperationException):
        await camera.cool_to(0, pace=PACE)


@pytest.mark.parametrize(
    ("temperature", "rate"), [(float("nan"), None), (-10.0, 0.0), (-10.0, -1.0)]
)
async def test_invalid_arguments_are_refused_before_any_request(
    camera: AsyncCamera, simulated: SimulatedCamera, temperature: float, rate: float | None
) -> None:
    simulated.set_cooler_on(True)
    simulated.requests.clear()
    with pytest.raises(ValueError, match="must be"):
        await camera.cool_to(temperature, rate=rate)
    assert not simulated.requests


class TestACameraWithoutACooler:
    @pytest.fixture
    def simulated(self) -> SimulatedCamera:
        return cold(has_cooler=False)

    async def test_says_so(self, camera: AsyncCamera) -> None:
        with pytest.raises(NotImplementedException):
            await camera.cool_to(-10)
        with pytest.raises(NotImplementedException):
            await camera.warm_up()


class TestWarmingUp:
    async def test_turns_the_cooler_off_when_the_sensor_is_warm(
        self, camera: AsyncCamera, simulated: SimulatedCamera
    ) -> None:
        await camera.cool_to(-10, pace=PACE)
        seen = list[CoolingProgress]()
        await camera.warm_up(pace=PACE, progress=seen.append)
        assert not simulated.get_cooler_on()
        assert seen[-1].temperature == pytest.approx(15.0, abs=0.5)
        # The heat sink was warmer than the air while the cooler worked.
        assert seen[-1].set_point == pytest.approx(20.6, abs=0.5)

    async def test_goes_slowly_where_it_is_told_to(
        self, camera: AsyncCamera, simulated: SimulatedCamera
    ) -> None:
        await camera.cool_to(5, pace=PACE)
        simulated.requests.clear()
        await camera.warm_up(14, rate=60 * 50, pace=PACE)
        sent = set_points(simulated)
        assert sent == sorted(sent)
        assert len(sent) >= 5
        assert sent[0] == pytest.approx(5.0, abs=0.6)
        assert sent[-1] == 14.0
        assert not simulated.get_cooler_on()

    async def test_does_nothing_if_the_cooler_is_off(
        self, camera: AsyncCamera, simulated: SimulatedCamera
    ) -> None:
        simulated.requests.clear()
        await camera.warm_up()
        assert [request.verb for request in simulated.requests] == ["GET"]

    async def test_cancelled_leaves_the_cooler_on_at_the_present_temperature(
        self, camera: AsyncCamera, simulated: SimulatedCamera
    ) -> None:
        await camera.cool_to(-20, pace=PACE)
        task = asyncio.create_task(camera.warm_up(rate=60, pace=PACE))
        await until(lambda: len(set_points(simulated)) > 2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert simulated.get_cooler_on()
        assert set_points(simulated)[-1] == pytest.approx(-20.0, abs=1.0)

    async def test_that_takes_too_long_is_a_timeout(
        self, camera: AsyncCamera, simulated: SimulatedCamera
    ) -> None:
        await camera.cool_to(-20, pace=PACE)
        with pytest.raises(OperationTimeout, match=r"after 0\.1 s"):
            await camera.warm_up(10, rate=6, timeout=0.1, pace=PACE)
        assert simulated.get_cooler_on()


class TestWithoutAHeatSink:
    @pytest.fixture
    def simulated(self) -> SimulatedCamera:
        return _NoHeatSink(width=8, height=8, connect_time=0.0, speed_up=1000.0)

    async def test_twenty_degrees_are_warm(
        self, camera: AsyncCamera, simulated: SimulatedCamera
    ) -> None:
        simulated.set_cooler_on(True)
        await camera.warm_up(pace=PACE)
        assert set_points(simulated) == [20.0]


class _NoHeatSink(SimulatedCamera):
    def get_heat_sink_temperature(self) -> float:
        raise NotImplementedException(0x400, "no heat sink")


POLLS = ["lose_reply", "reset_after", "garbage", "http_500_html", "http_404_html", "http_400_json"]


@pytest.mark.parametrize("fault", POLLS)
async def test_one_failed_poll_ends_no_ramp(fault: str) -> None:
    pace = CoolingPace(interval=0.02, settled=0.1, stalled=5)
    simulated = SimulatedCamera(
        width=32, height=24, initially_connected=True, speed_up=200, cooling_rate=2, settling_time=2
    )
    async with (
        SimulatorServer([simulated]) as server,
        FaultProxy(server.address) as proxy,
        AlpacaClient(timeouts=Timeouts(reply=0.3)) as client,
    ):
        camera = client.camera(proxy.address)
        for member in ("ccdtemperature", "setccdtemperature", "coolerpower"):
            proxy.add(fault, member=member, times=1, after=5)
        await camera.cool_to(-20, rate=1200, pace=pace, timeout=30)
        assert simulated.cooler.on
        proxy.add(fault, member="ccdtemperature", times=1, after=2)
        await camera.warm_up(rate=1200, pace=pace, timeout=30)
    assert not simulated.cooler.on


@pytest.mark.parametrize("fault", ["lose_reply", "reset_before"])
async def test_a_lost_command_to_turn_the_cooler_off_is_looked_after(fault: str) -> None:
    pace = CoolingPace(interval=0.02, settled=0.1, stalled=5)
    simulated = SimulatedCamera(
        width=32, height=24, initially_connected=True, speed_up=200, cooling_rate=2, settling_time=2
    )
    async with (
        SimulatorServer([simulated]) as server,
        FaultProxy(server.address) as proxy,
        AlpacaClient(timeouts=Timeouts(reply=0.3)) as client,
    ):
        camera = client.camera(proxy.address)
        await camera.set_cooler_on(True)
        proxy.add(fault, member="cooleron", verb="PUT", times=1)
        await camera.warm_up(pace=pace, timeout=30)
    assert not simulated.cooler.on
    assert simulated.count("cooleron", "PUT") <= 3


async def test_a_ramp_that_ends_by_an_error_holds_the_temperature_and_says_so(
    client: AlpacaClient, caplog: pytest.LogCaptureFixture
) -> None:
    simulated = SimulatedCamera(width=32, height=24, initially_connected=True)
    async with SimulatorServer([simulated]) as server, FaultProxy(server.address) as proxy:
        camera = client.camera(proxy.address)
        proxy.add("driver_error", member="ccdtemperature", after=3)
        with pytest.raises(AlpacaError):
            await camera.cool_to(-20, rate=600, pace=CoolingPace(interval=0.02))
    assert simulated.cooler.on
    assert simulated.cooler.set_point > 0
    assert "a temperature ramp ended early" in caplog.text

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from alpaca_async import (
    AlpacaError,
    AsyncCamera,
    CoolingPace,
    CoolingProgress,
    DriverException,
    InvalidOperationException,
    InvalidValueException,
    NotConnectedException,
    NotImplementedException,
    OperationTimeout,
)
from alpaca_async.testing import FaultProxy, SimulatedCamera, SimulatorServer
from tests.conditions import until
from tests.virtual_time import in_virtual_time

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

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


async def test_a_slow_set_point_reaches_the_goal_although_the_tolerance_is_met_before(
    camera: AsyncCamera, simulated: SimulatedCamera
) -> None:
    await camera.cool_to(14.7, rate=60, pace=PACE)
    assert set_points(simulated)[-1] == 14.7


@in_virtual_time
async def test_cancelled_it_holds_the_current_temperature() -> None:
    clock = asyncio.get_running_loop().time
    simulated = SimulatedCamera(width=8, height=8, initially_connected=True, clock=clock)
    async with SimulatorServer([simulated]) as server, AsyncCamera(server.address) as camera:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(61):
                await camera.cool_to(-20)
    assert set_points(simulated) == [-20.0, pytest.approx(simulated.cooler.temperature, abs=0.5)]
    assert -20 < simulated.cooler.temperature < 14
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


@asynccontextmanager
async def behind_a_proxy() -> AsyncGenerator[tuple[SimulatedCamera, FaultProxy, AsyncCamera]]:
    """A camera in the time of the running loop, and a client that reaches it through a proxy."""
    clock = asyncio.get_running_loop().time
    simulated = SimulatedCamera(width=8, height=8, initially_connected=True, clock=clock)
    async with (
        SimulatorServer([simulated]) as server,
        FaultProxy(server.address) as proxy,
        AsyncCamera(proxy.address) as camera,
    ):
        yield simulated, proxy, camera


@pytest.mark.parametrize("fault", POLLS)
@in_virtual_time
async def test_one_failed_poll_ends_no_ramp(fault: str) -> None:
    async with behind_a_proxy() as (simulated, proxy, camera):
        for member in ("ccdtemperature", "setccdtemperature", "coolerpower"):
            proxy.add(fault, member=member, times=1, after=5)
        await camera.cool_to(-20, rate=20)
        assert simulated.cooler.on
        assert simulated.cooler.set_point == -20
        proxy.add(fault, member="ccdtemperature", times=1, after=2)
        await camera.warm_up(rate=20)
    assert not simulated.cooler.on


@pytest.mark.parametrize("fault", ["lose_reply", "reset_before"])
@in_virtual_time
async def test_a_lost_command_to_turn_the_cooler_off_is_looked_after(fault: str) -> None:
    async with behind_a_proxy() as (simulated, proxy, camera):
        await camera.set_cooler_on(True)
        proxy.add(fault, member="cooleron", verb="PUT", times=1)
        await camera.warm_up()
    assert not simulated.cooler.on
    assert simulated.count("cooleron", "PUT") <= 3


@in_virtual_time
async def test_a_ramp_that_ends_by_an_error_holds_the_temperature_and_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with behind_a_proxy() as (simulated, proxy, camera):
        proxy.add("driver_error", member="ccdtemperature", after=3)
        with pytest.raises(AlpacaError):
            await camera.cool_to(-20, rate=10)
    assert simulated.cooler.on
    assert simulated.cooler.set_point == pytest.approx(14.7, abs=0.4)
    assert "a temperature ramp ended early" in caplog.text


@in_virtual_time
async def test_a_cooler_whose_power_cannot_be_read_ends_the_ramp() -> None:
    async with behind_a_proxy() as (simulated, proxy, camera):
        proxy.add("not_connected", member="coolerpower", after=2)
        with pytest.raises(NotConnectedException, match="coolerpower"):
            await camera.cool_to(-20, rate=10)
    assert simulated.cooler.set_point == pytest.approx(simulated.get_ccd_temperature(), abs=0.5)


@in_virtual_time
async def test_a_cooler_that_refuses_to_turn_off_is_asked_once() -> None:
    async with behind_a_proxy() as (_, proxy, camera):
        await camera.set_cooler_on(True)
        with (
            proxy.add("driver_error", member="cooleron", verb="PUT") as refusal,
            pytest.raises(DriverException, match="cooleron"),
        ):
            await camera.warm_up()
    assert refusal.hits == 1

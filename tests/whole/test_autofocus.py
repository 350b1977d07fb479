"""Autofocus with a simulated rig in virtual time."""

from __future__ import annotations

import asyncio
import math
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from alpaca_async import (
    AlpacaClient,
    DriverException,
    FocusPoint,
    InvalidValueException,
    NotConnectedException,
    NotImplementedException,
    OperationFailed,
    autofocus,
)
from alpaca_async._autofocus import fit_hyperbola
from alpaca_async.testing import SimulatedCamera, SimulatedFocuser, SimulatedRig, SimulatorServer
from tests.conditions import until
from tests.virtual_time import in_virtual_time

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from alpaca_async import AsyncCamera, AsyncFocuser

START = 4960


class RecordingFocuser(SimulatedFocuser):
    """Records where it is sent to."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.goals: list[int] = []

    def move(self, value: int) -> None:
        self.goals.append(value)
        super().move(value)


@dataclass
class Here:
    rig: SimulatedRig
    model: RecordingFocuser
    camera: AsyncCamera
    focuser: AsyncFocuser


@asynccontextmanager
async def served(
    *, position: int = START, speed: float = 1000.0, absolute: bool = True
) -> AsyncGenerator[Here]:
    common: dict[str, Any] = {
        "initially_connected": True,
        "clock": asyncio.get_running_loop().time,
    }
    camera = SimulatedCamera(
        width=320, height=240, read_noise=0.5, hot_pixel_fraction=0.0, readout_time=0.0, **common
    )
    model = RecordingFocuser(position=position, speed=speed, absolute=absolute, **common)
    rig = SimulatedRig([camera], focuser=model)
    async with SimulatorServer(rig.devices) as server, AlpacaClient() as client:
        address = server.address
        yield Here(rig, model, client.camera(address), client.focuser(address))


@in_virtual_time
async def test_the_focuser_is_left_where_the_stars_are_smallest() -> None:
    async with served() as here:
        seen: list[FocusPoint] = []
        result = await autofocus(
            here.camera, here.focuser, 0.4, step=50, points=7, progress=seen.append
        )
        assert result.position == pytest.approx(5000, abs=25)
        assert here.model.get_position() == result.position
        assert 0 < result.hfd < max(point.hfd or 0 for point in result.points)
        assert [point.position for point in result.points] == list(range(4810, 5111, 50))
        assert tuple(seen) == result.points


@in_virtual_time
async def test_every_position_is_approached_from_below() -> None:
    async with served() as here:
        best = (await autofocus(here.camera, here.focuser, 0.4, points=7)).position
        assert here.model.goals == [4760, *range(4810, 5111, 50), best - 50, best]


@in_virtual_time
async def test_without_stars_it_returns_to_the_start_from_below() -> None:
    async with served() as here:
        here.rig.cover_calibrator.close_cover()
        await asyncio.sleep(10)
        with pytest.raises(OperationFailed, match="only 0 of 5 positions") as caught:
            await autofocus(here.camera, here.focuser, 0.02, points=5)
        assert caught.value.server == here.focuser.server
        assert here.model.goals[-2:] == [START - 50, START]
        assert here.model.get_position() == START


@in_virtual_time
async def test_a_best_position_beyond_the_positions_is_not_extrapolated() -> None:
    async with served(position=4700) as here:
        with pytest.raises(OperationFailed, match="smallest at 4800: move the focuser there"):
            await autofocus(here.camera, here.focuser, 0.4, points=5)
        assert here.model.get_position() == 4700


@in_virtual_time
async def test_after_a_failed_exposure_it_returns_to_the_start() -> None:
    async with served() as here:
        here.rig.camera.fail_exposure("the shutter is stuck")
        with pytest.raises(DriverException, match="stuck"):
            await autofocus(here.camera, here.focuser, 0.4)
        assert here.model.get_position() == START


@in_virtual_time
async def test_an_exception_of_the_callback_is_raised_after_the_return() -> None:
    def fail(_: FocusPoint) -> None:
        raise LookupError

    async with served() as here:
        with pytest.raises(LookupError):
            await autofocus(here.camera, here.focuser, 0.4, progress=fail)
        assert here.model.get_position() == START


async def exposing(here: Here) -> None:
    await until(lambda: here.rig.camera.exposure is not None)


@in_virtual_time
async def test_a_cancelled_autofocus_aborts_the_exposure_and_returns() -> None:
    async with served() as here:
        task = asyncio.create_task(autofocus(here.camera, here.focuser, 600))
        await exposing(here)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert here.rig.camera.exposure is None
        assert here.model.get_position() == START


@in_virtual_time
async def test_a_cancelled_scope_of_anyio_waits_for_the_return() -> None:
    async with served() as here, anyio.create_task_group() as tasks:
        tasks.start_soon(autofocus, here.camera, here.focuser, 600)
        await exposing(here)
        tasks.cancel_scope.cancel()
    assert here.model.get_position() == START


@in_virtual_time
async def test_a_second_cancellation_halts_the_return() -> None:
    async with served(speed=200.0) as here:
        task = asyncio.create_task(autofocus(here.camera, here.focuser, 600))
        await exposing(here)
        task.cancel()
        await until(here.model.get_is_moving)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert here.model.count("halt") == 1
        assert not here.model.get_is_moving()


@in_virtual_time
async def test_a_focuser_that_cannot_return_does_not_hide_the_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with served() as here:
        task = asyncio.create_task(autofocus(here.camera, here.focuser, 600))
        await exposing(here)
        here.model.disconnect()
        here.rig.camera.disconnect()
        with pytest.raises(NotConnectedException, match="camera/0"):
            await task
    assert "could not return to position 4960" in caplog.text


@pytest.mark.parametrize("start", [100, 9900])
@in_virtual_time
async def test_positions_that_the_focuser_does_not_have_move_nothing(start: int) -> None:
    async with served(position=start) as here:
        with pytest.raises(InvalidValueException, match="are not between 0 and 10000"):
            await autofocus(here.camera, here.focuser, 0.4)
        assert not here.model.goals


@in_virtual_time
async def test_a_relative_focuser_has_no_positions() -> None:
    async with served(absolute=False) as here:
        with pytest.raises(NotImplementedException):
            await autofocus(here.camera, here.focuser, 0.4)
        assert not here.model.goals


@pytest.mark.parametrize("wrong", [{"step": 0}, {"step": -50}, {"points": 4}])
@in_virtual_time
async def test_a_wrong_argument_is_an_error_before_any_request(wrong: dict[str, Any]) -> None:
    async with served() as here:
        with pytest.raises(ValueError, match="must be at least"):
            await autofocus(here.camera, here.focuser, 0.4, **wrong)
        assert not here.model.requests


def test_the_best_focus_is_the_vertex_of_the_hyperbola() -> None:
    measured = [(at, math.hypot(2.5, 0.02 * (at - 5010.4))) for at in range(4800, 5201, 50)]
    assert fit_hyperbola(measured) == pytest.approx((5010.4, 2.5))


def test_stars_that_are_smallest_at_both_ends_have_no_best_focus() -> None:
    measured = [(at, 9.0 - abs(at) / 100) for at in range(-200, 201, 50)]
    assert fit_hyperbola(measured)[0] == math.inf

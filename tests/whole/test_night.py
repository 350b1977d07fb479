"""The night of docs/examples/rig with a simulated rig, in which something goes wrong."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from alpaca_async import (
    AlpacaClient,
    CalibratorStatus,
    CameraStates,
    CoverStatus,
    OperationTimeout,
    TransportError,
)
from alpaca_async.testing import (
    FaultProxy,
    SimulatedCamera,
    SimulatedCoverCalibrator,
    SimulatedRig,
    SimulatorServer,
)
from tests.virtual_time import in_virtual_time, now

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "rig"
sys.path.insert(0, str(EXAMPLE))

import night  # noqa: E402 - not a package

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

FITS: Any = import_module("astropy.io.fits")  # it has no types
EVENING = datetime(2026, 3, 1, 19, tzinfo=UTC)
DAWN = EVENING + timedelta(seconds=24)
"""In which each filter has its turn, and no filter a second one."""
SECONDS = 1.0
FOCUS = {"L": 5000, "R": 5040, "G": 5025, "B": 4970}
"""The simulated filters, and the position of the focuser for each."""


class Clock:
    """The time of day, in virtual time."""

    @staticmethod
    def now(tz: tzinfo) -> datetime:
        return EVENING.astimezone(tz) + timedelta(seconds=now())


@dataclass
class Night:
    """A night that has begun."""

    rig: SimulatedRig
    proxy: FaultProxy
    task: asyncio.Task[None]


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(night, "datetime", Clock)


@asynccontextmanager
async def begun() -> AsyncGenerator[Night]:
    """Begin a night until DAWN, through a proxy."""
    clock = asyncio.get_running_loop().time
    rig = SimulatedRig(
        [SimulatedCamera(width=160, height=120, clock=clock, seed=seed) for seed in (0, 1)],
        cover_calibrator=SimulatedCoverCalibrator(initially_open=False, clock=clock),
    )
    async with (
        SimulatorServer(rig.devices) as server,
        FaultProxy(server.address) as proxy,
        AlpacaClient() as client,
    ):
        work = night.run_night(night.Rig(client, proxy.address), "M 51", SECONDS, DAWN)
        yield Night(rig, proxy, asyncio.create_task(work))


async def virtually(condition: Callable[[], object]) -> None:
    """Wait until `condition` holds, looking every 10 ms of virtual time."""
    async with asyncio.timeout(300):
        while not condition():  # noqa: ASYNC110 - simulated devices have no events
            await asyncio.sleep(0.01)


def is_exposing(rig: SimulatedRig) -> bool:
    return any(camera.state is not CameraStates.IDLE for camera in rig.cameras)


def expect_at_rest(rig: SimulatedRig) -> None:
    """Check that nothing exposes, moves, shines or is open."""
    assert not is_exposing(rig)
    assert not rig.focuser.get_is_moving()
    assert rig.cover_calibrator.get_cover_state() is CoverStatus.CLOSED
    assert rig.cover_calibrator.get_calibrator_state() is CalibratorStatus.OFF


def headers() -> dict[str, Any]:
    return {path.name: FITS.getheader(path) for path in sorted(Path().iterdir())}


def brightest(name: str) -> float:
    """Return the brightest part of a picture, hot pixels aside, relative to its median."""
    pixels = FITS.getdata(name)
    return float(np.percentile(pixels, 99.9) / np.median(pixels))


MOMENTS: dict[str, Callable[[SimulatedRig], object]] = {
    "the cover opens": lambda rig: rig.cover_calibrator.get_cover_moving(),
    "the wheel turns": lambda rig: rig.filter_wheel.get_position() == -1,
    "the focuser moves": lambda rig: rig.focuser.get_is_moving(),
    "the telescope is dithered": lambda rig: rig.camera.get_is_pulse_guiding(),
    "the cameras expose": is_exposing,
}


@in_virtual_time
async def test_a_night() -> None:
    async with begun() as here:
        await here.task
        expect_at_rest(here.rig)
        saved = headers()
        lights = [header for name, header in saved.items() if name.startswith("light")]
        flats = [header for name, header in saved.items() if name.startswith("flat")]
        each_twice = Counter(dict.fromkeys(FOCUS, 6))  # three frames of two cameras
        assert Counter(header["FILTER"] for header in lights) == each_twice
        assert Counter(header["FILTER"] for header in flats) == each_twice
        assert {header["OBJECT"] for header in lights} == {"M 51"}
        assert {header["IMAGETYP"] for header in flats} == {"Flat Frame"}
        assert {header["FILTER"]: header["FOCUSPOS"] for header in lights} == FOCUS
        assert here.rig.cameras[0].count("pulseguide") == 12
        assert here.rig.cameras[1].count("pulseguide") == 0
        assert brightest(next(name for name in saved if name.startswith("light_L"))) > 4
        assert brightest(next(name for name in saved if name.startswith("flat_L"))) < 1.2


@pytest.mark.parametrize("moment", MOMENTS)
@in_virtual_time
async def test_a_cloud_stops_everything_within_a_second(moment: str) -> None:
    async with begun() as here:
        await virtually(lambda: here.rig.cover_calibrator.count("opencover"))
        await virtually(lambda: MOMENTS[moment](here.rig))
        here.rig.safety_monitor.make_unsafe()
        clouded = now()
        await virtually(lambda: here.rig.cover_calibrator.count("closecover"))
        assert now() - clouded < 1
        assert not is_exposing(here.rig)
        assert not here.rig.focuser.get_is_moving()
        with pytest.raises(ExceptionGroup) as raised:
            await here.task
        assert raised.group_contains(night.Unsafe)
        expect_at_rest(here.rig)
        await virtually(lambda: here.rig.filter_wheel.get_position() != -1)


@in_virtual_time
async def test_in_bad_weather_nothing_is_opened() -> None:
    async with begun() as here:
        here.rig.safety_monitor.make_unsafe()
        with pytest.raises(night.Unsafe):
            await here.task
        assert here.rig.cover_calibrator.count("opencover") == 0
        expect_at_rest(here.rig)


@in_virtual_time
async def test_a_stuck_wheel_ends_the_night() -> None:
    async with begun() as here:
        await virtually(lambda: is_exposing(here.rig))
        here.rig.filter_wheel.jammed = True
        with pytest.raises(ExceptionGroup) as raised:
            await here.task
        assert raised.group_contains(OperationTimeout, match="filterwheel/0.*not 1")
        assert len(headers()) == 6
        expect_at_rest(here.rig)


@in_virtual_time
async def test_a_lost_camera_costs_its_frames_only(capsys: pytest.CaptureFixture[str]) -> None:
    async with begun() as here:
        await virtually(lambda: is_exposing(here.rig))
        here.proxy.add("close_before", device=1)
        await here.task
        expect_at_rest(here.rig)
        saved = headers()
        numbers = {name.split("_")[2] for name in saved}
        assert len(numbers) >= 15
        assert {name for name in saved if name.endswith("_1.fits")} == set()
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == len(numbers)
        assert all("camera/1" in line for line in lines)


@in_virtual_time
async def test_a_server_that_is_away_for_a_moment_costs_nothing() -> None:
    async with begun() as here:
        await virtually(lambda: is_exposing(here.rig))
        with here.proxy.add("refuse"):
            await asyncio.sleep(3)
        await here.task
        assert len(headers()) == 48


@in_virtual_time
async def test_a_server_that_stays_away_is_an_error() -> None:
    async with begun() as here:
        await virtually(lambda: is_exposing(here.rig))
        with here.proxy.add("refuse"), pytest.raises(TransportError, match="closecover"):
            await here.task
        await virtually(lambda: not is_exposing(here.rig))


@in_virtual_time
async def test_a_program_that_is_stopped_closes() -> None:
    async with begun() as here:
        await virtually(lambda: is_exposing(here.rig))
        here.task.cancel()
        await asyncio.wait([here.task])
        assert here.task.cancelled()
        expect_at_rest(here.rig)


def test_the_night_is_short() -> None:
    lines = (EXAMPLE / "night.py").read_text(encoding="utf-8").splitlines()
    assert len([line for line in lines if line and '"""' not in line]) < 80

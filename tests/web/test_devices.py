"""The devices beside the cameras."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from alpaca_async import AlpacaClient, CoverStatus
from alpaca_async.testing import (
    SimulatedCoverCalibrator,
    SimulatedFilterWheel,
    SimulatedFocuser,
    SimulatedSafetyMonitor,
    SimulatorServer,
)
from alpaca_async.web import devices as devices_module
from alpaca_async.web.changes import Changes
from alpaca_async.web.devices import Companion, Rig, UnsupportedCommandError
from alpaca_async.web.models import Command, Pace
from tests.conditions import until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from typing import Any

    from alpaca_async.testing import SimulatedDevice


@asynccontextmanager
async def running(server: str, pace: Pace) -> AsyncGenerator[Rig]:
    """Run the rig of a server."""
    async with AlpacaClient() as client:
        rig = Rig(client, Changes(), pace)
        task = asyncio.create_task(rig.run(server))
        yield rig
        await asyncio.gather(*(device.close() for device in rig.devices))
        task.cancel()
        await asyncio.wait([task])


@asynccontextmanager
async def companion(device: SimulatedDevice, member: str) -> AsyncGenerator[Companion[Any]]:
    """Serve a device, and follow it until its state is known: `member` is read once a round."""
    pace = Pace(interval=0.01, retry=0.01)
    async with SimulatorServer([device]) as server, running(server.address, pace) as rig:
        await until(lambda: device.count(member) >= 2)
        yield rig.devices[0]


async def settled(device: Companion[Any]) -> None:
    await until(lambda: not device.view().busy)


async def test_a_cover_is_closed_opened_and_halted() -> None:
    cover = SimulatedCoverCalibrator(speed_up=50)
    async with companion(cover, "coverstate") as device:
        await device.start(Command(action="close"))
        await settled(device)
        await until(lambda: device.view().cover == CoverStatus.CLOSED.name)
        await device.start(Command(action="open"))
        await settled(device)
        await until(lambda: device.view().cover == CoverStatus.OPEN.name)
        await device.start(Command(action="halt"))
        await settled(device)
        assert device.view().error is None
        with pytest.raises(UnsupportedCommandError, match="has no command move"):
            await device.start(Command(action="move"))


async def test_halting_ends_a_movement() -> None:
    cover = SimulatedCoverCalibrator()
    async with companion(cover, "coverstate") as device:
        await device.start(Command(action="close"))
        await until(lambda: device.view().cover == CoverStatus.MOVING.name)
        await device.start(Command(action="halt"))
        await settled(device)
        await until(lambda: device.view().cover == CoverStatus.UNKNOWN.name)


async def test_a_focuser_is_moved_and_halted() -> None:
    async with companion(SimulatedFocuser(speed_up=50), "position") as device:
        await device.start(Command(action="move", position=4900))
        await settled(device)
        await until(lambda: device.view().position == 4900)
        await device.start(Command(action="halt"))
        await settled(device)
        assert device.view().error is None
        with pytest.raises(UnsupportedCommandError):
            await device.start(Command(action="open"))


async def test_a_focuser_that_does_not_know_its_position_is_shown_without_it() -> None:
    async with companion(SimulatedFocuser(absolute=False), "position") as device:
        view = device.view()
        assert (view.position, view.maximum, view.status_error) == (None, None, None)


async def test_the_filters_are_known_while_the_wheel_is_out_of_reach() -> None:
    wheel = SimulatedFilterWheel()
    async with companion(wheel, "position") as device:
        wheel.set_connected(False)
        await until(lambda: device.view().status_error is not None)
        assert (device.view().filters, device.view().position) == (wheel.get_names(), None)


async def test_a_filter_that_does_not_exist_is_an_error() -> None:
    async with companion(SimulatedFilterWheel(speed_up=50), "position") as device:
        await device.start(Command(action="move", position=99))
        await settled(device)
        error = device.view().error
        assert error is not None
        assert error.status == 400


async def test_a_camera_has_the_wheel_with_its_number_or_the_first() -> None:
    pace = Pace(interval=0.01, retry=0.01)
    devices = [SimulatedFocuser(), SimulatedFilterWheel(), SimulatedFilterWheel()]
    async with SimulatorServer(devices) as server, running(server.address, pace) as rig:
        await until(lambda: len(rig.devices) == 3)
        place = rig.devices[0].place[0]
        found = [rig.wheel_for(place, number) for number in range(3)]
        assert [wheel and wheel.place for wheel in found] == [(place, 0), (place, 1), (place, 0)]
        assert rig.wheel_for("http://192.0.2.1:11111", 0) is None


async def test_devices_are_listed_as_soon_as_the_server_answers() -> None:
    async with SimulatorServer([]) as server:
        address, port = server.address, server.port
    async with running(address, Pace(interval=0.01, retry=0.01)) as rig:
        await asyncio.sleep(0.05)
        assert rig.devices == []
        async with SimulatorServer([SimulatedSafetyMonitor()], port=port):
            await until(lambda: rig.devices and rig.devices[0].view().safe)


async def test_the_number_of_devices_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices_module, "_MAX_DEVICES", 1)
    wheels = [SimulatedFilterWheel() for _ in range(3)]
    async with SimulatorServer(wheels) as server:
        async with running(server.address, Pace(interval=0.05, retry=0.05)) as rig:
            await until(lambda: rig.devices)
            await asyncio.sleep(0)
            assert len(rig.devices) == 1


async def test_a_monitor_whose_server_restarts_is_connected_again_and_told_of_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with SimulatorServer([]) as server:
        address, port = server.address, server.port
    async with running(address, Pace(interval=0.01, retry=0.01)) as rig:
        async with SimulatorServer([SimulatedSafetyMonitor()], port=port):
            await until(lambda: rig.devices and rig.devices[0].view().safe)
        (monitor,) = rig.devices
        await until(lambda: monitor.view().status_error)
        assert monitor.view().safe is False
        await asyncio.sleep(0.1)  # several attempts
        (warning,) = (each for each in caplog.records if each.levelname == "WARNING")
        assert address in warning.getMessage()
        async with SimulatorServer([SimulatedSafetyMonitor()], port=port):
            await until(lambda: monitor.view().safe)
            assert monitor.view().status_error is None


async def test_filter_and_focus_are_keywords_when_they_are_in_place() -> None:
    rest = [SimulatedFilterWheel(speed_up=50), SimulatedFocuser(speed_up=50)]
    seldom = Pace(interval=60)  # the state is read again after a movement
    async with SimulatorServer(rest) as server, running(server.address, seldom) as rig:
        camera = f"http://{server.address}", 0
        await until(lambda: len(rig.keywords_for(*camera)) == 2)
        wheel, focuser = rig.devices
        await wheel.start(Command(action="move", position=1))
        assert "FILTER" not in rig.keywords_for(*camera)
        await settled(wheel)
        await focuser.start(Command(action="move", position=4900))
        await settled(focuser)
        assert rig.keywords_for(*camera) == {"FILTER": "R", "FOCUSPOS": 4900}
        assert rig.keywords_for("http://127.0.0.1:1", 0) == {}


async def test_a_state_from_before_the_end_of_a_movement_is_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with companion(SimulatedFilterWheel(speed_up=50), "position") as wheel:
        read, slow = wheel._device.get_position, asyncio.Event()
        reading: list[int] = []

        async def read_slowly() -> int:
            position: int = await read()
            reading.append(position)
            await slow.wait()
            return position

        with monkeypatch.context() as patch:
            patch.setattr(wheel._device, "get_position", read_slowly)
            await until(lambda: reading == [0])
        await wheel.start(Command(action="move", position=2))
        await settled(wheel)
        slow.set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert wheel.view().position == 2


async def test_a_device_that_does_not_answer_gives_no_keywords() -> None:
    async with SimulatorServer([]) as server:
        address, port = server.address, server.port
    camera = f"http://{address}", 0
    async with running(address, Pace(interval=0.01, retry=0.01)) as rig:
        async with SimulatorServer([SimulatedFilterWheel()], port=port):
            await until(lambda: rig.keywords_for(*camera) == {"FILTER": "L"})
        await until(lambda: rig.devices[0].view().status_error)
        assert rig.keywords_for(*camera) == {}

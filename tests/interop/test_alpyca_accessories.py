"""alpyca and this library agree on the simulated devices beside the camera."""

from __future__ import annotations

import time
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import pytest

from alpaca_async import AlpacaClient, AscomError, CalibratorStatus, CoverStatus
from alpaca_async.testing import SimulatedCamera, SimulatedRig, SimulatorServer, run_in_thread
from tests.contract.makers import MAKERS
from tests.contract.table import ACCESSORIES, Member

from .conftest import needs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alpaca_async import AsyncDevice

pytestmark = needs("alpaca")

THEIRS: Final = {
    "filterwheel": "FilterWheel",
    "focuser": "Focuser",
    "covercalibrator": "CoverCalibrator",
    "safetymonitor": "SafetyMonitor",
}
SPLIT_AT_COMMAS: Final = "DriverInfo"
READ: Final = [
    (kind, member)
    for kind, members in ACCESSORIES.items()
    for member in members
    if member.kind == "property" and member.ascom not in {"DeviceState", SPLIT_AT_COMMAS}
]


@pytest.fixture
def rig() -> SimulatedRig:
    return SimulatedRig([SimulatedCamera(width=8, height=8, initially_connected=True, speed_up=20)])


@pytest.fixture
def address(rig: SimulatedRig) -> Iterator[str]:
    with run_in_thread(SimulatorServer(rig.devices)) as server:
        yield server.address


def alpyca(kind: str, address: str) -> Any:  # noqa: ANN401 - alpyca has no types
    return getattr(import_module(f"alpaca.{kind}"), THEIRS[kind])(address, 0)


def ours(kind: str, client: AlpacaClient, address: str) -> AsyncDevice:
    return MAKERS[kind](client, address, 0)


def ended(moving: Any, name: str, goal: object) -> bool:  # noqa: ANN401 - alpyca has no types
    """Wait until a property of alpyca has a value."""
    deadline = time.monotonic() + 20
    while getattr(moving, name) != goal and time.monotonic() < deadline:
        time.sleep(0.01)
    return bool(getattr(moving, name) == goal)


@pytest.mark.parametrize(("kind", "member"), READ, ids=lambda part: getattr(part, "ascom", part))
async def test_both_read_the_same_value(
    kind: str, member: Member, client: AlpacaClient, address: str
) -> None:
    theirs = getattr(alpyca(kind, address), member.ascom)
    assert theirs == await getattr(ours(kind, client, address), member.get_name)()


@pytest.mark.parametrize("kind", ACCESSORIES)
async def test_both_read_the_same_state(kind: str, client: AlpacaClient, address: str) -> None:
    mine = {item["Name"] for item in await ours(kind, client, address).get_device_state()}
    assert {item["Name"] for item in alpyca(kind, address).DeviceState} == mine
    assert len(mine) > 1


@pytest.mark.parametrize("kind", ACCESSORIES)
async def test_one_connects_and_the_other_sees_it(
    kind: str, client: AlpacaClient, address: str
) -> None:
    theirs, mine = alpyca(kind, address), ours(kind, client, address)
    theirs.Connected = False
    assert not await mine.get_connected()
    await mine.connect()
    assert theirs.Connected
    theirs.Disconnect()
    assert ended(theirs, "Connecting", False)
    assert not await mine.get_connected()


async def test_a_filter_wheel_that_one_turns_the_other_reads(
    client: AlpacaClient, address: str
) -> None:
    theirs, mine = alpyca("filterwheel", address), client.filter_wheel(address)
    await mine.move_to("B")
    assert theirs.Names[theirs.Position] == "B"
    theirs.Position = 1
    assert ended(theirs, "Position", 1)
    assert await mine.get_position() == 1


async def test_a_focuser_that_one_moves_the_other_reads(client: AlpacaClient, address: str) -> None:
    theirs, mine = alpyca("focuser", address), client.focuser(address)
    await mine.move_to(5400)
    assert (theirs.Position, theirs.IsMoving) == (5400, False)
    theirs.Move(5000)
    assert ended(theirs, "IsMoving", False)
    assert await mine.get_position() == 5000
    theirs.Move(9000)
    theirs.Halt()
    assert not await mine.get_is_moving()
    theirs.TempComp = True
    assert await mine.get_temp_comp()


async def test_a_cover_that_one_moves_the_other_reads(client: AlpacaClient, address: str) -> None:
    theirs, mine = alpyca("covercalibrator", address), client.cover_calibrator(address)
    await mine.close_cover()
    assert theirs.CoverState == CoverStatus.CLOSED
    theirs.OpenCover()
    assert ended(theirs, "CoverState", CoverStatus.OPEN)
    assert await mine.get_cover_state() is CoverStatus.OPEN
    theirs.CalibratorOn(30)
    assert ended(theirs, "CalibratorState", CalibratorStatus.READY)
    assert await mine.get_brightness() == 30
    await mine.calibrator_off()
    assert theirs.CalibratorState == CalibratorStatus.OFF


async def test_both_see_that_it_is_unsafe(
    client: AlpacaClient, address: str, rig: SimulatedRig
) -> None:
    theirs, mine = alpyca("safetymonitor", address), client.safety_monitor(address)
    assert theirs.IsSafe
    rig.safety_monitor.make_unsafe()
    assert not theirs.IsSafe
    assert not await mine.is_safe()


async def test_both_get_the_same_errors(client: AlpacaClient, address: str) -> None:
    exceptions = import_module("alpaca.exceptions")
    with pytest.raises(exceptions.InvalidValueException):
        alpyca("focuser", address).Move(99999)
    with pytest.raises(AscomError, match="0x401"):
        await client.focuser(address).move(99999)

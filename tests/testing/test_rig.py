"""The devices of a simulated rig, by themselves and together."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from alpaca_async import (
    CalibratorStatus,
    CoverStatus,
    GuideDirections,
    InvalidValueException,
    NotConnectedException,
    NotImplementedException,
)
from alpaca_async._errors import ActionNotImplementedException
from alpaca_async.testing import (
    SimulatedCamera,
    SimulatedCoverCalibrator,
    SimulatedFilter,
    SimulatedFilterWheel,
    SimulatedFocuser,
    SimulatedRig,
    SimulatedSafetyMonitor,
    SimulatorServer,
)
from tests.contract.table import ACCESSORIES, ACCESSORY_OPERATIONS

from .conftest import http_client

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .conftest import Clock


@pytest.fixture
def rig(clock: Clock) -> SimulatedRig:
    camera = SimulatedCamera(
        width=300,
        height=200,
        drift=0,
        seeing=2.0,
        hot_pixel_fraction=0,
        clock=clock,
        initially_connected=True,
    )
    return SimulatedRig([camera])


def taken(rig: SimulatedRig, clock: Clock, *, light: bool = True) -> NDArray[Any]:
    rig.camera.start_exposure(2.0, light)
    clock.advance(10)
    pixels: NDArray[Any] = rig.camera.image()
    return pixels.astype(float) - rig.camera.offset_adu


def test_a_rig_at_rest_changes_nothing(rig: SimulatedRig, clock: Clock) -> None:
    alone = replace(rig.camera)
    alone.start_exposure(2.0, True)
    clock.advance(10)
    alone_pixels = alone.image().astype(float) - alone.offset_adu
    assert np.array_equal(taken(rig, clock), alone_pixels)


def test_a_filter_dims_the_sky(rig: SimulatedRig, clock: Clock) -> None:
    bright = np.median(taken(rig, clock))
    rig.filter_wheel.set_position(1)
    clock.advance(1)
    red = np.median(taken(rig, clock))
    rig.filter_wheel.set_position(4)
    clock.advance(5)
    narrow = np.median(taken(rig, clock))
    assert narrow < 0.5 * red < 0.5 * bright


def peak(rig: SimulatedRig, clock: Clock) -> float:
    """Return the brightest pixel, of a star: the wider the stars, the fainter."""
    return float(taken(rig, clock).max())


def test_the_focuser_changes_the_size_of_stars(rig: SimulatedRig, clock: Clock) -> None:
    sharp = peak(rig, clock)
    rig.focuser.move(5150)
    clock.advance(1)
    assert peak(rig, clock) < 0.5 * sharp


def test_a_filter_shifts_the_focus_by_its_offset(rig: SimulatedRig, clock: Clock) -> None:
    thick = SimulatedFilter("thick", focus_offset=150)
    rig = SimulatedRig(
        rig.cameras,
        filter_wheel=SimulatedFilterWheel(
            filters=(SimulatedFilter("L"), thick), clock=clock, initially_connected=True
        ),
    )
    sharp = peak(rig, clock)
    rig.filter_wheel.set_position(1)
    clock.advance(1)
    assert peak(rig, clock) < 0.5 * sharp
    rig.focuser.move(5150)
    clock.advance(1)
    assert peak(rig, clock) == pytest.approx(sharp, rel=0.05)


def test_a_closed_cover_makes_darks(rig: SimulatedRig, clock: Clock) -> None:
    dark = taken(rig, clock, light=False)
    rig.cover_calibrator.close_cover()
    clock.advance(3)
    covered = taken(rig, clock)
    assert covered.mean() == pytest.approx(dark.mean(), abs=0.1)


def test_a_cover_on_its_way_lets_no_light_in(rig: SimulatedRig, clock: Clock) -> None:
    rig.cover_calibrator.close_cover()
    clock.advance(1)
    assert np.median(taken(rig, clock)) < 2


def test_the_calibrator_makes_flats_in_proportion_to_its_brightness(
    rig: SimulatedRig, clock: Clock
) -> None:
    rig.cover_calibrator.close_cover()
    clock.advance(3)
    levels: list[float] = []
    for brightness in (50, 100):
        rig.cover_calibrator.calibrator_on(brightness)
        levels.append(float(np.median(taken(rig, clock))))
    assert levels[0] == pytest.approx(5000, rel=0.02)
    assert levels[1] == pytest.approx(10000, rel=0.02)
    rig.filter_wheel.set_position(1)
    clock.advance(1)
    assert np.median(taken(rig, clock)) < 0.5 * levels[1]


def test_an_open_cover_does_not_show_its_light(rig: SimulatedRig, clock: Clock) -> None:
    sky = np.median(taken(rig, clock))
    rig.cover_calibrator.calibrator_on(100)
    assert np.median(taken(rig, clock)) == pytest.approx(sky, abs=1)


def test_a_light_without_a_cover_shines_always(clock: Clock) -> None:
    panel = SimulatedCoverCalibrator(has_cover=False, clock=clock, initially_connected=True)
    panel.calibrator_on(100)
    assert panel.flat == panel.flat_rate
    assert panel.get_cover_state() is CoverStatus.NOT_PRESENT
    with pytest.raises(NotImplementedException):
        panel.open_cover()


def test_devices_that_are_not_given_are_like_the_camera(clock: Clock) -> None:
    rig = SimulatedRig([SimulatedCamera(clock=clock, speed_up=7.0, initially_connected=True)])
    assert all(device.speed_up == 7.0 and device.connected for device in rig.devices)
    assert len({device.unique_id for device in rig.devices}) == 5


def test_a_jammed_wheel_never_arrives(clock: Clock) -> None:
    wheel = SimulatedFilterWheel(clock=clock, initially_connected=True, jammed=True)
    assert wheel.get_position() == 0
    wheel.set_position(2)
    clock.advance(1000)
    assert wheel.get_position() == -1
    wheel.jammed = False
    assert wheel.get_position() == 2


def test_a_cover_and_its_light_take_their_time(clock: Clock) -> None:
    cover = SimulatedCoverCalibrator(clock=clock, initially_connected=True, initially_open=False)
    assert cover.get_cover_state() is CoverStatus.CLOSED
    cover.open_cover()
    cover.calibrator_on(3)
    assert cover.get_cover_state() is CoverStatus.MOVING
    assert cover.get_calibrator_state() is CalibratorStatus.NOT_READY
    clock.advance(1)
    cover.halt_cover()
    assert cover.get_cover_state() is CoverStatus.UNKNOWN
    assert cover.get_calibrator_state() is CalibratorStatus.READY
    cover.open_cover()
    clock.advance(1)
    assert cover.get_cover_state() is CoverStatus.OPEN


def test_a_relative_focuser_has_no_position(clock: Clock) -> None:
    focuser = SimulatedFocuser(clock=clock, initially_connected=True, absolute=False)
    with pytest.raises(NotImplementedException):
        focuser.get_position()
    with pytest.raises(InvalidValueException):
        focuser.move(10001)


def test_a_monitor_refuses_other_words_and_actions() -> None:
    monitor = SimulatedSafetyMonitor(initially_connected=True, initially_safe=False)
    assert not monitor.get_is_safe()
    monitor.action("setsafe", "True")
    assert monitor.get_is_safe()
    with pytest.raises(InvalidValueException):
        monitor.action("SetSafe", "maybe")
    with pytest.raises(ActionNotImplementedException):
        monitor.action("Dance", "")


def test_a_monitor_must_be_connected() -> None:
    with pytest.raises(NotConnectedException):
        SimulatedSafetyMonitor().get_is_safe()


@pytest.mark.parametrize("kind", ACCESSORIES)
async def test_every_property_of_the_contract_can_be_read(kind: str, rig: SimulatedRig) -> None:
    properties = [each for each in ACCESSORY_OPERATIONS[kind] if each.verb == "GET"]
    async with SimulatorServer(rig.devices) as server, http_client(server) as http:
        for operation in properties:
            reply = (await http.get(operation.path.format(number=0))).json()
            assert reply["ErrorNumber"] == 0, operation
            assert "Value" in reply


@pytest.mark.parametrize("kind", ACCESSORIES)
async def test_members_need_a_connection(kind: str, rig: SimulatedRig, clock: Clock) -> None:
    for device in rig.devices:
        device.disconnect()
    clock.advance(1)
    own = [each.wire for each in ACCESSORIES[kind] if each.scope != "common"]
    async with SimulatorServer(rig.devices) as server, http_client(server) as http:
        replies = await asyncio.gather(*(http.get(f"/api/v1/{kind}/0/{name}") for name in own))
    numbers = {reply.json()["ErrorNumber"] for reply in replies if reply.status_code == 200}
    assert numbers == {0x407}


@pytest.mark.parametrize(
    ("kind", "first"),
    [("filterwheel", 3), ("focuser", 4), ("covercalibrator", 2), ("safetymonitor", 3)],
)
async def test_connect_came_with_platform_7(kind: str, first: int, rig: SimulatedRig) -> None:
    device = next(each for each in rig.devices if each.device_type == kind)
    async with SimulatorServer(rig.devices) as server, http_client(server) as http:
        assert (await http.put(f"/api/v1/{kind}/0/connect")).status_code == 200
        device.interface_version = first - 1
        assert (await http.put(f"/api/v1/{kind}/0/connect")).status_code == 400
        assert (await http.get(f"/api/v1/{kind}/0/name")).status_code == 200


def test_a_guide_pulse_of_one_camera_moves_the_sky_of_all(rig: SimulatedRig, clock: Clock) -> None:
    pair = SimulatedRig([replace(rig.camera, noise=False) for _ in range(2)])
    before = taken(pair, clock)
    assert np.array_equal(taken(pair, clock), before)
    pair.cameras[1].pulse_guide(GuideDirections.EAST, 3000)
    assert np.abs(taken(pair, clock) - before).max() > 100

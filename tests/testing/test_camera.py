from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from alpaca_async._enums import CameraStates, SensorType
from alpaca_async._errors import (
    ActionNotImplementedException,
    DriverException,
    InvalidOperationException,
    InvalidValueException,
    NotConnectedException,
    NotImplementedException,
)
from alpaca_async.testing import SimulatedCamera, SimulatedFocuser
from alpaca_async.testing._sensor import Sensor, Shot

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from .conftest import Clock, MakeCamera


def check_raises(error: type[Exception], *attempts: Callable[[], object]) -> None:
    for attempt in attempts:
        with pytest.raises(error):
            attempt()


def test_connecting_takes_connect_time(make_camera: MakeCamera, clock: Clock) -> None:
    camera = make_camera(initially_connected=False, connect_time=2.0)
    camera.connect()
    assert (camera.connected, camera.connecting) == (False, True)
    clock.advance(2.1)
    assert (camera.connected, camera.connecting) == (True, False)
    camera.disconnect()
    assert (camera.connected, camera.connecting) == (True, True)
    clock.advance(2.1)
    assert (camera.connected, camera.connecting) == (False, False)


def test_setting_connected_is_immediate_and_may_be_repeated(make_camera: MakeCamera) -> None:
    camera = make_camera(initially_connected=False)
    for connected in (True, True, False, False):
        camera.set_connected(connected)
        assert camera.connected is connected
        assert not camera.connecting


def test_connecting_again_changes_nothing(make_camera: MakeCamera) -> None:
    camera = make_camera()
    camera.set_bin_x(2)
    camera.connect()
    assert camera.connected
    assert camera.bin_x == 2


def test_a_new_connection_starts_with_the_full_frame(make_camera: MakeCamera) -> None:
    camera = make_camera()
    camera.set_bin_x(2)
    camera.set_num_x(10)
    camera.start_exposure(1.0, light=True)
    camera.set_connected(connected=False)
    assert camera.exposure is None
    camera.set_connected(connected=True)
    assert (camera.bin_x, camera.num_x, camera.num_y) == (1, 64, 48)


def test_nothing_works_while_disconnected(make_camera: MakeCamera) -> None:
    camera = make_camera(initially_connected=False)
    check_raises(
        NotConnectedException,
        lambda: camera.start_exposure(1.0, light=True),
        camera.stop_exposure,
        camera.abort_exposure,
        camera.get_state,
        camera.get_image_ready,
        camera.get_ccd_temperature,
        camera.image,
        lambda: camera.set_num_x(3),
        lambda: camera.set_gain(3),
        lambda: camera.action("Echo", ""),
    )


def test_an_exposure_goes_from_exposing_through_reading_to_an_image(
    make_camera: MakeCamera, clock: Clock
) -> None:
    camera = make_camera(readout_time=1.0)
    assert camera.get_state() == CameraStates.IDLE
    camera.start_exposure(4.0, light=True)
    seen: list[tuple[CameraStates, bool]] = []
    for _ in range(6):
        seen.append((camera.get_state(), camera.get_image_ready()))
        clock.advance(0.9)
    exposing = (CameraStates.EXPOSING, False)
    assert seen == [exposing] * 5 + [(CameraStates.READING, False)]
    assert (camera.get_state(), camera.get_image_ready()) == (CameraStates.IDLE, True)


def test_the_speed_up_shortens_everything(make_camera: MakeCamera, clock: Clock) -> None:
    camera = make_camera(speed_up=100.0)
    camera.start_exposure(60.0, light=True)
    camera.set_cooler_on(True)
    camera.set_set_point(5.0)
    clock.advance(0.59)
    assert camera.state == CameraStates.EXPOSING
    clock.advance(0.02)
    assert camera.get_image_ready()
    clock.advance(4.0)
    assert camera.get_ccd_temperature() == pytest.approx(5.0, abs=0.01)
    assert camera.get_last_exposure().shot.duration == 60.0


def test_percent_completed_grows_and_is_refused_when_idle(
    make_camera: MakeCamera, clock: Clock
) -> None:
    camera = make_camera(readout_time=2.0)
    with pytest.raises(InvalidOperationException, match="not exposing"):
        camera.get_percent_completed()
    camera.start_exposure(8.0, light=True)
    percents = [camera.get_percent_completed()]
    for _ in range(2):
        clock.advance(4.5)
        percents.append(camera.get_percent_completed())
    assert percents == [0, 45, 90]
    clock.advance(1.1)
    with pytest.raises(InvalidOperationException, match="not exposing"):
        camera.get_percent_completed()


def test_a_bias_without_readout_is_complete_at_once(make_camera: MakeCamera) -> None:
    camera = make_camera(readout_time=0.0)
    camera.start_exposure(0.0, light=False)
    assert camera.get_image_ready()
    assert camera.exposure is not None
    assert camera.exposure.percent(camera.now) == 100


@pytest.mark.parametrize("duration", [-1.0, math.nan, math.inf, 0.0, 0.0005, 3601.0])
def test_impossible_durations_are_refused(make_camera: MakeCamera, duration: float) -> None:
    camera = make_camera()
    with pytest.raises(InvalidValueException, match="Duration must be"):
        camera.start_exposure(duration, light=True)
    assert camera.state == CameraStates.IDLE


def test_the_duration_is_rounded_to_the_resolution(make_camera: MakeCamera) -> None:
    camera = make_camera(exposure_resolution=0.1)
    camera.start_exposure(0.34, light=True)
    assert camera.exposure is not None
    assert camera.exposure.shot.duration == 0.3
    exact = make_camera(exposure_resolution=0.0)
    exact.start_exposure(0.123456, light=True)
    assert exact.exposure is not None
    assert exact.exposure.shot.duration == 0.123456


@pytest.mark.parametrize(
    ("axis", "changes"),
    [
        ("X", {"num_x": 65}),
        ("X", {"num_x": 0}),
        ("X", {"start_x": 1}),
        ("X", {"start_x": -1, "num_x": 5}),
        ("Y", {"num_y": 49}),
        ("Y", {"start_y": 40, "num_y": 9}),
        ("X", {"bin_x": 2}),
        ("Y", {"bin_x": 2, "num_x": 32, "bin_y": 2}),
    ],
)
def test_the_frame_is_checked_when_the_exposure_starts(
    make_camera: MakeCamera, axis: str, changes: dict[str, int]
) -> None:
    camera = make_camera()
    for name, value in changes.items():
        getattr(camera, f"set_{name}")(value)
    with pytest.raises(InvalidValueException, match=f"Start{axis} .* and Num{axis}"):
        camera.start_exposure(1.0, light=True)


def test_the_last_binned_pixel_may_be_used(make_camera: MakeCamera, clock: Clock) -> None:
    camera = make_camera()
    camera.set_bin_x(3)
    camera.set_bin_y(3)
    camera.set_start_x(20)
    camera.set_num_x(1)
    camera.set_num_y(16)
    camera.start_exposure(1.0, light=True)
    clock.advance(2.0)
    assert camera.image().shape == (1, 16)


def test_a_second_exposure_is_refused_until_the_first_ends(
    make_camera: MakeCamera, clock: Clock
) -> None:
    camera = make_camera(readout_time=1.0)
    camera.start_exposure(1.0, light=True)
    for _ in range(2):
        with pytest.raises(InvalidOperationException, match="exposing already"):
            camera.start_exposure(1.0, light=True)
        clock.advance(0.9)
    clock.advance(0.3)
    camera.start_exposure(1.0, light=True)
    assert not camera.get_image_ready()


def test_stopping_keeps_the_collected_charge(make_camera: MakeCamera, clock: Clock) -> None:
    camera = make_camera(noise=False, drift=0.0, readout_time=1.0)
    camera.start_exposure(20.0, light=True)
    clock.advance(5.0)
    camera.stop_exposure()
    assert camera.get_state() == CameraStates.READING
    clock.advance(0.5)
    camera.stop_exposure()
    clock.advance(0.6)
    stopped = camera.image()
    assert camera.get_last_exposure().shot.duration == pytest.approx(5.0)
    camera.start_exposure(5.0, light=True)
    clock.advance(6.1)
    np.testing.assert_array_equal(camera.image(), stopped)


def test_aborting_discards_and_returns_to_idle(make_camera: MakeCamera, clock: Clock) -> None:
    camera = make_camera()
    camera.start_exposure(1.0, light=True)
    clock.advance(0.5)
    camera.abort_exposure()
    assert camera.get_state() == CameraStates.IDLE
    clock.advance(5.0)
    assert not camera.get_image_ready()
    with pytest.raises(InvalidOperationException, match="has no image"):
        camera.image()
    camera.start_exposure(1.0, light=True)


def test_stop_and_abort_do_nothing_when_idle(make_camera: MakeCamera, clock: Clock) -> None:
    camera = make_camera()
    camera.stop_exposure()
    camera.abort_exposure()
    camera.start_exposure(1.0, light=True)
    clock.advance(2.0)
    camera.stop_exposure()
    camera.abort_exposure()
    assert camera.get_image_ready()


def test_the_last_exposure_is_the_one_that_gave_an_image(
    make_camera: MakeCamera, clock: Clock
) -> None:
    camera = make_camera()
    camera.start_exposure(1.0, light=True)
    with pytest.raises(InvalidOperationException, match="not taken an image"):
        camera.get_last_exposure()
    clock.advance(2.0)
    camera.start_exposure(3.0, light=True)
    assert camera.get_last_exposure().shot.duration == 1.0
    camera.abort_exposure()
    assert camera.get_last_exposure().shot.duration == 1.0
    camera.start_exposure(2.0, light=True)
    clock.advance(3.0)
    assert camera.get_last_exposure().shot.duration == 2.0


def test_the_image_stays_the_same_until_the_next_exposure(
    make_camera: MakeCamera, clock: Clock
) -> None:
    camera = make_camera()
    camera.start_exposure(1.0, light=True)
    clock.advance(2.0)
    assert camera.image() is camera.image()
    camera.set_num_x(10)
    assert camera.image().shape == (64, 48)


def test_two_threads_render_an_image_once(
    make_camera: MakeCamera, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    render = Sensor.frame

    def counting(sensor: Sensor, shot: Shot) -> NDArray[Any]:
        calls.append(shot.number)
        return render(sensor, shot)

    monkeypatch.setattr(Sensor, "frame", counting)
    camera = make_camera()
    camera.start_exposure(1.0, light=True)
    clock.advance(2.0)
    threads = [threading.Thread(target=camera.image) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert calls == [1]


def test_equal_seeds_give_equal_images(make_camera: MakeCamera, clock: Clock) -> None:
    cameras = [make_camera(seed=7), make_camera(seed=7), make_camera(seed=8)]
    for camera in cameras:
        camera.start_exposure(1.0, light=True)
    clock.advance(2.0)
    first, second, other = (camera.image() for camera in cameras)
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


def test_a_failed_exposure_ends_in_error_until_the_next(
    make_camera: MakeCamera, clock: Clock
) -> None:
    camera = make_camera()
    camera.fail_exposure("The shutter is stuck", 0x512)
    camera.start_exposure(1.0, light=True)
    assert camera.get_state() == CameraStates.EXPOSING
    assert not camera.get_image_ready()
    clock.advance(1.1)
    assert camera.get_state() == CameraStates.ERROR
    with pytest.raises(DriverException, match="The shutter is stuck") as caught:
        camera.get_image_ready()
    assert caught.value.number == 0x512
    with pytest.raises(InvalidOperationException):
        camera.get_percent_completed()
    camera.start_exposure(1.0, light=True)
    clock.advance(2.0)
    assert camera.get_image_ready()


def test_an_abort_clears_a_failure(make_camera: MakeCamera, clock: Clock) -> None:
    camera = make_camera()
    camera.fail_exposure()
    camera.start_exposure(1.0, light=True)
    clock.advance(1.1)
    camera.abort_exposure()
    assert camera.get_state() == CameraStates.IDLE
    assert not camera.get_image_ready()


def test_an_image_may_come_later_than_idle_or_never(make_camera: MakeCamera, clock: Clock) -> None:
    late, never = make_camera(image_delay=5.0), make_camera(image_delay=math.inf)
    for camera in (late, never):
        camera.start_exposure(1.0, light=True)
    clock.advance(2.0)
    for camera in (late, never):
        assert (camera.get_state(), camera.get_image_ready()) == (CameraStates.IDLE, False)
    clock.advance(1e6)
    assert late.get_image_ready()
    assert not never.get_image_ready()


def test_an_abort_before_a_late_image_prevents_it(make_camera: MakeCamera, clock: Clock) -> None:
    camera = make_camera(image_delay=5.0)
    camera.start_exposure(1.0, light=True)
    clock.advance(2.0)
    camera.abort_exposure()
    clock.advance(10.0)
    assert not camera.get_image_ready()


def test_a_subframe_and_a_fast_mode_are_read_sooner(make_camera: MakeCamera) -> None:
    camera = make_camera(readout_time=8.0)
    times: list[float] = []
    for rows, mode in ((48, 0), (24, 0), (24, 1)):
        camera.set_num_y(rows)
        camera.set_readout_mode(mode)
        camera.start_exposure(1.0, light=True)
        assert camera.exposure is not None
        times.append(camera.exposure.readout_time)
        camera.abort_exposure()
    assert times == [8.0, 4.0, 1.0]


def test_fast_readout_is_noisier(make_camera: MakeCamera) -> None:
    camera = make_camera(can_fast_readout=True)
    camera.set_fast_readout(True)
    assert camera.get_fast_readout()
    camera.start_exposure(1.0, light=True)
    assert camera.exposure is not None
    assert camera.exposure.shot.read_noise == 6.0


def test_gain_by_value_changes_the_conversion(make_camera: MakeCamera) -> None:
    camera = make_camera()
    assert camera.get_gain_range() == (0, 300)
    camera.set_gain(200)
    assert camera.electrons_per_adu == pytest.approx(0.1)
    with pytest.raises(InvalidValueException, match="Gain must be 0 to 300, not 301"):
        camera.set_gain(301)
    with pytest.raises(NotImplementedException):
        camera.get_gains()


def test_gain_and_offset_by_name(make_camera: MakeCamera) -> None:
    camera = make_camera(gain_mode="list", offset_mode="list")
    camera.set_gain(2)
    camera.set_offset(1)
    assert (camera.electrons_per_adu, camera.offset_adu) == (0.25, 200)
    assert (camera.get_gain(), camera.get_offset()) == (2, 1)
    assert len(camera.get_gains()) == len(camera.get_offsets()) == 3
    check_raises(InvalidValueException, lambda: camera.set_gain(3), lambda: camera.set_offset(-1))
    check_raises(NotImplementedException, camera.get_gain_range, camera.get_offset_range)


def test_a_camera_may_have_neither_gain_nor_offset(make_camera: MakeCamera) -> None:
    camera = make_camera(gain_mode="none", offset_mode="none")
    assert (camera.electrons_per_adu, camera.offset_adu) == (1.0, 100)
    check_raises(
        NotImplementedException,
        camera.get_gain,
        camera.get_gains,
        camera.get_gain_range,
        camera.get_offset,
        lambda: camera.set_gain(0),
        lambda: camera.set_offset(0),
    )


def test_symmetric_binning_sets_both_axes(make_camera: MakeCamera) -> None:
    camera = make_camera(can_asymmetric_bin=False)
    camera.set_bin_x(2)
    assert camera.bin_y == 2
    camera.set_bin_y(3)
    assert camera.bin_x == 3
    free = make_camera()
    free.set_bin_x(2)
    assert free.bin_y == 1


def test_summed_binning_raises_the_full_well(make_camera: MakeCamera) -> None:
    summing, averaging = make_camera(), make_camera(binning="average")
    for camera in (summing, averaging):
        camera.set_bin_x(2)
        camera.set_bin_y(2)
    assert summing.full_well_capacity == 4 * averaging.full_well_capacity


def test_readout_modes_and_fast_readout_exclude_each_other(make_camera: MakeCamera) -> None:
    modes, fast = make_camera(), make_camera(can_fast_readout=True)
    assert modes.get_readout_modes() == ["High quality", "Fast"]
    modes.set_readout_mode(1)
    assert modes.get_readout_mode() == 1
    with pytest.raises(InvalidValueException):
        modes.set_readout_mode(2)
    check_raises(
        NotImplementedException,
        modes.get_fast_readout,
        lambda: modes.set_fast_readout(True),
        fast.get_readout_mode,
        fast.get_readout_modes,
        lambda: fast.set_readout_mode(0),
    )


def test_only_mosaics_have_a_bayer_offset(make_camera: MakeCamera) -> None:
    assert make_camera(sensor=SensorType.RGGB).bayer_offset(1) == 1
    for sensor in (SensorType.MONOCHROME, SensorType.COLOR):
        with pytest.raises(NotImplementedException):
            make_camera(sensor=sensor).bayer_offset(0)


def test_disabled_members_are_not_implemented(make_camera: MakeCamera) -> None:
    bare = make_camera(
        has_cooler=False,
        has_sub_exposures=False,
        can_abort_exposure=False,
        can_stop_exposure=False,
        can_pulse_guide=False,
    )
    uncontrolled = make_camera(can_set_ccd_temperature=False, can_get_cooler_power=False)
    check_raises(
        NotImplementedException,
        bare.abort_exposure,
        bare.stop_exposure,
        bare.get_is_pulse_guiding,
        lambda: bare.pulse_guide(0, 10),
        bare.get_ccd_temperature,
        bare.get_cooler_on,
        lambda: bare.set_cooler_on(True),
        bare.get_set_point,
        bare.get_sub_exposure_duration,
        lambda: bare.set_sub_exposure_duration(1.0),
        uncontrolled.get_cooler_power,
        uncontrolled.get_heat_sink_temperature,
        lambda: uncontrolled.set_set_point(0.0),
    )
    assert uncontrolled.get_ccd_temperature() == 15.0


def test_the_cooler_continues_while_disconnected(make_camera: MakeCamera, clock: Clock) -> None:
    camera = make_camera()
    camera.set_set_point(0.0)
    camera.set_cooler_on(True)
    camera.set_connected(connected=False)
    clock.advance(1000.0)
    camera.set_connected(connected=True)
    assert camera.get_cooler_on()
    assert camera.get_ccd_temperature() == pytest.approx(0.0, abs=1e-3)
    assert camera.get_cooler_power() == pytest.approx(100 * 15 / 45, abs=0.1)
    assert camera.get_set_point() == 0.0


@pytest.mark.parametrize("set_point", [-61.0, 41.0, math.nan])
def test_impossible_set_points_are_refused(make_camera: MakeCamera, set_point: float) -> None:
    with pytest.raises(InvalidValueException):
        make_camera().set_set_point(set_point)


def test_a_cold_sensor_has_less_dark_current(make_camera: MakeCamera, clock: Clock) -> None:
    camera = make_camera(dark_current=5.0)
    levels: list[float] = []
    for _ in range(2):
        camera.start_exposure(100.0, light=False)
        clock.advance(1000.0)
        levels.append(float(np.median(camera.image())) - 100)
        camera.set_set_point(3.0)
        camera.set_cooler_on(True)
        clock.advance(1000.0)
    assert levels[0] / levels[1] == pytest.approx(4.0, rel=0.03)


def test_a_guide_pulse_takes_time_and_moves_the_sky(make_camera: MakeCamera, clock: Clock) -> None:
    camera = make_camera(noise=False, drift=0.0, guide_rate=2.0, hot_pixel_fraction=0.0)
    frames: list[NDArray[Any]] = []
    for _ in range(2):
        camera.start_exposure(1.0, light=True)
        clock.advance(3.0)
        frames.append(camera.image().astype(int))
        camera.pulse_guide(2, 1500)
        assert camera.get_is_pulse_guiding()
        clock.advance(1.6)
        assert not camera.get_is_pulse_guiding()
    np.testing.assert_allclose(frames[1][3:], frames[0][:-3], atol=2)
    assert np.abs(frames[1] - frames[0]).max() > 100


@pytest.mark.parametrize(("direction", "duration"), [(4, 10), (-1, 10), (0, -1)])
def test_impossible_pulses_are_refused(
    make_camera: MakeCamera, direction: int, duration: int
) -> None:
    with pytest.raises(InvalidValueException):
        make_camera().pulse_guide(direction, duration)


def test_device_state_omits_members_that_cannot_be_read(make_camera: MakeCamera) -> None:
    def names(camera: SimulatedCamera) -> set[str]:
        return {entry["Name"] for entry in camera.get_device_state()}

    camera = make_camera()
    idle = names(camera)
    assert "PercentCompleted" not in idle
    assert {"CameraState", "CCDTemperature", "ImageReady", "TimeStamp"} <= idle
    camera.start_exposure(1.0, light=True)
    assert names(camera) == idle | {"PercentCompleted"}
    assert names(make_camera(has_cooler=False, can_pulse_guide=False)) == {
        "CameraState",
        "ImageReady",
        "TimeStamp",
    }
    assert names(make_camera(initially_connected=False)) == {"TimeStamp"}


def test_actions(make_camera: MakeCamera, clock: Clock) -> None:
    camera = make_camera()
    assert camera.action("eChO", "a=1&b=2") == "a=1&b=2"
    assert camera.action("FailNextExposure", "") == ""
    camera.start_exposure(1.0, light=True)
    clock.advance(2.0)
    assert camera.state == CameraStates.ERROR
    with pytest.raises(ActionNotImplementedException):
        camera.action("Dance", "")


def test_requests_are_recorded_and_counted(make_camera: MakeCamera) -> None:
    camera = make_camera()
    for verb, member in (("GET", "gain"), ("PUT", "gain"), ("GET", "offset")):
        camera.record(verb, member, {"ClientID": "1"})
    assert camera.count("gain") == camera.count("Gain") == 2
    assert camera.count("gain", "PUT") == 1
    assert camera.count("startexposure") == 0
    assert [(r.verb, r.member) for r in camera.requests][-1] == ("GET", "offset")
    assert camera.requests[0].parameters == {"ClientID": "1"}


def test_every_camera_has_its_own_unique_id() -> None:
    assert SimulatedCamera().unique_id != SimulatedCamera().unique_id
    assert SimulatedCamera(unique_id="me").unique_id == "me"


def test_the_repr_has_what_was_given() -> None:
    camera = SimulatedCamera(unique_id="one", width=64, clock=lambda: 0.0)
    assert repr(camera) == "SimulatedCamera(unique_id='one', width=64)"
    assert repr(SimulatedFocuser(unique_id="two", speed=5.0)) == (
        "SimulatedFocuser(unique_id='two', speed=5.0)"
    )

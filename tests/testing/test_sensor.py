from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from alpaca_async._enums import SensorType
from alpaca_async.testing import CameraModel
from alpaca_async.testing._sensor import Sensor, Shot

if TYPE_CHECKING:
    from numpy.typing import NDArray


def shoot(
    facts: dict[str, Any] | None = None,
    **changes: Any,  # noqa: ANN401 - fields of Shot
) -> NDArray[np.float64]:
    small: dict[str, Any] = {"width": 256, "height": 192, "hot_pixel_fraction": 0.0}
    model = CameraModel(**{**small, **(facts or {})})
    shot: dict[str, Any] = {
        "number": 1,
        "duration": 10.0,
        "light": True,
        "temperature": 0.0,
        "electrons_per_adu": 1.0,
        "offset": 100,
        "read_noise": 3.0,
        "num_x": model.width,
        "num_y": model.height,
    }
    return Sensor(model).frame(Shot(**{**shot, **changes})).astype(float)


QUIET: dict[str, Any] = {"noise": False, "drift": 0.0}


def test_a_bias_is_the_offset_with_read_noise() -> None:
    bias = shoot(light=False, duration=0.0)
    assert bias.mean() == pytest.approx(100.0, abs=0.1)
    assert bias.std() == pytest.approx(3.0, rel=0.03)


def test_a_dark_grows_with_time_and_doubles_every_six_degrees() -> None:
    facts = {"dark_current": 2.0}
    dark = shoot(facts, light=False, duration=100.0)
    assert dark.mean() == pytest.approx(300.0, rel=0.01)
    assert shoot(facts, light=False, duration=200.0).mean() == pytest.approx(500.0, rel=0.01)
    warm = shoot(facts, light=False, duration=100.0, temperature=6.0)
    assert warm.mean() == pytest.approx(500.0, rel=0.01)


def test_photon_noise_is_the_root_of_the_charge() -> None:
    facts = {"dark_current": 25.0}
    dark = shoot(facts, light=False, duration=100.0, read_noise=0.0)
    assert dark.std() == pytest.approx(50.0, rel=0.02)


def test_gain_divides_signal_and_noise() -> None:
    facts = {"dark_current": 25.0}
    dark = shoot(facts, light=False, duration=100.0, read_noise=0.0, electrons_per_adu=0.5)
    assert dark.mean() == pytest.approx(5100.0, rel=0.01)
    assert dark.std() == pytest.approx(100.0, rel=0.02)


def test_the_photon_transfer_curve_yields_the_gain() -> None:
    facts = {"stars": 0, "sky_brightness": 200.0}
    first, second = (shoot(facts, number=n, electrons_per_adu=2.0) for n in (1, 2))
    bias = shoot(light=False, duration=0.0, electrons_per_adu=2.0, number=3)
    flat = slice(0, 80), slice(110, 192)
    signal = first[flat].mean() - bias.mean()
    variance = (first - second)[flat].var() / 2 - bias.var()
    assert signal / variance == pytest.approx(2.0, rel=0.05)


def test_the_sky_grows_with_time_and_darks_have_none() -> None:
    background = [float(np.median(shoot(duration=t))) - 100 for t in (10.0, 40.0)]
    assert background[1] / background[0] == pytest.approx(4.0, rel=0.05)
    assert np.median(shoot(light=False)) == pytest.approx(100.5, abs=1.0)
    assert shoot(light=False).max() < 120


def test_a_camera_without_shutter_sees_the_sky_in_its_darks() -> None:
    assert shoot({"has_shutter": False}, light=False).max() > 10_000


def test_there_are_few_bright_and_many_faint_stars() -> None:
    frame = shoot({"width": 1280, "height": 960, **QUIET}, num_x=1280, num_y=960)
    core = frame[1:-1, 1:-1]
    peaks = np.ones(core.shape, bool)
    for dx, dy in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        peaks &= core > frame[1 + dx : 1279 + dx, 1 + dy : 959 + dy]
    heights = core[peaks]
    assert 200 < (heights > 150).sum() <= 400
    assert 3 < (heights > 3000).sum() < 40


def test_the_dipper_is_in_the_first_corner_of_every_camera() -> None:
    frame = shoot({"seed": 99, "stars": 9, **QUIET})
    quarters = [frame[x : x + 128, y : y + 96].max() for x in (0, 128) for y in (0, 96)]
    bright = [float(q) > 1000 for q in quarters]
    assert bright == [True, False, False, True]


def test_a_star_has_its_flux_and_its_width() -> None:
    facts = {"stars": 1, "sky_brightness": 0.0, "seeing": 4.0, **QUIET, "dark_current": 0.0}
    frame = shoot(facts, duration=1.0, offset=0, electrons_per_adu=0.1)
    assert frame.sum() == pytest.approx(120_000, rel=0.02)
    assert frame.argmax() == 31 * 192 + 27
    assert 2 * (frame[:, 27] > frame.max() / 2).sum() == pytest.approx(8, abs=2)


def test_the_sky_drifts_a_little_from_frame_to_frame() -> None:
    first, second = (shoot({"noise": False}, number=n) for n in (1, 2))
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(shoot(QUIET, number=1), shoot(QUIET, number=2))


def test_the_pointing_moves_the_stars() -> None:
    moved = shoot(QUIET, pointing=(3.0, -2.0))
    here = shoot(QUIET)
    np.testing.assert_allclose(moved[20:70, 20:50], here[17:67, 22:52], atol=2)


def test_a_repeated_frame_is_the_same_and_the_next_has_fresh_noise() -> None:
    np.testing.assert_array_equal(shoot(number=5), shoot(number=5))
    first, second = (shoot(QUIET | {"noise": True}, number=n, light=False) for n in (5, 6))
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.03


def test_another_seed_is_another_sky() -> None:
    assert not np.array_equal(shoot(QUIET), shoot({"seed": 1, **QUIET}))


def test_charge_saturates_at_full_well_and_numbers_at_max_adu() -> None:
    assert shoot({"full_well": 5000.0}, duration=600.0).max() == 5100
    assert shoot({"max_adu": 4095}, duration=600.0).max() == 4095
    assert shoot({"max_adu": 255}, duration=0.0, offset=0).min() >= 0


def test_hot_pixels_stay_where_they_are() -> None:
    facts = {"hot_pixel_fraction": 0.001}
    first, second = (shoot(facts, light=False, duration=60.0, number=n) for n in (1, 2))
    hot = np.argwhere(first > 1000)
    assert 20 < len(hot) <= 49
    np.testing.assert_array_equal(hot, np.argwhere(second > 1000)[: len(hot)])


@pytest.mark.parametrize("sensor", [SensorType.MONOCHROME, SensorType.RGGB, SensorType.LRGB])
def test_a_subframe_shows_the_same_sky(sensor: SensorType) -> None:
    facts = {"sensor": sensor, **QUIET, "hot_pixel_fraction": 0.001}
    whole = shoot(facts)
    piece = shoot(facts, start_x=21, start_y=13, num_x=100, num_y=81)
    np.testing.assert_allclose(piece, whole[21:121, 13:94], atol=1)


def test_binning_sums_and_averages() -> None:
    whole = shoot(QUIET)
    cells = whole.reshape(128, 2, 64, 3)
    binned: dict[str, Any] = {"bin_x": 2, "bin_y": 3, "num_x": 128, "num_y": 64}
    np.testing.assert_array_equal(shoot(QUIET, **binned), cells.sum((1, 3)).clip(0, 65535))
    average = shoot({"binning": "average", **QUIET}, **binned)
    np.testing.assert_array_equal(average, np.floor(cells.mean((1, 3))))


def test_a_binned_subframe_starts_at_binned_pixels() -> None:
    whole = shoot(QUIET, bin_x=2, bin_y=2, num_x=128, num_y=96)
    piece = shoot(QUIET, bin_x=2, bin_y=2, start_x=10, start_y=20, num_x=40, num_y=30)
    np.testing.assert_allclose(piece, whole[10:50, 20:50], atol=4)


def test_binning_sums_the_noise_too() -> None:
    dark = shoot(light=False, duration=0.0, bin_x=4, bin_y=4, num_x=64, num_y=48)
    assert dark.mean() == pytest.approx(1600, abs=2)
    assert dark.std() == pytest.approx(12.0, rel=0.1)


def test_a_colour_sensor_delivers_three_planes_and_a_red_nebula() -> None:
    frame = shoot({"sensor": SensorType.COLOR, "stars": 0, **QUIET}, duration=60.0)
    assert frame.shape == (256, 192, 3)
    nebula, sky = frame[174, 73], frame[20, 180]
    red, green, blue = nebula - sky
    assert red > 2 * max(green, blue) > 0
    assert sky[0] < sky[1] < sky[2]


def test_the_planes_of_a_colour_sensor_add_up_to_a_monochrome_one() -> None:
    colour = shoot({"sensor": SensorType.COLOR, "dark_current": 0.0, **QUIET}, offset=0)
    mono = shoot({"dark_current": 0.0, **QUIET}, offset=0)
    unsaturated = mono < 30_000
    np.testing.assert_allclose(colour.sum(2)[unsaturated], mono[unsaturated], atol=3)


@pytest.mark.parametrize(("offset_x", "offset_y"), [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_a_bayer_mosaic_takes_each_pixel_from_its_plane(offset_x: int, offset_y: int) -> None:
    planes = shoot({"sensor": SensorType.COLOR, **QUIET})
    facts = {"sensor": SensorType.RGGB, "bayer_offset_x": offset_x, "bayer_offset_y": offset_y}
    mosaic = shoot({**facts, **QUIET})
    x, y = np.indices(mosaic.shape)
    colour = (x + offset_x) % 2 + (y + offset_y) % 2
    expected = np.choose(colour, [planes[..., 0], planes[..., 1], planes[..., 2]])
    np.testing.assert_allclose(mosaic, expected, atol=1)


@pytest.mark.parametrize("sensor", [SensorType.CMYG, SensorType.CMYG2, SensorType.LRGB])
def test_other_mosaics_differ_from_each_other(sensor: SensorType) -> None:
    frame = shoot({"sensor": sensor, **QUIET})
    assert frame.shape == (256, 192)
    assert not np.array_equal(frame, shoot({"sensor": SensorType.RGGB, **QUIET}))


def test_a_frame_is_uint16_unless_it_needs_more() -> None:
    shot = Shot(
        number=1, duration=1.0, light=True, temperature=0.0, electrons_per_adu=0.01, offset=0,
        read_noise=1.0, num_x=64, num_y=48,
    )  # fmt: skip
    assert Sensor(CameraModel(width=64, height=48)).frame(shot).dtype == np.dtype("<u2")
    wide = Sensor(CameraModel(width=64, height=48, max_adu=10**6)).frame(shot)
    assert wide.dtype == np.dtype("<i4")
    assert wide.max() > 65535

"""Half-flux diameters of stars in focus and out of it."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from alpaca_async._enums import SensorType
from alpaca_async._pixels import star_candidates, stars, statistics
from alpaca_async._pixels.mosaic import Mosaic, mosaic_of
from alpaca_async._pixels.stars import half_flux_diameters

from .star_fields import Star, add, expose, is_right, positions, starlight
from .test_statistics import image_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

RADII = (1, 1.5, 2, 3, 5, 8, 12, 18, 28, 40)
SKY_NOISE = 300**0.5


def large_enough(star: Star) -> tuple[int, int]:
    return (2 * (3 * star.reach + 12) + 20, 3 * (3 * star.reach + 12) + 20)


def median(frame: NDArray[Any], full_scale: float = 65535.0) -> float | None:
    found = half_flux_diameters(frame, full_scale)
    return float(np.median(found)) if found else None


@pytest.mark.parametrize("peak", [300, 14000])
@pytest.mark.parametrize("obstruction", [0, 0.35, 0.6])
@pytest.mark.parametrize("radius", RADII)
def test_discs_and_rings_are_measured(radius: float, obstruction: float, peak: float) -> None:
    star = Star(radius=radius, obstruction=obstruction)
    shape = large_enough(star)
    found = half_flux_diameters(expose(starlight(star, peak, shape)), 65535)
    assert len(found) == min(12, len(positions(star, shape)))
    assert is_right(float(np.median(found)), star)


@pytest.mark.parametrize("obstruction", [0, 0.3, 0.5])
@pytest.mark.parametrize("radius", [2, 3, 6, 15, 40])
def test_the_diameter_of_a_sharp_ring_is_as_computed(radius: float, obstruction: float) -> None:
    star = Star(radius=radius, obstruction=obstruction, seeing=0)
    expected = 2 * radius * ((1 + obstruction**2) / 2) ** 0.5
    assert median(expose(starlight(star, 3000, large_enough(star)))) == pytest.approx(
        expected, rel=0.05
    )


@pytest.mark.parametrize(("outer", "inner"), [(2.5, 1), (3, 1.5), (3.5, 1.5), (3.5, 2), (4, 2.5)])
@pytest.mark.parametrize("peak", [300, 1000, 10000])
def test_small_rings_are_measured(outer: float, inner: float, peak: float) -> None:
    star = Star(radius=outer, obstruction=inner / outer, seeing=0)
    assert is_right(median(expose(starlight(star, peak))), star)


@pytest.mark.parametrize("obstruction", [0, 0.35])
@pytest.mark.parametrize("radius", [14, 20, 40])
def test_stars_as_faint_as_the_noise_are_measured(radius: float, obstruction: float) -> None:
    star = Star(radius=radius, obstruction=obstruction)
    frame = expose(starlight(star, 1.2 * SKY_NOISE, large_enough(star)))
    assert is_right(median(frame), star)


@pytest.mark.parametrize("radius", [1, 3, 10, 40])
def test_stars_of_20_adu_are_measured_over_little_noise(radius: float) -> None:
    star = Star(radius=radius, obstruction=0.35)
    frame = expose(starlight(star, 20, large_enough(star)), sky=1, noise=1)
    assert is_right(median(frame), star)


@pytest.mark.parametrize("radius", [1, 2, 3, 4])
def test_nothing_is_said_of_stars_below_the_noise(radius: float) -> None:
    star = Star(radius=radius, obstruction=0.35)
    assert median(expose(starlight(star, 0.7 * SKY_NOISE))) is None


@pytest.mark.parametrize("seed", range(4))
def test_one_star_of_little_light_is_measured_rightly_or_not_at_all(seed: int) -> None:
    star = Star(radius=3, obstruction=0.35)
    for peak in (20, 40, 80, 160, 320):
        found = median(expose(starlight(star, peak, (150, 150), 1), seed=seed))
        assert found is None or found == pytest.approx(star.diameter, rel=0.12)


@pytest.mark.parametrize("obstruction", [0.2, 0.35, 0.5])
def test_the_curve_over_defocus_falls_to_focus_and_rises_after_it(obstruction: float) -> None:
    curve: list[float] = []
    for position in range(-40, 41, 4):
        star = Star(radius=max(1.0, abs(position)), obstruction=obstruction)
        light = starlight(star, 40000 / star.radius, (450, 600))
        found = median(expose(light, seed=position + 50))
        assert found is not None
        curve.append(found)
    middle = len(curve) // 2
    assert all(before > after for before, after in pairwise(curve[: middle + 1]))
    assert all(before < after for before, after in pairwise(curve[middle:]))


@pytest.mark.parametrize("radius", [60, 100, 130, 200])
@pytest.mark.parametrize("peak", [20, 1000, 30000])
def test_a_star_too_large_to_measure_is_not_mistaken_for_small_ones(
    radius: float, peak: float
) -> None:
    star = Star(radius=radius, obstruction=0.35)
    light = np.zeros((700, 900))
    add(light, star, 350, 440, peak)
    found = median(expose(light))
    assert found is None or is_right(found, star)


def test_rings_that_overlap_are_not_mistaken_for_small_stars() -> None:
    star = Star(radius=40, obstruction=0.35)
    rng = np.random.default_rng(5)
    light = np.zeros((700, 900))
    for _ in range(40):
        add(light, star, rng.uniform(50, 650), rng.uniform(50, 850), 3000)
    found = median(expose(light))
    assert found is None or is_right(found, star)


@pytest.mark.parametrize("radius", [2, 4, 12, 40])
@pytest.mark.parametrize("sensor", ["RGGB", "CMYG", "CMYG2", "LRGB"])
def test_stars_behind_colour_filters_are_measured(sensor: str, radius: float) -> None:
    star = Star(radius=radius, obstruction=0.35)
    shape = large_enough(star)
    data = np.zeros(shape, "<u2")
    image = image_of(data, SensorType[sensor])
    mosaic = mosaic_of(image)
    assert mosaic is not None
    light = (starlight(star, 3000, shape) + 300) * transmission(mosaic, shape)
    data[:] = expose(light, sky=0)
    found = statistics.statistics(image, lambda: None)
    assert found.stars == min(12, len(positions(star, shape)))
    tolerance = 0.05 if mosaic.period == (2, 2) or radius > 2 else 0.15  # 16 pixels see no detail
    assert found.hfd == pytest.approx(star.diameter, rel=tolerance)


def transmission(mosaic: Mosaic, shape: tuple[int, int]) -> NDArray[np.float64]:
    shares = {"R": 0.5, "G": 1.0, "B": 0.7, "L": 1.5, "C": 0.9, "M": 0.7, "Y": 1.1}
    rows, columns = mosaic.period
    cell = [
        [shares[mosaic.filter_at(row, column)] for column in range(columns)] for row in range(rows)
    ]
    repeats = shape[0] // rows + 1, shape[1] // columns + 1
    return np.tile(np.array(cell), repeats)[: shape[0], : shape[1]]


@pytest.mark.parametrize("radius", [1, 3, 12, 40])
def test_stars_of_three_planes_are_measured(radius: float) -> None:
    star = Star(radius=radius, obstruction=0.35)
    light = starlight(star, 3000, large_enough(star))
    frame = np.stack([expose(share * light) for share in (0.5, 1, 0.7)], axis=2)
    found = statistics.statistics(image_of(frame, SensorType.COLOR), lambda: None)
    assert is_right(found.hfd, star)


@pytest.mark.parametrize("radius", [2, 10, 40])
def test_hot_pixels_do_not_change_the_diameter(radius: float) -> None:
    star = Star(radius=radius, obstruction=0.35)
    frame = expose(starlight(star, 600, large_enough(star)))
    hot = np.random.default_rng(4).random(frame.shape) < 0.0005
    frame[hot] = 60000
    assert is_right(median(frame), star)


def test_hot_pixels_are_no_stars() -> None:
    frame = expose(np.zeros((400, 500)))
    rng = np.random.default_rng(4)
    hot = rng.random(frame.shape) < 0.0005
    frame[hot] = rng.integers(500, 60000, np.count_nonzero(hot))
    assert half_flux_diameters(frame, 65535) == []


@pytest.mark.parametrize("radius", [1, 3, 12, 40])
def test_a_sky_that_is_brighter_on_one_side_does_not_matter(radius: float) -> None:
    star = Star(radius=radius, obstruction=0.35)
    shape = large_enough(star)
    slope = np.arange(shape[1])
    found = median(expose(starlight(star, 1000, shape) + slope))
    assert is_right(found, star)


def test_stars_before_a_bright_nebula_are_found() -> None:
    star = Star(radius=2)
    rows, columns = np.mgrid[:600, :800]
    nebula = 3000 * np.exp(-((rows - 300) ** 2 + (columns - 400) ** 2) / (2 * 90**2))
    found = half_flux_diameters(expose(starlight(star, 10000, (600, 800)) + nebula), 65535)
    assert len(found) >= 8
    assert is_right(float(np.median(found)), star)


def test_the_stars_of_a_crowded_field_are_measured_one_by_one() -> None:
    star = Star(radius=2, obstruction=0.35)
    rng = np.random.default_rng(6)
    light = np.zeros((500, 600))
    for _ in range(150):
        add(light, star, rng.uniform(20, 480), rng.uniform(20, 580), rng.uniform(500, 20000))
    found = half_flux_diameters(expose(light), 65535)
    assert len(found) == 50
    assert is_right(float(np.median(found)), star)


def test_only_so_many_boxes_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    light = np.zeros((200, 600))
    for column, peak in ((100, 3000), (250, 9000), (400, 6000), (500, 1000)):
        add(light, Star(radius=3), 100, column, peak)
    monkeypatch.setattr(stars, "_MAX_ATTEMPTS", 2)
    found = list(stars._find_stars(expose(light), (1, 1), lambda: None))
    assert [round(star.column, -1) for star in found] == [250, 400]


def test_of_many_values_the_brightest_are_kept() -> None:
    means = np.array([[7, 1, 9], [3, 8, 2]], np.float32)
    kept = star_candidates._brightest(means, np.array([0, 2, 3, 5]), 2)
    assert sorted(kept.tolist()) == [0, 2]


def test_a_star_in_a_small_subframe_is_measured() -> None:
    star = Star(radius=40, obstruction=0.35)
    light = np.zeros((130, 130))
    add(light, star, 65, 64, 2000)
    assert is_right(median(expose(light)), star)


@pytest.mark.parametrize("width", [1, 3, 8])
def test_trails_are_no_stars(width: int) -> None:
    light = np.zeros((300, 400))
    light[150 : 150 + width] = 5000
    light[:, 200 : 200 + width] = 5000
    assert half_flux_diameters(expose(light), 65535) == []


@pytest.mark.parametrize("length", [12, 20, 30, 50])
@pytest.mark.parametrize("slope", [0.0, 0.4, 1.0])
def test_streaks_are_no_stars(length: int, slope: float) -> None:
    light = np.zeros((300, 400))
    for row, column in ((80, 80), (80, 250), (200, 90), (200, 260)):
        for step in range(length):
            top = row + round(slope * step)
            light[top : top + 2, column + step] += 3000
    assert half_flux_diameters(expose(light), 65535) == []


@pytest.mark.parametrize("distance", [12, 16])
def test_two_stars_are_not_measured_as_one(distance: int) -> None:
    star = Star(radius=2)
    light = np.zeros((200, 200))
    add(light, star, 100, 100, 5000)
    add(light, star, 100, 100 + distance, 5000)
    found = median(expose(light))
    assert found is None or is_right(found, star)


def test_stars_that_are_somewhat_longer_than_wide_are_measured() -> None:
    rows, columns = np.mgrid[-20:21, -20:21]
    oval = 5000 * np.exp(-(rows**2 / 2 + columns**2 / (2 * 1.6**2)) / 2.0)
    light = np.zeros((200, 300))
    for column in (60, 150, 240):
        light[80:121, column - 20 : column + 21] += oval
    assert len(half_flux_diameters(expose(light), 65535)) == 3


@pytest.mark.parametrize("seed", [2, 9, 10])
def test_pieces_of_faint_rings_are_not_mistaken_for_stars(seed: int) -> None:
    star = Star(radius=40, obstruction=0.6)
    rng = np.random.default_rng(seed)
    light = np.zeros((700, 900))
    for _ in range(12):
        add(light, star, rng.uniform(60, 640), rng.uniform(60, 840), 1.15 * SKY_NOISE)
    found = median(expose(light, seed=seed))
    assert found is None or is_right(found, star)


def test_one_star_needs_more_light_than_many() -> None:
    star = Star(radius=3, obstruction=0.35)
    assert median(expose(starlight(star, 80, (150, 150), 1))) is None
    assert is_right(median(expose(starlight(star, 80, (400, 500)))), star)


@pytest.mark.parametrize("radius", [2, 10, 40])
def test_saturated_stars_are_left_out(radius: float) -> None:
    star = Star(radius=radius, obstruction=0.35)
    light = starlight(star, 9000, large_enough(star))
    assert median(expose(light).clip(0, 4095), 4095) is None
    assert is_right(median(expose(light), 65535), star)


def test_stars_that_reach_over_the_border_are_left_out() -> None:
    star = Star(radius=20, obstruction=0.35)
    light = np.zeros((400, 400))
    for row, column in ((0, 200), (395, 150), (200, 10), (150, 390)):
        padded = np.pad(light, 60)
        add(padded, star, row + 60, column + 60, 3000)
        light = padded[60:-60, 60:-60]
    assert median(expose(light)) is None


def test_stars_of_two_sizes_have_no_common_diameter() -> None:
    light = np.zeros((200, 400))
    add(light, Star(radius=2), 100, 100, 5000)
    add(light, Star(radius=20), 100, 280, 5000)
    assert half_flux_diameters(expose(light), 65535) == []


def test_the_search_for_stars_can_be_cancelled() -> None:
    frame = expose(starlight(Star(radius=2), 5000))
    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1
        if calls > 6:
            raise TimeoutError

    with pytest.raises(TimeoutError):
        half_flux_diameters(frame, 65535, check=check)
    assert calls == 7

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpaca_async.testing._cooler import Cooler


def cooler(**changes: float) -> Cooler:
    made = Cooler(ambient=20.0, max_cooling=40.0, rate=0.5, settling=10.0)
    made.on = True
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def test_a_cooler_that_is_off_stays_at_ambient_without_power() -> None:
    idle = cooler(on=False, set_point=-10.0)
    idle.advance(1e6)
    assert idle.temperature == 20.0
    assert idle.power == 0.0
    assert idle.heat_sink_temperature == 20.0


def test_it_falls_at_its_rate_far_from_the_set_point() -> None:
    cold = cooler(set_point=-15.0)
    cold.advance(10.0)
    assert cold.temperature == pytest.approx(15.0)


def test_it_settles_exponentially_near_the_set_point() -> None:
    cold = cooler(set_point=15.0)
    cold.advance(10.0)
    assert cold.temperature == pytest.approx(15.0 + 5.0 / math.e)


def test_it_reaches_the_set_point_and_holds_it_with_part_of_its_power() -> None:
    cold = cooler(set_point=0.0)
    cold.advance(1000.0)
    assert cold.temperature == pytest.approx(0.0, abs=1e-6)
    assert cold.power == pytest.approx(50.0)
    assert cold.heat_sink_temperature == pytest.approx(25.0)


def test_it_cannot_cool_below_its_limit() -> None:
    cold = cooler(set_point=-60.0)
    cold.advance(1000.0)
    assert cold.temperature == pytest.approx(-20.0)
    assert cold.power == pytest.approx(100.0)


def test_it_does_not_heat() -> None:
    warm = cooler(set_point=30.0)
    warm.advance(1000.0)
    assert warm.temperature == pytest.approx(20.0)


def test_it_takes_more_power_to_get_cold_than_to_stay_cold() -> None:
    cold = cooler(set_point=0.0)
    cold.advance(20.0)
    falling = cold.power
    cold.advance(1000.0)
    assert falling > 0
    assert cold.power == pytest.approx(50.0)
    cold.set_point = -5.0
    assert cold.power > 55.0


def test_it_warms_up_when_it_is_switched_off() -> None:
    cold = cooler(set_point=0.0)
    cold.advance(1000.0)
    cold.on = False
    cold.advance(1010.0)
    assert 0.0 < cold.temperature <= 5.0
    cold.advance(2000.0)
    assert cold.temperature == pytest.approx(20.0)


@given(st.floats(-60, 40), st.lists(st.floats(0.001, 60), min_size=2, max_size=10))
def test_the_temperature_does_not_depend_on_the_number_of_steps(
    set_point: float, steps: list[float]
) -> None:
    often, once = cooler(set_point=set_point), cooler(set_point=set_point)
    for step in steps:
        often.advance(often.now + step)
    once.advance(often.now)
    assert often.temperature == pytest.approx(once.temperature, abs=1e-6)

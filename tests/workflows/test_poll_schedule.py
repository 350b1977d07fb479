from __future__ import annotations

import pytest

from alpaca_async._workflows.poll_schedule import PollSchedule


def test_the_first_poll_is_at_the_first_predicted_time_or_at_once() -> None:
    schedule = PollSchedule(1.0, [2.0, 3.0])
    assert [schedule.until_first(now) for now in (0.5, 2.0, 5.0)] == [1.5, 0.0, 0.0]
    assert PollSchedule(1.0, []).until_first(0.5) == 0.0


def test_predicted_polls_that_would_repeat_the_last_one_are_left_out() -> None:
    schedule = PollSchedule(1.0, [2.0, 2.001, 2.25, 3.0])
    assert [schedule.until_predicted(now) for now in (1.0, 2.0, 2.5)] == [1.0, 0.25, 0.5]
    assert schedule.until_predicted(3.0) is None
    assert PollSchedule(1.0, []).until_predicted(0.0) is None


@pytest.mark.parametrize(
    ("duration", "predicted", "first"),
    [(100.0, [], 0.5), (0.0, [], 0.01), (100.0, [2.0], 0.01)],
)
def test_pauses_double_from_a_fraction_of_the_exposure_time(
    duration: float, predicted: list[float], first: float
) -> None:
    schedule = PollSchedule(duration, predicted)
    pauses = [schedule.growing_pause(waited=1000.0) for _ in range(3)]
    assert pauses == pytest.approx([first, first * 2, first * 4])


@pytest.mark.parametrize(("waited", "longest"), [(0.0, 0.1), (2.0, 0.1), (60.0, 3.0)])
def test_pauses_grow_to_a_twentieth_of_the_time_waited(waited: float, longest: float) -> None:
    schedule = PollSchedule(1.0, [])
    pauses = [schedule.growing_pause(waited) for _ in range(20)]
    assert pauses[-1] == pytest.approx(longest)
    assert max(pauses) == pauses[-1]

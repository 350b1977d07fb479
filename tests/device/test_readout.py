"""The prediction of readout times, without a camera: `simulate` polls as a wait does."""

from __future__ import annotations

from itertools import pairwise
from random import Random
from statistics import mean, median, quantiles
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpaca_async._device.readout import ReadoutPolls, ReadoutRecord, ReadoutTimes, ReadyTime
from alpaca_async._workflows.poll_schedule import PollSchedule

if TYPE_CHECKING:
    from collections.abc import Iterable

DURATION = 1.0
ROUND_TRIP = 0.002
SECONDS = st.floats(min_value=0, max_value=1e4, allow_subnormal=False)
READY_TIMES = st.tuples(SECONDS, SECONDS).map(lambda pair: ReadyTime(*sorted(pair)))


def simulate(
    times: ReadoutTimes, readout: float, round_trip: float = ROUND_TRIP, *, hang: float = 0.0
) -> tuple[float, int]:
    """Poll for an image, as a wait does; return how late it is noticed, and the number of polls.

    The answer to the first poll comes `hang` seconds late.
    """
    polls = ReadoutPolls(times)
    schedule = PollSchedule(DURATION, polls.predicted())
    now, count = schedule.until_first(0.0), 0
    while True:
        sent, count = now, count + 1
        now += round_trip + (hang if count == 1 else 0.0)
        if now - round_trip >= readout:
            polls.ready(sent, now)
            return now - round_trip - readout, count
        polls.not_ready(sent, now)
        pause = schedule.until_predicted(now)
        now += schedule.growing_pause(DURATION + now) if pause is None else pause


def learned(readouts: Iterable[float], round_trip: float = ROUND_TRIP) -> ReadoutTimes:
    times = ReadoutTimes()
    for readout in readouts:
        simulate(times, readout, round_trip)
    return times


@pytest.mark.parametrize("readout", [0.05, 0.1, 0.3, 1.0, 2.0, 4.0, 5.0])
def test_images_are_noticed_soon_though_readouts_vary_by_a_tenth(readout: float) -> None:
    late: list[float] = []
    polls: list[int] = []
    for seed in range(40):
        dice = Random(seed)
        times = learned(readout * dice.uniform(0.9, 1.1) for _ in range(2))
        for _ in range(100):
            lateness, count = simulate(times, readout * dice.uniform(0.9, 1.1))
            late.append(lateness)
            polls.append(count)
    assert median(late) <= 0.03
    assert quantiles(late, n=20)[-1] <= 0.1
    assert mean(polls) <= 8


@given(st.floats(0.0, 100.0), st.integers(5, 40))
def test_a_constant_readout_is_found_ever_more_exactly(readout: float, frames: int) -> None:
    times = learned([readout] * frames)
    polls = times.predicted_polls()
    assert polls[0] - ROUND_TRIP <= readout <= polls[-1] + 0.01
    assert polls[-1] - polls[0] <= max(readout * 0.6, 0.05)


@given(st.lists(READY_TIMES, max_size=40), st.floats(0.0, 10.0))
def test_predicted_polls_are_apart_whatever_was_learned(
    seen: list[ReadyTime], round_trip: float
) -> None:
    times = ReadoutTimes()
    for ready in seen:
        times.add(ready)
    times.round_trip = round_trip
    polls = times.predicted_polls()
    assert len(polls) <= 34
    assert all(poll >= 0 for poll in polls)
    assert all(b - a >= max(0.01, round_trip) - 1e-9 for a, b in pairwise(polls))


@given(SECONDS, SECONDS)
def test_pauses_shrink_towards_the_end(one: float, other: float) -> None:
    times = ReadoutTimes()
    for _ in range(2):
        times.add(ReadyTime(*sorted((one, other))))
    pauses = [b - a for a, b in pairwise(times.predicted_polls())]
    # The first of those that are left may be the sum of several that were too short.
    assert all(a >= b - 0.02 for a, b in pairwise(pauses))


def test_nothing_is_predicted_before_two_exposures_agree() -> None:
    times = learned([5.0])
    assert not times.predicted_polls()
    simulate(times, 20.0)
    assert not times.predicted_polls()
    simulate(times, 20.5)
    assert times.predicted_polls()


@pytest.mark.parametrize("readout", [0.0, 0.05, 0.5, 5.0])
@pytest.mark.parametrize("stray", [0.0, 20.0], ids=["early", "late"])
def test_one_exception_changes_nothing(readout: float, stray: float) -> None:
    times = learned([readout] * 8)
    before = times.predicted_polls()
    simulate(times, stray)
    for _ in range(4):
        lateness, polls = simulate(times, readout)
        assert lateness <= 0.1
        assert polls <= 8
    assert times.predicted_polls()[0] == pytest.approx(before[0], rel=0.1, abs=0.01)


@pytest.mark.parametrize("hang", [0.5, 3.0, 10.0])
@pytest.mark.parametrize("readout", [0.05, 0.5, 5.0])
def test_a_server_that_hangs_for_one_frame_changes_nothing(readout: float, hang: float) -> None:
    times = learned([readout] * 8)
    simulate(times, readout, hang=hang)
    for _ in range(4):
        lateness, polls = simulate(times, readout)
        assert lateness <= 0.1
        assert polls <= 8


def test_a_server_that_hangs_for_the_first_frame_delays_learning_only() -> None:
    times = ReadoutTimes()
    simulate(times, 0.5, hang=3.0)
    for _ in range(3):
        simulate(times, 0.5)
    lateness, polls = simulate(times, 0.5)
    assert lateness <= 0.05
    assert polls <= 8


@pytest.mark.parametrize(("former", "later"), [(5.0, 1.0), (0.5, 0.0), (0.5, 3.0), (0.05, 5.0)])
def test_another_readout_time_is_learned_after_a_few_exposures(former: float, later: float) -> None:
    times = learned([former] * 20)
    for _ in range(7):
        simulate(times, later)
    for _ in range(5):
        lateness, polls = simulate(times, later)
        assert lateness <= 0.1
        assert polls <= 8


def test_a_readout_that_becomes_slower_gradually_is_followed() -> None:
    times = learned([1.0] * 20)
    for step in range(100):
        lateness, _ = simulate(times, 1.0 + step * 0.02)
        assert lateness <= 0.1


@pytest.mark.parametrize("readout", [0.0, 0.1, 1.0, 5.0])
def test_on_a_slow_link_no_poll_is_sent_in_vain_within_a_round_trip(readout: float) -> None:
    times = learned([readout] * 5, 0.3)
    for _ in range(40):
        lateness, polls = simulate(times, readout, 0.3)
        assert lateness <= 0.35
        assert polls <= 4


@pytest.mark.parametrize(("one", "other"), [(1.0, 1.35), (0.0, 0.06), (10.0, 13.0)])
def test_times_agree_that_differ_by_a_quarter_of_the_longer(one: float, other: float) -> None:
    times = ReadyTime(one, one), ReadyTime(other, other)
    assert times[0].agrees_with(times[1])
    assert times[1].agrees_with(times[0])


@pytest.mark.parametrize(("one", "other"), [(1.0, 1.45), (0.0, 0.07), (10.0, 13.5)])
def test_times_that_differ_by_more_do_not_agree(one: float, other: float) -> None:
    times = ReadyTime(one, one), ReadyTime(other, other)
    assert not times[0].agrees_with(times[1])
    assert not times[1].agrees_with(times[0])


class Recorded(ReadoutTimes):
    """Records what polls have shown."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[ReadyTime] = []

    def add(self, ready: ReadyTime) -> None:
        self.seen.append(ready)


def test_a_reply_that_took_longer_than_others_may_have_been_read_late() -> None:
    times = Recorded()
    polls = ReadoutPolls(times)
    polls.not_ready(1.0, 1.25)
    polls.not_ready(2.0, 2.125)
    polls.ready(3.0, 4.0)
    assert times.round_trip == 0.125
    for answered, round_trip in ((2.0, 0.125), (1.0625, 0.0625)):
        ReadoutPolls(times).ready(1.0, answered)
        assert times.round_trip == round_trip
    assert times.seen == [ReadyTime(2.0, 3.875), ReadyTime(0.0, 1.875), ReadyTime(0.0, 1.0)]


def test_a_reply_that_took_no_longer_than_others_was_read_when_it_was_asked_for() -> None:
    times = Recorded()
    ReadoutPolls(times).ready(1.0, 1.5)
    assert times.seen == [ReadyTime(0.0, 1.0)]


def test_a_link_that_becomes_slower_is_noticed_when_it_took_two_polls() -> None:
    times = Recorded()
    ReadoutPolls(times).ready(1.0, 1.125)
    polls = ReadoutPolls(times)
    polls.not_ready(1.0, 1.5)
    polls.ready(2.0, 2.625)
    assert times.round_trip == 0.5


def added(*ready: ReadyTime) -> ReadoutTimes:
    times = ReadoutTimes()
    for each in ready:
        times.add(each)
    return times


USUAL = ReadyTime(4.9, 5.0)
EARLIER = [ReadyTime(3.9 - number / 8, 4.0 - number / 8) for number in range(5)]


def test_four_images_in_a_row_that_were_ready_early_begin_the_learning_anew() -> None:
    polls = [added(*[USUAL] * 8, *EARLIER[:count]).predicted_polls() for count in range(6)]
    assert polls[4] == added(*EARLIER[2:4]).predicted_polls()
    assert polls[5] == added(*EARLIER[2:]).predicted_polls()
    assert polls[3] != added(*EARLIER[1:3]).predicted_polls()


def test_images_that_were_ready_early_count_in_a_row_only() -> None:
    times = added(*[USUAL] * 8, *EARLIER[:3], USUAL, EARLIER[3])
    assert times.predicted_polls() != added(USUAL, EARLIER[3]).predicted_polls()


def test_twenty_four_exposures_are_remembered() -> None:
    usual, odd = [USUAL] * 24, [ReadyTime(4.5, 5.2)] * 2
    assert added(*odd, *usual).predicted_polls() == added(*usual).predicted_polls()
    assert added(*odd, *usual[1:]).predicted_polls() != added(*usual[1:]).predicted_polls()


def test_long_pauses_are_followed_by_short_ones() -> None:
    polls = added(ReadyTime(4.8, 6.0), ReadyTime(4.8, 6.0)).predicted_polls()
    pauses = [b - a for a, b in pairwise(polls)]
    assert polls[0] == pytest.approx(4.8 - 0.002 + 0.088)
    assert pauses == pytest.approx([0.088] * 8 + [0.027] * 15)


def test_far_more_polls_are_not_sent_for_a_longer_time() -> None:
    polls = added(ReadyTime(20.0, 40.0), ReadyTime(20.0, 40.0)).predicted_polls()
    assert len(polls) <= 34
    assert 39 < polls[-1] < 41


def test_each_mode_has_times_of_its_own() -> None:
    record = ReadoutRecord()
    times = record.of("full")
    assert record.of("binned") is not times
    assert record.of("full") is times
    record.forget()
    assert record.of("full") is not times


def test_only_the_modes_used_last_are_remembered() -> None:
    record = ReadoutRecord()
    first, second = record.of(0), record.of(1)
    for mode in range(2, 8):
        record.of(mode)
    assert record.of(0) is first
    record.of(8)
    assert record.of(0) is first
    assert record.of(1) is not second

"""The temperatures of a night, in bounded memory."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from alpaca_async import CameraStatus
from alpaca_async.web.history import MAX_SAMPLES, History

START = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_long_night_is_kept_whole_with_less_resolution() -> None:
    history = History()
    for second in range(14 * 3600):
        status = CameraStatus(ccd_temperature=float(second), cooler_power=50.0)
        history.add(status, -10.0, START + timedelta(seconds=second))
    samples = history.samples
    assert MAX_SAMPLES / 2 < len(samples) <= MAX_SAMPLES
    assert samples[0].ccd_temperature == 0
    assert samples[-1].time > START + timedelta(hours=13, minutes=58)
    steps = {later.time - sooner.time for sooner, later in pairwise(samples)}
    assert len(steps) == 1


def test_a_sample_is_kept_every_five_seconds() -> None:
    history = History()
    for seconds in (0, 4.9, 5, 9.9, 10):
        history.add(CameraStatus(), None, START + timedelta(seconds=seconds))
    assert [(each.time - START).total_seconds() for each in history.samples] == [0, 5, 10]


def test_the_time_of_a_sample_is_now() -> None:
    history, begun = History(), datetime.now(UTC)
    history.add(CameraStatus(), None)
    assert begun <= history.samples[0].time <= datetime.now(UTC)

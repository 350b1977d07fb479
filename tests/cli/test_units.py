from __future__ import annotations

import pytest

from alpaca_async.cli._units import duration, megabytes, seconds


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0.0 MB"), (2_457_600, "2.5 MB"), (122_342_976, "122 MB")]
)
def test_bytes_are_formatted_in_megabytes(count: float, text: str) -> None:
    assert megabytes(count) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0.04, "0.0 s"), (9.9, "9.9 s"), (42.4, "42 s"), (60.0, "1:00 min"), (3599.6, "60:00 min")],
)
def test_remaining_time_is_formatted_in_seconds_or_minutes(count: float, text: str) -> None:
    assert seconds(count) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0.000_4, "0.40 ms"), (0.006_54, "6.5 ms"), (0.188, "188 ms"), (1.5, "1.50 s")],
)
def test_measured_time_is_formatted_in_seconds_or_milliseconds(count: float, text: str) -> None:
    assert duration(count) == text

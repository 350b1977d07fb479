"""The start of an exposure is by the clock that is right, as exact as that clock is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any
from unittest.mock import ANY

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from alpaca_async._facts import Exposure
from alpaca_async._fits.header import image_cards
from alpaca_async._fits.start import iso_text, rounded, start_of, start_warning

from .test_fits import image_of, random_pixels

if TYPE_CHECKING:
    from alpaca_async._fits.card import Card
    from alpaca_async._image import Image

STARTED = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def exposure(
    text: str | None,
    uncertainty: float = 0.0042,
    *,
    duration: float = 2.0,
    started: datetime = STARTED,
    decimals: int = 0,
) -> Exposure:
    return Exposure(
        duration=duration,
        light=True,
        started=started,
        started_uncertainty=uncertainty,
        last_exposure_start_time=text,
        start_decimals=decimals,
    )


@pytest.mark.parametrize("text", ["2026-01-02T03:04:05.000", "2026-01-02T03:04:05"])
def test_a_clock_of_milliseconds_may_show_zeros_by_chance(text: str) -> None:
    taken = exposure(text, decimals=3)
    assert start_warning(taken) is None
    assert start_of(taken) == (STARTED.replace(microsecond=0), ANY, 3, "camera")


def test_a_clock_that_has_shown_no_fraction_is_one_of_whole_seconds() -> None:
    assert "no fraction" in (start_warning(exposure("2026-01-02T03:04:05.000")) or "")


def cards(taken: Exposure) -> dict[str, Card]:
    image: Image = image_of(random_pixels("u1", (1, 1)), taken)
    return {card.keyword: card for card in image_cards(image)}


def values(taken: Exposure, *keywords: str) -> tuple[Any, ...]:
    found = cards(taken)
    return tuple(found[keyword].value if keyword in found else None for keyword in keywords)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-02T03:04:05.5", "2026-01-02T03:04:05.5"),
        ("2026-01-02T03:04:05,25", "2026-01-02T03:04:05.25"),
        ("2026-01-02T03:04:05.500", "2026-01-02T03:04:05.500"),
        ("2026-01-02T03:04:05.1234567", "2026-01-02T03:04:05.123"),
        ("2026-01-02T03:04:05.9999999", "2026-01-02T03:04:06.000"),
        (" 2026-01-02T03:04:06.01Z ", "2026-01-02T03:04:06.01"),
        ("2026-01-02T03:04:05.250+00:00", "2026-01-02T03:04:05.250"),
        ("2026-01-02T05:04:05.250+02:00", "2026-01-02T03:04:05.250"),
        ("2026-01-02T03:04:04.675", "2026-01-02T03:04:04.675"),  # a second and the uncertainty
        ("2026-01-02T03:04:06.683", "2026-01-02T03:04:06.683"),
    ],
)
def test_the_start_is_by_the_cameras_clock_if_it_agrees_and_is_finer_than_a_second(
    text: str, expected: str
) -> None:
    taken = exposure(text)
    assert start_of(taken).clock == "camera"
    assert start_warning(taken) is None
    assert values(taken, "DATE-OBS", "CAM-TIME") == (expected, text.strip())
    assert values(taken, "DATE-REQ") == ("2026-01-02T03:04:05.679",)


def test_the_header_says_how_well_the_cameras_clock_agrees_with_the_computers() -> None:
    found = cards(exposure("2026-01-02T03:04:05.878"))
    assert found["DATE-OBS"].comment == "[UTC] start, camera clock +/- 0.203 s"
    assert found["TIMSYER"].value == 0.203299


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("2026-01-02T03:04:04.674", "is 1.0 s behind this computer's clock"),
        ("2026-01-02T03:04:06.684", "is 1.0 s ahead of this computer's clock"),
        ("2026-01-02T03:04:10.678", "is 5.0 s ahead of"),
        ("2026-01-02T04:04:05.678", "is 1.00 h ahead of"),
        ("2026-01-01T19:04:05.678", "is 8.00 h behind this computer's clock: check both, and"),
        ("2026-01-02T03:04:05.678+02:00", "is 2.00 h behind"),
        ("2025-12-02T03:04:05.678", "is 31.0 days behind"),
        ("0001-01-01T00:00:00", "is 739617.1 days behind"),
        ("1970-01-01T00:00:09.5", "is 20455.1 days behind"),
        ("2026-01-02T03:04:05", "has no fraction of a second"),
        ("2026-01-02T03:04:06.000", "has no fraction of a second"),
        ("2026-01-02T03:04", "is 5.7 s behind"),
        ("soon", "is not a time in UTC"),
        ("2026-01-02", "is not a time in UTC"),
        ("2026-01-02 03:04:05.678", "is not a time in UTC"),
        ("2026-13-02T03:04:05", "is not a time in UTC"),
        ("2026-01-02T03:04:60", "is not a time in UTC"),
        ("0001-01-01T00:00:00+02:00", "is not a time in UTC"),
    ],
)
def test_else_the_start_is_by_the_computers_clock_and_the_reason_is_known(
    text: str, reason: str
) -> None:
    taken = exposure(text)
    start, claim = "2026-01-02T03:04:05.679", text
    assert values(taken, "DATE-OBS", "DATE-REQ", "CAM-TIME") == (start, start, claim)
    assert values(taken, "TIMSYER") == (0.0042,)
    assert cards(taken)["DATE-OBS"].comment == "[UTC] start, computer clock +/- 0.0042 s"
    warning = start_warning(taken)
    assert warning is not None
    assert warning.startswith(f"LastExposureStartTime {text!r} {reason}")
    assert "DATE-OBS is by this computer's clock" in warning


@pytest.mark.parametrize("text", [None, "", "  "])
def test_a_camera_that_reports_no_start_causes_no_warning(text: str | None) -> None:
    taken = exposure(text)
    assert start_warning(taken) is None
    assert values(taken, "DATE-OBS", "CAM-TIME") == ("2026-01-02T03:04:05.679", None)


def test_a_claim_of_any_length_takes_one_card() -> None:
    (claim,) = values(exposure("x" * 70000), "CAM-TIME")
    assert claim == "x" * 60
    assert len(start_warning(exposure("x" * 70000)) or "") < 300


@pytest.mark.parametrize(
    ("uncertainty", "expected"),
    [
        (0.0, "2026-01-02T03:04:05.679"),
        (0.0042, "2026-01-02T03:04:05.679"),
        (0.099, "2026-01-02T03:04:05.679"),
        (0.1, "2026-01-02T03:04:05.68"),
        (0.99, "2026-01-02T03:04:05.68"),
        (1.0, "2026-01-02T03:04:05.7"),
        (9.9, "2026-01-02T03:04:05.7"),
        (150.0, "2026-01-02T03:04:06"),
    ],
)
def test_decimals_that_the_computers_clock_does_not_know_are_not_written(
    uncertainty: float, expected: str
) -> None:
    assert values(exposure(None, uncertainty), "DATE-OBS") == (expected,)


def test_the_other_dates_have_the_same_decimals() -> None:
    dates = values(exposure(None, 1.5, duration=3.0), "DATE-AVG", "DATE-END", "MJD-OBS")
    expected = pytest.approx(61042 + (3 * 3600 + 4 * 60 + 5.7) / 86400, abs=1e-9)
    assert dates == ("2026-01-02T03:04:07.2", "2026-01-02T03:04:08.7", expected)


def test_a_clock_of_whole_seconds_is_better_than_a_request_that_took_minutes() -> None:
    taken = exposure("2026-01-02T03:02:36", 150.0)
    assert values(taken, "DATE-OBS", "TIMSYER") == ("2026-01-02T03:02:36", 239.678901)
    assert start_warning(taken) is None


def test_a_local_time_is_recognized_although_the_request_took_minutes() -> None:
    assert start_of(exposure("2026-01-02T01:04:05.5", 150.0)).clock == "computer"


@pytest.mark.parametrize("uncertainty", [float("nan"), float("inf"), -1.0])
def test_an_unusual_uncertainty_does_no_harm(uncertainty: float) -> None:
    assert values(exposure("2026-01-02T03:04:05.5", uncertainty), "DATE-OBS") != (None,)


def test_a_start_by_the_computers_clock_is_converted_to_utc() -> None:
    east = STARTED.astimezone(timezone(timedelta(hours=5)))
    assert values(exposure("", started=east), "DATE-OBS") == ("2026-01-02T03:04:05.679",)


@given(st.datetimes(timezones=st.just(UTC)), st.integers(0, 3))
@example(datetime.max.replace(tzinfo=UTC), 0)
def test_a_rounded_time_is_written_exactly(time: datetime, decimals: int) -> None:
    found = rounded(time, decimals)
    step = timedelta(seconds=10**-decimals)
    assert abs(found - time) <= step / 2 or found.year == time.year == 9999
    text = iso_text(found, decimals)
    assert datetime.fromisoformat(text).replace(tzinfo=UTC) == found
    assert len(text) == 19 + (decimals > 0) + decimals


@given(st.text() | st.datetimes().map(datetime.isoformat), st.floats())
def test_any_claim_gives_a_start(text: str, uncertainty: float) -> None:
    taken = exposure(text, uncertainty)
    assert (start_of(taken).clock == "camera") <= (start_warning(taken) is None)

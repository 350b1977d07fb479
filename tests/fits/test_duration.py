"""The duration of an exposure is the one that the camera reports only where it is plausible."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpaca_async._facts import CameraInfo, Exposure
from alpaca_async._fits.duration import duration_of, duration_warning


def exposure(
    requested: float,
    reported: float | None,
    *,
    stopped_after: float | None = None,
    uncertainty: float = 0.01,
    shortest: float | None = None,
) -> Exposure:
    return Exposure(
        duration=requested,
        light=True,
        started=datetime(2026, 1, 2, tzinfo=UTC),
        started_uncertainty=uncertainty,
        last_exposure_duration=reported,
        stopped_after=stopped_after,
        info=CameraInfo(exposure_min=shortest),
    )


@pytest.mark.parametrize(
    ("requested", "reported"),
    [
        *((3.0, 3.0), (3.0, 2.98), (3.0, 2.7), (3.0, 3.3), (600.0, 601.5)),
        *((0.001, 0.00125), (0.0001, 0.000032), (0.0, 0.0), (0.0, 0.000032)),
    ],
)
def test_a_plausible_duration_is_used(requested: float, reported: float) -> None:
    taken = exposure(requested, reported)
    assert duration_of(taken) == (reported, "as reported by the camera")
    assert duration_warning(taken) is None


@pytest.mark.parametrize(
    ("requested", "reported"),
    [
        *((3.0, 0.87), (3.0, 0.0), (3.0, -1.0), (3.0, 2.69), (3.0, 3.31), (3.0, 3000.0)),
        *((0.001, 0.0), (0.001, 0.0156), (0.1, 0.06), (0.0, 0.5), (0.0, -0.001)),
        *((3.0, float("nan")), (3.0, float("inf"))),
    ],
)
def test_an_implausible_duration_is_replaced_by_the_requested_one(
    requested: float, reported: float
) -> None:
    taken = exposure(requested, reported)
    assert duration_of(taken) == (requested, "as requested")
    warning = duration_warning(taken)
    assert warning is not None
    assert warning.startswith(f"LastExposureDuration {reported:g} s is not plausible for")
    assert f"EXPTIME is {requested:g} s, as requested" in warning


def test_a_camera_that_reports_no_duration_causes_no_warning() -> None:
    taken = exposure(3.0, None)
    assert duration_of(taken) == (3.0, "as requested")
    assert duration_warning(taken) is None


def test_a_bias_frame_lasts_as_long_as_the_shortest_exposure_of_the_camera() -> None:
    assert duration_of(exposure(0.0, 0.02, shortest=0.02)).seconds == 0.02
    assert duration_of(exposure(0.1, 0.02, shortest=0.02)).seconds == 0.1


@pytest.mark.parametrize(
    ("stopped_after", "reported"),
    [(1.25, 1.3), (1.25, 0.3), (1.25, 2.2), (0.0, 0.005), (9.9, 9.0), (9.9, 10.0)],
)
def test_a_shorter_duration_is_plausible_after_a_stop(
    stopped_after: float, reported: float
) -> None:
    taken = exposure(10.0, reported, stopped_after=stopped_after)
    assert duration_of(taken) == (reported, "as reported by the camera")
    assert duration_warning(taken) is None


@pytest.mark.parametrize("reported", [None, 0.0, -1.0, 8.75, 10.0, 12.0])
def test_without_a_plausible_duration_a_stopped_exposure_lasts_until_the_stop(
    reported: float | None,
) -> None:
    taken = exposure(10.0, reported, stopped_after=1.2543)
    assert duration_of(taken) == (1.25, "until StopExposure was sent")
    warning = duration_warning(taken)
    assert (warning is None) == (reported is None)
    assert warning is None or "of 10 s, stopped after 1.25 s; in FITS" in warning


@pytest.mark.parametrize("reported", [-0.2, 0.9])
def test_after_a_stop_no_duration_is_negative_or_longer_than_requested(reported: float) -> None:
    assert duration_of(exposure(0.5, reported, stopped_after=0.3)).seconds == 0.3


def test_a_stop_is_as_uncertain_as_the_start() -> None:
    taken = exposure(60.0, 6.0, stopped_after=2.0, uncertainty=3.0)
    assert duration_of(taken).seconds == 6.0


@pytest.mark.parametrize("reported", [10.0, 0.87])
def test_a_stop_after_the_exposure_changes_nothing(reported: float) -> None:
    assert duration_of(exposure(10.0, reported, stopped_after=10.5)).seconds == 10.0


@given(st.floats(), st.floats(), st.none() | st.floats(), st.floats())
def test_a_duration_is_used_or_there_is_a_warning(
    requested: float, reported: float, stopped_after: float | None, uncertainty: float
) -> None:
    taken = exposure(requested, reported, stopped_after=stopped_after, uncertainty=uncertainty)
    used = duration_of(taken).source == "as reported by the camera"
    assert used == (duration_warning(taken) is None)

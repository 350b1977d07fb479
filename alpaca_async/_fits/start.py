"""Decides whether the start in a header is by the camera's clock or by this computer's. Pure.

A camera's clock may run in local time, be a month off, or count whole seconds only. It is used
where it agrees with this computer's, which knows when StartExposure was sent and answered, and is
the finer one.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from alpaca_async._facts import Exposure

_TOLERANCE: Final = 1.0
"""Seconds by which two clocks that are right may differ."""
_MAX_DECIMALS: Final = 3
_MAX_CLAIM: Final = 60
"""Characters of what the camera sent as its start time, at most."""
_FRACTION: Final = re.compile(r"[.,]([0-9]+)")
_FIRST_DAY: Final = datetime(1, 1, 1, tzinfo=UTC)
_MINUTES: Final = 120
_DAYS: Final = 172800


class Start(NamedTuple):
    """The start of an exposure in UTC, its possible error in seconds, and by whose clock it is.

    `decimals` is how many decimals of a second are known.
    """

    time: datetime
    uncertainty: float
    decimals: int
    clock: Literal["camera", "computer"]


class _Claim(NamedTuple):
    """A start time that a camera sent. A time without decimals is in whole seconds."""

    time: datetime
    decimals: int


def start_of(exposure: Exposure) -> Start:
    """Return the start by the camera's clock if that can be used, else by this computer's."""
    own, claim = computer_start(exposure), _claim_of(exposure)
    if claim is None or _objection(claim, own) is not None:
        return own
    uncertainty = abs((claim.time - own.time).total_seconds()) + own.uncertainty
    return Start(claim.time, uncertainty, claim.decimals, "camera")


def computer_start(exposure: Exposure) -> Start:
    """Return the middle of the StartExposure request, by this computer's clock."""
    uncertainty = exposure.started_uncertainty
    return Start(_as_utc(exposure.started), uncertainty, _decimals(uncertainty), "computer")


def camera_start(exposure: Exposure) -> str:
    """Return what the camera sent as the start time, shortened; empty if it sent nothing."""
    return (exposure.last_exposure_start_time or "").strip()[:_MAX_CLAIM]


def start_warning(exposure: Exposure) -> str | None:
    """Return why the camera's start time is not used; None if it is used, or if there is none."""
    text = camera_start(exposure)
    claim = _claim_of(exposure)
    objection = (
        "is not a time in UTC" if claim is None else _objection(claim, computer_start(exposure))
    )
    if not text or objection is None:
        return None
    return (
        f"LastExposureStartTime {text!r} {objection}; in FITS headers, DATE-OBS is by this "
        "computer's clock, and CAM-TIME is what the camera reports"
    )


def rounded(time: datetime, decimals: int) -> datetime:
    """Return the time rounded to so many decimals of a second."""
    step = timedelta(microseconds=10 ** (6 - decimals))
    excess = (time - _FIRST_DAY) % step
    try:
        return time - excess + (step if 2 * excess >= step else timedelta())
    except OverflowError:  # in the last second of the year 9999
        return time - excess


def iso_text(time: datetime, decimals: int) -> str:
    """Return the time as FITS writes it, with so many decimals of a second."""
    text = time.replace(tzinfo=None).isoformat(timespec="milliseconds")
    return text[: len(text) - _MAX_DECIMALS + decimals].rstrip(".")


def decimals_shown(exposure: Exposure) -> int:
    """Return how many decimals the camera's start time shows, at most 3.

    A fraction that is zero shows none: it may be of a clock of whole seconds.
    """
    return _decimals_of(camera_start(exposure))


def _claim_of(exposure: Exposure) -> _Claim | None:
    """Return what the camera states; None if it is not an ISO date and time."""
    text = camera_start(exposure)
    try:
        time = _as_utc(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        return None
    return _Claim(time, _decimals_of(text) or exposure.start_decimals) if "T" in text else None


def _decimals_of(text: str) -> int:
    fraction = _FRACTION.search(text)
    digits = fraction[1] if fraction else ""
    return min(len(digits), _MAX_DECIMALS) if digits.strip("0") else 0


def _objection(claim: _Claim, own: Start) -> str | None:
    """Return why this computer's clock is to be used instead, or None."""
    ahead = (claim.time - own.time).total_seconds()
    if not abs(ahead) <= own.uncertainty + _TOLERANCE:
        direction = "ahead of" if ahead > 0 else "behind"
        return (
            f"is {_readable(abs(ahead))} {direction} this computer's clock: check both, and "
            "whether the camera reports UTC"
        )
    if claim.decimals == 0 and own.uncertainty < 1:
        return "has no fraction of a second"
    return None


def _decimals(uncertainty: float) -> int:
    """Return the fewest decimals of a second with which rounding hardly adds to the uncertainty."""
    enough = (places for places in range(_MAX_DECIMALS) if 10**-places <= uncertainty / 10)
    return next(enough, _MAX_DECIMALS)


def _readable(seconds: float) -> str:
    if seconds < _MINUTES:
        return f"{seconds:.1f} s"
    return f"{seconds / 3600:.2f} h" if seconds < _DAYS else f"{seconds / 86400:.1f} days"


def _as_utc(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)

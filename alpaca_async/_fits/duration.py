"""Decides whether the duration in a header is the one that the camera reports. Pure.

Some drivers always report 0, others what is left of a countdown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from alpaca_async._facts import Exposure

_RELATIVE_TOLERANCE: Final = 0.1
"""The part of the requested duration by which an exposure may be longer or shorter."""
_TOLERANCE: Final = 0.001
"""Seconds by which any exposure may be longer or shorter."""
_STOP_TOLERANCE: Final = 1.0
"""Seconds that a camera may take to start or to stop."""


class Duration(NamedTuple):
    """The duration of an exposure in seconds, and where it is from."""

    seconds: float
    source: str


def duration_of(exposure: Exposure) -> Duration:
    """Return the duration that the camera reports if it is plausible, else the expected one."""
    reported = exposure.last_exposure_duration
    if reported is not None and _is_plausible(reported, exposure):
        return Duration(reported, "as reported by the camera")
    if (stopped_after := _stopped_after(exposure)) is not None:
        return Duration(round(stopped_after, 2), "until StopExposure was sent")
    return Duration(exposure.duration, "as requested")


def duration_warning(exposure: Exposure) -> str | None:
    """Return why the camera's duration is not used; None if it is used, or if there is none."""
    reported = exposure.last_exposure_duration
    if reported is None or _is_plausible(reported, exposure):
        return None
    stopped_after = _stopped_after(exposure)
    stopped = "" if stopped_after is None else f", stopped after {stopped_after:.2f} s"
    seconds, source = duration_of(exposure)
    return (
        f"LastExposureDuration {reported:g} s is not plausible for an exposure of "
        f"{exposure.duration:g} s{stopped}; in FITS headers, EXPTIME is {seconds:g} s, {source}, "
        "and CAM-EXPT is what the camera reports"
    )


def _is_plausible(reported: float, exposure: Exposure) -> bool:
    if reported == 0:
        return exposure.duration == 0
    stopped_after = _stopped_after(exposure)
    if stopped_after is None:
        return _shortest(exposure) <= reported <= _longest(exposure)
    tolerance = _STOP_TOLERANCE + exposure.started_uncertainty
    return 0 < reported <= _longest(exposure) and abs(reported - stopped_after) <= tolerance


def _shortest(exposure: Exposure) -> float:
    return max(exposure.duration * (1 - _RELATIVE_TOLERANCE) - _TOLERANCE, 0)


def _longest(exposure: Exposure) -> float:
    """Return the longest plausible duration; for 0 seconds, cameras use the shortest they have."""
    requested = exposure.duration or exposure.info.exposure_min or 0
    return requested * (1 + _RELATIVE_TOLERANCE) + _TOLERANCE


def _stopped_after(exposure: Exposure) -> float | None:
    """Return after how many seconds the exposure was stopped, if that was before its end."""
    stopped_after = exposure.stopped_after
    if stopped_after is None or stopped_after >= exposure.duration:
        return None
    return stopped_after

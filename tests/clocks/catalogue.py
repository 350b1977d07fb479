"""Clocks of cameras, right and wrong, as seen on real servers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime


def milliseconds(time: datetime) -> str:
    """Return the time as most drivers write it; never with zeros by chance."""
    seen = time.replace(microsecond=max(time.microsecond, 1000))
    return seen.replace(tzinfo=None).isoformat(timespec="milliseconds")


def whole_seconds(time: datetime) -> str:
    return time.replace(tzinfo=None).isoformat(timespec="seconds")


def shifted(**by: float) -> Callable[[datetime, int], str]:
    """Return a clock that is ahead by that much."""
    return lambda time, _: milliseconds(time + timedelta(**by))


def right(time: datetime, _: int) -> str:
    return milliseconds(time)


def jumping(time: datetime, number: int) -> str:
    return milliseconds(time + timedelta(seconds=40 * number))


def nothing(_: datetime, __: int) -> None:
    return None


def always(text: str) -> Callable[[datetime, int], str]:
    return lambda _, __: text


def requested(duration: float) -> float:
    return duration


def countdown(duration: float) -> float:
    """Return what was left at the last tick."""
    return round(duration * 0.29, 6)


@dataclass(frozen=True, slots=True)
class Clock:
    """What a camera reports after an exposure, and what becomes of it.

    `start` maps the true start and the number of the exposure to LastExposureStartTime, `duration`
    maps the requested duration to LastExposureDuration; None means that it is not implemented.
    """

    name: str
    start: Callable[[datetime, int], str | None] = right
    duration: Callable[[float], float | None] = requested
    start_by: tuple[str, str] = ("computer", "computer")
    """Whose clock is used for the first and for the second exposure."""
    duration_used: bool = True
    warnings: tuple[str, ...] = ()
    """A part of each warning that is logged, once in two exposures."""
    seen: str = ""

    def __str__(self) -> str:
        return self.name


_CAMERA: Final = ("camera", "camera")
_DISAGREES: Final = "this computer's clock"

CLOCKS: Final = (
    Clock("right, in milliseconds", start_by=_CAMERA),
    Clock(
        "right, in units of 100 ns and with a zone",
        lambda time, number: f"{right(time, number)}0000Z",
        start_by=_CAMERA,
    ),
    Clock("local time", shifted(hours=-8), warnings=(_DISAGREES,)),
    Clock("a month behind", shifted(days=-31), warnings=(_DISAGREES,), seen="indi-allsky"),
    Clock("5 s fast", shifted(seconds=5), warnings=(_DISAGREES,)),
    Clock("jumps by 40 s", jumping, start_by=("camera", "computer"), warnings=(_DISAGREES,)),
    Clock(
        "whole seconds",
        lambda time, _: whole_seconds(time),
        warnings=("has no fraction of a second",),
    ),
    Clock(
        "the start of an earlier exposure",
        always("2025-11-25T19:00:00.125"),
        warnings=(_DISAGREES,),
    ),
    Clock(
        "zero",
        always("0001-01-01T00:00:00"),
        lambda _: 0.0,
        duration_used=False,
        warnings=(_DISAGREES, "LastExposureDuration 0 s is not plausible"),
    ),
    Clock(
        "counts down, no start",
        always(""),
        countdown,
        duration_used=False,
        warnings=("is not plausible for an exposure of",),
        seen="INDI",
    ),
    Clock("missing", nothing, lambda _: None, duration_used=False),
    Clock(
        "garbage",
        always("25 Nov, 7 pm"),
        lambda _: -1.0,
        duration_used=False,
        warnings=("is not a time in UTC", "LastExposureDuration -1 s is not plausible"),
    ),
)

"""Formats sizes and times for people, with about three digits."""

from __future__ import annotations

from typing import Final

_SECONDS_PER_MINUTE: Final = 60
_MILLISECONDS_PER_SECOND: Final = 1000
_ONE_DECIMAL_BELOW: Final = 10


def megabytes(count: float) -> str:
    """Format a number of bytes in megabytes."""
    number = count / 1e6
    return f"{number:.1f} MB" if number < _ONE_DECIMAL_BELOW else f"{number:.0f} MB"


def seconds(count: float) -> str:
    """Format a remaining time, as seconds or as minutes and seconds."""
    if count < _ONE_DECIMAL_BELOW:
        return f"{count:.1f} s"
    if count < _SECONDS_PER_MINUTE:
        return f"{count:.0f} s"
    minutes, rest = divmod(round(count), _SECONDS_PER_MINUTE)
    return f"{minutes}:{rest:02d} min"


def duration(count: float) -> str:
    """Format a measured time, in seconds or milliseconds."""
    milliseconds = count * _MILLISECONDS_PER_SECOND
    if milliseconds >= _MILLISECONDS_PER_SECOND:
        return f"{count:.2f} s"
    digits = 2 if milliseconds < 1 else 1 if milliseconds < _ONE_DECIMAL_BELOW else 0
    return f"{milliseconds:.{digits}f} ms"

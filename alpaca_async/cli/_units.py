"""Numbers for people: sizes and times with three digits or so."""

from __future__ import annotations

from typing import Final

_MINUTE: Final = 60
_SECOND: Final = 1000
_SHORT: Final = 10


def megabytes(count: float) -> str:
    """Return bytes as megabytes."""
    number = count / 1e6
    return f"{number:.1f} MB" if number < _SHORT else f"{number:.0f} MB"


def seconds(count: float) -> str:
    """Return a time as a clock would count it down."""
    if count < _SHORT:
        return f"{count:.1f} s"
    if count < _MINUTE:
        return f"{count:.0f} s"
    minutes, rest = divmod(round(count), _MINUTE)
    return f"{minutes}:{rest:02d} min"


def duration(count: float) -> str:
    """Return a time that was measured, in seconds or milliseconds."""
    milliseconds = count * _SECOND
    if milliseconds >= _SECOND:
        return f"{count:.2f} s"
    digits = 2 if milliseconds < 1 else 1 if milliseconds < _SHORT else 0
    return f"{milliseconds:.{digits}f} ms"

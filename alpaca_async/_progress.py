"""How far an exposure is, told to a caller's function.

Annotations are not postponed: web frameworks read them, from modules that lack these names.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from ._enums import CameraStates

_INTERVAL: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A moment of an exposure; None for what is not known."""

    phase: Literal["exposing", "reading", "downloading"]
    fraction: float | None = None
    """Of the phase, 0 to 1."""
    seconds_left: float | None = None
    """Of the phase."""
    state: CameraStates | None = None
    bytes_received: int = 0
    bytes_total: int | None = None
    bytes_per_second: float | None = None


ProgressCallback: TypeAlias = Callable[[Progress], None]


class ProgressFailed(Exception):
    """Carries what a caller's function raised past those who would take it for the network's."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


class DownloadMeter:
    """Reports a growing number of bytes, ten times a second at most and once at the end."""

    def __init__(self, callback: ProgressCallback, total: int | None) -> None:
        self._callback = callback
        self._total = total
        self._begun = self._next_report = time.monotonic()

    def update(self, received: int) -> None:
        """Report `received` bytes unless a report was made just now."""
        now = time.monotonic()
        if now >= self._next_report:
            self._next_report = now + _INTERVAL
            self._report(received, now)

    def finish(self, received: int) -> None:
        """Report the end."""
        self._total = received
        self._report(received, time.monotonic())

    def _report(self, received: int, now: float) -> None:
        elapsed = now - self._begun
        rate = received / elapsed if elapsed > 0 else None
        total = self._total
        progress = Progress(
            phase="downloading",
            fraction=received / total if total else None,
            seconds_left=(total - received) / rate if total and rate else None,
            bytes_received=received,
            bytes_total=total,
            bytes_per_second=rate,
        )
        try:
            self._callback(progress)
        except Exception as error:
            raise ProgressFailed(error) from error

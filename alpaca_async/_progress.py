"""Progress reports of an exposure for the caller's callback.

No `from __future__ import annotations`: web frameworks evaluate the annotations in modules that
do not import these names.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from ._enums import CameraStates

_INTERVAL: Final = 0.1
"""Seconds between two reports."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The progress of an exposure; None for what is unknown."""

    phase: Literal["exposing", "reading", "downloading"]
    fraction: float | None = None
    """Fraction of the phase, 0 to 1."""
    seconds_left: float | None = None
    """Seconds left of the phase."""
    state: CameraStates | None = None
    bytes_received: int = 0
    bytes_total: int | None = None
    bytes_per_second: float | None = None


ProgressCallback: TypeAlias = Callable[[Progress], None]


class ProgressFailed(Exception):
    """Wraps an exception of the caller's callback, so that it is not taken for a network error."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


class DownloadMeter:
    """Reports the bytes received, at most ten times a second and once at the end."""

    def __init__(self, callback: ProgressCallback, total: int | None) -> None:
        self._callback = callback
        self._total = total
        self._started = self._next_report = time.monotonic()

    def update(self, received: int) -> None:
        """Report `received` bytes, unless the last report was less than 0.1 seconds ago."""
        now = time.monotonic()
        if now >= self._next_report:
            self._next_report = now + _INTERVAL
            self._report(received, now)

    def finish(self, received: int) -> None:
        """Report the end of the download, with `received` as the total."""
        self._total = received
        self._report(received, time.monotonic())

    def _report(self, received: int, now: float) -> None:
        elapsed = now - self._started
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

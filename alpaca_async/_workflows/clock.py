"""A clock that goes on while the computer sleeps."""

from __future__ import annotations

import asyncio
import time
from typing import Final

CHECK_INTERVAL: Final = 1.0
"""Seconds of one sleep at most, so that waking up is noticed soon."""
_SLEPT: Final = 2.0
"""Seconds by which the system's clock must be ahead: less is a correction of that clock."""


class WakingClock:
    """The event loop's clock, and the time that the computer slept: the loop's stands still then.

    A system clock that somebody sets forward looks the same. Then a camera is polled too early,
    which does no harm.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._offset = time.time() - self._loop.time()
        self._slept = 0.0

    def now(self) -> float:
        """Return seconds, by the loop's clock if the computer has not slept."""
        loop_time = self._loop.time()
        slept = time.time() - loop_time - self._offset
        if slept > self._slept + _SLEPT:
            self._slept = slept
        return loop_time + self._slept

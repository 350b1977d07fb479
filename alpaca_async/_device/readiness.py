"""Whether an image that is ready is the new one, right after StartExposure. No I/O.

Some servers answer StartExposure before their driver has begun, and report the previous image as
ready until then: INDI's bridge for 30 to 180 ms. Long exposures are over later than that. A short
one is polled once at its start: a camera that reports no image then, or that it is busy, has begun.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

LAG_LIMIT: Final = 0.5
"""Seconds after which no server reports the previous image any more."""
_PROMPT: Final = 0.02
"""Seconds: what reports no image so soon after the start does not lag."""
_ENOUGH: Final = 3


@dataclass(slots=True)
class ReadinessHistory:
    """What earlier exposures showed: how often a camera was prompt, and whether it ever lagged."""

    prompt: int = 0
    lagging: bool = False

    @property
    def trusted(self) -> bool:
        """Whether ImageReady of this camera is right at once after StartExposure."""
        return self.prompt >= _ENOUGH and not self.lagging


class Readiness:
    """Judges what is polled during one exposure, for which StartExposure was sent at `sent`."""

    def __init__(self, history: ReadinessHistory, sent: float) -> None:
        self._history = history
        self._sent = self._answered = sent
        self._begun = False
        self._may_lag = False

    def answered(self, now: float) -> None:
        """Record the reply to StartExposure, which may have reached the server just before."""
        self._answered = now

    def needs_early_poll(self, duration: float) -> bool:
        """Whether to poll at the start of an exposure of `duration` seconds."""
        return duration < LAG_LIMIT and not (self._begun or self._history.trusted)

    def has_begun(self, now: float) -> bool:
        """Whether an image that is ready is the new one."""
        return self._begun or self._history.trusted or now >= self._lag_begin + LAG_LIMIT

    def is_new(self, now: float, *, ready: bool, busy: bool) -> bool:
        """Record a poll; return whether there is an image, and it is the new one."""
        if not ready:
            self._record_begin(now)
            return False
        if self.has_begun(now):
            return True
        self._may_lag = True
        self._begun = busy
        return False

    @property
    def _lag_begin(self) -> float:
        """When the server's lag began: at the latest with its reply.

        Drivers that answer when the exposure is over do not lag; waiting would delay each frame.
        """
        return self._answered if self._history.lagging else self._sent

    def _record_begin(self, now: float) -> None:
        if self._may_lag:
            self._history.lagging = True
        elif not self._begun and now <= self._sent + _PROMPT:
            self._history.prompt += 1
        self._begun = True

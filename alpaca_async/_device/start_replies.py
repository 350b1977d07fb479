"""How soon a camera answers StartExposure: most at once, some when the exposure is over. No I/O."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alpaca_async._session.session import Timeouts


class StartReplies:
    """Learns from which duration on a camera answers StartExposure at once."""

    def __init__(self) -> None:
        self._at_once_from = math.inf
        self._missing = 0
        """How many replies in a row did not come within their limit."""

    def answered(self, duration: float, lasted: float, usual: float) -> None:
        """Learn from a StartExposure that was answered `lasted` seconds after it was sent.

        Only an exposure that is far from over shows that the camera does not wait for its end, and
        only a reply that came well within `usual` seconds, the limit of an ordinary one, that this
        is enough for the next one.
        """
        self._missing = 0
        if lasted < min(duration, usual) / 2:
            self._at_once_from = min(self._at_once_from, duration)
        elif duration >= self._at_once_from:
            self.forget()

    def timed_out(self) -> None:
        """Record a StartExposure that was not answered within its limit."""
        self._missing += 1

    def come_at_once(self, duration: float) -> bool:
        """Whether the camera is known to answer at once for an exposure of `duration` seconds."""
        return duration >= self._at_once_from

    def limit(self, duration: float, timeouts: Timeouts) -> float | None:
        """Return how long to wait for the next reply; None is as for an ordinary one.

        After a reply that did not come, the next one has the time of a camera that has begun to
        answer at the end; but only once, or a camera that hangs would have it each time.
        """
        limit = duration + timeouts.long
        is_ordinary = self.come_at_once(duration) and self._missing != 1
        return None if is_ordinary and timeouts.reply < limit else limit

    def forget(self) -> None:
        """Forget what was learned: it may be another camera now."""
        self._at_once_from = math.inf

"""When to poll for an image: at the predicted times, if any, then with growing pauses. No I/O.

All times are seconds after the end of the exposure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_SHORTEST_PAUSE: Final = 0.01
_TOO_SOON: Final = 0.002
"""Seconds after a poll in which another would only repeat it."""
_FIRST_PAUSE: Final = 0.005
"""Fraction of the exposure time."""
_LONGEST_PAUSE: Final = 0.05
"""Fraction of the time waited so far, but at least `_MIN_LONGEST_PAUSE`."""
_MIN_LONGEST_PAUSE: Final = 0.1


class PollSchedule:
    """The polls after an exposure of `duration` seconds; `predicted` may be empty."""

    def __init__(self, duration: float, predicted: Sequence[float]) -> None:
        self._predicted = predicted
        self._growing = max(_SHORTEST_PAUSE, 0.0 if predicted else duration * _FIRST_PAUSE)

    def until_first(self, now: float) -> float:
        """Return the seconds from `now` until the first poll."""
        return max(self._predicted[0] - now, 0.0) if self._predicted else 0.0

    def until_predicted(self, now: float) -> float | None:
        """Return the seconds from `now` until the next predicted poll; None after the last."""
        return next((time - now for time in self._predicted if time > now + _TOO_SOON), None)

    def growing_pause(self, waited: float) -> float:
        """Return the next of the growing pauses, `waited` seconds after the exposure's start."""
        pause = self._growing
        self._growing = min(pause * 2, max(_MIN_LONGEST_PAUSE, waited * _LONGEST_PAUSE))
        return pause

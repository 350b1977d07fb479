"""When an image will be ready after its exposure, learned from earlier exposures. No I/O, no clock.

All times are seconds after the end of the exposure, and those of requests are the times at which
they are sent: so what is learned includes the way to the server.
"""

from __future__ import annotations

import math
from itertools import accumulate
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Hashable

_MODES: Final = 8
_REMEMBERED: Final = 24
"""Exposures of one mode: older ones are forgotten, so that slow changes are followed."""
_MOST_EARLY: Final = 4
"""Exposures in a row that were ready before the first poll; after them, learning begins anew."""
_TOLERANCE: Final = 0.25
"""Fraction of the readout time by which exposures that agree may differ."""
_MIN_TOLERANCE: Final = 0.05
_SPREAD: Final = 0.6
"""Fraction of the readout time that the first exposure leaves open; n exposures leave 1/n of it."""
_MIN_MARGIN: Final = 0.002
"""Seconds by which requests are faster or slower from time to time."""
_MEAN_PAUSE: Final = 0.048
"""Seconds between predicted polls, on average: most images are noticed within half of it."""
_FEWEST_PAUSES: Final = 5
_MOST_PAUSES: Final = 20
_SHORTEST_PAUSE: Final = 0.01


class ReadyTime(NamedTuple):
    """When an image became ready: between `after` and `by`."""

    after: float
    """The last poll that found no image; 0 if there was none."""
    by: float
    """The poll that found the image."""

    def agrees_with(self, other: ReadyTime) -> bool:
        """Whether both can be of one readout time, which varies a little."""
        tolerance = max(self.by, other.by) * _TOLERANCE + _MIN_TOLERANCE
        return self.after <= other.by + tolerance and other.after <= self.by + tolerance


class ReadoutTimes:
    """The readout times of a camera in one mode.

    One exposure that differs much changes nothing: a server may hang for a while. Two in a row
    that agree with each other replace what was known.
    """

    def __init__(self) -> None:
        self.round_trip = 0.0
        """Seconds that the fastest poll of the last exposure took."""
        self._known: tuple[ReadyTime, ...] = ()
        self._exception: ReadyTime | None = None
        self._early = 0
        """Exposures in a row that were ready before the first poll."""

    def add(self, ready: ReadyTime) -> None:
        """Learn when an image became ready."""
        former, self._exception = self._exception, None
        if self._known and ready.agrees_with(self._range):
            self._add_expected(ready)
        elif former is not None and former.agrees_with(ready):
            self._known, self._early = (former, ready), 0
        else:
            self._exception = ready

    def _add_expected(self, ready: ReadyTime) -> None:
        is_early = ready.by < self._range.after
        self._early = self._early + 1 if is_early else 0
        kept = _REMEMBERED - 1 if self._early < _MOST_EARLY else 1
        self._known = (*self._known[-kept:], ready)
        self._early %= _MOST_EARLY

    @property
    def _range(self) -> ReadyTime:
        """The smallest range of readout times that explains all that is known.

        If a single readout time explains it, the range in which that must be.
        """
        latest_start = max(ready.after for ready in self._known)
        earliest_end = min(ready.by for ready in self._known)
        return ReadyTime(*sorted((latest_start, earliest_end)))

    def predicted_polls(self) -> tuple[float, ...]:
        """Return when to poll; empty before two exposures have agreed.

        If the first poll finds the image, it does not show how long that has been ready. So the
        first poll is earlier after each exposure in a row in which that happened.
        """
        if not self._known:
            return ()
        after, by = self._range
        count = len(self._known)
        margin = (by - after + _SPREAD / count * (after + by) / 2) / count
        margin = max(margin, _MIN_MARGIN)
        first = max(after - margin * 2**self._early, 0.0)
        return _schedule(first, by + margin, self.round_trip)


class ReadoutPolls:
    """The polls of one exposure: predicted by `times`, which learns from them."""

    def __init__(self, times: ReadoutTimes) -> None:
        self._times = times
        self._after = 0.0
        self._round_trip = math.inf

    def predicted(self) -> tuple[float, ...]:
        """Return when to poll; empty if nothing can be predicted."""
        return self._times.predicted_polls()

    def not_ready(self, sent: float, answered: float) -> None:
        """Record a poll that found no image."""
        self._after = max(self._after, sent)
        self._round_trip = min(self._round_trip, answered - sent)

    def ready(self, sent: float, answered: float) -> None:
        """Record the poll that found the image.

        If it took longer than others, the server may have read the camera late.
        """
        self._round_trip = min(self._round_trip, answered - sent)
        usual = min(self._round_trip, self._times.round_trip or math.inf)
        self._times.add(ReadyTime(self._after, max(self._after, answered - usual)))
        self._times.round_trip = self._round_trip


class ReadoutRecord:
    """The readout times of a camera by mode: by the settings on which they depend."""

    def __init__(self) -> None:
        self._modes: dict[Hashable, ReadoutTimes] = {}

    def of(self, mode: Hashable) -> ReadoutTimes:
        """Return what is known of a mode; only the modes used last are remembered."""
        times = self._modes.pop(mode, None) or ReadoutTimes()
        self._modes = dict(list(self._modes.items())[1 - _MODES :]) | {mode: times}
        return times

    def forget(self) -> None:
        """Forget all modes."""
        self._modes = {}


def _schedule(first: float, last: float, round_trip: float) -> tuple[float, ...]:
    """Return the times of polls for an image that becomes ready between `first` and `last`.

    The pauses shrink by the same amount from poll to poll: of all schedules that need as many
    polls on average, this one notices the image soonest. None is shorter than a round trip. The
    first poll is so early that it shows when readouts become faster.
    """
    shortest = max(_SHORTEST_PAUSE, round_trip)
    first = min(first, last - shortest)
    if first < 0:
        return (last if last > _SHORTEST_PAUSE else 0.0,)
    pauses = min(max(math.ceil((last - first) / _MEAN_PAUSE), _FEWEST_PAUSES), _MOST_PAUSES)
    step = 2 * (last - first) / (pauses * (pauses + 1))
    polls = [first]
    for time in accumulate((step * left for left in range(pauses, 1, -1)), initial=first):
        if time - polls[-1] >= shortest and last - time >= shortest:
            polls.append(time)
    return (*polls, last)

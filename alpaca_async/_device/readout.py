"""When an image will be ready after its exposure, learned from earlier exposures. No I/O, no clock.

All times are seconds after the end of the exposure, and those of requests are the times at which
they are sent: so what is learned includes the way to the server.
"""

from __future__ import annotations

import math
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
_MIN_MARGIN: Final = 0.002
"""Seconds by which requests are faster or slower from time to time."""
_SPREAD_MARGIN: Final = 2.0
"""The margin of n exposures is at least 1/n of the spread of their readout times, times this."""
_READOUT_MARGIN: Final = 0.4
"""The margin after one exposure, as a fraction of the readout time."""
_LEARNING: Final = 1.2
"""How fast that fraction falls: n exposures leave 1/n of it to this power."""
_MOST_SPREAD: Final = 0.2
"""Fraction of the readout time up to which a margin is added to what was seen."""
_LONG_PAUSE: Final = 0.088
"""Seconds between the first of the predicted polls: an image is noticed at most so late."""
_USUAL_PAUSE: Final = 0.025
"""Fraction of the readout time that the pauses are if readout times vary by a tenth."""
_SHORT_PAUSE: Final = 0.027
"""Seconds between the last of them. Most images are noticed before, so few need these polls."""
_LONG_PART: Final = 0.6
"""Fraction of the expected time in which the pauses are long."""
_SHORTEST_SPAN: Final = 0.6
_LONGEST_SPAN: Final = 1.6
"""Seconds of expected time with the pauses above; for other times they are in proportion."""
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

    @property
    def half_pause(self) -> float:
        """Half of the usual pause between polls. What was noticed late tells nothing more."""
        return min(_LONG_PAUSE, self.by * _USUAL_PAUSE) / 2


class ReadoutTimes:
    """The readout times of a camera in one mode.

    One exposure that differs much changes nothing: a server may hang for a while. Two in a row
    that agree with each other replace what was known.
    """

    def __init__(self) -> None:
        self.round_trip = 0.0
        """Seconds that the fastest poll took, in the last exposure that needed several."""
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
        is_early = ready.by <= self.predicted_polls()[0] + _MIN_MARGIN
        self._early = self._early + 1 if is_early else 0
        kept = _REMEMBERED - 1 if self._early < _MOST_EARLY else 1
        self._known = (*self._known[-kept:], ready)
        self._early %= _MOST_EARLY

    @property
    def _range(self) -> ReadyTime:
        """The range of the readout times that are known.

        If a single readout time explains them all, the range in which that must be.
        """
        latest_start = max(ready.after for ready in self._known)
        earliest_end = min(ready.by for ready in self._known)
        if latest_start <= earliest_end:
            return ReadyTime(latest_start, earliest_end)
        earliest = min(ready.by - ready.half_pause for ready in self._known)
        return ReadyTime(earliest, max(ready.after + ready.half_pause for ready in self._known))

    @property
    def _margin(self) -> float:
        """Seconds by which the next readout time may be outside the range of those known."""
        count, (after, by) = len(self._known), self._range
        spread, readout = by - after, (after + by) / 2
        by_spread = _SPREAD_MARGIN * spread / count
        by_count = _READOUT_MARGIN * readout / math.pow(count, _LEARNING)
        most = max(_MOST_SPREAD * readout - spread, 0.0) / 2
        return min(max(by_spread, by_count), most) + _MIN_MARGIN

    def predicted_polls(self) -> tuple[float, ...]:
        """Return when to poll; empty before two exposures have agreed.

        If the first poll finds the image, it does not show how long that has been ready. So the
        first poll is earlier after each exposure in a row in which that happened.
        """
        if not self._known:
            return ()
        (after, by), margin = self._range, self._margin
        return _schedule(after - margin * 2**self._early, by + margin, self.round_trip)


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

        If it took longer than others, the server may have read the camera late. A single poll that
        took long says nothing of the link: the server may have hung.
        """
        self._round_trip = min(self._round_trip, answered - sent)
        usual = min(self._round_trip, self._times.round_trip or math.inf)
        self._times.add(ReadyTime(self._after, max(self._after, answered - usual)))
        self._times.round_trip = self._round_trip if self._after > 0 else usual


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


def _schedule(start: float, end: float, round_trip: float) -> tuple[float, ...]:
    """Return the times of polls for an image that becomes ready between `start` and `end`.

    Long pauses come first, because all exposures need the first polls and few need the last ones.
    Of the schedules that were tried, this one notices as many images soon with the fewest polls,
    on average. No pause is shorter than a round trip.
    """
    span = end - start
    scale = span / min(max(span, _SHORTEST_SPAN), _LONGEST_SPAN)
    shortest = max(_SHORTEST_PAUSE, round_trip)
    long, short = (max(pause * scale, shortest) for pause in (_LONG_PAUSE, _SHORT_PAUSE))
    if end < shortest:
        return (end if end > _SHORTEST_PAUSE else 0.0,)
    first = max(min(start + _LONG_PAUSE * scale, end - shortest), 0.0)
    longs = round((end - first) * _LONG_PART / long)
    change = first + longs * long
    shorts = max(round((end - change) / short), 0)
    return (
        *(first + number * long for number in range(longs)),
        *(change + number * short for number in range(shorts + 1)),
    )

"""Statistics of the image downloads of a camera: latency, rate, jitter. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_MAX_DELIVERIES: Final = 100
_MIN_DELIVERIES: Final = 5
"""The number of deliveries from which the usual rate is known."""
_SLOWDOWN: Final = 3.0
"""A delivery is slow if its rate is below the usual rate divided by this factor, ..."""
_NOTICEABLE: Final = 0.5
"""... and its transfer took at least this many seconds: shorter delays are not noticed."""
_IN_A_ROW: Final = 3


@dataclass(frozen=True, slots=True)
class Delivery:
    """One image: seconds until its reply began, seconds for the rest, bytes of pixels."""

    latency: float
    transfer: float
    nbytes: int

    @property
    def seconds(self) -> float:
        """Seconds from the request to the finished array."""
        return self.latency + self.transfer

    @property
    def bytes_per_second(self) -> float:
        """The rate of the transfer; the minimum of 1 µs avoids a division by zero."""
        return self.nbytes / max(self.transfer, 1e-6)


@dataclass(frozen=True, slots=True)
class DeliveryStatistics:
    """Medians over the last images of a camera, at most 100."""

    count: int
    latency: float
    """Seconds from the request for an image to the first byte of its reply; includes the wait
    for downloads of other cameras."""
    seconds: float
    """Seconds from the request to the finished array."""
    jitter: float
    """The median absolute deviation of `seconds`, in seconds."""
    slowest: float
    """The largest of `seconds`."""
    bytes_per_second: float
    """The rate from the first byte to the last."""


class DeliveryRecord:
    """The last deliveries of one camera."""

    def __init__(self) -> None:
        self._deliveries: deque[Delivery] = deque(maxlen=_MAX_DELIVERIES)
        self._slow_in_a_row = 0

    @property
    def statistics(self) -> DeliveryStatistics | None:
        """None before the first delivery."""
        if not self._deliveries:
            return None
        times = [each.seconds for each in self._deliveries]
        usual = median(times)
        return DeliveryStatistics(
            count=len(times),
            latency=median(each.latency for each in self._deliveries),
            seconds=usual,
            jitter=median(abs(time - usual) for time in times),
            slowest=max(times),
            bytes_per_second=_rate(self._deliveries),
        )

    def add(self, delivery: Delivery) -> str | None:
        """Add `delivery`; return a warning text when the third in a row was slow."""
        usual = _rate(self._deliveries) if self._may_be_slow(delivery) else 0.0
        self._deliveries.append(delivery)
        slow = delivery.bytes_per_second * _SLOWDOWN < usual
        self._slow_in_a_row = self._slow_in_a_row + 1 if slow else 0
        if self._slow_in_a_row != _IN_A_ROW:
            return None
        rate = delivery.bytes_per_second
        return (
            f"{_IN_A_ROW} images in a row were slow, "
            f"the last with {rate / 1e6:.1f} instead of {usual / 1e6:.1f} MB/s"
        )

    def _may_be_slow(self, delivery: Delivery) -> bool:
        """Whether to compare with the usual rate, which takes longer than a small read."""
        return delivery.transfer >= _NOTICEABLE and len(self._deliveries) >= _MIN_DELIVERIES


def _rate(deliveries: Iterable[Delivery]) -> float:
    return median(each.bytes_per_second for each in deliveries)

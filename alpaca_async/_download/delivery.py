"""How a camera delivers its images: how soon, how fast, how evenly. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_REMEMBERED: Final = 100
_ENOUGH: Final = 5
"""Deliveries that make a habit."""
_SLOW: Final = 3.0
"""A delivery is slow when the pixels came at less than the usual rate by this factor, ..."""
_NOTICEABLE: Final = 0.5
"""... and took so many seconds: nobody waits for less."""
_IN_A_ROW: Final = 3


@dataclass(frozen=True, slots=True)
class Delivery:
    """One image: seconds until its reply began, seconds for the rest, bytes of its pixels."""

    latency: float
    transfer: float
    nbytes: int

    @property
    def seconds(self) -> float:
        """From the request to the array."""
        return self.latency + self.transfer

    @property
    def bytes_per_second(self) -> float:
        """Of the transfer, which is never quite 0 s."""
        return self.nbytes / max(self.transfer, 1e-6)


@dataclass(frozen=True, slots=True)
class DeliveryStatistics:
    """What is usual for a camera: medians over its last images, a hundred at most."""

    count: int
    latency: float
    """Seconds from the request of an image to the first byte of its reply; includes waiting
    for the images of other cameras."""
    seconds: float
    """From the request to the array."""
    jitter: float
    """The usual distance of `seconds` from their median, in seconds."""
    slowest: float
    """The largest of `seconds`."""
    bytes_per_second: float
    """From the first byte to the last."""


class DeliveryRecord:
    """The last deliveries of one camera."""

    def __init__(self) -> None:
        self._deliveries: deque[Delivery] = deque(maxlen=_REMEMBERED)
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
        """Take note of `delivery`; return what is to be said when several were slow in a row."""
        usual = _rate(self._deliveries) if len(self._deliveries) >= _ENOUGH else 0.0
        self._deliveries.append(delivery)
        self._slow_in_a_row = self._slow_in_a_row + 1 if _is_slow(delivery, usual) else 0
        if self._slow_in_a_row != _IN_A_ROW:
            return None
        present = delivery.bytes_per_second
        return (
            f"{_IN_A_ROW} images in a row were slow, "
            f"the last with {present / 1e6:.1f} instead of {usual / 1e6:.1f} MB/s"
        )


def _is_slow(delivery: Delivery, usual: float) -> bool:
    return delivery.transfer >= _NOTICEABLE and delivery.bytes_per_second * _SLOW < usual


def _rate(deliveries: Iterable[Delivery]) -> float:
    return median(each.bytes_per_second for each in deliveries)

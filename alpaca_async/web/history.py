"""Temperature and cooler power over the night, in bounded memory. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from .models import Sample

if TYPE_CHECKING:
    from alpaca_async._facts import CameraStatus

MAX_SAMPLES: Final = 720


class History:
    """Samples at equal intervals, at first of five seconds.

    When there are `MAX_SAMPLES`, every second one is dropped and the interval doubled: the whole
    night stays visible, with half the resolution.
    """

    def __init__(self) -> None:
        self._interval = timedelta(seconds=5)
        self._samples: list[Sample] = []

    @property
    def samples(self) -> list[Sample]:
        """All samples, the oldest first."""
        return list(self._samples)

    def add(
        self, status: CameraStatus, set_point: float | None, now: datetime | None = None
    ) -> None:
        """Add a sample, unless the last one is too recent."""
        time = now or datetime.now(UTC)
        if self._samples and time - self._samples[-1].time < self._interval:
            return
        if len(self._samples) >= MAX_SAMPLES:
            del self._samples[1::2]
            self._interval *= 2
        self._samples.append(
            Sample(
                time=time,
                ccd_temperature=status.ccd_temperature,
                cooler_power=status.cooler_power,
                set_point=set_point,
            )
        )

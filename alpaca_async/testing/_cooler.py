"""A thermal model: where the sensor's temperature is going, and how fast."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass
class Cooler:
    """The temperature of a sensor, in closed form between two changes.

    It moves towards its target at no more than `rate` °C/s and settles exponentially, with
    the time constant `settling`. Times are seconds of the caller's clock.
    """

    ambient: float
    max_cooling: float
    rate: float
    settling: float
    now: float = 0.0
    on: bool = False
    set_point: float = 0.0

    def __post_init__(self) -> None:
        """Start at the ambient temperature."""
        self._temperature = self.ambient

    @property
    def target(self) -> float:
        """Where the temperature goes: the set point, as far as power and ambient allow."""
        if not self.on:
            return self.ambient
        return min(max(self.set_point, self.ambient - self.max_cooling), self.ambient)

    @property
    def temperature(self) -> float:
        """°C at the time of the last `advance`."""
        return self._temperature

    @property
    def power(self) -> float:
        """Percent: what leaks in from outside plus what the change itself takes."""
        if not self.on:
            return 0.0
        leak = self.ambient - self._temperature
        change = self._clamped_rate() * self.settling
        return min(max(100.0 * (leak - change) / self.max_cooling, 0.0), 100.0)

    @property
    def heat_sink_temperature(self) -> float:
        """°C: ten degrees above ambient at full power."""
        return self.ambient + self.power / 10.0

    def advance(self, now: float) -> None:
        """Let the temperature follow its target until `now`."""
        elapsed, self.now = now - self.now, now
        gap = self._temperature - self.target
        fast = max(abs(gap) / self.rate - self.settling, 0.0)
        linear = min(fast, elapsed)
        gap -= math.copysign(linear * self.rate, gap)
        self._temperature = self.target + gap * math.exp((linear - elapsed) / self.settling)

    def _clamped_rate(self) -> float:
        wanted = (self.target - self._temperature) / self.settling
        return min(max(wanted, -self.rate), self.rate)

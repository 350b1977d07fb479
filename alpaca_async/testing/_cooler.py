"""A thermal model of the cooler and the sensor."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass
class Cooler:
    """The temperature of a sensor, computed in closed form from one change to the next.

    It moves towards its target at no more than `rate` °C/s and settles exponentially with the
    time constant `settling`. Times are seconds of the caller's clock.
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
        """The temperature to reach: the set point, limited by the cooling power and ambient."""
        if not self.on:
            return self.ambient
        return min(max(self.set_point, self.ambient - self.max_cooling), self.ambient)

    @property
    def temperature(self) -> float:
        """The temperature at the last `advance`, °C."""
        return self._temperature

    @property
    def power(self) -> float:
        """Cooling power, percent: it removes the heat leak and changes the temperature."""
        if not self.on:
            return 0.0
        leak = self.ambient - self._temperature
        change = self._clamped_rate() * self.settling
        return min(max(100.0 * (leak - change) / self.max_cooling, 0.0), 100.0)

    @property
    def heat_sink_temperature(self) -> float:
        """The heat sink's temperature, °C: ten degrees above ambient at full power."""
        return self.ambient + self.power / 10.0

    def advance(self, now: float) -> None:
        """Advance the model to the time `now`."""
        elapsed, self.now = now - self.now, now
        gap = self._temperature - self.target
        fast = max(abs(gap) / self.rate - self.settling, 0.0)
        linear = min(fast, elapsed)
        gap -= math.copysign(linear * self.rate, gap)
        self._temperature = self.target + gap * math.exp((linear - elapsed) / self.settling)

    def _clamped_rate(self) -> float:
        wanted = (self.target - self._temperature) / self.settling
        return min(max(wanted, -self.rate), self.rate)

"""Movements of simulated devices, computed from the clock. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Motion:
    """A movement from `start` to `goal` at constant `speed`, which begins at the time `began`."""

    start: float
    goal: float
    speed: float
    """Units per second, positive; `inf` for an instant movement."""
    began: float = 0.0

    @property
    def end(self) -> float:
        """When the movement is over."""
        return self.began + abs(self.goal - self.start) / self.speed

    def is_moving(self, now: float) -> bool:
        """Return whether the movement is under way."""
        return self.began <= now < self.end

    def position(self, now: float) -> float:
        """Return where the movement is at the time `now`."""
        if now >= self.end:
            return self.goal
        distance = self.speed * max(now - self.began, 0.0)
        return self.start + math.copysign(distance, self.goal - self.start)

    def stopped(self, now: float) -> Motion:
        """Return the movement that has ended where this one is now."""
        position = self.position(now)
        return Motion(position, position, self.speed, now)


def speed_of(distance: float, seconds: float) -> float:
    """Return the speed of a movement; `inf` if it takes no time."""
    return distance / seconds if seconds else math.inf


def at_rest(position: float, speed: float) -> Motion:
    """Return a movement that is over."""
    return Motion(position, position, speed)

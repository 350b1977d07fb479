"""What happens to light before it reaches a sensor. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LightPath:
    """The state of cover, calibrator, filter and focuser during an exposure."""

    covered: bool = False
    """Whether no light of the sky comes in."""
    flat: float = 0.0
    """Light of the calibrator, in electrons per pixel and second of an unfiltered sensor."""
    filter: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Fractions of red, green and blue that pass."""
    defocus: float = 0.0
    """Full width at half maximum of a star without seeing, in pixels."""

    def blurred(self, seeing: float) -> float:
        """Return the full width at half maximum of a star, in pixels."""
        return math.hypot(seeing, self.defocus)

"""What is in front of a simulated camera."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ._light import LightPath

if TYPE_CHECKING:
    from ._cover_calibrator import SimulatedCoverCalibrator
    from ._filter_wheel import SimulatedFilterWheel
    from ._focuser import SimulatedFocuser


@dataclass(frozen=True, slots=True)
class Optics:
    """A cover, a filter wheel and a focuser in front of a camera."""

    cover_calibrator: SimulatedCoverCalibrator
    filter_wheel: SimulatedFilterWheel
    focuser: SimulatedFocuser

    def light_path(self) -> LightPath:
        """Return the present state of all three."""
        chosen = self.filter_wheel.filter
        return LightPath(
            covered=self.cover_calibrator.covers,
            flat=self.cover_calibrator.flat,
            filter=chosen.passes,
            defocus=self.focuser.defocus(chosen.focus_offset),
        )

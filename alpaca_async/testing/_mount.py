"""What a simulated camera is mounted on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Mount:
    """The telescope's mount, which guide pulses move; `SimulatedRig` shares one among cameras."""

    x: float = 0.0
    y: float = 0.0

    def move(self, x: float, y: float) -> None:
        """Move the sky by so many pixels."""
        self.x += x
        self.y += y

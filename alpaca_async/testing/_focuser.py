"""The simulated focuser: IFocuserV4 without the network protocol."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ._core import SimulatedDevice
from ._motion import Motion, at_rest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(kw_only=True, eq=False, repr=False)
class SimulatedFocuser(SimulatedDevice):
    """A focuser in software."""

    device_type: ClassVar[str] = "focuser"

    name: str = "Simulated focuser"
    description: str = "A focuser without hardware"
    interface_version: int = 4
    """3 or 4."""
    absolute: bool = True
    max_step: int = 10000
    max_increment: int = 10000
    position: int = 5000
    """Where it starts."""
    step_size: float = 4.0
    """Micrometres."""
    speed: float = 1000.0
    """Steps per second."""
    can_halt: bool = True
    has_temp_comp: bool = True
    temperature: float = 12.0
    """°C."""
    best_position: int = 5000
    """Where stars are smallest, without a filter."""
    blur_per_step: float = 0.02
    """Pixels by which each step from the best position widens a star."""

    def __post_init__(self) -> None:
        """Start at rest."""
        super().__post_init__()
        self._motion = at_rest(self.position, self.speed)
        self._temp_comp = False

    def defocus(self, offset: int) -> float:
        """Return the diameter of a star without seeing, in pixels, with the offset of a filter."""
        distance = self._motion.position(self.now) - self.best_position - offset
        return abs(distance) * self.blur_per_step

    def get_is_moving(self) -> bool:
        """Return whether the focuser moves."""
        return self._motion.is_moving(self.now)

    def get_position(self) -> int:
        """Return the position, in steps."""
        self.require("Position", self.absolute)
        return round(self._motion.position(self.now))

    def get_temp_comp(self) -> bool:
        """Return whether temperature compensation is on."""
        return self._temp_comp

    def set_temp_comp(self, value: bool) -> None:
        """Turn temperature compensation on or off; it has no effect."""
        self.require("TempComp", self.has_temp_comp)
        self._temp_comp = value

    def halt(self) -> None:
        """Stop where the focuser is."""
        self.require("Halt", self.can_halt)
        self._motion = self._motion.stopped(self.now)

    def move(self, value: int) -> None:
        """Start to move to a position, or by a distance if the focuser is relative."""
        start = self._motion.position(self.now)
        if self.absolute:
            goal: float = self.checked("Position", value, 0, self.max_step)
        else:
            limit = self.max_increment
            goal = start + self.checked("Position", value, -limit, limit)
        self._motion = Motion(start, goal, self.speed, self.now + self.start_lag)

    def state_readers(self) -> Mapping[str, Callable[[], object]]:
        """Return the members that `DeviceState` contains."""
        return {
            "IsMoving": self.get_is_moving,
            "Position": self.get_position,
            "Temperature": lambda: self.temperature,
        }

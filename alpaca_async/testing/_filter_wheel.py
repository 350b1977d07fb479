"""The simulated filter wheel: IFilterWheelV3 without the network protocol."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ._core import SimulatedDevice
from ._motion import Motion, at_rest, speed_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True, slots=True)
class SimulatedFilter:
    """A filter: its name, what passes of red, green and blue, and its focus offset in steps."""

    name: str
    passes: tuple[float, float, float] = (1.0, 1.0, 1.0)
    focus_offset: int = 0


_FILTERS = (
    SimulatedFilter("L"),
    SimulatedFilter("R", (0.90, 0.02, 0.00), 40),
    SimulatedFilter("G", (0.02, 0.90, 0.02), 25),
    SimulatedFilter("B", (0.00, 0.02, 0.85), -30),
    SimulatedFilter("Ha", (0.08, 0.00, 0.00), 60),
)


@dataclass(kw_only=True, eq=False, repr=False)
class SimulatedFilterWheel(SimulatedDevice):
    """A filter wheel in software."""

    device_type: ClassVar[str] = "filterwheel"

    name: str = "Simulated filter wheel"
    description: str = "A filter wheel without hardware"
    interface_version: int = 3
    """2 or 3."""
    filters: tuple[SimulatedFilter, ...] = _FILTERS
    seconds_per_filter: float = 0.5
    """The time from one filter to the next."""
    jammed: bool = False
    """Whether the wheel is stuck: a movement then never ends. Can be set at any time."""

    def __post_init__(self) -> None:
        """Start with the first filter in place."""
        super().__post_init__()
        self._motion = at_rest(0, speed_of(1, self.seconds_per_filter))

    @property
    def filter(self) -> SimulatedFilter:
        """The filter in place; between two filters, the one that is closer."""
        return self.filters[round(self._motion.position(self.now))]

    def get_names(self) -> list[str]:
        """Return the names of the filters."""
        return [each.name for each in self.filters]

    def get_focus_offsets(self) -> list[int]:
        """Return the focus offsets of the filters, in steps."""
        return [each.focus_offset for each in self.filters]

    def get_position(self) -> int:
        """Return the position of the filter in place, -1 while the wheel moves."""
        self.require_connected()
        if self.now < self._motion.began:  # within start_lag
            return round(self._motion.start)
        moving = self._motion.is_moving(self.now)
        return -1 if moving or self._is_stuck() else round(self._motion.goal)

    def set_position(self, value: int) -> None:
        """Start to move to a position."""
        goal = self.checked("Position", value, 0, len(self.filters) - 1)
        start = round(self._motion.position(self.now))
        self._motion = Motion(start, goal, self._motion.speed, self.now + self.start_lag)

    def state_readers(self) -> Mapping[str, Callable[[], object]]:
        """Return the members that `DeviceState` contains."""
        return {"Position": self.get_position}

    def _is_stuck(self) -> bool:
        return self.jammed and self._motion.start != self._motion.goal

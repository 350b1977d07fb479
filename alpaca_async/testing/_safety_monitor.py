"""The simulated safety monitor: ISafetyMonitorV3 without the network protocol."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from alpaca_async._errors import InvalidValueException

from ._core import SimulatedDevice

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_WORDS: Final = {"true": True, "false": False}


@dataclass(kw_only=True, eq=False, repr=False)
class SimulatedSafetyMonitor(SimulatedDevice):
    """A safety monitor in software. A client changes it with the action `SetSafe`."""

    device_type: ClassVar[str] = "safetymonitor"

    name: str = "Simulated safety monitor"
    description: str = "A safety monitor without hardware"
    interface_version: int = 3
    """1, 2 or 3."""
    initially_safe: bool = True

    def __post_init__(self) -> None:
        """Start safe, or unsafe."""
        super().__post_init__()
        self._safe = self.initially_safe

    def get_is_safe(self) -> bool:
        """Return whether it is safe."""
        self.require_connected()
        return self._safe

    def make_safe(self) -> None:
        """Report from now on that it is safe."""
        self._safe = True

    def make_unsafe(self) -> None:
        """Report from now on that it is not safe."""
        self._safe = False

    @property
    def supported_actions(self) -> list[str]:
        """The names of the actions that `action` supports."""
        return ["SetSafe"]

    def action(self, name: str, parameters: str) -> str:
        """Run `SetSafe` with `true` or `false`; the case of both does not matter."""
        if name.lower() != "setsafe":
            return super().action(name, parameters)
        self.require_connected()
        if parameters.lower() not in _WORDS:
            raise InvalidValueException(0x401, "SetSafe takes true or false")
        self._safe = _WORDS[parameters.lower()]
        return ""

    def state_readers(self) -> Mapping[str, Callable[[], object]]:
        """Return the members that `DeviceState` contains."""
        return {"IsSafe": self.get_is_safe}

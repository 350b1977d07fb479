"""An interface of ASCOM as tables: what each GET reads and what each PUT does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, NoReturn, TypeAlias, TypeVar

from alpaca_async._errors import NotImplementedException

from ._core import SimulatedDevice

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ._protocol import Parameters

D = TypeVar("D", bound=SimulatedDevice)
Read: TypeAlias = "Callable[[D], object]"
Write: TypeAlias = "Callable[[D, Parameters], object]"

_DRIVER_INFO: Final = "alpaca_async's simulated {}: no hardware, simulated physics"


def boolean(device: SimulatedDevice, parameters: Parameters, name: str) -> bool:
    """Return a boolean parameter, as this device understands it."""
    if device.true_word:
        return parameters.text(name) == device.true_word
    return parameters.boolean(name)


def _command(device: SimulatedDevice, parameters: Parameters) -> NoReturn:
    parameters.text("Command")
    parameters.boolean("Raw")
    raise NotImplementedException(0x400, f"{device.name} does not implement commands")


COMMON_READS: Final[dict[str, Read[SimulatedDevice]]] = {
    "connected": lambda d: d.connected,
    "connecting": lambda d: d.connecting,
    "description": lambda d: d.description,
    "devicestate": lambda d: d.get_device_state(),
    "driverinfo": lambda d: _DRIVER_INFO.format(d.device_type),
    "driverversion": lambda _: "1.0",
    "interfaceversion": lambda d: d.interface_version,
    "name": lambda d: d.name,
    "supportedactions": lambda d: d.supported_actions,
}
"""Members of every device, which can be read before it is connected."""

COMMON_WRITES: Final[dict[str, Write[SimulatedDevice]]] = {
    "action": lambda d, p: d.action(p.text("Action"), p.text("Parameters")),
    "commandblind": _command,
    "commandbool": _command,
    "commandstring": _command,
    "connect": lambda d, _: d.connect(),
    "connected": lambda d, p: d.set_connected(boolean(d, p, "Connected")),
    "disconnect": lambda d, _: d.disconnect(),
}
"""Members of every device that can be written or called."""

_PLATFORM_7: Final = ("connect", "connecting", "devicestate", "disconnect")


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface(Generic[D]):
    """The members of one type of device, besides the common ones."""

    name: str
    """ASCOM's name of the type."""
    reads: Mapping[str, Read[D]]
    """They raise NotConnected before the device is connected."""
    writes: Mapping[str, Write[D]]
    """Each parses its parameters before it acts."""
    platform_7: int
    """The first version with Connect, Disconnect, Connecting and DeviceState."""
    introduced_in: Mapping[str, int]
    """The version that introduced a member, where it is not the first one here."""

    def read(self, device: D, member: str) -> object:
        """Return the value of a member."""
        if member in COMMON_READS:
            return COMMON_READS[member](device)
        device.require_connected()
        return self.reads[member](device)

    def write(self, device: D, member: str, parameters: Parameters) -> object:
        """Set a property or call a method; return its value, if any."""
        write = COMMON_WRITES.get(member) or self.writes[member]
        return write(device, parameters)

    def has(self, device: D, verb: str, member: str) -> bool:
        """Return whether the interface version of `device` has `member` for `verb`."""
        common, own = (COMMON_WRITES, self.writes) if verb == "PUT" else (COMMON_READS, self.reads)
        known = member in common or member in own
        return known and device.interface_version >= self._introduced_in(member)

    def _introduced_in(self, member: str) -> int:
        return self.platform_7 if member in _PLATFORM_7 else self.introduced_in.get(member, 0)

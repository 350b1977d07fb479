"""The members of a camera for `get` and `set`: names, groups, units, and types."""

from __future__ import annotations

import math
from dataclasses import dataclass
from difflib import get_close_matches
from enum import IntEnum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final, get_type_hints

from alpaca_async._camera import AsyncCamera

from ._usage import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

GROUPS: Final[dict[str, tuple[str, ...]]] = {
    "device": (
        "name",
        "description",
        "driver_info",
        "driver_version",
        "interface_version",
        "supported_actions",
        "connected",
        "connecting",
    ),
    "sensor": (
        "sensor_name",
        "sensor_type",
        "camera_x_size",
        "camera_y_size",
        "pixel_size_x",
        "pixel_size_y",
        "bayer_offset_x",
        "bayer_offset_y",
        "max_adu",
        "full_well_capacity",
        "electrons_per_adu",
        "has_shutter",
    ),
    "capabilities": (
        "can_abort_exposure",
        "can_stop_exposure",
        "can_asymmetric_bin",
        "can_fast_readout",
        "can_pulse_guide",
        "can_set_ccd_temperature",
        "can_get_cooler_power",
    ),
    "frame": (
        "bin_x",
        "bin_y",
        "max_bin_x",
        "max_bin_y",
        "start_x",
        "start_y",
        "num_x",
        "num_y",
    ),
    "gain and readout": (
        "gain",
        "gain_min",
        "gain_max",
        "gains",
        "offset",
        "offset_min",
        "offset_max",
        "offsets",
        "readout_mode",
        "readout_modes",
        "fast_readout",
    ),
    "cooling": (
        "ccd_temperature",
        "ccd_temperature_setpoint",
        "cooler_on",
        "cooler_power",
        "heat_sink_temperature",
    ),
    "exposure": (
        "camera_state",
        "percent_completed",
        "image_ready",
        "is_pulse_guiding",
        "exposure_min",
        "exposure_max",
        "exposure_resolution",
        "last_exposure_duration",
        "last_exposure_start_time",
        "sub_exposure_duration",
    ),
}
"""The members that have one value, by group, in display order."""

_UNITS: Final = {
    "camera_x_size": "pixels",
    "camera_y_size": "pixels",
    "pixel_size_x": "µm",
    "pixel_size_y": "µm",
    "max_adu": "ADU",
    "full_well_capacity": "e-",
    "electrons_per_adu": "e-/ADU",
    "start_x": "binned pixels",
    "start_y": "binned pixels",
    "num_x": "binned pixels",
    "num_y": "binned pixels",
    "ccd_temperature": "°C",
    "ccd_temperature_setpoint": "°C",
    "cooler_power": "%",
    "heat_sink_temperature": "°C",
    "percent_completed": "%",
    "exposure_min": "s",
    "exposure_max": "s",
    "exposure_resolution": "s",
    "last_exposure_duration": "s",
    "last_exposure_start_time": "UTC",
    "sub_exposure_duration": "s",
}

_ALIASES: Final = {"setccdtemperature": "ccd_temperature_setpoint"}
"""ASCOM names, in lower case, of members with a different name here."""

_BOOLEANS: Final = {
    **dict.fromkeys(("true", "on", "yes", "1"), True),
    **dict.fromkeys(("false", "off", "no", "0"), False),
}
_WILDCARDS: Final = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class Member:
    """A property of a camera; `writable_type` is None if it is read-only."""

    name: str
    group: str
    unit: str
    writable_type: type | None

    def parse(self, text: str) -> Any:  # noqa: ANN401 - depends on the member
        """Convert `text` to the type of the member; raise `UsageError` if that fails."""
        if self.writable_type is None:
            raise UsageError(f"{self.name} is read-only")
        try:
            return _PARSERS[self.writable_type](text.strip())
        except (KeyError, ValueError):
            expected = _EXPECTED[self.writable_type]
            raise UsageError(f"{self.name}={text}: expected {expected}") from None


def _bool(text: str) -> bool:
    return _BOOLEANS[text.lower()]


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


_PARSERS: Final[dict[type, Callable[[str], Any]]] = {
    bool: _bool,
    int: int,
    float: _float,
}
_EXPECTED: Final = {bool: "true or false", int: "a whole number", float: "a number"}


def _member(group: str, name: str) -> Member:
    setter = getattr(AsyncCamera, f"set_{name}", None)
    hints = {} if setter is None else get_type_hints(setter)
    types = [hint for parameter, hint in hints.items() if parameter != "return"]
    return Member(name, group, _UNITS.get(name, ""), types[0] if types else None)


MEMBERS: Final = {name: _member(group, name) for group, names in GROUPS.items() for name in names}


def is_pattern(text: str) -> bool:
    """Whether `text` contains wildcards."""
    return not _WILDCARDS.isdisjoint(text)


def find(text: str) -> Member:
    """Return the member with this name, ours or that of ASCOM; raise `UsageError` if none."""
    wanted = _compact(text)
    name = _ALIASES.get(wanted, wanted)
    for member in MEMBERS.values():
        if _compact(member.name) == _compact(name):
            return member
    close = get_close_matches(text.lower(), MEMBERS, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    raise UsageError(f"a camera has no member {text!r}{hint}")


def select(patterns: Iterable[str]) -> Sequence[Member]:
    """Return the members that match `patterns`, without duplicates; all members if empty."""
    selected = [member for pattern in patterns for member in _matching(pattern)]
    return list(dict.fromkeys(selected)) or list(MEMBERS.values())


def _matching(pattern: str) -> list[Member]:
    if not is_pattern(pattern):
        return [find(pattern)]
    lowered = pattern.lower()
    matches = [
        member
        for member in MEMBERS.values()
        if fnmatchcase(member.name, lowered) or fnmatchcase(_compact(member.name), lowered)
    ]
    if not matches:
        raise UsageError(f"no member of a camera matches {pattern!r}")
    return matches


def _compact(name: str) -> str:
    return name.lower().replace("_", "")


def json_value(value: object) -> object:
    """Return `value` for JSON: an enum member becomes its name."""
    return value.name if isinstance(value, IntEnum) else value


def text_of(value: object) -> str:
    """Return `value` as text; `Member.parse` accepts the same format."""
    if isinstance(value, bool | IntEnum):
        return str(json_value(value)).lower()
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, list):
        return ", ".join(map(text_of, value))  # pyright: ignore[reportUnknownArgumentType,reportUnknownVariableType] - of Any
    return str(value)


def complete_name(incomplete: str) -> list[str]:
    """Return the completions of a member name."""
    return [name for name in MEMBERS if name.startswith(incomplete)]


def complete_assignment(incomplete: str) -> list[str]:
    """Return the completions `NAME=` for writable members."""
    return [
        f"{name}=" for name in complete_name(incomplete) if MEMBERS[name].writable_type is not None
    ]

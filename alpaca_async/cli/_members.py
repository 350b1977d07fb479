"""The members of a camera by name: which there are, what they are called, how they are typed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from difflib import get_close_matches
from enum import IntEnum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final, get_type_hints

from alpaca_async._camera import AsyncCamera

from ._usage import WrongUsage

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
    "abilities": (
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
"""All that has one value, by subject, in the order in which it is shown."""

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
"""ASCOM's names, in lower case, of what has another name here."""

_BOOLEANS: Final = {
    **dict.fromkeys(("true", "on", "yes", "1"), True),
    **dict.fromkeys(("false", "off", "no", "0"), False),
}
_WILDCARDS: Final = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class Member:
    """A property of a camera; `kind` is what can be written, None if nothing can."""

    name: str
    group: str
    unit: str
    kind: type | None

    def parse(self, text: str) -> Any:  # noqa: ANN401 - of the member's own type
        """Return `text` as a value that can be written; `WrongUsage` if it is none."""
        if self.kind is None:
            raise WrongUsage(f"{self.name} can only be read")
        try:
            return _PARSERS[self.kind](text.strip())
        except (KeyError, ValueError):
            expected = _EXPECTED[self.kind]
            raise WrongUsage(f"{self.name}={text}: {expected} is expected") from None


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
    kinds = [kind for parameter, kind in hints.items() if parameter != "return"]
    return Member(name, group, _UNITS.get(name, ""), kinds[0] if kinds else None)


MEMBERS: Final = {name: _member(group, name) for group, names in GROUPS.items() for name in names}


def is_pattern(text: str) -> bool:
    """Whether `text` may stand for several members."""
    return not _WILDCARDS.isdisjoint(text)


def find(text: str) -> Member:
    """Return the member that `text` names, as here or as ASCOM does; `WrongUsage` if none."""
    wanted = _compact(text)
    name = _ALIASES.get(wanted, wanted)
    for member in MEMBERS.values():
        if _compact(member.name) == _compact(name):
            return member
    close = get_close_matches(text.lower(), MEMBERS, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    raise WrongUsage(f"a camera has no member {text!r}{hint}")


def select(patterns: Iterable[str]) -> Sequence[Member]:
    """Return the members that `patterns` name, each once; all of them if there are none."""
    chosen = [member for pattern in patterns for member in _matching(pattern)]
    return list(dict.fromkeys(chosen)) or list(MEMBERS.values())


def _matching(pattern: str) -> list[Member]:
    if not is_pattern(pattern):
        return [find(pattern)]
    folded = pattern.lower()
    matches = [
        member
        for member in MEMBERS.values()
        if fnmatchcase(member.name, folded) or fnmatchcase(_compact(member.name), folded)
    ]
    if not matches:
        raise WrongUsage(f"no member of a camera matches {pattern!r}")
    return matches


def _compact(name: str) -> str:
    return name.lower().replace("_", "")


def plain(value: object) -> object:
    """Return `value` as JSON has it; a number with a name by its name, which says more."""
    return value.name if isinstance(value, IntEnum) else value


def text_of(value: object) -> str:
    """Return `value` as people, and `parse`, read it."""
    if isinstance(value, bool | IntEnum):
        return str(plain(value)).lower()
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, list):
        return ", ".join(map(text_of, value))  # pyright: ignore[reportUnknownArgumentType,reportUnknownVariableType] - of Any
    return str(value)


def complete_name(incomplete: str) -> list[str]:
    """Return the members that a shell may offer."""
    return [name for name in MEMBERS if name.startswith(incomplete)]


def complete_assignment(incomplete: str) -> list[str]:
    """Return the beginnings of assignments that a shell may offer."""
    return [f"{name}=" for name in complete_name(incomplete) if MEMBERS[name].kind is not None]

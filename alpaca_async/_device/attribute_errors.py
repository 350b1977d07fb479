"""AttributeError for names that do not exist: it says which method to await instead."""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache
from inspect import Parameter, signature
from reprlib import repr as short_repr
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_OTHER_NAMES: Final = {
    "abort": "abort_exposure",
    "binning": "set_frame",
    "capture": "expose",
    "close": "aclose",
    "exposure": "expose",
    "getbinning": "get_bin_x",
    "getframe": "get_settings",
    "getroi": "get_settings",
    "getsetccdtemperature": "get_ccd_temperature_setpoint",
    "gettargettemperature": "get_ccd_temperature_setpoint",
    "gettemperature": "get_ccd_temperature",
    "isconnected": "get_connected",
    "roi": "set_frame",
    "setbinning": "set_frame",
    "setccdtemperature": "set_ccd_temperature_setpoint",
    "setroi": "set_frame",
    "setsetccdtemperature": "set_ccd_temperature_setpoint",
    "setsubframe": "set_frame",
    "settargettemperature": "set_ccd_temperature_setpoint",
    "settemperature": "cool_to",
    "stop": "stop_exposure",
    "subframe": "set_frame",
    "takeimage": "expose",
    "takepicture": "expose",
    "temperature": "get_ccd_temperature",
}
"""Methods by the names that other libraries use, in lower case and without underscores."""

_SIMILARITY: Final = 0.8
_VERBS: Final = ("get_", "set_")


class AttributeErrors:
    """Refuses attributes that do not exist, and names the method to await instead.

    Otherwise the assignment `camera.Gain = 100`, as in blocking libraries, would have no effect
    and raise no error. A subclass may add any attribute whose name is not a member in ASCOM.
    """

    if not TYPE_CHECKING:  # type checkers would accept every name

        def __getattr__(self, name: str) -> object:
            raise _read_error(type(self), name)

        def __setattr__(self, name: str, value: object) -> None:
            if not _may_be_set(type(self), name):
                raise _write_error(type(self), name, value)
            super().__setattr__(name, value)


def _may_be_set(cls: type, name: str) -> bool:
    if name.startswith("_") or hasattr(cls, name):
        return True
    is_subclass_of_users = cls.__module__.split(".")[0] != __name__.split(".")[0]
    return is_subclass_of_users and not _is_ascom_name(cls, name)


def _is_ascom_name(cls: type, name: str) -> bool:
    return name[0].isupper() and _method_for(cls, name, *_VERBS) is not None


def _read_error(cls: type, name: str) -> AttributeError:
    if name.startswith("_"):
        return _error(cls, name, "")
    prefixes = ("",) if name.startswith(_VERBS) else ("get_", "")
    method = _method_for(cls, name, *prefixes) or _similar(cls, name)
    return _error(cls, name, f": {_call(cls, method)}" if method else "")


def _write_error(cls: type, name: str, value: object) -> AttributeError:
    if setter := _method_for(cls, name, "set_"):
        return _error(cls, name, f": {_call(cls, setter, short_repr(value))}")
    if getter := _method_for(cls, name, "get_"):
        return _error(cls, name, f", and its value cannot be set: {_call(cls, getter)}")
    method = _method_for(cls, name, "") or _similar(cls, f"set_{name}")
    return _error(cls, name, f": {_call(cls, method)}" if method else "")


def _error(cls: type, name: str, hint: str) -> AttributeError:
    # Without `obj`, tracebacks do not add a suggestion by similarity, which is often wrong.
    return AttributeError(f"{cls.__name__!r} object has no attribute {name!r}{hint}", name=name)


def _call(cls: type, method: str, value: str = "...") -> str:
    variable = cls.__name__.removeprefix("Async").lower()
    return f"use `await {variable}.{method}({_arguments(getattr(cls, method), value)})`"


def _arguments(method: Callable[..., object], value: str) -> str:
    _, *parameters = signature(method).parameters.values()
    if not parameters or method.__name__.startswith("get_"):
        return ""
    return value if parameters[0].kind is Parameter.POSITIONAL_OR_KEYWORD else "..."


def _method_for(cls: type, name: str, *prefixes: str) -> str | None:
    """Return the method for a member's name in ASCOM, in snake case, or in other libraries."""
    methods = _methods(cls)
    compact = _compact(name)
    for prefix in prefixes:
        key = _compact(prefix) + compact
        method = methods.get(key) or methods.get(_compact(_OTHER_NAMES.get(key, "")))
        if method:
            return method
    return None


def _similar(cls: type, name: str) -> str | None:
    """Return the method whose name is similar, with the same verb."""
    verb = name[:4] if name.startswith(_VERBS) else ""
    methods = [method for method in _methods(cls).values() if method.startswith(verb)]
    return next(iter(get_close_matches(name, methods, 1, _SIMILARITY)), None)


@cache
def _methods(cls: type) -> Mapping[str, str]:
    """The public methods, by their names without underscores."""
    names = [name for name in dir(cls) if not name.startswith("_")]
    return {_compact(name): name for name in names if callable(getattr(cls, name))}


def _compact(name: str) -> str:
    return name.lower().replace("_", "")

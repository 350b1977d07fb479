"""Converts between JSON values and Python values. Accepts harmless deviations; never guesses."""

from __future__ import annotations

import math
from decimal import Decimal
from enum import IntEnum
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from alpaca_async._errors import MalformedResponse

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_MAX_QUOTED: Final = 80
_BOOLEANS: Final[dict[object, bool]] = {
    True: True,  # equal to 1 and 1.0 as a key
    False: False,
    "true": True,
    "false": False,
    "1": True,
    "0": False,
}


def decode(kind: type[T], raw: object) -> T:
    """Return `raw` converted to `kind`: `bool`, `int`, `float`, `str` or an `IntEnum`.

    Besides the exact type, this accepts integral floats and numeric strings as numbers, and `0`,
    `1` and `"true"` as booleans. Raises `MalformedResponse` for anything else.
    """
    try:
        return kind(_int(raw)) if issubclass(kind, IntEnum) else cast("T", _DECODERS[kind](raw))
    except (TypeError, ValueError, OverflowError, KeyError):
        raise MalformedResponse(f"{quoted(raw)} is not of type {kind.__name__}") from None


def decoder_of(kind: type[T]) -> Callable[[object], T]:
    """Return the function that converts a JSON value to `kind`.

    `kind` is one that `decode` knows, or `list[str]`, `list[int]` or `list[dict[str, Any]]`. Raises
    `TypeError` for any other.
    """
    if (of_list := _LIST_DECODERS.get(kind)) is not None:
        return of_list
    if kind in _DECODERS or _is_enum(kind):
        return partial(decode, kind)
    raise TypeError(
        "a value is of type bool, int, float, str, an IntEnum, list[str], list[int] or"
        f" list[dict[str, Any]], not {quoted(kind)}"
    )


def _is_enum(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, IntEnum)


def decode_percent(raw: object) -> int:
    """Return `raw` rounded to an integer: some servers send fractions of a percent."""
    return round(decode(float, raw))


def decode_size(raw: object) -> int:
    """Return `raw` as an integer; raise `MalformedResponse` unless it is at least 1."""
    if (size := decode(int, raw)) < 1:
        raise MalformedResponse(f"the value is {size}, but must be at least 1")
    return size


def decode_strings(raw: object) -> list[str]:
    """Return `raw` as a list of strings."""
    return [decode(str, item) for item in _list(raw)]


def decode_integers(raw: object) -> list[int]:
    """Return `raw` as a list of integers."""
    return [decode(int, item) for item in _list(raw)]


def decode_records(raw: object) -> list[dict[str, Any]]:
    """Return `raw` as a list of JSON objects."""
    return [decode_record(item) for item in _list(raw)]


def decode_record(raw: object) -> dict[str, Any]:
    """Return `raw` as a JSON object."""
    if isinstance(raw, dict):
        return cast("dict[str, Any]", raw)
    raise MalformedResponse(f"{quoted(raw)} is not a JSON object")


def quoted(raw: object) -> str:
    """Return the `repr` of `raw`, shortened for an error message."""
    text = repr(raw)
    return text if len(text) <= _MAX_QUOTED else text[: _MAX_QUOTED - 3] + "..."


def _list(raw: object) -> list[Any]:
    if isinstance(raw, list):
        return raw  # pyright: ignore[reportUnknownVariableType] - of Any
    raise MalformedResponse(f"{quoted(raw)} is not a list")


def _bool(raw: object) -> bool:
    return _BOOLEANS[raw.lower() if isinstance(raw, str) else raw]


def _int(raw: object) -> int:
    number = raw if type(raw) is int else _whole(raw)
    if not -(2**63) <= number < 2**63:
        raise OverflowError(raw)
    return number


def _whole(raw: object) -> int:
    number = _float(raw)
    if not number.is_integer():
        raise ValueError(raw)
    return int(raw) if isinstance(raw, str) and raw.strip().lstrip("+-").isdigit() else int(number)


def _float(raw: object) -> float:
    if isinstance(raw, bool) or not isinstance(raw, int | float | str):
        raise TypeError(raw)
    if isinstance(raw, str) and "_" in raw:  # valid for Python, not for JSON
        raise ValueError(raw)
    number = float(raw)
    if not math.isfinite(number):
        raise ValueError(raw)
    return number


def _str(raw: object) -> str:
    if isinstance(raw, str):
        return raw
    raise TypeError(raw)


_DECODERS: Final[dict[type, Callable[[object], Any]]] = {
    bool: _bool,
    int: _int,
    float: _float,
    str: _str,
}

_LIST_DECODERS: Final[dict[object, Callable[[object], Any]]] = {
    list[str]: decode_strings,
    list[int]: decode_integers,
    list[dict[str, Any]]: decode_records,
}


def encode(value: object) -> str:
    """Return `value` as the text of a form field: `True`, `7`, `0.00001`; a string unchanged."""
    if isinstance(value, float):
        return format(Decimal(repr(value)), "f")
    if isinstance(value, IntEnum):
        return str(int(value))
    return str(value)


def check_bool(name: str, value: bool) -> bool:
    """Return `value`; raise `TypeError` unless it is a bool."""
    if isinstance(value, bool):  # pyright: ignore[reportUnnecessaryIsInstance] - from a caller
        return value
    raise TypeError(f"{name} must be a bool, not {quoted(value)}")


def check_int(name: str, value: int) -> int:
    """Return `value` as a 32-bit int; raise `TypeError` for a bool or a float."""
    number = check_index(name, value)
    if not -(2**31) <= number < 2**31:
        raise ValueError(f"{name} must fit 32 bits, not {number}")
    return number


def check_index(name: str, value: int) -> int:
    """Return `value` as an int of any size; raise `TypeError` for a bool or a float."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name} must be an int, not {quoted(value)}")
    return value.__index__()


def check_float(name: str, value: float) -> float:
    """Return `value` as a finite float; raise `TypeError` for a bool or a string."""
    if isinstance(value, bool | str) or not hasattr(value, "__float__"):
        raise TypeError(f"{name} must be a number, not {quoted(value)}")
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{name} must be finite, not {number}")
    return number


def check_duration(name: str, value: float) -> float:
    """Return `value` as a finite float; raise `ValueError` if it is negative."""
    number = check_float(name, value)
    if number < 0:
        raise ValueError(f"{name} must not be negative, not {number}")
    return number


def check_count(name: str, number: int) -> int:
    """Return `number` as `check_index` does; raise `ValueError` if it is negative."""
    count = check_index(name, number)
    if count < 0:
        raise ValueError(f"{name} must not be negative, not {count}")
    return count


def check_limit(name: str, value: float | None) -> float:
    """Return `value` in seconds as a float, infinite for None; raise as `check_duration` does."""
    return math.inf if value is None or value == math.inf else check_duration(name, value)


def check_str(name: str, value: str) -> str:
    """Return `value`; raise `TypeError` unless it is a string."""
    if isinstance(value, str):  # pyright: ignore[reportUnnecessaryIsInstance] - from a caller
        return value
    raise TypeError(f"{name} must be a string, not {quoted(value)}")

"""Options and arguments that are numbers with decimals."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

_WITH_COMMA: Final = re.compile(r"-?\d*,\d+", re.ASCII)


def decimal(low: float = -math.inf, high: float = math.inf) -> Callable[[str | float], float]:
    """Return a parser of numbers from `low` to `high`, with errors that say what to write."""

    def parse(text: str | float) -> float:
        try:
            value = float(text)
        except ValueError:
            raise typer.BadParameter(_instead_of(str(text))) from None
        if not (math.isfinite(value) and low <= value <= high):
            raise typer.BadParameter(f"must be {_range(low, high)}, not {text}")
        return value

    return parse


def _instead_of(text: str) -> str:
    if _WITH_COMMA.fullmatch(text):
        return f"{text!r} has a comma; use a point: {text.replace(',', '.')}"
    return f"{text!r} is not a number"


def _range(low: float, high: float) -> str:
    if math.isinf(low):
        return "a number"
    return f"at least {low:g}" if math.isinf(high) else f"between {low:g} and {high:g}"

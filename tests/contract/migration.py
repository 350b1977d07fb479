"""The tables of the page for those who come from alpyca, made from the table of the contract.

`python -m tests.contract.migration` writes them into the page; a test compares.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .table import (
    CAMERA,
    COMMON,
    COVER_CALIBRATOR,
    ERRORS,
    FILTER_WHEEL,
    FOCUSER,
    IMAGE_METADATA,
    MANAGEMENT,
    SAFETY_MONITOR,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .table import Field, Member, ValueType

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "migrate-from-alpyca.md"

_BLOCK: Final = re.compile(r"(<!-- made: (\w+) -->\n).*?(?=<!-- made until here -->)", re.DOTALL)
_UNKNOWN_TO_ALPYCA: Final = "ImageArrayVariant"
_TYPES: Final[dict[ValueType, str]] = {
    "none": "",
    "double": "float",
    "string": "str",
    "list[object]": "list[dict]",
    "image": "ndarray",
}
"""Python's name of a type, where it is not that of the table."""


def tables() -> dict[str, str]:
    """Return the tables by the names that they have in the page."""
    return {
        "common": _members(COMMON),
        "camera": _members(CAMERA),
        "filterwheel": _members(FILTER_WHEEL),
        "focuser": _members(FOCUSER),
        "covercalibrator": _members(COVER_CALIBRATOR),
        "safetymonitor": _members(SAFETY_MONITOR),
        "metadata": _metadata(),
        "errors": _errors(),
        "management": _management(),
    }


def written(page: str) -> str:
    """Return `page` with its tables as they shall be."""
    known = tables()
    return _BLOCK.sub(lambda match: f"{match[1]}\n{known[match[2]]}\n", page)


def _members(members: Iterable[Member]) -> str:
    rows = (_row(member) for member in members if member.ascom != _UNKNOWN_TO_ALPYCA)
    return _table(("alpyca", "alpaca_async", "type"), rows)


def _row(member: Member) -> tuple[str, str, str]:
    kind = _with_unit(member.value, member.unit)
    if member.kind == "method":
        names = ", ".join(field.name for field in member.fields)
        return f"`{member.ascom}({names})`", f"`{_call(member.name, member.fields)}`", kind
    if member.local:
        return f"`{member.ascom}`", f"`{member.get_name}` (a property)", kind
    ours = [f"`{member.get_name}()`"]
    if member.set_name is not None:
        ours.append(f"`{member.set_name}({member.name})`")
    return f"`{member.ascom}`", ", ".join(ours), kind


def _call(name: str, fields: Iterable[Field]) -> str:
    return f"{name}({', '.join(_parameter(field) for field in fields)})"


def _parameter(field: Field) -> str:
    return field.parameter if field.default is None else f"{field.parameter}={field.default!r}"


def _with_unit(value: ValueType, unit: str) -> str:
    name = _TYPES.get(value, value)
    return ", ".join(part for part in (f"`{name}`" if name else "", unit) if part)


def _metadata() -> str:
    rows = (
        (f"`{theirs}`", f"`{ours}`", f"`{kind}`") for theirs, (ours, kind) in IMAGE_METADATA.items()
    )
    return _table(("`ImageArrayInfo` in alpyca", "`ImageMetadata`", "type"), rows)


def _errors() -> str:
    rows = ((f"0x{number:X}", name, f"`{kind}`") for number, (name, kind) in ERRORS.items())
    return _table(("number", "ASCOM's name", "raised"), rows)


def _management() -> str:
    rows = (
        (f"`{operation.path.rpartition('/')[2]}(addr)`", f"`client.{operation.coroutine}(address)`")
        for operation in MANAGEMENT
    )
    return _table(("`alpaca.management`", "`AlpacaClient`"), rows)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    return "".join(_lines([head, ("---",) * len(head), *rows]))


def _lines(rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    for row in rows:
        yield f"| {' | '.join(row)} |\n"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")

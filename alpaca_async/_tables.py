"""Records as HTML tables, which notebooks show."""

from __future__ import annotations

from dataclasses import fields
from enum import Enum
from html import escape
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_MAX_LENGTH: Final = 80
"""Characters of a value; servers may send names and lists of any length."""


class ShownAsTable:
    """A dataclass that notebooks show as a table of the fields that are known."""

    __slots__ = ()

    def _repr_html_(self: DataclassInstance) -> str:
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        known = {name: value for name, value in values.items() if value is not None}
        return html_table(type(self).__name__, known)


def html_table(caption: str, rows: dict[str, Any]) -> str:
    """Return a table with a row for each name and value."""
    body = "".join(f"<tr><th>{escape(name)}</th><td>{_cell(rows[name])}</td></tr>" for name in rows)
    return f"<table><caption>{escape(caption)}</caption>{body}</table>"


def _cell(value: object) -> str:
    text = _text(value)
    return escape(text if len(text) <= _MAX_LENGTH else f"{text[:_MAX_LENGTH]}…")


def _text(value: object) -> str:
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, tuple):
        return ", ".join(map(str, cast("tuple[object, ...]", value)))
    return f"{value:.6g}" if isinstance(value, float) else str(value)

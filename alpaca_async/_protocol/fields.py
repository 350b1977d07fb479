"""The fields of a JSON reply: what they are called, and the error that they report. Pure."""

from __future__ import annotations

from typing import Any, Final

from alpaca_async._errors import ascom_error

from .values import decode, quoted

_PROPER_NAMES: Final = frozenset(
    {
        "Value",
        "Type",
        "Rank",
        "ErrorNumber",
        "ErrorMessage",
        "ClientTransactionID",
        "ServerTransactionID",
    }
)
_BY_LOWER: Final = {name.lower(): name for name in _PROPER_NAMES}


def properly_named(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a reply with the names that ASCOM gives them, however they are cased.

    Some servers write `errorNumber`: an error must not pass for a success. Of a field that comes
    in several cases the proper one counts.
    """
    if fields.keys() <= _PROPER_NAMES:
        return fields
    proper = {name: value for name, value in fields.items() if name in _PROPER_NAMES}
    return {_BY_LOWER.get(name.lower(), name): value for name, value in fields.items()} | proper


def error_number(fields: dict[str, Any]) -> int:
    """Return the number of the error, 0 where there is none."""
    number = fields.get("ErrorNumber")
    return 0 if number is None else decode(int, number)


def raise_reported(fields: dict[str, Any]) -> None:
    """Raise the `AscomError` that the fields report, if they do; missing ones report none."""
    number = error_number(fields)
    message = fields.get("ErrorMessage") or ""
    if number or message:
        text = message if isinstance(message, str) else quoted(message)
        raise ascom_error(number, text.encode("utf-8", "replace").decode())  # no half surrogates

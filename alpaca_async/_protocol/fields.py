"""The fields of a JSON reply: their ASCOM names, and the error that they report. Pure."""

from __future__ import annotations

from typing import Any, Final

from alpaca_async._errors import ascom_error

from .values import decode, quoted

_ASCOM_NAMES: Final = frozenset(
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
_BY_LOWER: Final = {name.lower(): name for name in _ASCOM_NAMES}


def with_ascom_names(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a reply under their ASCOM names, whatever their upper and lower case.

    Some servers write `errorNumber`; without this, an error would look like a success. If a field
    occurs in several spellings, the ASCOM spelling wins.
    """
    if fields.keys() <= _ASCOM_NAMES:
        return fields
    exact = {name: value for name, value in fields.items() if name in _ASCOM_NAMES}
    return {_BY_LOWER.get(name.lower(), name): value for name, value in fields.items()} | exact


def error_number(fields: dict[str, Any]) -> int:
    """Return the error number; 0 if there is no error."""
    number = fields.get("ErrorNumber")
    return 0 if number is None else decode(int, number)


def raise_reported_error(fields: dict[str, Any]) -> None:
    """Raise the `AscomError` that the fields report, if any. Missing error fields mean success."""
    number = error_number(fields)
    message = fields.get("ErrorMessage") or ""
    if number or message:
        text = message if isinstance(message, str) else quoted(message)
        raise ascom_error(number, text.encode("utf-8", "replace").decode())  # no lone surrogates

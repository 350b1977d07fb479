"""Parameters, transaction ids and JSON envelopes of Alpaca requests. Pure functions."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from collections.abc import Iterable

    from alpaca_async._errors import AscomError

_INTEGER: Final = re.compile(r"[+-]?[0-9]+")
_NUMBER: Final = re.compile(
    r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|nan|[+-]?inf(inity)?"
)
_INT32: Final = range(-(2**31), 2**31)
_MAX_DIGITS: Final = 20
_ENCODER: Final = json.JSONEncoder(allow_nan=False)


class BadRequest(Exception):
    """The request is invalid; the server answers HTTP 400 with this text."""


class Parameters:
    """The parameters of a request; of a repeated name, the first counts."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self.values = dict(reversed(list(pairs)))

    @classmethod
    def of_query(cls, query: str) -> Parameters:
        """Parse a query string; the case of its names does not matter."""
        return cls((name.lower(), value) for name, value in parse_qsl(query, True))

    @classmethod
    def of_form(cls, body: bytes) -> Parameters:
        """Parse a form; the case of its names matters."""
        try:
            return cls(parse_qsl(body.decode("ascii"), True))
        except UnicodeDecodeError:
            raise BadRequest("The form is not percent-encoded") from None

    def text(self, name: str) -> str:
        """Return a parameter as received."""
        if name not in self.values:
            raise BadRequest(f"The parameter {name} is missing")
        return self.values[name]

    def integer(self, name: str) -> int:
        """Return a parameter that is a 32-bit integer."""
        text = self.text(name).strip()
        if len(text) > _MAX_DIGITS or not _INTEGER.fullmatch(text) or int(text) not in _INT32:
            raise BadRequest(f"{name} is not a 32-bit integer: {text[:40]}")
        return int(text)

    def number(self, name: str) -> float:
        """Return a parameter that is a number; NaN and infinity are numbers too."""
        text = self.text(name).strip().lower()
        if not _NUMBER.fullmatch(text):
            raise BadRequest(f"{name} is not a number: {text[:40]}")
        return float(text)

    def boolean(self, name: str) -> bool:
        """Return a parameter that is true or false, in any case."""
        text = self.text(name).strip().lower()
        if text not in ("true", "false"):
            raise BadRequest(f"{name} is neither true nor false: {text[:40]}")
        return text == "true"

    def client_transaction_id(self, name: str) -> int:
        """Return the id to echo, 0 if it is absent or invalid."""
        text = self.values.get(name, "")
        valid = len(text) <= _MAX_DIGITS and text.isascii() and text.isdigit()
        return int(text) if valid and int(text) < 2**32 else 0


def envelope(client_id: int, server_id: int, error: AscomError | None = None) -> dict[str, Any]:
    """Return the fields that every JSON reply has."""
    return {
        "ClientTransactionID": client_id,
        "ServerTransactionID": server_id,
        "ErrorNumber": error.number if error else 0,
        "ErrorMessage": error.message if error else "",
    }


def reply(value: object, fields: dict[str, Any]) -> bytes:
    """Return a JSON reply; it has no `Value` if `value` is None."""
    body = fields if value is None else {"Value": value, **fields}
    return _ENCODER.encode(body).encode()

"""Reply bytes -> value, or the error that the device reported. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn

from ._echo import transaction_id
from ._errors import MalformedResponse, RequestRejected, ascom_error
from ._values import decode, decode_record, quoted

if TYPE_CHECKING:
    from ._echo import CheckEcho

_MAX_QUOTED_BODY: Final = 200
# What is not closed goes to the end: else each opening would search all of the rest in vain.
_TAGS: Final = re.compile(
    r"<(script|style)\b.*?(?:</\1>|\Z)|<[a-z/!?][^>]*(?:>|\Z)", re.DOTALL | re.IGNORECASE
)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant)


@dataclass(frozen=True, slots=True)
class Envelope:
    """A successful JSON reply; `value` is None where the member returns nothing."""

    value: Any
    client_transaction_id: int
    server_transaction_id: int


def decode_envelope(body: bytes, check_echo: CheckEcho | None = None) -> Envelope:
    """Return the reply in `body`; raise the `AscomError` that it reports.

    `check_echo` gets the transaction id that the server echoes, and may refuse the reply, error
    or not. The error fields come before the value, and may be missing, as management replies
    and small servers leave them out.
    """
    fields = _parse(body)
    echoed = transaction_id(fields, "ClientTransactionID")
    if check_echo is not None:
        check_echo(echoed)
    _raise_reported(fields)
    return Envelope(fields.get("Value"), echoed, transaction_id(fields, "ServerTransactionID"))


def rejection(status: int, body: bytes) -> RequestRejected:
    """Return the error for an HTTP status other than 200, quoting `body`."""
    try:
        fields = _parse(body)
        number = decode(int, fields.get("ErrorNumber") or 0)
        text = str(fields.get("ErrorMessage") or "")
    except MalformedResponse:
        number, text = 0, ""
    text = text or _plain(body)
    reason = f"HTTP status {status}: {text}" if text else f"HTTP status {status}"
    return RequestRejected(reason, status=status, number=number)


def _raise_reported(fields: dict[str, Any]) -> None:
    number = decode(int, fields.get("ErrorNumber") or 0)
    message = fields.get("ErrorMessage") or ""
    if number or message:
        raise ascom_error(number, message if isinstance(message, str) else quoted(message))


def _parse(body: bytes) -> dict[str, Any]:
    try:
        fields = _DECODER.decode(body.decode(json.detect_encoding(body)))
    except (ValueError, RecursionError) as error:
        reason = "the reply is not JSON" if body else "the reply is empty"
        raise MalformedResponse(f"{reason}: {_plain(body)}" if body else reason) from error
    return decode_record(fields)


def _plain(body: bytes) -> str:
    text = _TAGS.sub(" ", body[:65536].decode("utf-8", "replace"))
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= _MAX_QUOTED_BODY else text[: _MAX_QUOTED_BODY - 3] + "..."

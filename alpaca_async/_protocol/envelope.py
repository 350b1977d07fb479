"""Decodes a JSON reply into its value, or raises the error that the device reported. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn

from alpaca_async._errors import MalformedResponse, RequestRejected

from .fields import error_number, raise_reported_error, with_ascom_names
from .transaction_ids import transaction_id
from .values import decode_record

if TYPE_CHECKING:
    from .transaction_ids import CheckTransactionId

_MAX_QUOTED_BODY: Final = 200
_MAX_PAGE: Final = 65536
# An unclosed tag matches to the end of the text (`\Z`). Otherwise each opening tag would scan the
# whole rest without a match: quadratic time.
_TAGS: Final = re.compile(
    r"<(script|style)\b.*?(?:</\1>|\Z)|<[a-z/!?][^>]*(?:>|\Z)", re.DOTALL | re.IGNORECASE
)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant)


@dataclass(frozen=True, slots=True)
class Envelope:
    """A successful JSON reply; `value` is None if the member returns nothing."""

    value: Any
    client_transaction_id: int
    server_transaction_id: int


def decode_envelope(
    body: bytes, check_transaction_id: CheckTransactionId | None = None
) -> Envelope:
    """Return the reply in `body`, or raise the `AscomError` that it reports.

    `check_transaction_id` is called with the echoed transaction id before the error fields are
    read, and may raise. The error fields are read before the value. Management replies and small
    servers omit the error fields; that means success.
    """
    fields = _parse(body)
    echoed = transaction_id(fields, "ClientTransactionID")
    if check_transaction_id is not None:
        check_transaction_id(echoed)
    raise_reported_error(fields)
    return Envelope(fields.get("Value"), echoed, transaction_id(fields, "ServerTransactionID"))


def rejection(status: int, body: bytes) -> RequestRejected:
    """Return the error for an HTTP status other than 200, with a short quote of `body`."""
    try:
        fields = _parse(body)
        number = error_number(fields)
        text = _short(str(fields.get("ErrorMessage") or ""))
    except MalformedResponse:
        number, text = 0, ""
    text = text or _plain(body)
    reason = f"HTTP status {status}: {text}" if text else f"HTTP status {status}"
    return RequestRejected(reason, status=status, number=number)


def _parse(body: bytes) -> dict[str, Any]:
    try:
        fields = _DECODER.decode(body.decode(json.detect_encoding(body)))
    except (ValueError, RecursionError) as error:
        reason = "the reply is not JSON" if body else "the reply is empty"
        raise MalformedResponse(f"{reason}: {_plain(body)}" if body else reason) from error
    return with_ascom_names(decode_record(fields))


def _plain(body: bytes) -> str:
    return _short(_TAGS.sub(" ", body[:_MAX_PAGE].decode("utf-8", "replace")))


def _short(text: str) -> str:
    text = text[:_MAX_PAGE]
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= _MAX_QUOTED_BODY else text[: _MAX_QUOTED_BODY - 3] + "..."

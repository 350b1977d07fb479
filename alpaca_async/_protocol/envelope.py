"""Decodes a JSON reply into its value, or raises the error that the device reported. Pure."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn

from alpaca_async._errors import MalformedResponse, RequestRejected

from .fields import error_number, raise_reported_error, with_ascom_names
from .repair import repaired
from .transaction_ids import transaction_id
from .values import decode_record

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from .transaction_ids import CheckTransactionId

    EnvelopeDecoder: TypeAlias = Callable[[bytes, CheckTransactionId], "Envelope"]

NOT_JSON: Final = "the reply is not JSON"
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


class Envelope(NamedTuple):
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
    return _envelope(_parse(body), check_transaction_id)


def decode_management(
    body: bytes, check_transaction_id: CheckTransactionId | None = None
) -> Envelope:
    """As `decode_envelope`, but accept trailing commas, and names in Latin-1.

    The name of one device shall not hide the cameras of a server.
    """
    try:
        fields = _parse(body)
    except MalformedResponse:
        fields = _parse(repaired(body))
    return _envelope(fields, check_transaction_id)


def _envelope(fields: dict[str, Any], check_transaction_id: CheckTransactionId | None) -> Envelope:
    echoed = transaction_id(fields, "ClientTransactionID")
    if check_transaction_id is not None:
        check_transaction_id(echoed)
    raise_reported_error(fields)
    return Envelope(fields.get("Value"), echoed, transaction_id(fields, "ServerTransactionID"))


def rejection(status: int, body: bytes, location: str = "") -> RequestRejected:
    """Return the error for an HTTP status other than 200, with a short quote of `body`.

    `location` is where a redirect leads.
    """
    if location:
        to = f"HTTP status {status}: redirected to {_short(location)}, which is not followed"
        return RequestRejected(to, status=status)
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
        reason = NOT_JSON if body else "the reply is empty"
        raise MalformedResponse(f"{reason}: {_plain(body)}" if body else reason) from error
    return with_ascom_names(decode_record(fields))


def _plain(body: bytes) -> str:
    return _short(_TAGS.sub(" ", body[:_MAX_PAGE].decode("utf-8", "replace")))


def _short(text: str) -> str:
    text = text[:_MAX_PAGE]
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= _MAX_QUOTED_BODY else text[: _MAX_QUOTED_BODY - 3] + "..."

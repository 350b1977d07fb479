"""Faults in JSON replies: wrong types, names and numbers, truncated text."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar, cast

from ._catalogue import fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from alpaca_async.testing._message import Reply

    from ._exchange import Exchange

Fields: TypeAlias = dict[str, Any]
Content: TypeAlias = "Fields | str | bytes"
Change = TypeVar("Change", bound="Callable[[Fields], Content | None]")

_JSON: Final = "application/json"


def changes_json(description: str) -> Callable[[Change], Change]:
    """Return a decorator that registers a function that changes an envelope as a fault.

    The function returns None if the fault does not fit the envelope.
    """

    def register(change: Change) -> Change:
        def changed(reply: Reply) -> Reply | None:
            fields = _fields(reply)
            content = None if fields is None else change(fields)
            return None if content is None else reply.with_body(_encoded(content))

        @fault("content", description, name=change.__name__)
        async def _(exchange: Exchange) -> None:
            await exchange.send_changed(changed)

        return change

    return register


def _fields(reply: Reply) -> Fields | None:
    """Return the envelope in `reply`, or None if it is not a JSON object."""
    if reply.media_type != _JSON:
        return None
    try:
        fields = json.loads(reply.body)
    except ValueError:
        return None
    return cast("Fields", fields) if isinstance(fields, dict) else None


def _encoded(content: Content) -> bytes:
    if isinstance(content, bytes):
        return content
    return (content if isinstance(content, str) else json.dumps(content)).encode()


def _with_value(fields: Fields, text: str) -> str:
    """Return an envelope whose value is `text`, which need not be valid JSON."""
    rest = json.dumps({name: value for name, value in fields.items() if name != "Value"})
    return f'{{"Value": {text}, {rest[1:]}'


# Text


@changes_json("The JSON is cut off in the middle.")
def truncated_json(fields: Fields) -> str:
    text = json.dumps(fields)
    return text[: len(text) // 2]


@changes_json("A comma follows the last field.")
def trailing_comma(fields: Fields) -> str:
    return f"{json.dumps(fields)[:-1]},}}"


@changes_json("A comma follows the last element of the value, a list.")
def trailing_comma_in_list(fields: Fields) -> str | None:
    items = fields.get("Value")
    if not isinstance(items, list) or not items:
        return None
    return _with_value(fields, f"{json.dumps(items)[:-1]},]")


@changes_json("The JSON is encoded as Latin-1.")
def latin_1(fields: Fields) -> bytes:
    return json.dumps(fields, ensure_ascii=False).encode("latin-1", "replace")


@changes_json("The JSON is encoded as UTF-16.")
def utf_16(fields: Fields) -> bytes:
    return json.dumps(fields).encode("utf-16")


@changes_json("The JSON begins with a byte order mark.")
def byte_order_mark(fields: Fields) -> bytes:
    return json.dumps(fields).encode("utf-8-sig")


@changes_json("A string in the JSON is not valid UTF-8.")
def broken_utf_8(fields: Fields) -> bytes:
    return _with_value(fields, '"caf?"').encode().replace(b"?", b"\xe9")


@changes_json("The JSON is a list instead of an object.")
def list_for_record(fields: Fields) -> str:
    return json.dumps([fields])


@changes_json("The JSON is longer than three million characters.")
def oversized_json(fields: Fields) -> Fields:
    return {**fields, "Padding": "x" * 3_000_000}


# Fields


@changes_json("The reply has no Value.")
def no_value(fields: Fields) -> Fields:
    return {name: value for name, value in fields.items() if name != "Value"}


@changes_json("The names of the fields are in lower case.")
def lower_case_names(fields: Fields) -> Fields:
    return {name.lower(): value for name, value in fields.items()}


@changes_json("The reply has additional, unknown fields.")
def extra_fields(fields: Fields) -> Fields:
    return {"DriverException": None, **fields, "Colour": {"of": ["the", "driver"]}}


@changes_json("The reply has no fields but Value.")
def bare_value(fields: Fields) -> Fields:
    return {"Value": fields["Value"]} if "Value" in fields else {}


@changes_json("Both transaction ids are wrong.")
def wrong_ids(fields: Fields) -> Fields:
    return {**fields, "ClientTransactionID": 123_456_789, "ServerTransactionID": -1}


# Values


@changes_json("The value is null.")
def null_value(fields: Fields) -> Fields:
    return {**fields, "Value": None}


@changes_json("The value is a JSON object instead of the expected type.")
def mistyped_value(fields: Fields) -> Fields:
    return {**fields, "Value": {"unexpected": True}}


@changes_json("The value is text instead of the expected type.")
def worded_value(fields: Fields) -> Fields:
    return {**fields, "Value": "quite a few"}


@changes_json("The value is NaN.")
def nan_value(fields: Fields) -> str:
    return _with_value(fields, "NaN")


@changes_json("The value is a number too large for floating point.")
def infinite_value(fields: Fields) -> str:
    return _with_value(fields, "1e999")


@changes_json("The value is an integer with five thousand digits.")
def huge_integer(fields: Fields) -> str:
    return _with_value(fields, "9" * 5000)


@changes_json("The value is a list nested a hundred thousand levels deep.")
def deep_nesting(fields: Fields) -> str:
    return _with_value(fields, "[" * 100_000 + "]" * 100_000)


@changes_json("The value, an integer, has a fraction.")
def fractional_integer(fields: Fields) -> Fields | None:
    number = fields.get("Value")
    return {**fields, "Value": number + 0.21} if type(number) is int else None


# Errors of the device


@changes_json("The device reports a driver error.")
def driver_error(fields: Fields) -> Fields:
    return _error(fields, 0x500, "The driver has failed")


@changes_json("The device reports that it is not connected.")
def not_connected(fields: Fields) -> Fields:
    return _error(fields, 0x407, "The camera is not connected")


@changes_json("The device reports an error message with error number 0.")
def error_without_number(fields: Fields) -> Fields:
    return _error(fields, 0, "Something is wrong")


@changes_json("The device reports an error with a Windows error number (HRESULT).")
def windows_error(fields: Fields) -> Fields:
    return _error(fields, -2146233088, "Exception of type System.Exception")


def _error(fields: Fields, number: int, message: str) -> Fields:
    return {**no_value(fields), "ErrorNumber": number, "ErrorMessage": message}

from __future__ import annotations

import json
import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpaca_async import (
    AlpacaError,
    DriverException,
    InvalidValueException,
    MalformedResponse,
    NotImplementedException,
)
from alpaca_async._protocol.envelope import decode_envelope, rejection

GOOD = {"Value": 3, "ClientTransactionID": 1, "ServerTransactionID": 2, "ErrorNumber": 0}


def body(**fields: object) -> bytes:
    return json.dumps(GOOD | fields).encode()


def test_a_reply_without_error_fields_is_a_success() -> None:
    envelope = decode_envelope(b'{"Value": [1], "ServerTransactionID": 9}')
    assert (envelope.value, envelope.client_transaction_id) == ([1], 0)
    assert envelope.server_transaction_id == 9


@pytest.mark.parametrize("coding", ["utf-8-sig", "utf-16", "utf-32"])
def test_other_unicode_forms_of_json_are_read(coding: str) -> None:
    assert decode_envelope(body().decode().encode(coding)).value == 3


def test_ids_that_cannot_be_read_count_as_missing() -> None:
    envelope = decode_envelope(body(ClientTransactionID="x", ServerTransactionID=None))
    assert (envelope.client_transaction_id, envelope.server_transaction_id) == (0, 0)


@pytest.mark.parametrize(
    ("number", "message", "kind"),
    [
        (0x400, "no", NotImplementedException),
        (0x401, "", InvalidValueException),
        (-2147220479, "COM form of 0x401", InvalidValueException),
        (1, "INDI says 1", DriverException),
        (-2147024882, "out of memory", DriverException),
        (0, "a message alone is an error", DriverException),
        ("1025", "the number as text", InvalidValueException),
    ],
)
def test_an_error_is_raised_with_its_number_and_text(
    number: int | str, message: str, kind: type[AlpacaError]
) -> None:
    with pytest.raises(kind) as caught:
        decode_envelope(body(ErrorNumber=number, ErrorMessage=message, Value=None))
    assert vars(caught.value)["number"] == int(number)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"<html><title>Log in</title></html>",
        b"[1]",
        b"3",
        b'{"Value": NaN}',
        b'{"Value": 1,}',
        b'{"Value": 1',
        b"[" * 100_000,
        b'{"Value": ' + b"9" * 5000 + b"}",
        b"\xff\xfe\x00",
        b'{"ErrorNumber": "many"}',
        b'{"ErrorNumber": 1.5}',
    ],
)
def test_a_body_that_is_not_an_envelope_is_malformed(garbage: bytes) -> None:
    with pytest.raises(MalformedResponse) as caught:
        decode_envelope(garbage)
    assert len(str(caught.value)) < 300


@given(st.binary() | st.text().map(str.encode))
def test_any_bytes_are_an_envelope_or_an_alpaca_error(raw: bytes) -> None:
    with suppress(AlpacaError):
        decode_envelope(raw)


def test_a_rejection_quotes_the_text_of_a_page_without_its_tags() -> None:
    page = b"<html><style>p {}</style><h1>404</h1><p>Camera 1 does\nnot exist</p>" + b"x" * 900
    error = rejection(404, page)
    assert str(error).startswith("HTTP status 404: 404 Camera 1 does not exist xxx")
    assert len(str(error)) < 230
    assert (error.status, error.number) == (404, 0)


@pytest.mark.parametrize("opening", [b"<script", b"<", b"<a", b"<style>"])
def test_many_unclosed_tags_take_linear_time(opening: bytes) -> None:
    def seconds(size: int) -> float:
        page = opening * (size // len(opening))
        begun = time.thread_time()
        rejection(500, page)
        return time.thread_time() - begun

    short, long = (min(seconds(size) for _ in range(3)) for size in (8192, 65536))
    assert long < 8 * 3 * max(short, 0.001)  # quadratic time would be 64 times as much


def test_text_that_is_not_a_tag_is_quoted() -> None:
    assert str(rejection(400, b"gain must be < 5 and > 0")).endswith("gain must be < 5 and > 0")


def test_a_rejection_with_an_alpaca_error_keeps_its_number() -> None:
    error = rejection(400, b'{"ErrorNumber": 1003, "ErrorMessage": "Device not found"}')
    assert (error.status, error.number) == (400, 1003)
    assert "Device not found" in str(error)


def test_a_rejection_without_a_body_reports_its_status() -> None:
    assert str(rejection(500, b"")) == "HTTP status 500"


def test_fields_in_other_upper_and_lower_case_are_read_also_errors() -> None:
    assert decode_envelope(b'{"value": 3, "serverTransactionId": 7}').value == 3
    assert decode_envelope(b'{"value": 3, "VALUE": 4, "Value": 5}').value == 5
    with pytest.raises(NotImplementedException, match="no gain"):
        decode_envelope(b'{"errorNumber": 1024, "errorMessage": "no gain"}')


def test_an_error_can_be_printed_whatever_its_text() -> None:
    with pytest.raises(DriverException) as caught:
        decode_envelope(b'{"ErrorNumber": 1280, "ErrorMessage": "half a \\ud83d pair"}')
    assert str(caught.value).encode().startswith(b"half a ? pair")


def test_a_rejection_quotes_an_error_message_briefly_and_in_one_line() -> None:
    text = json.dumps({"ErrorNumber": 1, "ErrorMessage": "a\nb\x1b[31m" + "x" * 100_000})
    assert "a b [31mxx" in str(rejection(500, text.encode()))
    assert len(str(rejection(500, text.encode()))) < 230

from __future__ import annotations

import json
import math
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpaca_async._errors import InvalidValueException
from alpaca_async.testing._protocol import BadRequest, Parameters, envelope, reply


def form(**values: str) -> Parameters:
    return Parameters.of_form(urlencode(values).encode())


@given(st.integers(-(2**31), 2**31 - 1))
def test_every_32_bit_integer_is_understood(number: int) -> None:
    assert form(BinX=str(number)).integer("BinX") == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        "abc",
        "1.0",
        "1_0",
        "0x1",
        "1e3",
        "\N{ARABIC-INDIC DIGIT ONE}",
        str(2**31),
        "9" * 5000,
        "--1",
        "1 2",
    ],
)
def test_other_integers_are_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="BinX is not a 32-bit integer"):
        form(BinX=text).integer("BinX")


@given(st.floats())
def test_every_float_is_understood(number: float) -> None:
    parsed = form(Duration=repr(number)).number("Duration")
    assert parsed == number or (math.isnan(parsed) and math.isnan(number))


@pytest.mark.parametrize("text", ["", "0,1", "1_0", "1e", ".", "0x10", "one", "nanny", "1 2"])
def test_other_numbers_are_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="Duration is not a number"):
        form(Duration=text).number("Duration")


@pytest.mark.parametrize(
    ("text", "value"), [("True", True), ("true", True), ("FALSE", False), ("fAlSe", False)]
)
def test_booleans_come_in_any_case(text: str, value: bool) -> None:
    assert form(Light=text).boolean("Light") is value


@pytest.mark.parametrize("text", ["", "1", "0", "yes", "on", "t"])
def test_other_booleans_are_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="Light is neither true nor false"):
        form(Light=text).boolean("Light")


@given(st.dictionaries(st.text(min_size=1), st.text(), max_size=5))
def test_any_text_survives_a_form(values: dict[str, str]) -> None:
    assert Parameters.of_form(urlencode(values).encode()).values == values


@given(st.binary(max_size=200))
def test_any_bytes_are_parsed_or_refused(body: bytes) -> None:
    try:
        parameters = Parameters.of_form(body)
    except BadRequest:
        assert not body.isascii()
    else:
        assert parameters.client_transaction_id("ClientTransactionID") >= 0


def test_a_missing_parameter_is_named() -> None:
    with pytest.raises(BadRequest, match="The parameter BinX is missing"):
        form(binx="1").integer("BinX")


def test_names_of_a_query_are_case_insensitive() -> None:
    assert Parameters.of_query("CLIENTTransactionid=7").values == {"clienttransactionid": "7"}


def test_the_first_of_two_values_is_used() -> None:
    assert Parameters.of_form(b"A=1&A=2").text("A") == "1"


@pytest.mark.parametrize(
    ("text", "echo"),
    [("1", 1), ("4294967295", 4294967295), ("4294967296", 0), ("-1", 0), ("x", 0), ("", 0)],
)
def test_an_invalid_transaction_id_is_echoed_as_0(text: str, echo: int) -> None:
    assert form(ClientTransactionID=text).client_transaction_id("ClientTransactionID") == echo


def test_a_transaction_id_with_thousands_of_digits_is_invalid() -> None:
    assert form(Id="9" * 10_000).client_transaction_id("Id") == 0


def test_an_envelope_carries_ids_and_error() -> None:
    assert envelope(3, 4, InvalidValueException(0x401, "No")) == {
        "ClientTransactionID": 3,
        "ServerTransactionID": 4,
        "ErrorNumber": 0x401,
        "ErrorMessage": "No",
    }


def test_a_reply_without_value_has_no_such_key() -> None:
    assert "Value" not in json.loads(reply(None, envelope(1, 2)))
    assert json.loads(reply(False, envelope(1, 2)))["Value"] is False

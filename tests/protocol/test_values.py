from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpaca_async import AlpacaError, CameraStates, MalformedResponse
from alpaca_async._protocol.values import (
    check_bool,
    check_duration,
    check_float,
    check_int,
    check_limit,
    check_str,
    decode,
    decode_integers,
    decode_percent,
    decode_records,
    decode_strings,
    encode,
)

KINDS = (bool, int, float, str, CameraStates)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@pytest.mark.parametrize(
    ("kind", "raw", "expected"),
    [
        (bool, True, True),
        (bool, 0, False),
        (bool, 1.0, True),
        (bool, "True", True),
        (bool, "FALSE", False),
        (int, 7, 7),
        (int, 100.0, 100),
        (int, "42", 42),
        (int, "-3", -3),
        (int, "100.0", 100),
        (int, 2**60 + 1, 2**60 + 1),
        (int, str(2**60 + 1), 2**60 + 1),
        (float, 1, 1.0),
        (float, "2.5", 2.5),
        (str, "", ""),
        (CameraStates, 2, CameraStates.EXPOSING),
        (CameraStates, 99, 99),
    ],
)
def test_exact_values_and_harmless_deviations_are_accepted(
    kind: type[Any], raw: object, expected: object
) -> None:
    value = decode(kind, raw)
    assert value == expected
    assert isinstance(value, kind)
    assert type(value) is not bool or kind is bool


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        (bool, 2),
        (bool, None),
        (bool, "yes"),
        (bool, []),
        (int, 0.9),
        (int, "0.9"),
        (int, True),
        (int, None),
        (int, "1_000"),
        (int, "0x10"),
        (int, "1e999"),
        (int, 2**63),
        (int, 1e300),
        (int, "-9223372036854775809"),
        (float, True),
        (float, "nan"),
        (float, math.inf),
        (float, 10**400),
        (str, 5),
        (str, None),
        (CameraStates, "busy"),
    ],
)
def test_an_ambiguous_value_is_refused_and_quoted(kind: type[Any], raw: object) -> None:
    with pytest.raises(MalformedResponse, match="is not of type") as caught:
        decode(kind, raw)
    assert len(str(caught.value)) < 200


@given(st.sampled_from(KINDS), json_values)
def test_any_json_value_is_decoded_to_its_kind_or_refused(kind: type[Any], raw: object) -> None:
    try:
        value = decode(kind, raw)
    except AlpacaError:
        return
    assert isinstance(value, kind)
    assert value == value  # noqa: PLR0124 - not NaN


@pytest.mark.parametrize("decoder", [decode_strings, decode_records, decode_integers])
@pytest.mark.parametrize("raw", [None, "text", 3, {"a": 1}, [None]])
def test_a_list_with_items_of_another_type_is_refused(decoder: Any, raw: object) -> None:  # noqa: ANN401
    with pytest.raises(MalformedResponse):
        decoder(raw)
    assert decoder([]) == []


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_are_encoded_as_plain_decimals_that_parse_to_the_same_value(number: float) -> None:
    text = encode(number)
    assert set(text) <= set("-.0123456789")
    assert float(text) == number


@pytest.mark.parametrize(
    ("raw", "text"),
    [(True, "True"), (False, "False"), (7, "7"), (CameraStates.ERROR, "5"), ("a=b", "a=b")],
)
def test_other_values_are_encoded_as_dotnet_parses_them(raw: object, text: str) -> None:
    assert encode(raw) == text


def test_an_unknown_enum_value_keeps_its_number_and_its_type() -> None:
    state = decode(CameraStates, json.loads("17"))
    assert repr(state) == "<CameraStates.UNKNOWN_17: 17>"


@pytest.mark.parametrize(
    ("check", "wrong", "error"),
    [
        (check_bool, 1, TypeError),
        (check_int, True, TypeError),
        (check_int, 1.5, TypeError),
        (check_int, 2**31, ValueError),
        (check_int, -(2**31) - 1, ValueError),
        (check_float, "1", TypeError),
        (check_float, False, TypeError),
        (check_float, math.nan, ValueError),
        (check_float, math.inf, ValueError),
        (check_duration, -0.1, ValueError),
        (check_str, b"x", TypeError),
    ],
)
def test_a_wrong_argument_is_named(check: Any, wrong: object, error: type[Exception]) -> None:  # noqa: ANN401
    with pytest.raises(error, match="thing must"):
        check("thing", wrong)


@pytest.mark.parametrize("bound", [-(2**31), -1, 0, 2**31 - 1])
def test_every_number_of_32_bits_is_an_int(bound: int) -> None:
    assert check_int("thing", bound) == bound


def test_a_limit_is_a_duration_or_none() -> None:
    assert check_limit("timeout", 2) == 2.0
    assert check_limit("timeout", None) == check_limit("timeout", math.inf) == math.inf
    for wrong in (math.nan, -1.0):
        with pytest.raises(ValueError, match="timeout"):
            check_limit("timeout", wrong)


@pytest.mark.parametrize(
    ("raw", "percent"), [(0, 0), (66.7, 67), ("33.3", 33), (99.6, 100), (-99, -99), ("5", 5)]
)
def test_a_fraction_of_a_percent_is_rounded(raw: object, percent: int) -> None:
    found = decode_percent(raw)
    assert (type(found), found) == (int, percent)


@pytest.mark.parametrize("raw", ["half", None, True, [5], float("nan"), float("inf"), 10**400])
def test_what_is_no_percentage_is_malformed(raw: object) -> None:
    with pytest.raises(MalformedResponse):
        decode_percent(raw)

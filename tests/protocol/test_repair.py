from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpaca_async import MalformedResponse
from alpaca_async._protocol.envelope import decode_envelope, decode_management
from alpaca_async._protocol.repair import repaired

values = st.recursive(
    st.none() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(values)
def test_valid_json_keeps_its_value(value: object) -> None:
    text = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
    assert json.loads(repaired(text)) == json.loads(text)


@given(values, st.sampled_from(["", " ", "\r\n\t"]))
def test_trailing_commas_are_removed(value: object, space: str) -> None:
    text = json.dumps([value], indent=1)[:-1] + f",{space}]"
    assert json.loads(repaired(text.encode())) == [value]


@given(st.text(st.characters(max_codepoint=255)))
def test_latin_1_is_read_unless_it_is_utf_8(name: str) -> None:
    body = json.dumps({"Value": name}, ensure_ascii=False).encode("latin-1")
    try:
        expected = json.loads(body.decode())["Value"]
    except ValueError:
        expected = None
    found = decode_management(body).value
    assert expected is None or found == expected
    if not any(0x80 <= ord(each) < 0xC0 for each in name):  # no continuation bytes
        assert found == name


def test_commas_and_quotes_within_strings_stay() -> None:
    body = rb'{"Value": ["a,]", "b\",}", ",",],}'
    assert decode_management(body).value == ["a,]", 'b",}', ","]


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"Value": [1 2,]}', b'{"Value": 1', b"[1,]"])
def test_what_is_not_json_stays_an_error(body: bytes) -> None:
    with pytest.raises(MalformedResponse):
        decode_management(body)


def test_the_values_of_members_are_not_repaired() -> None:
    for body in (b'{"Value": 1,}', b'{"Value": "\xe4"}'):
        with pytest.raises(MalformedResponse):
            decode_envelope(body)


def test_a_long_reply_is_repaired_in_linear_time() -> None:
    decode = [b'{"Value": "' + b'\\"' * 100_000, b'{"Value": [' + b", " * 100_000 + b"1,]}"]
    for body in decode:
        with pytest.raises(MalformedResponse):
            decode_management(body)

from __future__ import annotations

import pytest

from alpaca_async._device.boolean_spelling import BooleanSpelling


def test_an_attempt_in_doubt_makes_the_next_one_use_the_other_spelling() -> None:
    spelling = BooleanSpelling()
    sent: list[str] = []
    for _ in range(3):
        spelling.begin_attempt()
        sent.append(spelling.text_to_connect())
        spelling.doubt()
        spelling.attempt_failed()
    assert sent == ["True", "true", "True"]


def test_an_attempt_that_sent_nothing_says_nothing_of_the_spelling() -> None:
    spelling = BooleanSpelling()
    spelling.begin_attempt()
    spelling.text_to_connect()
    spelling.doubt()
    spelling.attempt_failed()
    spelling.begin_attempt()
    assert not spelling.is_uncertain
    spelling.attempt_failed()
    assert spelling.text_to_connect() == "true"


@pytest.mark.parametrize("lowercase", [True, False])
def test_what_is_known_is_neither_doubted_nor_forgotten(lowercase: bool) -> None:
    spelling = BooleanSpelling()
    spelling.lowercase = lowercase
    for ends in (spelling.attempt_failed, spelling.attempt_succeeded):
        spelling.begin_attempt()
        assert spelling.text_to_connect() == ("true" if lowercase else "True")
        assert not spelling.is_uncertain
        spelling.doubt()
        ends()
    assert spelling.lowercase is lowercase


def test_a_device_that_has_connected_is_not_doubted_again() -> None:
    spelling = BooleanSpelling()
    spelling.begin_attempt()
    spelling.text_to_connect()
    spelling.attempt_succeeded()
    assert spelling.lowercase is None
    assert spelling.text(True) == "True"
    spelling.begin_attempt()
    spelling.text_to_connect()
    assert not spelling.is_uncertain


def test_the_spelling_that_was_needed_to_connect_is_used_for_all() -> None:
    spelling = BooleanSpelling()
    spelling.begin_attempt()
    spelling.text_to_connect()
    spelling.use_other()
    assert spelling.text_to_connect() == "true"
    spelling.attempt_succeeded()
    assert [spelling.text(True), spelling.text(False)] == ["true", "false"]

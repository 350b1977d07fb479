"""The page of faults is up to date, and lists enough faults."""

from __future__ import annotations

from collections import Counter

from .catalogue import KINDS
from .page import FAULTS, PAGE, page


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run `python -m tests.faults`"


def test_every_kind_has_enough_faults() -> None:
    kinds = Counter(fault.kind for fault in FAULTS)
    assert set(kinds) == set(KINDS)
    assert min(kinds.values()) >= 15
    assert kinds.total() >= 150


def test_no_fault_is_listed_twice() -> None:
    assert not [cause for cause, count in Counter(map(str, FAULTS)).items() if count > 1]

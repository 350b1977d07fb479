from __future__ import annotations

import math

import pytest

from alpaca_async._optional import load


def test_what_is_installed_is_loaded() -> None:
    assert load("math", extra="fits") is math


def test_what_is_missing_is_named_by_its_extra() -> None:
    with pytest.raises(
        ModuleNotFoundError, match=r'pip install "alpaca_async\[preview\]"'
    ) as caught:
        load("no_such_package.part", extra="preview")
    assert caught.value.name == "no_such_package"

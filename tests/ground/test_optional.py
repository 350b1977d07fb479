from __future__ import annotations

import math

import pytest

from alpaca_async._optional import load


def test_an_installed_module_is_loaded() -> None:
    assert load("math", extra="fits") is math


def test_the_error_for_a_missing_module_names_its_extra() -> None:
    with pytest.raises(
        ModuleNotFoundError, match=r'pip install "alpaca_async\[preview\]"'
    ) as caught:
        load("no_such_package.part", extra="preview")
    assert caught.value.name == "no_such_package"

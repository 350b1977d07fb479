from __future__ import annotations

import subprocess
import sys

import pytest

from alpaca_async import testing


def test_every_public_name_exists_and_all_is_sorted() -> None:
    assert all(getattr(testing, name) for name in testing.__all__)
    assert sorted(testing.__all__, key=lambda name: (not name.isupper(), name)) == testing.__all__


def test_other_names_raise_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Telescope'"):
        _ = testing.Telescope  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue]


def test_the_pytest_plugin_does_not_load_the_server() -> None:
    heavy = {"uvicorn", "starlette", "alpaca_async.testing._camera"}
    heavy |= {"alpaca_async.testing._proxy", "alpaca_async.testing._faults"}
    code = (
        "import sys, alpaca_async.testing.pytest_plugin\n"
        f"print({heavy} & set(sys.modules) or set())"
    )
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"

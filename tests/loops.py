"""The event loops on which the tests run."""

from __future__ import annotations

import asyncio
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, TypeVar

import pytest

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")

LOOPS: Final = ("asyncio", "uvloop")
"""Modules that have `new_event_loop`; the first is the default."""

on_each_loop = pytest.mark.parametrize(
    "loop",
    [
        pytest.param(name, marks=pytest.mark.skipif(find_spec(name) is None, reason="is missing"))
        for name in LOOPS
    ],
)
"""For tests that are run on every loop in one run: they pass `loop` to `run`."""


def run(coroutine: Coroutine[Any, Any, T], loop: str) -> T:
    """Run `coroutine` in a new event loop of the module named `loop`."""
    with asyncio.Runner(loop_factory=import_module(loop).new_event_loop) as runner:
        return runner.run(coroutine)

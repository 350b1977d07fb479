"""The event loops on which the benchmarks run."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")

LOOPS: Final = ("asyncio", "uvloop")
"""Modules that have `new_event_loop`; the first is the default."""


def run(coroutine: Coroutine[Any, Any, T], loop: str) -> T:
    """Run `coroutine` in a new event loop of the module named `loop`."""
    with asyncio.Runner(loop_factory=import_module(loop).new_event_loop) as runner:
        return runner.run(coroutine)


def running() -> str:
    """Return the name of the module of the running event loop."""
    return type(asyncio.get_running_loop()).__module__.partition(".")[0]

"""Runs tests in virtual time: the clock stands still while anything works, and waits cost nothing.

What a test measures so depends only on what the library waits for, on any machine. All parts must
run in one event loop: the clock knows nothing of a server in another thread.
"""

from __future__ import annotations

import asyncio
import functools
import selectors
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar, TypeVarTuple, Unpack
from unittest import mock

import anyio.to_thread

from alpaca_async._device import known_facts
from alpaca_async._workflows import clock as clock_module
from alpaca_async._workflows import exposure as exposure_module

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from concurrent.futures import Executor

P = ParamSpec("P")
T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_ON_ITS_WAY: Final = 0.002
"""Real seconds in which bytes pass from one socket of this process to another."""


class _SkippingSelector(selectors.DefaultSelector):
    """Skips the rest of a wait in which nothing happens, instead of waiting for its end."""

    def __init__(self) -> None:
        super().__init__()
        self.skipped = 0.0
        self.threads = 0
        """How many threads work for the loop: meanwhile nothing is skipped."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        ready = super().select(_ON_ITS_WAY)
        if not ready and not self.threads:
            self.skipped += timeout
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock moves to the next timer, and only when nothing else happens."""

    def __init__(self) -> None:
        self._skipping = _SkippingSelector()
        super().__init__(self._skipping)

    def time(self) -> float:
        """Return the seconds that were skipped."""
        return self._skipping.skipped

    monotonic = time

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Run a function in a thread; the clock stands still meanwhile."""
        future = super().run_in_executor(executor, func, *args)
        self._skipping.threads += 1
        future.add_done_callback(self._thread_ended)
        return future

    def _thread_ended(self, _: object) -> None:
        self._skipping.threads -= 1

    def holding(self, run_sync: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        """Return `run_sync`, which runs a function in a thread; the clock stands still then."""

        async def run(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - as it is
            self._skipping.threads += 1
            try:
                return await run_sync(*arguments, **options)
            finally:
                self._skipping.threads -= 1

        return run


def in_virtual_time(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Make an asynchronous test run in a loop of its own with virtual time.

    Fixtures must be synchronous: others belong to another loop.
    """

    @functools.wraps(test)
    def run(*arguments: P.args, **fixtures: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner, ExitStack() as stack:
            loop = runner.get_loop()
            assert isinstance(loop, VirtualTimeLoop)
            for module in (clock_module, exposure_module):
                stack.enter_context(mock.patch.object(module, "time", loop))
            stack.enter_context(mock.patch.object(known_facts, "monotonic", loop.time))
            to_thread = loop.holding(anyio.to_thread.run_sync)
            stack.enter_context(mock.patch.object(anyio.to_thread, "run_sync", to_thread))
            runner.run(_to_the_end(test(*arguments, **fixtures)))

    return run


async def _to_the_end(test: Coroutine[Any, Any, None]) -> None:
    """Run `test`, and let the loop close what it has left to close."""
    try:
        await test
    finally:
        await asyncio.sleep(1)


def now() -> float:
    """Return the time of the running loop."""
    return asyncio.get_running_loop().time()

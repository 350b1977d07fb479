"""An event loop with a clock of its own: it jumps ahead whenever nothing else is to be done.

Both ends of a connection must be in this loop, and no threads may be waited for. Times are then
the same on every machine, however busy it is.
"""

from __future__ import annotations

import asyncio
import selectors
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Coroutine

_SETTLE = 0.001
"""Seconds of real time for data to arrive at the other end of a connection."""


class _JumpingSelector(selectors.DefaultSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(timeout if not timeout else _SETTLE)
        if not events and timeout:
            self.now += timeout
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._clock = _JumpingSelector()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now


def run_in_virtual_time(scenario: Coroutine[object, object, None]) -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(scenario)


async def seconds(work: Coroutine[object, object, object]) -> float:
    """Return the duration of `work` by the clock of the loop."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    await work
    return loop.time() - begun

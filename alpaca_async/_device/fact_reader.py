"""Reads unknown facts of a camera in the background, so that no frame is delayed by them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable  # noqa: TC003 - of a dataclass
from contextlib import AbstractAsyncContextManager  # noqa: TC003 - of a dataclass
from dataclasses import dataclass
from functools import partial

from alpaca_async._errors import AlpacaError

logger = logging.getLogger("alpaca_async")


@dataclass(frozen=True, slots=True)
class FactSource:
    """What is unknown of a camera, and how to read it."""

    awaited: Callable[[], list[str]]
    """The unknown facts that exposures wait for."""
    others: Callable[[], list[str]]
    """The other unknown facts: they were late, or failed and are due again."""
    read: Callable[[str], Awaitable[bool]]
    """Read one fact; return whether the server could be reached."""
    at_once: int
    """How many facts may be read at the same time."""
    operation: Callable[[], AbstractAsyncContextManager[None]]
    """Return a context that ends when the client is closed."""


class FactReader:
    """Reads facts in tasks of one event loop.

    The tasks are not those of the exposure that began them: what is late for one image is in the
    header of the next. Each task is an operation of the client, so closing the client ends it.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None] | None] = set()
        self._being_read: set[str] = set()
        self._settled = asyncio.Event()
        self._may_read = asyncio.Event()
        self._may_read.set()
        self._suspensions = 0

    def begin(self, source: FactSource) -> None:
        """Read what is unknown, with as many tasks as are useful."""
        awaited = source.awaited()
        useful = min(len(awaited) + len(source.others()), source.at_once)
        for _ in range(useful - len(self._tasks)):
            self._tasks.add(asyncio.create_task(self._work(source)))
        if awaited:
            self._settled.clear()
        else:
            self._settled.set()

    async def wait(self) -> None:
        """Wait until nothing is left that exposures wait for."""
        await self._settled.wait()

    def suspend(self) -> Suspension:
        """Begin no further read until the returned suspension ends."""
        return Suspension(self._change_suspensions, self._read_one_each)

    def _change_suspensions(self, change: int) -> None:
        self._suspensions += change
        if self._suspensions:
            self._may_read.clear()
        else:
            self._may_read.set()

    def _read_one_each(self) -> None:
        """Let each task that waits begin one read."""
        self._may_read.set()
        self._change_suspensions(0)

    async def _work(self, source: FactSource) -> None:
        try:
            async with source.operation():
                await self._read_all(source)
        except AlpacaError as error:
            logger.debug("reading facts has ended: %s", error)
        finally:
            self._tasks.discard(asyncio.current_task())
            if not self._tasks:
                self._settled.set()

    async def _read_all(self, source: FactSource) -> None:
        reachable = True
        while reachable:
            await self._may_read.wait()
            if (name := self._next(source)) is None:
                return
            self._being_read.add(name)
            try:
                reachable = await source.read(name)
            finally:
                self._being_read.discard(name)
            if not source.awaited():
                self._settled.set()

    def _next(self, source: FactSource) -> str | None:
        """Return the name of the next fact to read."""
        names = source.awaited() + source.others()
        return next((name for name in names if name not in self._being_read), None)


class Suspension:
    """Keeps the connections to a server free while an exposure needs them for its own requests."""

    def __init__(self, change: Callable[[int], None], read_one_each: Callable[[], None]) -> None:
        self._change = change
        self._read_one_each = read_one_each
        self._active = False
        self._resumption: asyncio.TimerHandle | None = None
        self._set_active(active=True)

    def interrupt(self, seconds: float) -> None:
        """Let facts be read for `seconds` from now."""
        if seconds > 0:
            self.end()
            later = asyncio.get_running_loop().call_later
            self._resumption = later(seconds, partial(self._set_active, active=True))

    def interrupt_once(self) -> None:
        """Let each task that waits read one fact: the exposure takes a round trip longer anyway."""
        if self._active:
            self._read_one_each()

    def end(self) -> None:
        """Let facts be read from now on."""
        if self._resumption is not None:
            self._resumption.cancel()
            self._resumption = None
        self._set_active(active=False)

    def _set_active(self, *, active: bool) -> None:
        self._change(active - self._active)
        self._active = active

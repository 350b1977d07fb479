"""Reads unknown facts of a camera in the background, so that no frame is delayed by them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable  # noqa: TC003 - of a dataclass
from contextlib import AbstractAsyncContextManager  # noqa: TC003 - of a dataclass
from dataclasses import dataclass

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
    header of the next. When no exposure waits any more, one task reads the rest. Each task is an
    operation of the client, so closing the client ends it.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None] | None] = set()
        self._being_read: set[str] = set()
        self._settled = asyncio.Event()

    def begin(self, source: FactSource) -> None:
        """Read what is unknown, with as many tasks as are useful."""
        awaited = len(source.awaited())
        useful = min(awaited, source.at_once) or min(len(source.others()), 1)
        for _ in range(useful - len(self._tasks)):
            self._tasks.add(asyncio.create_task(self._work(source)))
        if awaited:
            self._settled.clear()
        else:
            self._settled.set()

    async def wait(self) -> None:
        """Wait until nothing is left that exposures wait for."""
        await self._settled.wait()

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
        while reachable and (name := self._next(source)) is not None:
            self._being_read.add(name)
            try:
                reachable = await source.read(name)
            finally:
                self._being_read.discard(name)
            if not source.awaited():
                self._settled.set()

    def _next(self, source: FactSource) -> str | None:
        """Return the name of the next fact to read; all tasks but one end with the awaited ones."""
        names = source.awaited()
        if len(self._tasks) == 1:
            names += source.others()
        return next((name for name in names if name not in self._being_read), None)

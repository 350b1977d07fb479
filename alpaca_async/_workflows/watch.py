"""One poll of a camera's status for any number of listeners."""

from __future__ import annotations

import asyncio
import itertools
from types import MappingProxyType
from typing import TYPE_CHECKING

from alpaca_async._device.status import Reporting
from alpaca_async._protocol.values import check_duration
from alpaca_async._stream import Stream
from alpaca_async._tasks import wait_for_end

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping

    from alpaca_async._facts import CameraStatus


class Watching(Reporting):
    """A camera whose status can be followed."""

    _pollers: Mapping[float, Poller] = MappingProxyType({})

    def watch(self, interval: float = 1.0) -> Stream[CameraStatus]:
        """Follow the status, read every `interval` seconds.

        All who watch this object at the same interval share one poll; whoever is slow gets the
        latest status only. Errors of `get_status` reach every listener, and end the stream. Leave
        it with `async with`; polling ends with its last listener.
        """
        if check_duration("interval", interval) == 0:
            raise ValueError("interval must be positive")
        return Stream(self._listen(interval))

    async def _listen(self, interval: float) -> AsyncGenerator[CameraStatus]:
        poller = self._pollers.get(interval)
        if poller is None or poller.ended:
            poller = Poller(self.get_status, interval)
            others = {each: other for each, other in self._pollers.items() if not other.ended}
            self._pollers = {**others, interval: poller}
        poller.join()
        try:
            seen = 0
            while True:
                seen, status = await poller.after(seen)
                yield status
        finally:
            await poller.leave()


class Poller:
    """A task that reads a status again and again for as long as there are listeners."""

    def __init__(self, read: Callable[[], Awaitable[CameraStatus]], interval: float) -> None:
        self._read = read
        self._interval = interval
        self._listeners = 0
        self._news = asyncio.Event()
        self._task = asyncio.create_task(self._poll())
        self._latest: tuple[int, CameraStatus] | None = None

    @property
    def ended(self) -> bool:
        """Whether an error, or the leave of the last listener, ended it."""
        return self._task.done() or self._task.cancelling() > 0

    def join(self) -> None:
        """Count a listener in."""
        self._listeners += 1

    async def leave(self) -> None:
        """Count a listener out; the last one waits for the end of the polling."""
        self._listeners -= 1
        if not self._listeners:
            self._task.cancel()
            await wait_for_end(self._task)
            if not self._task.cancelled():
                self._task.exception()  # the listeners had it, or left before

    async def after(self, seen: int) -> tuple[int, CameraStatus]:
        """Return the latest status and its number, which is not `seen`; or raise its error."""
        while (latest := self._latest) is None or latest[0] == seen:
            if self._task.done():
                self._task.result()
            await self._news.wait()
        return latest

    async def _poll(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        try:
            for number in itertools.count(1):
                self._latest = number, await self._read()
                self._tell()
                due = max(due + self._interval, loop.time())
                await asyncio.sleep(due - loop.time())
        finally:
            loop.call_soon(self._tell)  # when this task is done

    def _tell(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()

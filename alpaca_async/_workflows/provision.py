"""Memory for the image of an exposure, provided before the image is there."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

from alpaca_async._download.frame_memory import FrameMemory
from alpaca_async._files import in_thread
from alpaca_async._tasks import cancel

if TYPE_CHECKING:
    from alpaca_async._download.frame_memory import NextFrame

_LEAD: Final = 1.0
"""Seconds before the end of an exposure."""
_STEP: Final = 8 << 20
"""Bytes that are mapped before the next cancellation takes effect."""


class Provision:
    """Maps the pages of an image's memory in the last second of its exposure, in a thread."""

    def __init__(self, next_frame: NextFrame, max_bytes: int) -> None:
        self._next_frame = next_frame
        self._max_bytes = max_bytes
        self._task: asyncio.Task[None] | None = None

    def begin(self, left: float) -> None:
        """Begin, with `left` seconds until the end of the exposure."""
        self._task = asyncio.create_task(self._map_pages(left))

    async def finish(self) -> None:
        """Stop mapping pages: the download may use the memory now."""
        if self._task is not None:
            await cancel(self._task)

    async def aclose(self) -> None:
        """Drop memory that was provided and not used."""
        try:
            await self.finish()
        finally:
            self._next_frame.take()

    async def _map_pages(self, left: float) -> None:
        await asyncio.sleep(max(left - _LEAD, 0.0))
        nbytes = self._next_frame.worth_providing(self._max_bytes)
        if nbytes is None:
            return
        memory = FrameMemory(nbytes)
        try:
            while not memory.is_mapped:
                await in_thread(partial(memory.map_pages, _STEP))
        finally:  # no thread writes to the memory any more
            self._next_frame.put(memory)

"""Counts the images of each camera that the program keeps in the object store. No I/O."""

from __future__ import annotations

import asyncio
import weakref
from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable


class ImageCount:
    """The images of each camera that the caller still has."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._counts: Counter[int] = Counter()
        self._released = asyncio.Event()

    def add(self, camera: int, image: Any) -> None:  # noqa: ANN401 - anything with weak references
        """Count an image until it is deleted."""
        self._counts[camera] += 1
        loop = asyncio.get_running_loop()
        weakref.finalize(image, _release_in, loop, self, camera).atexit = False

    def release(self, camera: int) -> None:
        """Note that an image was deleted."""
        self._counts[camera] -= 1
        self._released.set()

    async def wait(self, cameras: Iterable[int], timeout: float) -> set[int]:
        """Wait until all cameras may take one more image; return those that may not in time."""
        full = self._full(cameras)
        try:
            async with asyncio.timeout(timeout):
                while full:
                    self._released.clear()
                    await self._released.wait()
                    full = self._full(full)
        except TimeoutError:
            pass
        return full

    def _full(self, cameras: Iterable[int]) -> set[int]:
        return {camera for camera in cameras if self._counts[camera] >= self.limit}


def _release_in(loop: asyncio.AbstractEventLoop, count: ImageCount, camera: int) -> None:
    """Release in the event loop: objects are deleted in any thread, at any moment."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(count.release, camera)

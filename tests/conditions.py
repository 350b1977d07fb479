"""Waiting for what happens in the same event loop, and what is open meanwhile."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


async def until(condition: Callable[[], object]) -> None:
    """Wait until `condition` holds; `TimeoutError` after 20 seconds, which only a fault takes."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - simulated cameras have no events
            await asyncio.sleep(0.001)


def open_files() -> int:
    """Return the number of files and sockets that this process has open, on Linux."""
    return len(list(Path("/proc/self/fd").iterdir()))

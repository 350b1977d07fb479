"""Waiting for what happens in the same event loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


async def until(condition: Callable[[], object]) -> None:
    """Wait until `condition` holds; `TimeoutError` after 20 seconds, which only a fault takes."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - simulated cameras have no events
            await asyncio.sleep(0.001)

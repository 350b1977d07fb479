from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from alpaca_async._tasks import finish


class Frame:
    """Stands for the memory of an image."""


async def test_a_cancelled_wait_keeps_nothing_of_its_callers() -> None:
    held: list[weakref.ref[Frame]] = []

    async def owner() -> None:
        frame = Frame()
        held.append(weakref.ref(frame))
        await finish(asyncio.sleep(0.02))

    task = asyncio.create_task(owner())
    await asyncio.sleep(0.01)
    gc.collect()
    gc.disable()
    try:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        del task
        await asyncio.sleep(0)
        assert held[0]() is None
    finally:
        gc.enable()

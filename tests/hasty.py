"""Limits that tests reach on purpose, and a request that shall not reach them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from alpaca_async import Timeouts, TransportTimeout

if TYPE_CHECKING:
    from alpaca_async import AsyncCamera

QUICK: Final = Timeouts(establish=3.0, reply=0.3, long=0.3, stall=0.3)

_ATTEMPTS: Final = 10


async def ask_in_peace(camera: AsyncCamera) -> str:
    """Return the camera's name, and leave a kept connection; a busy machine may take a while."""
    for _ in range(_ATTEMPTS):
        try:
            return await camera.get_name()
        except TransportTimeout:
            continue
    raise AssertionError("nothing answers")

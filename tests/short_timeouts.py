"""Short timeouts for tests that expect a timeout, and a request that retries past them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from alpaca_async import Timeouts, TransportTimeout

if TYPE_CHECKING:
    from alpaca_async import AsyncCamera

QUICK: Final = Timeouts(establish=3.0, reply=0.3, long=0.3, stall=0.3, first_byte=0.3)

_ATTEMPTS: Final = 10


async def get_name_with_retries(camera: AsyncCamera) -> str:
    """Return the camera's name and leave a keep-alive connection; retry on a busy machine."""
    for _ in range(_ATTEMPTS):
        try:
            return await camera.get_name()
        except TransportTimeout:
            continue
    raise AssertionError(f"no reply in {_ATTEMPTS} attempts")

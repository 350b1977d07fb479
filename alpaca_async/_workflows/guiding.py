"""Waits for the end of a guiding pulse."""

from __future__ import annotations

import asyncio
from typing import Final

from alpaca_async._device.icamera import ICameraV4
from alpaca_async._device.patience import Patience
from alpaca_async._errors import OperationTimeout
from alpaca_async._loops import running_loop
from alpaca_async._protocol.values import check_limit

_PAUSE: Final = 0.05
"""Seconds between polls."""


class Guiding(ICameraV4):
    """A camera whose guiding pulses can be waited for."""

    async def wait_pulse_guide(self, *, timeout: float | None = None) -> None:
        """Wait until no guiding pulse is under way; `timeout` in seconds.

        Returns at once for cameras that answer `pulse_guide` only when the pulse is over. Failed
        polls are tolerated for ten seconds.

        Raises:
            OperationTimeout: the pulse is not over after `timeout` seconds.
            AscomError: the pulse failed.
        """
        clock = running_loop().time
        deadline = clock() + check_limit("timeout", timeout)
        async with self._operation("ispulseguiding"):
            patience = Patience()
            while await patience.read(self.get_is_pulse_guiding):
                left = deadline - clock()
                if left <= 0:
                    late = OperationTimeout(f"the guiding pulse is not over after {timeout:g} s")
                    raise late.at(self._server, self._member("ispulseguiding"))
                await asyncio.sleep(min(_PAUSE, left))

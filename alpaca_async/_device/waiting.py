"""Waits until a device has done what it was told, within a limit."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

from alpaca_async._errors import OperationTimeout
from alpaca_async._protocol.values import check_limit

from .patience import Patience
from .verbs import pauses

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType
    from typing import Self


class Wait:
    """An `async with` block that may take `timeout` seconds, None for any time.

    Raises `OperationTimeout`, which says in what state the device was last.
    """

    def __init__(self, timeout: float | None, server: str, member: str) -> None:
        self.limit = check_limit("timeout", timeout)
        self._server = server
        self._member = member
        self._state = "no reply"

    async def __aenter__(self) -> Self:
        self._timeout = asyncio.timeout(None if math.isinf(self.limit) else self.limit)
        await self._timeout.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await self._timeout.__aexit__(kind, error, trace)
        except TimeoutError:
            late = OperationTimeout(f"{self._state} after {self.limit:g} s")
            raise late.at(self._server, self._member) from None

    async def until_done(self, poll: Callable[[], Awaitable[str | None]]) -> None:
        """Poll with growing pauses until `poll` returns None; otherwise it returns the state."""
        patience = Patience()
        for pause in pauses():
            state = await patience.read(poll)
            if state is None:
                return
            self._state = state
            await asyncio.sleep(pause)

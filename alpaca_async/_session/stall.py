"""How fast an image has to come: silence is the transport's matter, a trickle is ours."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from alpaca_async._errors import TransportTimeout

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType
    from typing import Self

SLOWEST: Final = 256
"""Bytes a second: less than any camera's network has, more than a server that only seems alive."""


class StallGuard:
    """Ends the block that it is the context of where an image does not come on.

    Looks every `window` seconds whether `received()`, the bytes of the body so far, has grown by
    as much as `SLOWEST` asks for; first two windows after the request left, so that one of them is
    for the wait. `busy` is to be set while it is us who keep the server waiting. One timer, and no
    work for what comes.
    """

    def __init__(self, window: float, received: Callable[[], int]) -> None:
        self.busy = False
        self._window = window
        self._received = received
        self._seen = 0
        self._limit = asyncio.timeout(None)
        self._timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        await self._limit.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._cancel()
        try:
            await self._limit.__aexit__(kind, error, trace)
        except TimeoutError as late:
            raise TransportTimeout(
                f"the image came more slowly than {SLOWEST} bytes a second for {self._window:g} s"
            ) from late

    async def trace(self, event: str, _info: Mapping[str, Any]) -> None:
        """Follow the transport, which calls this as its `trace` extension."""
        if event.endswith(".send_request_headers.started"):
            self.begin()

    def begin(self) -> None:
        """Start to look; what came until now was nothing of the image."""
        self._cancel()
        self._look_after(2 * self._window)

    def _look(self) -> None:
        received = self._received()
        if self.busy or received - self._seen >= SLOWEST * self._window:
            self._seen = received
            self._look_after(self._window)
        else:
            self._limit.reschedule(asyncio.get_running_loop().time())

    def _look_after(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._look)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

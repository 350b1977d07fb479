"""Detects downloads that trickle; the transport's read timeout detects complete silence."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from alpaca_async._errors import TransportTimeout

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType
    from typing import Self

MIN_BYTES_PER_SECOND: Final = 256
"""Any real network is faster; a hanging server that still sends a few bytes is slower."""


class StallGuard:
    """Raises `TransportTimeout` in its `async with` block when a download trickles or never starts.

    Every `window` seconds it checks that `received()`, the bytes of the body so far, has grown by
    at least `MIN_BYTES_PER_SECOND`. The first check is two windows after `begin`: one window is for
    the wait for the first byte. Set `paused` while the client itself does not read. The cost is one
    timer, and nothing per received byte.
    """

    def __init__(self, window: float, received: Callable[[], int]) -> None:
        self.paused = False
        self._window = window
        self._received = received
        self._last_received = 0
        self._timeout = asyncio.timeout(None)
        self._timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        await self._timeout.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._cancel()
        try:
            await self._timeout.__aexit__(kind, error, traceback)
        except TimeoutError as late:
            raise TransportTimeout(
                f"the image came more slowly than {MIN_BYTES_PER_SECOND} bytes a second"
                f" for {self._window:g} s"
            ) from late

    async def trace(self, event: str, _info: Mapping[str, Any]) -> None:
        """Start when the request is sent. The transport calls this as its `trace` extension."""
        if event.endswith(".send_request_headers.started"):
            self.begin()

    def begin(self) -> None:
        """Start or restart the checks; the first is after two windows."""
        self._cancel()
        self._schedule_check(2 * self._window)

    def _check(self) -> None:
        received = self._received()
        if self.paused or received - self._last_received >= MIN_BYTES_PER_SECOND * self._window:
            self._last_received = received
            self._schedule_check(self._window)
        else:
            self._timeout.reschedule(asyncio.get_running_loop().time())

    def _schedule_check(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._check)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

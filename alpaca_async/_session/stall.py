"""Detects downloads that do not begin, stop, or trickle."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from alpaca_async._errors import TransportTimeout
from alpaca_async._loops import running_loop

from .error_mapping import Limit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType
    from typing import Self

MIN_BYTES_PER_SECOND: Final = 256
"""Any real network is faster; a hanging server that still sends a few bytes is slower."""

_CHECKS_PER_LIMIT: Final = 8
_LONGEST_PAUSE: Final = 60.0


class StallGuard:
    """Raises `TransportTimeout` in its `async with` block when a download does not go on.

    `received()` is the number of bytes of the body so far. The first must come within
    `first_byte` seconds, and then at least `MIN_BYTES_PER_SECOND` within every `window`. Set
    `paused` while the client itself does not read. Progress is checked eight times per limit, not
    with each received byte: an error may come late by an eighth of the limit.
    """

    def __init__(self, window: float, first_byte: float, received: Callable[[], int]) -> None:
        self.paused = False
        self._window = window
        self._first_byte = first_byte
        self._pause = min(
            window / _CHECKS_PER_LIMIT, first_byte / _CHECKS_PER_LIMIT, _LONGEST_PAUSE
        )
        self._received = received
        self._bytes_seen = 0
        self._seen_at = 0.0
        self._error = ""
        running_loop()
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
        if self._timer is not None:
            self._timer.cancel()
        try:
            await self._timeout.__aexit__(kind, error, traceback)
        except TimeoutError as late:
            raise TransportTimeout(self._error) from late

    async def trace(self, event: str, _info: Mapping[str, Any]) -> None:
        """Start when the request is sent. The transport calls this as its `trace` extension."""
        if event.endswith(".send_request_headers.started"):
            self.begin()

    def begin(self) -> None:
        """Start the checks; does nothing the second time."""
        if self._timer is None:
            self._note_progress()
            self._schedule_check()

    def _check(self) -> None:
        received = self._received()
        enough = MIN_BYTES_PER_SECOND * self._window if self._bytes_seen else 1
        if self.paused or received - self._bytes_seen >= enough:
            self._note_progress()
        self._error = self._late(received)
        if self._error:
            self._timeout.reschedule(asyncio.get_running_loop().time())
        else:
            self._schedule_check()

    def _late(self, received: int) -> str:
        """Return what is wrong with the download, or an empty string."""
        waited = asyncio.get_running_loop().time() - self._seen_at
        if waited < (self._window if received else self._first_byte):
            return ""
        if not received:
            limit = Limit(self._first_byte, "first_byte")
            return f"no byte of the image came in time: {limit}"
        limit = Limit(self._window, "stall")
        if received == self._bytes_seen:
            return f"the server sent no data in time: {limit}"
        return f"the image came more slowly than {MIN_BYTES_PER_SECOND} bytes a second: {limit}"

    def _note_progress(self) -> None:
        self._bytes_seen = self._received()
        self._seen_at = asyncio.get_running_loop().time()

    def _schedule_check(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._pause, self._check)

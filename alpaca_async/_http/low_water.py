"""The low-water mark of a socket, so that small portions do not each cost an iteration."""

from __future__ import annotations

import socket
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, TimerHandle

# Other systems also have SO_RCVLOWAT, but it is untested there.
LOW_WATER: Final = 512 * 1024 if sys.platform == "linux" else 1
"""During a large download, a socket is readable only when this many bytes are waiting."""

_TIMEOUT: Final = 0.1
"""Seconds after which any byte makes the socket readable again."""


class LowWaterMark:
    """How many bytes must be waiting before a socket is reported as readable."""

    def __init__(self, sock: socket.socket, loop: AbstractEventLoop) -> None:
        self._socket = sock
        self._loop = loop
        self._nbytes = 1
        self._timer: TimerHandle | None = None

    def raise_for_a_while(self) -> None:
        """Wait for a large portion, or for the end of the stream, until the timeout."""
        if self._nbytes < LOW_WATER:
            self._set(LOW_WATER)
            self._timer = self._loop.call_later(_TIMEOUT, self.lower)

    def lower(self) -> None:
        """Make the socket readable with any byte."""
        self.stop_timer()
        if self._nbytes > 1:
            self._set(1)

    def stop_timer(self) -> None:
        """Leave the mark as it is: the socket is being closed."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set(self, nbytes: int) -> None:
        self._nbytes = nbytes
        with suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, nbytes)

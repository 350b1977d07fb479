"""Pauses the reading of a connection, for one reason or several at a time."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, ReadTransport


class Pause(Enum):
    """A reason to pause."""

    TURN = auto()
    """It is another connection's turn."""
    UNREAD = auto()
    """The caller has not yet taken what was received."""
    ITERATION = auto()
    """This iteration of the event loop has read enough."""


class Reading:
    """Pauses a transport as long as there is a reason; resumes it with the last one."""

    def __init__(self, transport: ReadTransport, loop: AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._reasons: set[Pause] = set()
        self._has_read = False
        self._loop_repeats = False

    def pause(self, reason: Pause) -> None:
        """Stop reading until this and every other reason is gone."""
        self._reasons.add(reason)
        self._transport.pause_reading()

    def resume(self, reason: Pause) -> None:
        """Drop a reason."""
        if reason in self._reasons:
            self._reasons.remove(reason)
            if not self._reasons:
                self._transport.resume_reading()

    def may_be_repeated(self) -> None:
        """Note a read that costs time; allow one of them in each iteration of the event loop.

        asyncio's own loops read a socket once in each iteration. libuv repeats a read that filled
        its buffer, up to 32 times: other tasks would wait for 32 MiB. Pausing costs two system
        calls, so it begins with the first read that is repeated.
        """
        if self._has_read:
            self._loop_repeats = True
        else:
            self._has_read = True
            self._loop.call_soon(self._next_iteration)
        if self._loop_repeats:
            self.pause(Pause.ITERATION)

    def _next_iteration(self) -> None:
        self._has_read = False
        self.resume(Pause.ITERATION)

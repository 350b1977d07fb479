"""Pauses the reading of a connection, for one reason or several at a time."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncio import ReadTransport


class Pause(Enum):
    """A reason to pause."""

    TURN = auto()
    """It is another connection's turn."""
    UNREAD = auto()
    """The caller has not yet taken what was received."""


class Reading:
    """Pauses a transport as long as there is a reason; resumes it with the last one."""

    def __init__(self, transport: ReadTransport) -> None:
        self._transport = transport
        self._reasons: set[Pause] = set()

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

    def is_paused(self, reason: Pause) -> bool:
        """Whether `reason` holds."""
        return reason in self._reasons

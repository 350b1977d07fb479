"""Wakes all event streams when something changes, and limits how many there are."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator


class Changes:
    """Tells all tasks that wait for it that something has changed."""

    def __init__(self) -> None:
        self.next_change = asyncio.Event()
        """Set by the next change; read it before the state, to miss no change."""

    def notify(self) -> None:
        """Wake the tasks that wait for `next_change`, and replace it by a new event."""
        event, self.next_change = self.next_change, asyncio.Event()
        event.set()


class LimitReachedError(Exception):
    """Too many are there already; the message says of what."""


class Limit:
    """Limits how many blocks run at a time."""

    def __init__(self, maximum: int, what: str) -> None:
        self._free = maximum
        self._message = f"There are {maximum} {what} already; close one, or try again later."

    @contextmanager
    def held(self) -> Generator[None]:
        """Count one during the block; raise `LimitReachedError` if it is one too many."""
        if not self._free:
            raise LimitReachedError(self._message)
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1

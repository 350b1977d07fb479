"""What a device has answered, and when to ask again for what it has not. No I/O."""

from __future__ import annotations

import threading
from dataclasses import fields, replace
from time import monotonic
from typing import Any, Final, Generic, TypeVar

from alpaca_async._facts import CameraInfo, CameraSettings

Facts = TypeVar("Facts", CameraInfo, CameraSettings)

_FIRST_PAUSE: Final = 10.0
"""Seconds after its first failure in which a member is not asked for again."""
_LONGEST_PAUSE: Final = 600.0


class RetryPauses:
    """When to ask again for members that failed: the pauses double from failure to failure."""

    def __init__(self) -> None:
        self._failed: dict[str, tuple[float, float]] = {}

    def allows(self, name: str) -> bool:
        """Whether the member may be asked for now."""
        return name not in self._failed or monotonic() >= self._failed[name][1]

    def has_failed(self, name: str) -> bool:
        """Whether the last request for the member failed."""
        return name in self._failed

    def failed(self, name: str) -> None:
        """Record a failure: do not ask again for a while."""
        former, _ = self._failed.get(name, (0.0, 0.0))
        pause = min(max(former * 2, _FIRST_PAUSE), _LONGEST_PAUSE)
        self._failed[name] = (pause, monotonic() + pause)

    def answered(self, name: str) -> None:
        """Record an answer."""
        self._failed.pop(name, None)

    def forget(self) -> None:
        """Forget all failures."""
        self._failed = {}


class KnownFacts(Generic[Facts]):
    """The facts of one kind that a device has answered so far.

    That the device lacks a member is an answer; a read that failed is not. A fact is late if an
    exposure has waited for it and it did not come: the next exposures do not wait for it.
    """

    def __init__(self, kind: type[Facts]) -> None:
        self.known: Facts = kind()
        """What was answered; the other fields have their defaults."""
        self.version = 0
        """Increases whenever the answers become invalid."""
        self.late: frozenset[str] = frozenset()
        """The unknown facts that an exposure has waited for, and that did not come."""
        self._kind: type[Facts] = kind
        self._lock = threading.RLock()
        """Event loops in several threads add facts."""
        self._answered: frozenset[str] = frozenset()

    @property
    def unknown(self) -> list[str]:
        """The names of the facts without an answer."""
        return [each.name for each in fields(self._kind) if each.name not in self._answered]

    def add(self, name: str, value: Any, version: int) -> None:  # noqa: ANN401 - any field
        """Record an answer to a request that was sent when `version` was valid."""
        with self._lock:
            if version != self.version:
                return
            if value is not None:
                self.known = replace(self.known, **{name: value})
            self._answered |= {name}

    def stop_waiting(self) -> None:
        """Record that an exposure has waited long enough for all that is unknown."""
        self.late = frozenset(self.unknown)

    def forget(self) -> None:
        """Forget all answers."""
        with self._lock:
            self.version += 1
            self.known = self._kind()
            self._answered = self.late = frozenset()

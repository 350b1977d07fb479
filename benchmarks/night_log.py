"""Finds each injected fault in the library's log.

- A fault of the network belongs to one request. The log has a line for each request that failed,
  was cancelled or was sent again; the transaction id (`#17`, `ClientTransactionID=17`) tells which.
  A delay that is shorter than every timeout leaves no such line: the client cannot notice it.
- A fault of the camera belongs to a StartExposure. That has failed, or before the next one the log
  says that the exposure is repeated, or that it was aborted.
- A restart of the server lets a request fail before the next frame arrives.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from alpaca_async.testing import FaultEvent

DELAYS: Final = frozenset({"delay", "slow"})
_FAILED: Final = re.compile(
    r"#(\d+): (?:failed|cancelled) after|ClientTransactionID=(\d+) .*sent again"
)
_STARTED: Final = re.compile(r"PUT \S+/startexposure #(\d+):")
_REPEATED: Final = re.compile(r"the exposure is repeated|PUT \S+/abortexposure #")


@dataclass(slots=True)
class Findings:
    """What the log has of the injected faults, by kind."""

    logged: Counter[str] = field(default_factory=Counter[str])
    unnoticeable: Counter[str] = field(default_factory=Counter[str])
    missing: Counter[str] = field(default_factory=Counter[str])

    def add(self, fault: str, *, logged: bool, noticeable: bool = True) -> None:
        """Count a fault."""
        kind = self.logged if logged else self.missing if noticeable else self.unnoticeable
        kind[fault] += 1


class NightLog(logging.Handler):
    """Keeps the lines of the library's log."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line; those of the simulator would contain each fault anyway."""
        if record.name == "alpaca_async":
            self.lines.append(record.getMessage())

    def find_network_faults(self, events: Iterable[FaultEvent], findings: Findings) -> None:
        """Look for each fault that the proxy injected."""
        lines = self._failures()
        for event in sorted(events, key=lambda event: event.fault in DELAYS):
            number = int(event.parameters["ClientTransactionID"])
            logged = lines[number] > 0
            lines[number] -= 1
            findings.add(event.fault, logged=logged, noticeable=event.fault not in DELAYS)

    def find_camera_faults(self, faults: Iterable[tuple[str, int]], findings: Findings) -> None:
        """Look for each fault of an exposure, given with the id of its StartExposure."""
        failures = self._failures()
        repeated = self._repeated()
        for fault, number in faults:
            findings.add(fault, logged=failures[number] > 0 or number in repeated)

    def has_failure(self, first: int, last: int) -> bool:
        """Whether a request failed between two positions in the log."""
        return any(_FAILED.search(line) for line in self.lines[first:last])

    def _failures(self) -> Counter[int]:
        """Return how many lines say that a request failed or was sent again, by its id."""
        found = (_FAILED.search(line) for line in self.lines)
        return Counter(int(match[1] or match[2]) for match in found if match is not None)

    def _repeated(self) -> set[int]:
        """Return the ids of the StartExposure requests whose exposures were repeated or aborted."""
        latest, repeated = 0, set[int]()
        for line in self.lines:
            if (start := _STARTED.search(line)) is not None:
                latest = int(start[1])
            elif _REPEATED.search(line):
                repeated.add(latest)
        return repeated

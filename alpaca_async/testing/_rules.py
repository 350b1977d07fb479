"""Rules that select requests for a fault, and the events that record them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from ._faults import Fault
    from ._message import Request


class FaultEvent(NamedTuple):
    """A fault that was injected; for a fault of a connection, `verb` and `member` are empty."""

    time: float
    """In seconds of `time.monotonic`."""
    fault: str
    verb: str
    member: str
    device: int | None
    parameters: Mapping[str, str]
    """Include the client and transaction ids."""


@dataclass(kw_only=True, eq=False)
class FaultRule:
    """A fault and the requests it applies to; a context manager that removes it on exit."""

    fault: Fault
    member: str | None
    verb: str | None
    device: int | None
    times: int | None
    after: int
    probability: float
    options: Mapping[str, float]
    random: random.Random = field(repr=False)
    on_remove: Callable[[FaultRule], None] = field(repr=False)
    seen: int = 0
    """How many requests matched."""
    hits: int = 0
    """How many requests it was applied to."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.remove()

    def remove(self) -> None:
        """Remove this rule from the proxy."""
        self.on_remove(self)

    def chooses(self, request: Request) -> bool:
        """Count a request, and return whether to inject the fault."""
        if not self._matches(request):
            return False
        self.seen += 1
        if self.seen <= self.after or self.hits == self.times:
            return False
        chosen = self.random.random() < self.probability
        self.hits += chosen
        return chosen

    def _matches(self, request: Request) -> bool:
        if self.fault.scope != "request" or not request.verb:
            return self.fault.scope != "request" and not request.verb
        return (
            self.member in {None, request.member.lower()}
            and self.verb in {None, request.verb}
            and self.device in {None, request.device}
        )

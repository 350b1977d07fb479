"""Which requests a fault befalls, and what is remembered of it."""

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
    """A fault that befell a request, or a connection, where `verb` and `member` are empty."""

    time: float
    """By `time.monotonic`."""
    fault: str
    verb: str
    member: str
    device: int | None
    parameters: Mapping[str, str]
    """Ids of client and transaction included."""


@dataclass(kw_only=True, eq=False)
class FaultRule:
    """A fault and the requests that it befalls; a context manager that ends with its block."""

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
    """How many requests it could have befallen."""
    hits: int = 0
    """How many it befell."""

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
        """Let this fault befall nothing more."""
        self.on_remove(self)

    def chooses(self, request: Request) -> bool:
        """Count a request, and tell whether the fault befalls it."""
        if not self._concerns(request):
            return False
        self.seen += 1
        if self.seen <= self.after or self.hits == self.times:
            return False
        chosen = self.random.random() < self.probability
        self.hits += chosen
        return chosen

    def _concerns(self, request: Request) -> bool:
        if self.fault.scope != "request" or not request.verb:
            return self.fault.scope != "request" and not request.verb
        return (
            self.member in {None, request.member.lower()}
            and self.verb in {None, request.verb}
            and self.device in {None, request.device}
        )

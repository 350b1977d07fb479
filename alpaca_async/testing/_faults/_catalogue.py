"""What a fault is, and the list of all."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from ._exchange import Exchange

Kind: TypeAlias = Literal["network", "HTTP", "content", "image"]
Scope: TypeAlias = Literal["request", "connection", "port"]
Deed: TypeAlias = "Callable[[Exchange], Awaitable[None]]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One way in which a network or a server can fail.

    `passes_on` tells whether the server gets the request, and so executes a command. `options`
    are numbers that `FaultProxy.add` takes for it, with what they are unless given. `scope` is
    what it befalls: requests mostly, else connections before they bring one, or the port.
    """

    name: str
    kind: Kind
    description: str
    passes_on: bool
    options: Mapping[str, float]
    scope: Scope
    deed: Deed = field(repr=False)


_faults: dict[str, Fault] = {}

FAULTS: Final[Mapping[str, Fault]] = MappingProxyType(_faults)
"""All faults that a `FaultProxy` knows, by name."""


def fault(
    kind: Kind,
    description: str,
    *,
    name: str = "",
    passes_on: bool = True,
    scope: Scope = "request",
    **options: float,
) -> Callable[[Deed], Deed]:
    """Put a function into the list, under its own name unless one is given."""

    def register(deed: Deed) -> Deed:
        title = name or getattr(deed, "__name__", "")
        _faults[title] = Fault(
            name=title,
            kind=kind,
            description=description,
            passes_on=passes_on,
            options=MappingProxyType(options),
            scope=scope,
            deed=deed,
        )
        return deed

    return register

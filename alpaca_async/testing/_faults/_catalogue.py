"""The class of faults, and the registry of all faults."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from ._exchange import Exchange

Kind: TypeAlias = Literal["network", "HTTP", "content", "image"]
Scope: TypeAlias = Literal["request", "connection", "port"]
Inject: TypeAlias = "Callable[[Exchange], Awaitable[None]]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One way in which a network or a server can fail.

    `passes_on` says whether the server receives the request, and so executes a command. `options`
    are the numeric options of the fault for `FaultProxy.add`, with their defaults. `scope` is
    what the fault applies to: single requests, new connections before their first request, or
    the port. `inject` makes the proxy do it to one exchange.
    """

    name: str
    kind: Kind
    description: str
    passes_on: bool
    options: Mapping[str, float]
    scope: Scope
    inject: Inject = field(repr=False)


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
) -> Callable[[Inject], Inject]:
    """Return a decorator that registers a function as a fault, by default under its own name."""

    def register(inject: Inject) -> Inject:
        fault_name = name or getattr(inject, "__name__", "")
        _faults[fault_name] = Fault(
            name=fault_name,
            kind=kind,
            description=description,
            passes_on=passes_on,
            options=MappingProxyType(options),
            scope=scope,
            inject=inject,
        )
        return inject

    return register

"""`--fault` of `alpaca-async sim`: which faults, of what, how often; and their list."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple, Self, TypeAlias

import typer
from rich.text import Text

from ._console import say
from ._usage import WrongUsage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from alpaca_async.testing import FaultProxy

LIST: Final = "list"
"""What stands for the list of all faults."""

Faults: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--fault",
        metavar="NAME[:MEMBER][:PROBABILITY]",
        help="Do this to requests, or to those for MEMBER; repeatable. 'list' shows all.",
        show_default=False,
    ),
]


class FaultOrder(NamedTuple):
    """A fault, what it befalls, and how likely."""

    name: str
    member: str | None
    probability: float

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return what `NAME[:MEMBER][:PROBABILITY]` says."""
        name, *rest = text.split(":")
        probability = 1.0
        if rest and (number := _number(rest[-1])) is not None:
            probability = number
            rest.pop()
        if len(rest) > 1 or not 0.0 <= probability <= 1.0 or "" in rest:
            raise WrongUsage(f"--fault {text!r} is not NAME[:MEMBER][:PROBABILITY]")
        return cls(name, rest[0] if rest else None, probability)


@asynccontextmanager
async def behind_faults(
    target: str, orders: list[FaultOrder], *, host: str, port: int, seed: int
) -> AsyncGenerator[FaultProxy]:
    """Stand before `target` and do what was ordered, while the block runs."""
    from alpaca_async.testing import FaultProxy  # noqa: PLC0415 - where it is needed

    proxy = FaultProxy(target, host=host, port=port, seed=seed)
    for order in orders:
        try:
            proxy.add(order.name, member=order.member, probability=order.probability)
        except ValueError as error:
            raise WrongUsage(str(error)) from error
    async with proxy:
        yield proxy


def print_faults() -> None:
    """Print the list of all faults, kind by kind, one a line."""
    from alpaca_async.testing import FAULTS  # noqa: PLC0415 - where it is needed

    for fault in sorted(FAULTS.values(), key=lambda fault: _KINDS.index(fault.kind)):
        say(Text.assemble((f"{fault.kind:8} ", "dim"), f"{fault.name:21} {fault.description}"))


_KINDS: Final = ("network", "HTTP", "content", "image")


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None

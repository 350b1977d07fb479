"""The option `--fault` of `alpaca-async sim`, and the list of faults."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple, Self, TypeAlias

import typer
from rich.text import Text

from ._console import print_line
from ._usage import UsageError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from alpaca_async.testing import FaultProxy

LIST: Final = "list"
"""The value of `--fault` that prints all faults."""

Faults: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--fault",
        metavar="NAME[:MEMBER][:PROBABILITY]",
        help="Cause this fault, only for MEMBER if given. Repeatable. 'list' prints all faults.",
        show_default=False,
    ),
]


class FaultSpec(NamedTuple):
    """A fault, the member it applies to (None for all), and its probability."""

    name: str
    member: str | None
    probability: float

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse `NAME[:MEMBER][:PROBABILITY]`; raise `UsageError` if it is not valid."""
        name, *rest = text.split(":")
        probability = 1.0
        if rest and (number := _number(rest[-1])) is not None:
            probability = number
            rest.pop()
        if len(rest) > 1 or not 0.0 <= probability <= 1.0 or "" in rest:
            raise UsageError(f"--fault {text!r} is not valid: use NAME[:MEMBER][:PROBABILITY]")
        return cls(name, rest[0] if rest else None, probability)


@asynccontextmanager
async def fault_proxy(
    target: str, specs: list[FaultSpec], *, host: str, port: int, seed: int
) -> AsyncGenerator[FaultProxy]:
    """Run a proxy for `target` during the block; it causes the faults of `specs`."""
    from alpaca_async.testing import FaultProxy  # noqa: PLC0415 - an extra

    proxy = FaultProxy(target, host=host, port=port, seed=seed)
    for spec in specs:
        try:
            proxy.add(spec.name, member=spec.member, probability=spec.probability)
        except ValueError as error:
            raise UsageError(str(error)) from error
    async with proxy:
        yield proxy


def print_faults() -> None:
    """Print all faults, one on each line, sorted by kind."""
    from alpaca_async.testing import FAULTS  # noqa: PLC0415 - an extra

    for fault in sorted(FAULTS.values(), key=lambda fault: _KINDS.index(fault.kind)):
        print_line(
            Text.assemble((f"{fault.kind:8} ", "dim"), f"{fault.name:21} {fault.description}")
        )


_KINDS: Final = ("network", "HTTP", "content", "image")


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None

"""The option `--fault` of `alpaca-async sim`, and the list of faults.

The faults of the network and the server are caused by a proxy, those of the camera by its model.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple, Self, TypeAlias

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


def split_faults(specs: list[FaultSpec]) -> tuple[dict[str, Any], list[FaultSpec]]:
    """Return the arguments of `SimulatedCamera` for faults of the camera, and the other faults."""
    from alpaca_async.testing import CAMERA_FAULTS  # noqa: PLC0415 - an extra

    model: dict[str, Any] = {}
    for spec in specs:
        if spec.name in CAMERA_FAULTS:
            if spec[1:] != (None, 1.0):
                raise UsageError(f"--fault {spec.name} takes no member and no probability")
            model |= CAMERA_FAULTS[spec.name].model
    return model, [spec for spec in specs if spec.name not in CAMERA_FAULTS]


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
    from alpaca_async.testing import CAMERA_FAULTS, FAULTS  # noqa: PLC0415 - an extra

    for fault in sorted(FAULTS.values(), key=lambda fault: _KINDS.index(fault.kind)):
        _print_fault(fault.kind, fault.name, fault.description)
    for camera_fault in CAMERA_FAULTS.values():
        _print_fault("camera", camera_fault.name, camera_fault.description)


def _print_fault(kind: str, name: str, description: str) -> None:
    print_line(Text.assemble((f"{kind:8} ", "dim"), f"{name:23} {description}"))


_KINDS: Final = ("network", "HTTP", "content", "image")


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None

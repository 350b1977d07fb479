"""`alpaca-async watch`: what many cameras are doing, until Ctrl-C."""

from __future__ import annotations

import math
from contextlib import AsyncExitStack, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.live import Live

from alpaca_async._camera import AlpacaClient

from ._console import OUT, foreseen_errors, say, say_json_line
from ._extras import require
from ._running import run
from ._server import AsJson, extras_for, reachable
from ._sights import Sight, Watchers
from ._watch_table import line_of, screen

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_FAILED: Final = 1
_REDRAWN: Final = 4
"""Times a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What one call of the command asks for."""

    addresses: Sequence[str]
    device: int | None
    interval: float
    count: float
    as_json: bool

    @property
    def tell(self) -> Callable[[Sight], None]:
        """What becomes of each new sight."""
        if self.as_json:
            return _say_json
        return _ignore if OUT.is_terminal else _say


def watch(
    addresses: Annotated[
        list[str],
        typer.Argument(
            metavar="ADDRESS",
            help="HOST, HOST:PORT, http(s)://HOST:PORT, or 'sim' for a simulated camera.",
            show_default=False,
        ),
    ],
    interval: Annotated[
        float,
        typer.Option("--interval", "-i", min=0.01, metavar="SECONDS", help="Between two looks."),
    ] = 1.0,
    count: Annotated[
        int | None,
        typer.Option(
            "--count", "-n", min=1, metavar="COUNT", help="Look so often; for ever unless given."
        ),
    ] = None,
    as_json: AsJson = False,
    device: Annotated[
        int | None,
        typer.Option(
            "--device",
            "-d",
            min=0,
            metavar="N",
            help="Only cameras with this number.",
        ),
    ] = None,
) -> None:
    """Watch what all cameras of some servers are doing, until Ctrl-C.

    Cameras are neither connected nor disconnected. A server that does not answer is asked again.
    In a pipe, each look at a camera is a line; with --json a document.
    """
    with foreseen_errors():
        require(*{extra for address in addresses for extra in extras_for(address)})
        run(
            _watch(
                Round(
                    addresses=addresses,
                    device=device,
                    interval=interval,
                    count=math.inf if count is None else count,
                    as_json=as_json,
                )
            )
        )


async def _watch(order: Round) -> None:
    async with AsyncExitStack() as stack:
        places = [await stack.enter_async_context(reachable(a)) for a in order.addresses]
        client = await stack.enter_async_context(AlpacaClient())
        watchers = Watchers(
            client,
            list(dict.fromkeys(places)),
            interval=order.interval,
            device=order.device,
            tell=order.tell,
        )
        with _drawn(watchers, order):
            await watchers.run(order.count)
    if any(sight.error for sight in watchers.sights.values()):
        raise typer.Exit(_FAILED)


def _drawn(watchers: Watchers, order: Round) -> Live | nullcontext[None]:
    """Return what draws the cameras while it is entered, where a person looks."""
    if order.as_json or not OUT.is_terminal:
        return nullcontext()
    return Live(
        get_renderable=lambda: screen(list(watchers.sights.values()), OUT.width, order.interval),
        console=OUT,
        refresh_per_second=_REDRAWN,
    )


def _ignore(_: Sight) -> None:
    """Leave it to what is drawn."""


def _say(sight: Sight) -> None:
    say(f"{_now()} {line_of(sight)}")


def _say_json(sight: Sight) -> None:
    say_json_line({"time": _now(), **sight.as_dict()})


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")

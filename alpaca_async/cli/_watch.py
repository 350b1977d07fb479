"""`alpaca-async watch`: shows the state of many cameras until Ctrl-C."""

from __future__ import annotations

import math
from contextlib import AsyncExitStack, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.live import Live

from ._access import Access, Pins, User
from ._console import OUT, print_json_line, print_line, report_errors
from ._event_loop import run
from ._server import AsJson, server_address
from ._snapshots import Snapshot, Watcher
from ._watch_table import line_of, screen

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_FAILED: Final = 1
_REDRAWS_PER_SECOND: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchOptions:
    """The arguments of the command."""

    addresses: Sequence[str]
    access: Access
    device: int | None
    interval: float
    count: float
    as_json: bool

    @property
    def on_snapshot(self) -> Callable[[Snapshot], None]:
        """The function that prints a new snapshot."""
        if self.as_json:
            return _print_json
        return _ignore if OUT.is_terminal else _print_line


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
        typer.Option(
            "--interval", "-i", min=0.01, metavar="SECONDS", help="Time between two readings."
        ),
    ] = 1.0,
    count: Annotated[
        int | None,
        typer.Option(
            "--count",
            "-n",
            min=1,
            metavar="COUNT",
            help="Stop after this many readings of each camera. Default: no limit.",
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
            help="Show only cameras with this device number.",
        ),
    ] = None,
    user: User = None,
    pin: Pins = None,
) -> None:
    """Show the state of all cameras of the given servers until Ctrl-C.

    Cameras are neither connected nor disconnected. A server that does not answer is asked again.
    In a pipe, each reading of a camera is one line, with --json one JSON document.
    """
    with report_errors():
        run(
            _watch(
                WatchOptions(
                    addresses=addresses,
                    access=Access.to(addresses, user, pin),
                    device=device,
                    interval=interval,
                    count=math.inf if count is None else count,
                    as_json=as_json,
                )
            )
        )


async def _watch(options: WatchOptions) -> None:
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(server_address(a)) for a in options.addresses]
        client = await stack.enter_async_context(options.access.client())
        watcher = Watcher(
            client,
            list(dict.fromkeys(servers)),
            interval=options.interval,
            device=options.device,
            on_snapshot=options.on_snapshot,
        )
        with _live_table(watcher, options):
            await watcher.run(options.count)
    if any(snapshot.error for snapshot in watcher.snapshots.values()):
        raise typer.Exit(_FAILED)


def _live_table(watcher: Watcher, options: WatchOptions) -> Live | nullcontext[None]:
    """Return a context manager that shows a live table on a terminal, and nothing elsewhere."""
    if options.as_json or not OUT.is_terminal:
        return nullcontext()
    return Live(
        get_renderable=lambda: screen(
            list(watcher.snapshots.values()), OUT.width, options.interval
        ),
        console=OUT,
        refresh_per_second=_REDRAWS_PER_SECOND,
    )


def _ignore(_: Snapshot) -> None:
    """Print nothing: the live table shows it."""


def _print_line(snapshot: Snapshot) -> None:
    print_line(f"{_now()} {line_of(snapshot)}")


def _print_json(snapshot: Snapshot) -> None:
    print_json_line({"time": _now(), **snapshot.as_dict()})


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")

"""`alpaca-async watch`: shows the state of many cameras until Ctrl-C."""

from __future__ import annotations

import math
from contextlib import AsyncExitStack, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.live import Live

from alpaca_async.ray._joining import joined

from ._access import Access, Pins, User
from ._console import OUT, print_json_line, print_line, report_errors
from ._event_loop import run
from ._extras import require
from ._host_snapshots import HostsWatcher
from ._server import AsJson, Interval, server_address
from ._snapshots import Snapshot, Watcher
from ._usage import UsageError
from ._watch_table import line_of, screen

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_FAILED: Final = 1
_REDRAWS_PER_SECOND: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchOptions:
    """What is shown, and how."""

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
        list[str] | None,
        typer.Argument(
            metavar="ADDRESS",
            help="HOST, HOST:PORT, http(s)://HOST:PORT, or 'sim' for a simulated camera.",
            show_default=False,
        ),
    ] = None,
    interval: Interval = 1.0,
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
    ray: Annotated[
        str | None,
        typer.Option(
            "--ray",
            metavar="HOST:PORT",
            help="Show all cameras of the CameraHosts in the Ray cluster with this head.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Show the state of all cameras of the given servers until Ctrl-C.

    Cameras are neither connected nor disconnected. A server that does not answer is asked again.
    In a pipe, each reading of a camera is one line, with --json one JSON document.
    """
    options = WatchOptions(
        interval=interval, count=math.inf if count is None else count, as_json=as_json
    )
    with report_errors():
        if ray is not None:
            if addresses or device is not None or user or pin:
                raise UsageError("--ray goes with --interval, --count and --json only")
            host, port = _host_and_port(ray)
            require("ray")
            run(_watch_hosts(host, port, options))
        elif addresses:
            run(_watch(addresses, Access.to(addresses, user, pin), device, options))
        else:
            raise UsageError("watch needs an ADDRESS, or --ray")


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or "/" in host:
        raise UsageError(f"--ray needs HOST:PORT, as `ray start --head` prints it, not {address!r}")
    return host, int(port)


async def _watch(
    addresses: Sequence[str], access: Access, device: int | None, options: WatchOptions
) -> None:
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(server_address(a)) for a in addresses]
        client = await stack.enter_async_context(access.client())
        watcher = Watcher(
            client,
            list(dict.fromkeys(servers)),
            interval=options.interval,
            device=device,
            on_snapshot=options.on_snapshot,
        )
        await _show(watcher, options)


async def _watch_hosts(host: str, port: int, options: WatchOptions) -> None:
    async with joined(host, port):
        watcher = HostsWatcher(interval=options.interval, on_snapshot=options.on_snapshot)
        await _show(watcher, options)


async def _show(watcher: Watcher | HostsWatcher, options: WatchOptions) -> None:
    with _live_table(watcher, options):
        await watcher.run(options.count)
    if any(snapshot.error for snapshot in watcher.snapshots.values()):
        raise typer.Exit(_FAILED)


def _live_table(watcher: Watcher | HostsWatcher, options: WatchOptions) -> Live | nullcontext[None]:
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

"""`alpaca-async discover`: finds the cameras on the network."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.table import Table
from rich.text import Text

from alpaca_async._discovery.discovery import DISCOVERY_PORT
from alpaca_async._discovery.finding import find_cameras

from ._console import OUT, print_json, print_line, report_errors
from ._event_loop import run
from ._numbers import decimal
from ._server import AsJson  # noqa: TC001 - typer evaluates it

if TYPE_CHECKING:
    from alpaca_async._discovery.finding import FoundCamera
    from alpaca_async._stream import Stream

_UNWRAPPED_COLUMNS: Final = ("address", "unique id")
_MIN_TIMEOUT: Final = 0.1
_MAX_PORT: Final = 65535


def discover(
    hosts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="HOST",
            help="Hosts or broadcast addresses to ask. Default: all networks.",
            show_default=False,
        ),
    ] = None,
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout",
            "-t",
            parser=decimal(_MIN_TIMEOUT),
            metavar="SECONDS",
            help="How long to wait for answers.",
        ),
    ] = 2.0,
    port: Annotated[
        int, typer.Option(min=1, max=_MAX_PORT, metavar="PORT", help="UDP port for discovery.")
    ] = DISCOVERY_PORT,
    as_json: AsJson = False,
) -> None:
    """Find the cameras on the network.

    The exit code is 1 if no camera answers.
    """
    with report_errors():
        search = find_cameras(hosts or None, timeout=timeout, port=port)
        run(_print(search, timeout, as_json=as_json))


async def _print(search: Stream[FoundCamera], timeout: float, *, as_json: bool) -> None:
    async with search as cameras:
        found = [camera async for camera in cameras]
    found.sort(key=lambda camera: (camera.address, camera.device_number))
    if as_json:
        print_json([asdict(camera) for camera in found])
    elif found and OUT.is_terminal:
        OUT.print(_table(found))
    else:
        for camera in found:
            print_line(f"{camera.address} {camera.device_number} {camera.unique_id} {camera.name}")
    if not found:
        raise ValueError(f"no camera answered within {timeout:g} s")


def _table(found: list[FoundCamera]) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in ("address", "camera", "name", "unique id"):
        table.add_column(name, overflow="fold", no_wrap=name in _UNWRAPPED_COLUMNS)
    for camera in found:
        table.add_row(
            Text(camera.address),
            str(camera.device_number),
            Text(camera.name),
            Text(camera.unique_id, "dim"),
        )
    return table

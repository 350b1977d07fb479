"""`alpaca-async bench`: numbers for "it is slow", and which part is."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from ._console import ERR, conclude, foreseen_errors, say_json, say_table
from ._extras import require
from ._probe import Calls, Frames, Measurements, measure, observed
from ._running import run
from ._server import Address, AsJson, Device, connected, extras_for, reachable
from ._units import duration, megabytes
from ._verdict import verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.status import Status


def bench(
    address: Address,
    calls: Annotated[
        int, typer.Option("--calls", min=1, metavar="COUNT", help="How many small calls.")
    ] = 200,
    frames: Annotated[
        int, typer.Option("--frames", "-n", min=0, metavar="COUNT", help="How many frames.")
    ] = 3,
    exposure: Annotated[
        float, typer.Option("--time", "-t", min=0.0, metavar="SECONDS", help="Of each exposure.")
    ] = 0.1,
    as_json: AsJson = False,
    device: Device = 0,
) -> None:
    """Measure how fast a camera, its server and the network are, and say what is slow.

    Takes frames as the camera is set, unless it is busy; settings stay as they are. Ctrl-C
    aborts the exposure. A camera that is not connected is connected meanwhile.
    """
    with foreseen_errors():
        require(*extras_for(address))
        run(_bench(address, device, calls, frames, exposure, as_json=as_json))


async def _bench(
    address: str, number: int, calls: int, frames: int, exposure: float, *, as_json: bool
) -> None:
    async with reachable(address) as place, observed() as (client, transport):
        camera = client.camera(place, number)
        with _spinner():
            async with connected(camera):
                measured = await measure(
                    camera, transport, calls=calls, frames=frames, exposure=exposure
                )
    if as_json:
        say_json({**asdict(measured), "verdict": verdict(measured)})
    else:
        _show(measured)


def _spinner() -> Status | AbstractContextManager[None]:
    return ERR.status("measuring") if ERR.is_interactive else nullcontext()


def _show(measured: Measurements) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(no_wrap=True, justify="right")
    table.add_column(overflow="fold")
    for row in _rows(measured):
        table.add_row(*row)
    say_table(table)
    for sentence in verdict(measured):
        conclude(f"- {sentence}")


def _rows(measured: Measurements) -> Iterator[tuple[str, str, str]]:
    kept = ", kept open" if measured.openings == 1 else ""
    yield "connection", duration(measured.opening), f"to open; {measured.http_version}"
    yield "", str(measured.openings), f"for {measured.calls.count} calls{kept}"
    yield from _calls("small call", measured.calls)
    if measured.frames is not None:
        yield from _frames(measured.frames)


def _calls(title: str, calls: Calls) -> Iterator[tuple[str, str, str]]:
    yield title, duration(calls.median), f"the median of {calls.count}"
    yield "", duration(calls.p99), "99 of 100 take no longer"


def _frames(frames: Frames) -> Iterator[tuple[str, str, str]]:
    form = "JSON" if frames.media_type.endswith("json") else "ImageBytes"
    what = f"{frames.width} x {frames.height} as {form}, {_types(frames)}"
    yield "frame", megabytes(frames.nbytes), what
    yield "", duration(frames.ready), f"until ready, after {frames.exposure:g} s of exposure"
    yield "", duration(frames.first_byte), "until the first byte"
    yield "", duration(frames.transfer), f"transfer, {megabytes(frames.bytes_per_second)}/s"
    if frames.calls_meanwhile is not None:
        yield from _calls("call meanwhile", frames.calls_meanwhile)


def _types(frames: Frames) -> str:
    wire, camera = frames.wire_type.lower(), frames.camera_type.lower()
    return wire if wire == camera else f"{wire} ({camera} in the camera)"

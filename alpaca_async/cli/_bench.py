"""`alpaca-async bench`: measures speed, and reports which part is slow."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from ._access import Access, Pins, User
from ._console import ERR, print_json, print_sentence, print_table, report_errors
from ._event_loop import run
from ._findings import findings
from ._frames import Duration  # noqa: TC001 - typer evaluates it
from ._probe import Calls, Frames, Measurements, measure, observed_client
from ._server import Address, AsJson, Device, Keep, connections, server_address
from ._units import duration, megabytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.status import Status


def bench(  # noqa: PLR0913, PLR0917 - one parameter for each option
    address: Address,
    calls: Annotated[
        int, typer.Option("--calls", min=1, metavar="COUNT", help="Number of small calls.")
    ] = 200,
    frames: Annotated[
        int, typer.Option("--frames", "-n", min=0, metavar="COUNT", help="Number of frames.")
    ] = 3,
    exposure: Duration = 0.1,
    keep: Keep = False,
    as_json: AsJson = False,
    device: Device = 0,
    user: User = None,
    pin: Pins = None,
) -> None:
    """Measure the speed of a camera, its server and the network.

    Reports what is slow. The frames are taken with the camera's present settings; no frame is
    taken if the camera is busy. Ctrl-C aborts the exposure. A camera that is not connected is
    connected during the measurement.
    """
    with report_errors():
        access = Access.to([address], user, pin)
        run(_bench(address, device, access, calls, frames, exposure, keep=keep, as_json=as_json))


async def _bench(
    address: str,
    number: int,
    access: Access,
    calls: int,
    frames: int,
    exposure: float,
    *,
    keep: bool,
    as_json: bool,
) -> None:
    async with server_address(address) as server, observed_client(access) as (client, transport):
        camera = client.camera(server, number)
        with _spinner():
            async with connections(keep=keep) as connect:
                await connect(camera)
                measured = await measure(
                    camera, transport, calls=calls, frames=frames, exposure=exposure
                )
    if as_json:
        print_json({**asdict(measured), "verdict": findings(measured)})
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
    print_table(table)
    for sentence in findings(measured):
        print_sentence(f"- {sentence}")


def _rows(measured: Measurements) -> Iterator[tuple[str, str, str]]:
    yield "connection", duration(measured.opening), f"to open; {measured.http_version}"
    count = measured.openings
    what = "connection (keep-alive)" if count == 1 else "connections"
    yield "", str(count), f"{what} for {measured.calls.count} calls"
    yield from _calls("small call", measured.calls)
    if measured.frames is not None:
        yield from _frames(measured.frames)


def _calls(title: str, calls: Calls) -> Iterator[tuple[str, str, str]]:
    yield title, duration(calls.median), f"median of {calls.count}"
    yield "", duration(calls.p99), "99th percentile"


def _frames(frames: Frames) -> Iterator[tuple[str, str, str]]:
    form = "JSON" if frames.media_type.endswith("json") else "ImageBytes"
    what = f"{frames.width} x {frames.height} as {form}, {_types(frames)}"
    yield "frame", megabytes(frames.nbytes), what
    yield (
        "",
        duration(frames.ready),
        f"until the image is ready, after {frames.exposure:g} s of exposure",
    )
    yield "", duration(frames.first_byte), "until the first byte of the image"
    rate = megabytes(frames.bytes_per_second)
    yield "", duration(frames.transfer), f"transfer, {rate}/s; rows by {frames.transposed_by}"
    if frames.calls_meanwhile is not None:
        yield from _calls("parallel call", frames.calls_meanwhile)


def _types(frames: Frames) -> str:
    wire, camera = frames.wire_type.lower(), frames.camera_type.lower()
    return wire if wire == camera else f"{wire} ({camera} in the camera)"

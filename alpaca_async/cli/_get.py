"""`alpaca-async get`: members of a camera by name, once or whenever they change."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.text import Text

from alpaca_async._facts import CameraInfo

from ._console import OUT, foreseen_errors, note, say, say_json, say_json_line
from ._extras import require
from ._members import complete_name, find, is_pattern, select, text_of
from ._reading import Reading, document_of, read, record_of, table_of
from ._running import run
from ._server import Address, AsJson, Device, camera_at, extras_for
from ._usage import WrongUsage

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from alpaca_async._camera import AsyncCamera

    from ._members import Member

_FAILED: Final = 1
_FIXED: Final = frozenset(field.name for field in fields(CameraInfo))
"""What does not change while somebody looks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What one call of the command asks for."""

    address: str
    device: int
    names: tuple[str, ...]
    members: Sequence[Member]
    """All that `names` mean."""
    as_json: bool
    interval: float


def get(
    address: Address,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME",
            help="Members such as gain, CCDTemperature or 'can*'; all unless given.",
            autocompletion=complete_name,
            show_default=False,
        ),
    ] = None,
    monitor: Annotated[
        bool, typer.Option("--monitor", "-m", help="Go on, and print what changes, until Ctrl-C.")
    ] = False,
    interval: Annotated[
        float,
        typer.Option("--interval", "-i", min=0.01, metavar="SECONDS", help="Between two looks."),
    ] = 1.0,
    bare: Annotated[
        bool, typer.Option("-1", help="Print the value alone, of exactly one member.")
    ] = False,
    as_json: AsJson = False,
    device: Device = 0,
) -> None:
    """Print members of a camera.

    The camera is asked as it is: it is neither connected nor disconnected. In a pipe each member
    is a line NAME=VALUE, or NAME: and the reason why there is no value.
    """
    with foreseen_errors():
        require(*extras_for(address))
        query = Query(
            address=address,
            device=device,
            names=tuple(names or ()),
            members=select(names or ()),
            as_json=as_json,
            interval=interval,
        )
        if bare and (len(query.members) != 1 or monitor or as_json):
            raise WrongUsage("-1 is for exactly one member, without -m and --json")
        run(_print_bare(query) if bare else _monitor(query) if monitor else _print(query))


async def _print_bare(query: Query) -> None:
    async with camera_at(query.address, query.device) as camera:
        (reading,) = await read(camera, query.members)
    if reading.trouble:
        note(reading.line)
        raise typer.Exit(_FAILED)
    say(text_of(reading.value))


async def _print(query: Query) -> None:
    async with camera_at(query.address, query.device) as camera:
        readings = await read(camera, query.members)
    if query.as_json:
        say_json(document_of(readings))
    else:
        show(_known(query, readings), grouped=not query.names)
        _hint(query, readings)
    exact = {find(name) for name in query.names if not is_pattern(name)}
    if any(reading.failed and reading.member in exact for reading in readings):
        raise typer.Exit(_FAILED)


def show(readings: Sequence[Reading], *, grouped: bool) -> None:
    """Print `readings`, as a table where a person looks."""
    if OUT.is_terminal:
        OUT.print(table_of(readings, grouped=grouped))
    else:
        for reading in readings:
            say(reading.line)


def _known(query: Query, readings: Iterable[Reading]) -> list[Reading]:
    """Leave out what only says that the camera is not connected, unless it was asked for."""
    return [reading for reading in readings if query.names or reading.connected]


def _hint(query: Query, readings: Iterable[Reading]) -> None:
    if not all(reading.connected for reading in readings):
        name_the_way_out(query.address, query.device)


def name_the_way_out(address: str, device: int) -> None:
    """Say how a camera that is not connected gets connected."""
    number = f" -d {device}" if device else ""
    note(f"not connected; alpaca-async set {address}{number} connected=true connects it")


async def _monitor(query: Query) -> None:
    async with camera_at(query.address, query.device) as camera:
        readings = await read(camera, query.members)
        _tell(query, _known(query, readings))
        _hint(query, readings)
        await _follow(query, camera, {reading.member: reading for reading in readings})


async def _follow(query: Query, camera: AsyncCamera, latest: dict[Member, Reading]) -> None:
    loop = asyncio.get_running_loop()
    due = loop.time()
    while True:
        due = max(due + query.interval, loop.time())
        await asyncio.sleep(due - loop.time())
        readings = await read(camera, [m for m in latest if _may_change(latest[m])])
        news = [reading for reading in readings if _look(reading) != _look(latest[reading.member])]
        latest.update((reading.member, reading) for reading in readings)
        _tell(query, news)


def _may_change(reading: Reading) -> bool:
    """Whether it is worth another look, which costs the camera a request."""
    known = not reading.trouble and reading.member.name in _FIXED
    return not (known or reading.missing)


def _look(reading: Reading) -> str:
    """What is shown of it."""
    return reading.text.plain if OUT.is_terminal else reading.line


def _tell(query: Query, readings: Iterable[Reading]) -> None:
    now = datetime.now(UTC)
    for reading in readings:
        if query.as_json:
            say_json_line({"time": now.isoformat(timespec="milliseconds"), **record_of(reading)})
        elif OUT.is_terminal:
            clock = now.astimezone().strftime("%H:%M:%S")
            name = f"  {reading.member.name:<24}  "
            say(Text.assemble((clock, "dim"), name, reading.text))
        else:
            say(reading.line)

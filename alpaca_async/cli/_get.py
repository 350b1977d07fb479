"""`alpaca-async get`: prints members of a camera, once or whenever they change."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.text import Text

from alpaca_async._facts import CameraInfo

from ._access import Pins, User  # noqa: TC001 - typer evaluates them
from ._console import OUT, print_json, print_json_line, print_line, print_note, report_errors
from ._event_loop import run
from ._member_values import Reading, document_of, read, record_of, table_of
from ._members import complete_name, find, is_pattern, select, text_of
from ._server import Address, AsJson, Device, Interval, Target, camera_at
from ._usage import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from alpaca_async._camera import AsyncCamera

    from ._members import Member

_FAILED: Final = 1
_CONSTANT: Final = frozenset(field.name for field in fields(CameraInfo))
"""Members that do not change while the camera is connected: read once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GetOptions:
    """The arguments of the command."""

    target: Target
    names: tuple[str, ...]
    members: Sequence[Member]
    """The members that `names` select."""
    as_json: bool
    interval: float


def get(  # noqa: PLR0913, PLR0917 - one parameter for each option
    address: Address,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME",
            help="Members, such as gain, CCDTemperature or 'can*'. Default: all.",
            autocompletion=complete_name,
            show_default=False,
        ),
    ] = None,
    monitor: Annotated[
        bool, typer.Option("--monitor", "-m", help="Print every change until Ctrl-C.")
    ] = False,
    interval: Interval = 1.0,
    bare: Annotated[bool, typer.Option("-1", help="Print only the value of one member.")] = False,
    as_json: AsJson = False,
    device: Device = 0,
    user: User = None,
    pin: Pins = None,
) -> None:
    """Print members (properties) of a camera.

    The camera is neither connected nor disconnected. In a pipe, each member is one line:
    NAME=VALUE, or NAME: and the reason why there is no value.
    """
    with report_errors():
        options = GetOptions(
            target=Target.of(address, device, user, pin),
            names=tuple(names or ()),
            members=select(names or ()),
            as_json=as_json,
            interval=interval,
        )
        if bare and (len(options.members) != 1 or monitor or as_json):
            raise UsageError("-1 needs exactly one member, and cannot be used with -m or --json")
        run(_print_bare(options) if bare else _monitor(options) if monitor else _print(options))


async def _print_bare(options: GetOptions) -> None:
    async with camera_at(options.target) as camera:
        (reading,) = await read(camera, options.members)
    if reading.reason:
        print_note(reading.line)
        raise typer.Exit(_FAILED)
    print_line(text_of(reading.value))


async def _print(options: GetOptions) -> None:
    async with camera_at(options.target) as camera:
        readings = await read(camera, options.members)
    if options.as_json:
        print_json(document_of(readings))
    else:
        print_readings(_visible(options, readings), grouped=not options.names)
        _hint_if_disconnected(options, readings)
    exact = {find(name) for name in options.names if not is_pattern(name)}
    if any(reading.failed and reading.member in exact for reading in readings):
        raise typer.Exit(_FAILED)


def print_readings(readings: Sequence[Reading], *, grouped: bool) -> None:
    """Print `readings`: a table on a terminal, lines elsewhere."""
    if OUT.is_terminal:
        OUT.print(table_of(readings, grouped=grouped))
    else:
        for reading in readings:
            print_line(reading.line)


def _visible(options: GetOptions, readings: Iterable[Reading]) -> list[Reading]:
    """Without names, omit the members that need a connected camera while it is not."""
    return [reading for reading in readings if options.names or reading.connected]


def _hint_if_disconnected(options: GetOptions, readings: Iterable[Reading]) -> None:
    if not all(reading.connected for reading in readings):
        print_connect_hint(options.target)


def print_connect_hint(target: Target) -> None:
    """Print how to connect the camera."""
    print_note(f"not connected; to connect: alpaca-async set {target.arguments} connected=true")


async def _monitor(options: GetOptions) -> None:
    async with camera_at(options.target) as camera:
        readings = await read(camera, options.members)
        _print_changes(options, _visible(options, readings))
        _hint_if_disconnected(options, readings)
        await _poll(options, camera, {reading.member: reading for reading in readings})


async def _poll(options: GetOptions, camera: AsyncCamera, latest: dict[Member, Reading]) -> None:
    loop = asyncio.get_running_loop()
    due = loop.time()
    while True:
        due = max(due + options.interval, loop.time())
        await asyncio.sleep(due - loop.time())
        readings = await read(camera, [m for m in latest if _may_change(latest[m])])
        changed = [r for r in readings if _displayed(r) != _displayed(latest[r.member])]
        latest.update((reading.member, reading) for reading in readings)
        _print_changes(options, changed)


def _may_change(reading: Reading) -> bool:
    """Whether to read the member again; each reading is a request to the camera."""
    known = not reading.reason and reading.member.name in _CONSTANT
    return not (known or reading.missing)


def _displayed(reading: Reading) -> str:
    """The text that is printed, to compare readings by what is visible."""
    return reading.text.plain if OUT.is_terminal else reading.line


def _print_changes(options: GetOptions, readings: Iterable[Reading]) -> None:
    now = datetime.now(UTC)
    for reading in readings:
        if options.as_json:
            print_json_line({"time": now.isoformat(timespec="milliseconds"), **record_of(reading)})
        elif OUT.is_terminal:
            clock = now.astimezone().strftime("%H:%M:%S")
            name = f"  {reading.member.name:<24}  "
            print_line(Text.assemble((clock, "dim"), name, reading.text))
        else:
            print_line(reading.line)

"""`alpaca-async set`: members of a camera by name, one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

import typer

from alpaca_async._errors import NotConnectedException
from alpaca_async._tasks import wait_for_end

from ._console import Interrupted, foreseen_errors, say_json
from ._extras import require
from ._get import name_the_way_out, show
from ._members import GROUPS, complete_assignment, find
from ._reading import document_of, read
from ._running import run
from ._server import Address, AsJson, Device, camera_at, extras_for
from ._usage import WrongUsage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from alpaca_async._camera import AsyncCamera

    from ._members import Member

    Assignments: TypeAlias = Mapping[Member, Any]

Step: TypeAlias = tuple[str, Callable[[], Awaitable[None]]]
"""What it sets, in words, and what does it."""

_BY_NAME: Final = ("gain", "offset", "readout_mode")
"""What can also be told by one of the names that the camera gives to its values."""

_GRACE: Final = 2.0


def set_(
    address: Address,
    assignments: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME=VALUE",
            help="Such as gain=100, readout_mode=Fast, cooler_on=true or connected=true.",
            autocompletion=complete_assignment,
            show_default=False,
        ),
    ],
    as_json: AsJson = False,
    device: Device = 0,
) -> None:
    """Set members of a camera, in this order, and print what they are then.

    Binning and subframe are set together: all of it, or nothing. Whatever else was set before
    an error stays. Ctrl-C waits for the answer to what was sent. The camera stays connected, or
    not, as it is: connected=true connects it.
    """
    with foreseen_errors():
        require(*extras_for(address))
        run(_set(address, device, _parsed(assignments), as_json=as_json))


def _parsed(assignments: Sequence[str]) -> Assignments:
    """Return what to set; `WrongUsage` for anything that cannot be."""
    parsed: dict[Member, Any] = {}
    for text in assignments:
        name, equals, value = text.partition("=")
        if not equals:
            raise WrongUsage(f"{text!r} is not NAME=VALUE")
        member = find(name.strip())
        if member in parsed:
            raise WrongUsage(f"{member.name} is set twice")
        parsed[member] = value.strip() if member.name in _BY_NAME else member.parse(value)
    return parsed


async def _set(address: str, number: int, wanted: Assignments, *, as_json: bool) -> None:
    async with camera_at(address, number) as camera:
        try:
            await _take(_steps(camera, wanted))
        except NotConnectedException:
            name_the_way_out(address, number)
            raise
        readings = await read(camera, wanted)
    if as_json:
        say_json(document_of(readings))
    else:
        show(readings, grouped=False)


def _steps(camera: AsyncCamera, wanted: Assignments) -> list[Step]:
    """Return what is to be done, in the order of `wanted`; the frame is one step."""
    frame = {m.name: value for m, value in wanted.items() if m.name in GROUPS["frame"]}
    steps: dict[str, Callable[[], Awaitable[None]]] = {}
    for member, value in wanted.items():
        if member.name in frame:
            steps[", ".join(frame)] = lambda: camera.set_frame(**frame)
        else:
            steps[member.name] = _setter(camera, member.name, value)
    return list(steps.items())


def _setter(camera: AsyncCamera, name: str, value: Any) -> Callable[[], Awaitable[None]]:  # noqa: ANN401 - of the member's own type
    if name == "connected":
        return camera.connect if value else camera.disconnect
    if name == "readout_mode":
        return lambda: _use_readout_mode(camera, value)
    verb = "select" if name in _BY_NAME else "set"
    return lambda: getattr(camera, f"{verb}_{name}")(value)


async def _use_readout_mode(camera: AsyncCamera, wanted: str) -> None:
    if wanted.isdecimal():
        await camera.set_readout_mode(int(wanted))
        return
    names = await camera.get_readout_modes()
    folded = [name.strip().casefold() for name in names]
    if wanted.casefold() not in folded:
        raise ValueError(f"there is no readout mode {wanted!r}; there are {', '.join(names)}")
    await camera.set_readout_mode(folded.index(wanted.casefold()))


async def _take(steps: Sequence[Step]) -> None:
    """Take the steps; cancelled, end the one that was begun before saying how far it came."""
    done: list[str] = []
    for name, step in steps:
        task = asyncio.ensure_future(step())
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait([task], timeout=_GRACE)
            task.cancel()
            await wait_for_end(task)
            if not task.cancelled() and task.exception() is None:
                done.append(name)
            raise Interrupted(_account(done, [name for name, _ in steps])) from None
        done.append(name)


def _account(done: Sequence[str], wanted: Sequence[str]) -> str:
    left = [name for name in wanted if name not in done]
    parts = [f"set: {', '.join(done)}" * bool(done), f"not set: {', '.join(left)}" * bool(left)]
    return "; ".join(["interrupted", *filter(None, parts)])

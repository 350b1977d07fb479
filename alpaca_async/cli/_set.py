"""`alpaca-async set`: sets members of a camera in order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

import typer

from alpaca_async._errors import NotConnectedException
from alpaca_async._tasks import wait_for_end

from ._access import Pins, User  # noqa: TC001 - typer evaluates them
from ._console import Interrupted, print_json, report_errors
from ._event_loop import run
from ._get import print_connect_hint, print_readings
from ._member_values import document_of, read
from ._members import GROUPS, complete_assignment, find
from ._server import Address, AsJson, Device, Target, camera_at
from ._usage import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from alpaca_async._camera import AsyncCamera

    from ._members import Member

    Assignments: TypeAlias = Mapping[Member, Any]

Step: TypeAlias = tuple[str, Callable[[], Awaitable[None]]]
"""The names of the members that one step sets, and the function that sets them."""

_SET_BY_NAME: Final = ("gain", "offset", "readout_mode")
"""Members that also accept a name from the camera's list of values."""

_GRACE_PERIOD: Final = 2.0
"""Seconds to wait, after Ctrl-C, for the reply to a request that was sent."""


def set_(
    address: Address,
    assignments: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME=VALUE",
            help="For example gain=100, readout_mode=Fast, cooler_on=true, connected=true.",
            autocompletion=complete_assignment,
            show_default=False,
        ),
    ],
    as_json: AsJson = False,
    device: Device = 0,
    user: User = None,
    pin: Pins = None,
) -> None:
    """Set members of a camera, and print their new values.

    Members are set in the given order, then read back.
    Binning and subframe are set together: all or nothing. Other members that were set before an
    error keep their new values. Ctrl-C waits up to 2 s for the reply to the last request. The
    camera is connected or disconnected only by connected=true or connected=false.
    """
    with report_errors():
        wanted = _parse(assignments)
        target = Target.of(address, device, user, pin)
        run(_set(target, wanted, as_json=as_json))


def _parse(assignments: Sequence[str]) -> Assignments:
    """Parse `NAME=VALUE` arguments; raise `UsageError` if one is not valid."""
    parsed: dict[Member, Any] = {}
    for text in assignments:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"{text!r} is not valid: use NAME=VALUE")
        member = find(name.strip())
        if member in parsed:
            raise UsageError(f"{member.name} is set twice")
        parsed[member] = value.strip() if member.name in _SET_BY_NAME else member.parse(value)
    return parsed


async def _set(target: Target, wanted: Assignments, *, as_json: bool) -> None:
    async with camera_at(target) as camera:
        try:
            await _run_steps(_steps(camera, wanted))
        except NotConnectedException:
            print_connect_hint(target)
            raise
        readings = await read(camera, wanted)
    if as_json:
        print_json(document_of(readings))
    else:
        print_readings(readings, grouped=False)


def _steps(camera: AsyncCamera, wanted: Assignments) -> list[Step]:
    """Return the steps that set `wanted`, in its order; one step sets binning and subframe."""
    frame = {m.name: value for m, value in wanted.items() if m.name in GROUPS["frame"]}
    steps: dict[str, Callable[[], Awaitable[None]]] = {}
    for member, value in wanted.items():
        if member.name in frame:
            steps[", ".join(frame)] = lambda: camera.set_frame(**frame)
        else:
            steps[member.name] = _setter(camera, member.name, value)
    return list(steps.items())


def _setter(camera: AsyncCamera, name: str, value: Any) -> Callable[[], Awaitable[None]]:  # noqa: ANN401 - depends on the member
    if name == "connected":
        return camera.connect if value else camera.disconnect
    if name == "readout_mode":
        return lambda: _select_readout_mode(camera, value)
    verb = "select" if name in _SET_BY_NAME else "set"
    return lambda: getattr(camera, f"{verb}_{name}")(value)


async def _select_readout_mode(camera: AsyncCamera, wanted: str) -> None:
    if wanted.isdecimal():
        await camera.set_readout_mode(int(wanted))
        return
    names = await camera.get_readout_modes()
    folded = [name.strip().casefold() for name in names]
    if wanted.casefold() not in folded:
        raise ValueError(f"there is no readout mode {wanted!r}; the modes are {', '.join(names)}")
    await camera.set_readout_mode(folded.index(wanted.casefold()))


async def _run_steps(steps: Sequence[Step]) -> None:
    """Run the steps in order; on cancellation, finish the current step and raise `Interrupted`."""
    done: list[str] = []
    for name, step in steps:
        task = asyncio.ensure_future(step())
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait([task], timeout=_GRACE_PERIOD)
            task.cancel()
            await wait_for_end(task)
            if not task.cancelled() and task.exception() is None:
                done.append(name)
            raise Interrupted(_interruption_message(done, [name for name, _ in steps])) from None
        done.append(name)


def _interruption_message(done: Sequence[str], wanted: Sequence[str]) -> str:
    not_done = [name for name in wanted if name not in done]
    parts = [
        f"set: {', '.join(done)}" * bool(done),
        f"not set: {', '.join(not_done)}" * bool(not_done),
    ]
    return "; ".join(["interrupted", *filter(None, parts)])

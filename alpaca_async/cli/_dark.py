"""`alpaca-async dark`: takes dark frames behind the closed cover."""

from __future__ import annotations

from pathlib import Path

from ._access import Pins, User  # noqa: TC001 - typer evaluates them
from ._console import print_note, report_errors
from ._event_loop import run
from ._frames import (
    Count,
    Duration,
    FrameOptions,
    FullFrameBinning,
    Gain,
    Output,
    Preview,
    prepare,
    take_frames,
)
from ._rig import CAMERA, COVER, Rig, rig_at
from ._rig import dark as darkened
from ._server import Address, AsJson, Device, Keep, Target
from ._settings import Settings


def dark(  # noqa: PLR0913, PLR0917 - one parameter for each option
    address: Address,
    duration: Duration = 1.0,
    count: Count = 10,
    binning: FullFrameBinning = None,
    gain: Gain = None,
    output: Output = Path(),
    preview: Preview = False,
    keep: Keep = False,
    as_json: AsJson = False,
    device: Device = 0,
    user: User = None,
    pin: Pins = None,
) -> None:
    """Take dark frames, named dark_0001.fits and so on.

    If the server has a cover, it is closed, its light is off, and it is opened again at the end
    if it was open. After an error or Ctrl-C it stays closed.
    """
    with report_errors():
        target = Target.of(address, device, user, pin, keep=keep)
        frames = FrameOptions(
            duration=duration,
            count=count,
            light=False,
            settings=Settings(binning=binning, gain=gain),
            folder=output,
            prefix="dark",
            preview=preview,
            as_json=as_json,
        )
        run(_dark(target, frames))


async def _dark(target: Target, frames: FrameOptions) -> None:
    async with rig_at(target, {CAMERA, COVER}) as rig:
        files = await prepare(rig, frames)
        await _warn_of_light(rig)
        async with darkened(rig):
            await take_frames(rig, frames, files)


async def _warn_of_light(rig: Rig) -> None:
    """Print a note if the rig has neither a cover nor a shutter."""
    info = await rig.camera.get_info()
    if rig.cover is None and not info.has_shutter:
        print_note("there is neither a cover nor a shutter: cover the camera yourself")

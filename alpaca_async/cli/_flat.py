"""`alpaca-async flat`: finds the exposure time for flat frames, and takes them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from anyio import to_thread

from alpaca_async._pixels.saturation import full_scale

from ._access import Pins, User  # noqa: TC001 - typer evaluates them
from ._console import print_note, report_errors
from ._event_loop import run
from ._frames import (
    Count,
    FrameOptions,
    FullFrameBinning,
    Gain,
    Output,
    Preview,
    prepare,
    take_frames,
)
from ._numbers import decimal
from ._rig import CAMERA, COVER, FOCUSER, WHEEL, Filter, lit, rig_at, select_filter
from ._server import Address, AsJson, Device, Keep, Target
from ._settings import Settings

if TYPE_CHECKING:
    from alpaca_async._camera import AsyncCamera
    from alpaca_async._image import Image

_TESTS: Final = 8
_TOLERANCE: Final = 0.1
"""How far the level may be from the wanted one, as a fraction of it."""
_FAINTEST: Final = 0.02
"""A level below this is mostly the bias, and says little about the exposure time."""


def flat(  # noqa: PLR0913, PLR0917 - one parameter for each option
    address: Address,
    count: Count = 10,
    level: Annotated[
        float,
        typer.Option(
            parser=decimal(0.05, 0.9),
            metavar="FRACTION",
            help="Mean of the middle, of the largest value.",
        ),
    ] = 0.5,
    max_time: Annotated[
        float, typer.Option(parser=decimal(0.0), metavar="SECONDS", help="Longest exposure time.")
    ] = 30.0,
    filter: Filter = None,  # noqa: A002 - the field's word
    brightness: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Brightness of the calibrator. Default: the largest.",
            show_default=False,
        ),
    ] = None,
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
    """Take flat frames, named flat_0001.fits and so on.

    The exposure time is found with test exposures. If the server has a cover with a calibrator,
    the cover is closed and the calibrator on meanwhile. At the end the calibrator is off, and
    the cover open if it was. After an error or Ctrl-C the cover stays closed.
    """
    with report_errors():
        target = Target.of(address, device, user, pin, keep=keep)
        frames = FrameOptions(
            duration=max_time,
            count=count,
            settings=Settings(binning=binning, gain=gain),
            header={"IMAGETYP": "Flat Frame"},
            folder=output,
            prefix="flat",
            preview=preview,
            as_json=as_json,
        )
        run(_flat(target, frames, level, filter, brightness))


async def _flat(
    target: Target,
    frames: FrameOptions,
    level: float,
    wanted_filter: str | None,
    brightness: int | None,
) -> None:
    needed = {CAMERA, COVER} if wanted_filter is None else {CAMERA, COVER, WHEEL}
    async with rig_at(target, needed, wanted={WHEEL, FOCUSER}) as rig:
        files = await prepare(rig, frames)
        await select_filter(rig, wanted_filter)
        async with lit(rig, brightness):
            seconds = await _flat_time(rig.camera, level, frames.duration)
            await take_frames(rig, replace(frames, duration=seconds), files)


async def _flat_time(camera: AsyncCamera, wanted: float, longest: float) -> float:
    """Return the exposure time whose frames have the level `wanted`; raise `ValueError` if none."""
    info = await camera.get_info()
    shortest = info.exposure_min or 0.0
    longest = min(longest, info.exposure_max or longest)
    seconds = min(max(1.0, shortest), longest)
    measured = 0.0
    for _ in range(_TESTS):
        measured = await to_thread.run_sync(_level, await camera.expose(seconds))
        print_note(f"test: {seconds:.3g} s, {measured:.0%} of the largest value")
        if abs(measured - wanted) <= _TOLERANCE * wanted:
            return seconds
        better = seconds * wanted / max(measured, _FAINTEST)
        better = min(max(better, shortest), longest)
        if better == seconds:
            break
        seconds = better
    raise ValueError(
        f"no exposure time from {shortest:g} to {longest:g} s gives {wanted:.0%} of the largest "
        f"value, the last test had {measured:.0%}: change --brightness, --max-time or --level"
    )


def _level(image: Image) -> float:
    """Return the mean of the middle of `image`, from 0 to 1."""
    height, width = image.data.shape[:2]
    middle = image.data[height // 4 : height - height // 4, width // 4 : width - width // 4]
    return float(middle.mean()) / full_scale(image)

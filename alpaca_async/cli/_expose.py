"""`alpaca-async expose`: takes a sequence of exposures, and saves each as a FITS file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from alpaca_async._protocol.pixeltype import PixelType

from ._access import Pins, User  # noqa: TC001 - typer evaluates them
from ._console import report_errors
from ._event_loop import run
from ._frames import (
    Binning,
    Count,
    Duration,
    FrameOptions,
    Gain,
    Output,
    Preview,
    prepare,
    take_frames,
)
from ._rig import CAMERA, COVER, FOCUSER, WHEEL, Filter, print_if_closed, rig_at, select_filter
from ._server import Address, AsJson, Device, Keep, Target
from ._settings import Region, Settings
from ._usage import UsageError


def expose(  # noqa: PLR0913, PLR0917 - one parameter for each option
    address: Address,
    duration: Duration = 1.0,
    count: Count = 1,
    dark: Annotated[bool, typer.Option("--dark", help="Keep the shutter closed.")] = False,
    binning: Binning = None,
    roi: Annotated[
        str | None,
        typer.Option(metavar="X,Y,W,H", help="Read only this region, in binned pixels."),
    ] = None,
    gain: Gain = None,
    filter: Filter = None,  # noqa: A002 - the field's word
    dtype: Annotated[
        str | None,
        typer.Option(
            metavar="TYPE",
            help="Pixel type, such as uint16, or camera: what MaxADU needs. Default: as sent.",
        ),
    ] = None,
    int16_is_unsigned: Annotated[
        bool,
        typer.Option("--int16-is-unsigned", help="Read pixels that are sent as Int16 as unsigned."),
    ] = False,
    output: Output = Path(),
    name: Annotated[
        str | None,
        typer.Option(
            metavar="PREFIX",
            help="Start of the file names. Default: 'light', or 'dark' with --dark.",
            show_default=False,
        ),
    ] = None,
    preview: Preview = False,
    keep: Keep = False,
    as_json: AsJson = False,
    device: Device = 0,
    user: User = None,
    pin: Pins = None,
) -> None:
    """Take pictures and save them as FITS files.

    File numbers continue after the existing files: no file is overwritten. Each path is printed
    when its file is complete. Ctrl-C aborts the exposure. A camera that was not connected is
    disconnected afterwards, unless --keep is given. Settings without an option keep their
    present values.
    """
    with report_errors():
        target = Target.of(address, device, user, pin, keep=keep)
        frames = FrameOptions(
            duration=duration,
            count=count,
            light=not dark,
            settings=Settings(
                binning=binning, region=None if roi is None else Region.parse(roi), gain=gain
            ),
            dtype=_pixel_type(dtype, int16_is_unsigned=int16_is_unsigned),
            folder=output,
            prefix=name if name is not None else "dark" if dark else "light",
            preview=preview,
            as_json=as_json,
        )
        run(_expose(target, frames, filter))


async def _expose(target: Target, frames: FrameOptions, wanted_filter: str | None) -> None:
    needed = {CAMERA} if wanted_filter is None else {CAMERA, WHEEL}
    wanted = {WHEEL, FOCUSER, COVER} if frames.light else ()
    async with rig_at(target, needed, wanted=wanted) as rig:
        files = await prepare(rig, frames)
        await select_filter(rig, wanted_filter)
        await print_if_closed(rig)
        await take_frames(rig, frames, files)


def _pixel_type(name: str | None, *, int16_is_unsigned: bool) -> PixelType:
    try:
        return PixelType(name, int16_is_unsigned)
    except TypeError as error:
        raise UsageError(f"--{error}") from None

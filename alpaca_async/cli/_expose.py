"""`alpaca-async expose`: takes a sequence of exposures, and saves each as a FITS file."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from anyio import to_thread
from rich.text import Text

from alpaca_async._protocol.pixeltype import PixelType

from ._access import Access, Pins, User
from ._console import OUT, Interrupted, print_json_line, print_line, report_errors
from ._event_loop import run
from ._extras import require
from ._files import FrameFiles
from ._progress_bar import ExposureProgressBar
from ._server import Address, AsJson, Device, Keep, connected, extras_for, server_address
from ._settings import Region, Settings
from ._units import megabytes
from ._usage import UsageError

if TYPE_CHECKING:
    from alpaca_async._camera import AsyncCamera
    from alpaca_async._image import Image


@dataclass(frozen=True, slots=True, kw_only=True)
class ExposeOptions:
    """The arguments of the command."""

    address: str
    access: Access
    device: int
    duration: float
    count: int
    light: bool
    settings: Settings
    dtype: PixelType
    folder: Path
    prefix: str
    preview: bool
    keep: bool
    as_json: bool


def expose(  # noqa: PLR0913, PLR0917 - one parameter for each option
    address: Address,
    duration: Annotated[
        float, typer.Option("--time", "-t", min=0.0, metavar="SECONDS", help="Exposure time.")
    ] = 1.0,
    count: Annotated[
        int, typer.Option("--count", "-n", min=1, metavar="COUNT", help="Number of exposures.")
    ] = 1,
    dark: Annotated[bool, typer.Option("--dark", help="Keep the shutter closed.")] = False,
    binning: Annotated[
        int | None,
        typer.Option(
            "--bin",
            min=1,
            metavar="N",
            help="Bin N x N pixels; read the full frame unless --roi is given.",
        ),
    ] = None,
    roi: Annotated[
        str | None,
        typer.Option(metavar="X,Y,W,H", help="Read only this region, in binned pixels."),
    ] = None,
    gain: Annotated[
        str | None,
        typer.Option(
            metavar="VALUE|NAME", help="A number, or a name from the camera's list of gains."
        ),
    ] = None,
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
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="DIR", help="Folder for the files; created if missing."
        ),
    ] = Path(),
    name: Annotated[
        str | None,
        typer.Option(
            metavar="PREFIX",
            help="Start of the file names. Default: 'light', or 'dark' with --dark.",
            show_default=False,
        ),
    ] = None,
    preview: Annotated[
        bool,
        typer.Option("--preview/--no-preview", help="Also save the first frame as a PNG."),
    ] = False,
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
        require(*extras_for(address))
        options = ExposeOptions(
            address=address,
            access=Access.to([address], user, pin),
            device=device,
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
            keep=keep,
            as_json=as_json,
        )
        run(_expose(options))


async def _expose(options: ExposeOptions) -> None:
    async with server_address(options.address) as server, options.access.client() as client:
        camera = client.camera(server, options.device)
        async with connected(camera, keep=options.keep):
            files = await to_thread.run_sync(partial(FrameFiles, options.folder, options.prefix))
            await options.settings.apply(camera)
            for number in range(1, options.count + 1):
                await _take_frame(camera, options, files, number)


async def _take_frame(
    camera: AsyncCamera, options: ExposeOptions, files: FrameFiles, number: int
) -> None:
    title = f"frame {number} of {options.count}" if options.count > 1 else "the frame"
    with ExposureProgressBar(title) as display:
        image = await _expose_once(camera, options, display, title)
        display.show("writing")
        path = await files.save(image)
    rate = display.bytes_per_second
    if not options.as_json:
        print_line(_line(path, _describe(image, rate)))
    preview = None
    if options.preview and number == 1:
        preview = await image.save_preview(path.with_suffix(".png"))
    if options.as_json:
        print_json_line(_record(path, preview, image, rate))
    elif preview is not None:
        print_line(_line(preview, "preview"))


async def _expose_once(
    camera: AsyncCamera, options: ExposeOptions, display: ExposureProgressBar, title: str
) -> Image:
    try:
        return await camera.expose(
            options.duration,
            light=options.light,
            dtype=options.dtype,
            progress=display.callback,
        )
    except asyncio.CancelledError:
        raise Interrupted(f"interrupted; the camera was told to abort {title}") from None


def _pixel_type(name: str | None, *, int16_is_unsigned: bool) -> PixelType:
    try:
        return PixelType(name, int16_is_unsigned)
    except TypeError as error:
        raise UsageError(f"--{error}") from None


def _line(path: Path, remark: str) -> Text:
    """Return the path, on a terminal with a remark."""
    return Text.assemble(str(path), (f"  {remark}", "dim")) if OUT.is_terminal else Text(str(path))


def _record(
    path: Path, preview: Path | None, image: Image, bytes_per_second: float | None
) -> dict[str, object]:
    height, width = image.data.shape[:2]
    return {
        "path": str(path),
        "preview": None if preview is None else str(preview),
        "width": width,
        "height": height,
        "dtype": image.data.dtype.name,
        "bytes": image.data.nbytes,
        "bytes_per_second": bytes_per_second,
        "started": None if image.exposure is None else image.exposure.started.isoformat(),
    }


def _describe(image: Image, bytes_per_second: float | None) -> str:
    height, width = image.data.shape[:2]
    rate = "" if bytes_per_second is None else f" at {megabytes(bytes_per_second)}/s"
    return f"{width} x {height}, {megabytes(image.data.nbytes)}{rate}"

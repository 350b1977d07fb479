"""`alpaca-async expose`: a sequence of exposures, each a FITS file."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from anyio import to_thread
from rich.text import Text

from alpaca_async._camera import AlpacaClient

from ._console import OUT, Interrupted, foreseen_errors, say, say_json_line
from ._display import ExposureDisplay
from ._extras import require
from ._files import FrameFiles
from ._running import run
from ._server import Address, AsJson, Device, connected, extras_for, reachable
from ._settings import Region, Settings
from ._units import megabytes

if TYPE_CHECKING:
    from alpaca_async._camera import AsyncCamera
    from alpaca_async._image import Image


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What one call of the command asks for."""

    address: str
    device: int
    duration: float
    count: int
    light: bool
    settings: Settings
    folder: Path
    prefix: str
    preview: bool
    as_json: bool


def expose(  # noqa: PLR0913, PLR0917 - one parameter for each option
    address: Address,
    duration: Annotated[
        float, typer.Option("--time", "-t", min=0.0, metavar="SECONDS", help="Of each exposure.")
    ] = 1.0,
    count: Annotated[
        int, typer.Option("--count", "-n", min=1, metavar="COUNT", help="How many exposures.")
    ] = 1,
    dark: Annotated[bool, typer.Option("--dark", help="Keep the shutter closed.")] = False,
    binning: Annotated[
        int | None,
        typer.Option("--bin", min=1, metavar="N", help="Bin N x N pixels, and read all of them."),
    ] = None,
    roi: Annotated[
        str | None,
        typer.Option(metavar="X,Y,W,H", help="Read this part of the frame, in binned pixels."),
    ] = None,
    gain: Annotated[
        str | None,
        typer.Option(metavar="VALUE|NAME", help="A number, or a name from the camera's list."),
    ] = None,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="DIR", help="Where the files go; made if missing."),
    ] = Path(),
    name: Annotated[
        str | None,
        typer.Option(
            metavar="PREFIX",
            help="Begin the files' names with this; 'light' or 'dark' unless given.",
            show_default=False,
        ),
    ] = None,
    preview: Annotated[
        bool,
        typer.Option("--preview/--no-preview", help="Write the first frame as a PNG, too."),
    ] = False,
    as_json: AsJson = False,
    device: Device = 0,
) -> None:
    """Take pictures and write them as FITS files.

    The files are numbered on from those that are there: nothing is overwritten. The path of
    each is printed when it is complete, or a line of JSON. Ctrl-C aborts the exposure. A camera
    that was not connected is disconnected afterwards; settings without an option stay.
    """
    with foreseen_errors():
        require(*extras_for(address))
        order = Order(
            address=address,
            device=device,
            duration=duration,
            count=count,
            light=not dark,
            settings=Settings(
                binning=binning, region=None if roi is None else Region.parse(roi), gain=gain
            ),
            folder=output,
            prefix=name if name is not None else "dark" if dark else "light",
            preview=preview,
            as_json=as_json,
        )
        run(_expose(order))


async def _expose(order: Order) -> None:
    async with reachable(order.address) as address, AlpacaClient() as client:
        camera = client.camera(address, order.device)
        async with connected(camera):
            files = await to_thread.run_sync(partial(FrameFiles, order.folder, order.prefix))
            await order.settings.apply(camera)
            for number in range(1, order.count + 1):
                await _take(camera, order, files, number)


async def _take(camera: AsyncCamera, order: Order, files: FrameFiles, number: int) -> None:
    title = f"frame {number} of {order.count}" if order.count > 1 else "the frame"
    with ExposureDisplay(title) as display:
        image = await _exposed(camera, order, display, title)
        display.show("writing")
        path = await files.save(image)
    rate = display.bytes_per_second
    if not order.as_json:
        say(_line(path, _facts(image, rate)))
    picture = None
    if order.preview and number == 1:
        picture = await image.save_preview(path.with_suffix(".png"))
    if order.as_json:
        say_json_line(_record(path, picture, image, rate))
    elif picture is not None:
        say(_line(picture, "preview"))


async def _exposed(
    camera: AsyncCamera, order: Order, display: ExposureDisplay, title: str
) -> Image:
    try:
        return await camera.expose(order.duration, light=order.light, progress=display.callback)
    except asyncio.CancelledError:
        raise Interrupted(f"interrupted; the camera was told to abort {title}") from None


def _line(path: Path, remark: str) -> Text:
    """Return a path, alone for programs, with a remark for people."""
    return Text.assemble(str(path), (f"  {remark}", "dim")) if OUT.is_terminal else Text(str(path))


def _record(
    path: Path, picture: Path | None, image: Image, bytes_per_second: float | None
) -> dict[str, object]:
    height, width = image.data.shape[:2]
    return {
        "path": str(path),
        "preview": None if picture is None else str(picture),
        "width": width,
        "height": height,
        "dtype": image.data.dtype.name,
        "bytes": image.data.nbytes,
        "bytes_per_second": bytes_per_second,
        "started": None if image.exposure is None else image.exposure.started.isoformat(),
    }


def _facts(image: Image, bytes_per_second: float | None) -> str:
    height, width = image.data.shape[:2]
    rate = "" if bytes_per_second is None else f" at {megabytes(bytes_per_second)}/s"
    return f"{width} x {height}, {megabytes(image.data.nbytes)}{rate}"

"""Takes frames and saves them: what the commands that end with files have in common."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

import typer
from anyio import to_thread
from rich.text import Text

from alpaca_async._protocol.pixeltype import PixelType

from ._console import OUT, Interrupted, print_json_line, print_line
from ._files import FrameFiles
from ._numbers import decimal
from ._progress_bar import ExposureProgressBar
from ._units import megabytes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from alpaca_async._camera import AsyncCamera
    from alpaca_async._image import Image

    from ._rig import Rig
    from ._settings import Settings

_AS_SENT: Final = PixelType()

Count: TypeAlias = Annotated[
    int, typer.Option("--count", "-n", min=1, metavar="COUNT", help="Number of exposures.")
]

Duration: TypeAlias = Annotated[
    float,
    typer.Option("--time", "-t", parser=decimal(0.0), metavar="SECONDS", help="Exposure time."),
]

Binning: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--bin",
        min=1,
        metavar="N",
        help="Bin N x N pixels; read the full frame unless --roi is given.",
    ),
]

FullFrameBinning: TypeAlias = Annotated[
    int | None,
    typer.Option("--bin", min=1, metavar="N", help="Bin N x N pixels, and read the full frame."),
]

Gain: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="VALUE|NAME", help="A number, or a name from the camera's list of gains."),
]

Preview: TypeAlias = Annotated[
    bool,
    typer.Option("--preview/--no-preview", help="Also save the first frame as a PNG."),
]

Output: TypeAlias = Annotated[
    Path,
    typer.Option("--output", "-o", metavar="DIR", help="Folder for the files; created if missing."),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameOptions:
    """Which frames to take, and where to save them."""

    duration: float
    count: int
    light: bool = True
    settings: Settings
    dtype: PixelType = _AS_SENT
    header: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """In addition to that of the rig."""
    folder: Path
    prefix: str
    preview: bool = False
    as_json: bool


async def prepare(rig: Rig, options: FrameOptions) -> FrameFiles:
    """Apply the settings to the camera, and return the files; raise the errors of `FrameFiles`."""
    files = await to_thread.run_sync(partial(FrameFiles, options.folder, options.prefix))
    await options.settings.apply(rig.camera)
    return files


async def take_frames(rig: Rig, options: FrameOptions, files: FrameFiles) -> None:
    """Take and save all frames, and print their paths."""
    options = replace(options, header={**rig.header(), **options.header})
    for number in range(1, options.count + 1):
        await _take_frame(rig.camera, options, files, number)


async def _take_frame(
    camera: AsyncCamera, options: FrameOptions, files: FrameFiles, number: int
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
    camera: AsyncCamera, options: FrameOptions, display: ExposureProgressBar, title: str
) -> Image:
    try:
        return await camera.expose(
            options.duration,
            light=options.light,
            header=options.header,
            dtype=options.dtype,
            progress=display.callback,
        )
    except asyncio.CancelledError:
        raise Interrupted(f"interrupted; the camera was told to abort {title}") from None


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

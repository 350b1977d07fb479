"""Converts images to small 8-bit pictures. All but PNG needs the extra `preview` (pillow)."""

from __future__ import annotations

import io
import math
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import numpy as np
from anyio.from_thread import check_cancelled

from ._files import in_thread, new_file, write_in_thread
from ._optional import load
from ._pixels.block_means import block_means
from ._pixels.mosaic import mosaic_of
from ._pixels.png import png
from ._pixels.saturation import full_scale
from ._pixels.stretch import STRETCHES, Stretch, stretch

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    import PIL.Image
    from numpy.typing import NDArray

    from ._pixels.image_like import ImageLike
    from ._pixels.mosaic import Mosaic

__all__ = ["Format", "Stretch", "encode", "render", "save"]

Format: TypeAlias = Literal["png", "jpeg", "webp"]
"""The format of a picture: PNG is lossless, JPEG and WebP lose little."""

_SUFFIXES: Final[dict[str, Format]] = {
    ".png": "png",
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
    ".webp": "webp",
}
_RGB: Final = 3
_CELL_SIZE: Final = 640
"""Pixels of the longer side of a picture in a notebook, which keeps it in its file."""


async def save(
    image: ImageLike,
    path: str | os.PathLike[str],
    *,
    max_size: int | None = 2048,
    stretch: Stretch = "auto",
) -> Path:
    """Write the picture that `render` makes to `path`, and return the path.

    The suffix selects the format: `.png`, `.jpg`, `.jpeg` or `.webp`, else `ValueError`. An
    existing file is replaced, but only when the new one is complete. Errors and cancellations are
    handled as by `alpaca_async.fits.save`.
    """
    target = Path(path)
    suffix = target.suffix.lower()
    if suffix not in _SUFFIXES:
        raise ValueError(f"{target.name!r} must end in one of {', '.join(_SUFFIXES)}")
    make = partial(_encode, image, _SUFFIXES[suffix], max_size, stretch)
    return await write_in_thread(partial(_save, target, make))


async def encode(
    image: ImageLike,
    *,
    format: Format = "png",  # noqa: A002 - the usual name
    max_size: int | None = 2048,
    stretch: Stretch = "auto",
) -> bytes:
    """Return the picture that `render` makes, encoded as the bytes of a file."""
    if format not in _ENCODERS:
        raise ValueError(f"format must be one of {', '.join(_ENCODERS)}, not {format!r}")
    return await in_thread(partial(_encode, image, format, max_size, stretch))


def render(
    image: ImageLike, *, max_size: int | None = 2048, stretch: Stretch = "auto"
) -> PIL.Image.Image:
    """Return an 8-bit picture, grey or RGB, stretched so that faint stars are visible.

    Neither side is longer than `max_size`: pixels are averaged in blocks of whole pixels.
    Each period of a colour filter pattern becomes one pixel, coloured for RGGB and LRGB, else
    grey. A large frame takes a few tenths of a second: call this in a thread.
    """
    pixels = _stretched_pixels(image, max_size, stretch)
    picture: PIL.Image.Image = load("PIL.Image", extra="preview").fromarray(pixels)
    return picture


def cell_output(image: ImageLike) -> bytes:
    """Return a small PNG for a notebook, which cannot await it; blocks as `render` does."""
    return png(_stretched_pixels(image, _CELL_SIZE, "auto"))


def _save(path: Path, make: Callable[[], bytes]) -> Path:
    encoded = make()
    with new_file(path, overwrite=True) as file:
        file.write(encoded)
    return path


def _encode(image: ImageLike, form: Format, max_size: int | None, kind: Stretch) -> bytes:
    pixels = _stretched_pixels(image, max_size, kind)
    check_cancelled()
    return _ENCODERS[form](pixels)


def _jpeg(pixels: NDArray[np.uint8]) -> bytes:
    return _with_pillow(pixels, "JPEG", quality=90)


def _webp(pixels: NDArray[np.uint8]) -> bytes:
    return _with_pillow(pixels, "WEBP", quality=90, method=0)


_ENCODERS: Final[dict[Format, Callable[[NDArray[np.uint8]], bytes]]] = {
    "png": png,
    "jpeg": _jpeg,
    "webp": _webp,
}


def _with_pillow(pixels: NDArray[np.uint8], form: str, **options: int) -> bytes:
    file = io.BytesIO()
    load("PIL.Image", extra="preview").fromarray(pixels).save(file, form, **options)
    return file.getvalue()


def _stretched_pixels(image: ImageLike, max_size: int | None, kind: Stretch) -> NDArray[np.uint8]:
    if max_size is not None and max_size < 1:
        raise ValueError(f"max_size must be at least 1 pixel, not {max_size}")
    if kind not in STRETCHES:
        raise ValueError(f"stretch must be one of {', '.join(STRETCHES)}, not {kind!r}")
    return stretch(_downscale(image, max_size), full_scale(image), kind)


@np.errstate(over="ignore", invalid="ignore")  # values too large for float32 become infinity
def _downscale(image: ImageLike, max_size: int | None) -> NDArray[np.float32]:
    """Return the downscaled `(planes, height, width)`: one plane for grey, three for RGB."""
    mosaic = mosaic_of(image)
    if mosaic is None or any(np.less(image.data.shape, mosaic.period)):
        means = block_means(image.data, (1, 1), _block_factors(image.data.shape, (1, 1), max_size))
        planes = means[0, 0]
        return planes if len(planes) == _RGB else _mean(planes)[np.newaxis]
    factors = _block_factors(image.data.shape, mosaic.period, max_size)
    return _colour_planes(block_means(image.data, mosaic.period, factors), mosaic)


def _block_factors(
    shape: tuple[int, ...], cell: tuple[int, int], max_size: int | None
) -> tuple[int, int]:
    """Return how many cells down and across become one pixel, at most as many as exist."""
    cells = (shape[0] // cell[0], shape[1] // cell[1])
    factor = 1 if max_size is None else math.ceil(max(cells) / max_size)
    return min(factor, cells[0]), min(factor, cells[1])


def _colour_planes(means: NDArray[np.float32], mosaic: Mosaic) -> NDArray[np.float32]:
    """Average the positions of a cell by colour, or all to grey if the filters are not RGB."""
    rows, columns = mosaic.period
    by_colour: dict[str, list[NDArray[np.float32]]] = {}
    for row, column in np.ndindex(rows, columns):
        by_colour.setdefault(mosaic.filter_at(row, column), []).append(means[row, column, 0])
    if not by_colour.keys() >= set("RGB"):
        return _mean(means.reshape(-1, *means.shape[2:]))
    return np.stack([_mean(np.stack(by_colour[letter])) for letter in "RGB"])


def _mean(planes: NDArray[np.float32]) -> NDArray[np.float32]:
    mean: NDArray[np.float32] = planes.mean(axis=0)
    return mean

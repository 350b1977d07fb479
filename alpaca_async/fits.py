"""Images as FITS files; needs the extra `fits` (astropy)."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from math import isfinite
from numbers import Integral, Real
from pathlib import Path
from re import compile as pattern
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from anyio.from_thread import check_cancelled

from ._files import in_thread, new_file, refuse_existing
from ._fits_header import Card, CardValue, ascii_text, cards_of, fits_integer

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping

    from astropy.io.fits import Header, PrimaryHDU  # type: ignore[import-untyped]  # it has no stubs
    from numpy.typing import NDArray

    from ._image import Image

__all__ = ["header", "save", "to_hdu"]

_KEYWORD: Final = pattern(r"[A-Z0-9_-]{1,8}")
_RESERVED: Final = pattern(
    r"SIMPLE|XTENSION|BITPIX|NAXIS\d*|EXTEND|[PG]COUNT|GROUPS|BSCALE|BZERO|BLANK"
    r"|CHECKSUM|DATASUM|CONTINUE|HIERARCH|END"
)
_INTEGER_TYPES: Final = tuple(np.dtype(name) for name in ("u2", "i2", "i4", "u4", "i8", "u8"))
_RECORD: Final = 2880
_BLOCK: Final = 1 << 19
"""Bytes converted at a time: they stay in the cache until they are written."""
_TILE: Final = 64
"""Rows and columns: both sides of a transposed tile fit into the nearest cache."""


async def save(
    image: Image,
    path: str | os.PathLike[str],
    *,
    extra: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> Path:
    """Write the image and what is known of it to `path`, and return that.

    The file gets its name when it is complete; failed or cancelled, nothing of it stays.
    Integers are stored in the narrowest type that holds all values, 16-bit unsigned if
    possible; bytes and floating point as they are. `extra` is described at `header`.

    Raises:
        FileExistsError: there is such a file, and not `overwrite`.
        ValueError: a keyword or a value of `extra` cannot be in a FITS header.
        TypeError: FITS has no such pixels.
    """
    work = partial(_save, image, Path(path), dict(extra or {}), overwrite=overwrite)
    return await in_thread(work)


def header(image: Image, extra: Mapping[str, Any] | None = None) -> Header:
    """Return what is known of the image: a header without the keywords of the array's shape.

    `extra` maps keywords to a value or to `(value, comment)`, and wins over ours; None leaves
    a keyword out. Text becomes ASCII. `ValueError` for what cannot be in a FITS header.
    """
    cards = {card.keyword: card for card in cards_of(image)}
    for card in map(_extra_card, extra or {}, (extra or {}).values()):
        cards[card.keyword] = card
    result = _astropy_fits().Header()
    for card in cards.values():
        if card.value is not None:
            result.append((card.keyword, card.value, _fitting_comment(card)), end=True)
    return result


def to_hdu(image: Image, extra: Mapping[str, Any] | None = None) -> PrimaryHDU:
    """Return the HDU that `save` writes; colour as `(planes, height, width)`. May be a view."""
    pixels = image.data.astype(_pixel_type(image.data), copy=False)
    return _astropy_fits().PrimaryHDU(_planes_first(pixels), header(image, extra))


def _save(image: Image, path: Path, extra: Mapping[str, Any], *, overwrite: bool) -> Path:
    if not overwrite:
        refuse_existing(path)
    planes, dtype = _planes_first(image.data), _pixel_type(image.data)
    head = _head(planes.shape, dtype, header(image, extra))
    with new_file(path, overwrite=overwrite) as file:
        file.write(head)
        for block in _blocks(planes, dtype):
            check_cancelled()
            file.write(block.data)
        file.write(bytes(-planes.size * dtype.itemsize % _RECORD))
    return path


def _head(shape: tuple[int, ...], dtype: np.dtype[Any], facts: Header) -> bytes:
    """Return the header records; an array without memory tells astropy the shape."""
    hdu = _astropy_fits().PrimaryHDU(np.broadcast_to(np.zeros((), dtype), shape), facts)
    text: str = hdu.header.tostring()
    return text.encode("ascii")


def _astropy_fits() -> Any:  # noqa: ANN401 - a module without types
    """Import late, in the worker thread: it takes long, and it is an extra."""
    return import_module("astropy.io.fits")


def _planes_first(data: NDArray[Any]) -> NDArray[Any]:
    return np.moveaxis(data, 2, 0) if data.ndim > 2 else data  # noqa: PLR2004 - rows, columns


def _pixel_type(data: NDArray[Any]) -> np.dtype[Any]:
    """Return the type of the pixels in the file, in the byte order of this machine."""
    dtype = data.dtype.newbyteorder("=")
    if dtype in _INTEGER_TYPES and dtype.itemsize > 2:  # noqa: PLR2004 - 16 bits
        return _narrowest(int(data.min()), int(data.max()))
    if dtype in (*_INTEGER_TYPES, np.uint8, np.float32, np.float64):
        return dtype
    raise TypeError(f"FITS has no pixels of type {dtype}")


def _narrowest(low: int, high: int) -> np.dtype[Any]:
    limits = ((dtype, np.iinfo(dtype)) for dtype in _INTEGER_TYPES)
    return next(dtype for dtype, info in limits if info.min <= low and high <= info.max)


def _blocks(planes: NDArray[Any], dtype: np.dtype[Any]) -> Iterator[NDArray[Any]]:
    """Yield the pixels as the file has them, in one buffer that is used again and again."""
    height, width = planes.shape[-2:]
    rows = min(height, max(_TILE, _BLOCK // (width * dtype.itemsize)))
    buffer = np.empty((rows, width), dtype.newbyteorder(">"))
    for plane in planes if planes.ndim > 2 else (planes,):  # noqa: PLR2004 - rows, columns
        for start in range(0, height, rows):
            source = plane[start : start + rows]
            block = buffer[: len(source)]
            _copy(source, block)
            _offset_unsigned(block)
            yield block


def _copy(source: NDArray[Any], target: NDArray[Any]) -> None:
    across, along = (abs(stride) for stride in source.strides)
    columns = source.shape[1]
    step = columns if along <= across else _TILE
    for start in range(0, columns, step):
        tile = slice(start, start + step)
        np.copyto(target[:, tile], source[:, tile], casting="unsafe")


def _offset_unsigned(block: NDArray[Any]) -> None:
    """Subtract BZERO, which flips the first bit: FITS has no unsigned numbers but bytes."""
    if block.dtype.kind == "u" and block.dtype.itemsize > 1:
        top_bit = np.array(1 << (8 * block.dtype.itemsize - 1), block.dtype)
        native = block.dtype.newbyteorder("=")
        np.bitwise_xor(block.view(native), top_bit.view(native), out=block.view(native))


def _extra_card(keyword: str, entry: Any) -> Card:  # noqa: ANN401 - checked here
    name = keyword.strip().upper()
    if not _KEYWORD.fullmatch(name):
        raise ValueError(f"{keyword!r} is no FITS keyword: 1 to 8 of A-Z 0-9 _ -")
    if _RESERVED.fullmatch(name):
        raise ValueError(f"{name} describes the file and is not the caller's to set")
    value, comment = _value_and_comment(entry)
    return Card(name, _extra_value(name, value), ascii_text(comment))


def _value_and_comment(entry: Any) -> tuple[Any, str]:  # noqa: ANN401 - checked here
    match entry:
        case (value, str(comment)) if isinstance(entry, tuple):
            return value, comment
        case _:
            return entry, ""


def _extra_value(keyword: str, value: Any) -> CardValue | None:  # noqa: ANN401 - checked here
    if value is None:
        return None
    if isinstance(value, bool):
        return value
    if isinstance(value, np.generic):
        return _extra_value(keyword, value.item())
    if isinstance(value, str):
        return ascii_text(value)
    if isinstance(value, Integral) and fits_integer(int(value)):
        return int(value)
    if isinstance(value, Real) and not isinstance(value, Integral) and isfinite(float(value)):
        return float(value)
    raise ValueError(f"{keyword} = {value!r} cannot be in a FITS header")


def _fitting_comment(card: Card) -> str:
    """Return as much of the comment as there is room for; none beside a text that is continued."""
    text = str(card.value).replace("'", "''") if isinstance(card.value, str) else ""
    room = 80 - len("KEYWORD = ") - max(20, len(text) + 2) - len(" / ")
    return card.comment[: max(room, 0)]

"""Writes images to FITS files. Everything but `save` to plain files needs the extra `fits`."""

from __future__ import annotations

from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from anyio.from_thread import check_cancelled

from ._files import new_file, refuse_existing, write_in_thread
from ._fits.card import Card, card_lines, fitting_comment
from ._fits.keywords import all_cards
from ._fits.pixels import bzero_of, pixel_chunks, pixel_type, planes_first
from ._optional import load

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping
    from typing import BinaryIO

    import numpy as np
    from astropy.io.fits import Header, PrimaryHDU  # type: ignore[import-untyped]  # it has no stubs
    from astropy.nddata import CCDData  # type: ignore[import-untyped]  # as above

    from ._pixels.image_like import ImageLike

__all__ = ["header", "save", "to_ccddata", "to_hdu"]

_BLOCK_BYTES: Final = 2880
_MAX_RICE_BYTES: Final = 4
"""The widest integers that the Rice algorithm can compress."""


async def save(
    image: ImageLike,
    path: str | os.PathLike[str],
    *,
    extra: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> Path:
    """Write the image and its header to `path`, and return the path.

    The file appears under its name only when it is complete and on the disk. An error leaves no
    file. A cancellation leaves none either, unless it comes after the file got its name: then the
    call returns the path, and the task is cancelled at its next await.

    Integers of more than 16 bits are stored in the narrowest type that holds all values and the
    camera's MaxADU, 16-bit unsigned if possible; other pixels keep their type. `extra` is as for
    `header`. If the name ends in `.fz`, each row is compressed without loss. That needs the extra
    `fits` (astropy), and is slow for floating point and 64-bit integers.

    Raises:
        FileExistsError: the file exists, and `overwrite` is false.
        ValueError: a keyword or a value of `extra` cannot be in a FITS header.
        TypeError: FITS cannot store pixels of this type.
        OSError: the file cannot be written; `filename` is `path`.
    """
    work = partial(_save, image, Path(path), dict(extra or {}), overwrite=overwrite)
    return await write_in_thread(work)


def header(image: ImageLike, extra: Mapping[str, Any] | None = None) -> Header:
    """Return the header of the image, without the keywords of the array's shape.

    `extra` maps keywords to a value or to `(value, comment)`. It overrides the header that was
    given to `expose`, which overrides the library's own keywords. The value None leaves a keyword
    out. Text is converted to ASCII. Raises `ValueError` for what cannot be in a FITS header.
    """
    return _header(all_cards(image, extra))


def to_hdu(image: ImageLike, extra: Mapping[str, Any] | None = None) -> PrimaryHDU:
    """Return the HDU that `save` writes, colour as `(planes, height, width)`.

    Its data may be a view of the image's.
    """
    pixels = image.data.astype(pixel_type(image), copy=False)
    hdu = load("astropy.io.fits", extra="fits").PrimaryHDU
    return hdu(planes_first(pixels), header(image, extra))


def to_ccddata(image: ImageLike, extra: Mapping[str, Any] | None = None) -> CCDData:
    """Return the image for astropy and ccdproc: unit adu, the header as `meta`.

    The data are a view of the image's, with the same dtype; colour as `(planes, height, width)`.
    """
    ccddata = load("astropy.nddata", extra="fits").CCDData
    return ccddata(planes_first(image.data), unit="adu", meta=header(image, extra))


def _save(image: ImageLike, path: Path, extra: Mapping[str, Any], *, overwrite: bool) -> Path:
    if not overwrite:
        refuse_existing(path)
    write = _write_compressed if path.suffix == ".fz" else _write_plain
    cards = all_cards(image, extra)
    with new_file(path, overwrite=overwrite) as file:
        write(file, image, cards)
    return path


def _write_plain(file: BinaryIO, image: ImageLike, cards: list[Card]) -> None:
    planes, dtype = planes_first(image.data), pixel_type(image)
    file.write(_header_bytes([*_shape_cards(planes.shape, dtype), *cards]))
    for chunk in pixel_chunks(planes, dtype):
        check_cancelled()
        file.write(chunk.data)
    file.write(bytes(-planes.size * dtype.itemsize % _BLOCK_BYTES))


def _write_compressed(file: BinaryIO, image: ImageLike, cards: list[Card]) -> None:
    fits = load("astropy.io.fits", extra="fits")
    pixels = image.data.astype(pixel_type(image), copy=False)
    algorithm = "RICE_1" if _suits_rice(pixels.dtype) else "GZIP_2"
    hdu = fits.CompImageHDU(
        planes_first(pixels), _header(cards), compression_type=algorithm, quantize_level=0.0
    )
    packed = BytesIO()  # astropy rejects a file opened with mode "x"
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(packed, output_verify="exception")
    check_cancelled()
    file.write(packed.getbuffer())


def _suits_rice(dtype: np.dtype[Any]) -> bool:
    return dtype.kind in "iu" and dtype.itemsize <= _MAX_RICE_BYTES


def _header(cards: list[Card]) -> Header:
    result = load("astropy.io.fits", extra="fits").Header()
    for card in cards:
        result.append((card.keyword, card.value, fitting_comment(card)), end=True)
    return result


def _header_bytes(cards: list[Card]) -> bytes:
    lines = [line for card in cards for line in card_lines(card)]
    text = "".join([*lines, f"{'END':<80}"])
    return text.encode("ascii") + b" " * (-len(text) % _BLOCK_BYTES)


def _shape_cards(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Iterator[Card]:
    bits = 8 * dtype.itemsize
    yield Card("SIMPLE", True, "conforms to FITS standard")
    yield Card("BITPIX", -bits if dtype.kind == "f" else bits, "array data type")
    yield Card("NAXIS", len(shape), "number of array dimensions")
    for number, length in enumerate(reversed(shape), 1):
        yield Card(f"NAXIS{number}", length)
    yield Card("EXTEND", True)
    if bzero := bzero_of(dtype):
        yield Card("BSCALE", 1)
        yield Card("BZERO", bzero, "offset added to stored values")

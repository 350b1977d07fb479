"""Finds the frames of earlier runs by their FITS headers. Blocks: call it in a thread."""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime
from heapq import nlargest
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import numpy as np

from alpaca_async._fits.card import ascii_text
from alpaca_async._fits.pixels import bzero_of

from .crops import BLOCK_BYTES, PixelFile
from .models import Frame
from .saved_frame import SavedFrame, url_of

if TYPE_CHECKING:
    from pathlib import Path

_MAX_BLOCKS: Final = 64
"""Blocks of a header: more than any header that is written here has."""
_CARD_BYTES: Final = 80
_TEXT: Final = re.compile(r"'((?:[^']|'')*)'")
_TYPES: Final = {"8": "u1", "16": "i2", "32": "i4", "64": "i8", "-32": "f4", "-64": "f8"}

logger = logging.getLogger("alpaca_async")


def earlier_frames(folder: Path, prefix: str, camera: str | None, maximum: int) -> list[SavedFrame]:
    """Return the frames among the `maximum` newest files with the prefix, newest first.

    Files that are broken, of another `camera`, or without a preview, are left out.
    """
    try:
        newest = nlargest(maximum, folder.glob(f"{prefix}_*.fits"))
    except OSError as error:
        logger.info("%s is not searched for frames: %s", folder, error)
        return []
    found = (_read_or_skip(path, prefix, ascii_text(camera or "")) for path in newest)
    return [saved for saved in found if saved is not None]


def _read_or_skip(path: Path, prefix: str, camera: str) -> SavedFrame | None:
    try:
        return _read(path, prefix, camera)
    except (OSError, ValueError, KeyError) as error:
        logger.info("%s is not shown: %r", path, error)
        return None


def _read(path: Path, prefix: str, camera: str) -> SavedFrame:
    """Return a saved frame; raise `OSError`, `ValueError` or `KeyError` for any other file."""
    started = datetime.strptime(path.stem, f"{prefix}_%Y%m%d_%H%M%S_%f").replace(tzinfo=UTC)
    preview = path.with_suffix(".png")
    if not (path.is_file() and preview.is_file()):  # others could block when they are opened
        raise ValueError("it is not a file with a preview")
    with path.open("rb") as file:
        header = _read_header(file)
        pixels = _pixels_of(header, path, file.tell())
    if header.get("INSTRUME", "") != camera:
        raise ValueError("it is of another camera")
    temperature = header.get("CCD-TEMP")
    frame = Frame(
        name=path.stem,
        fits=url_of(path),
        preview=url_of(preview),
        width=pixels.shape[1],
        height=pixels.shape[0],
        duration=float(header["EXPTIME"]),
        light=header["IMAGETYP"] == "Light Frame",
        filter=header.get("FILTER"),
        started=started,
        ccd_temperature=None if temperature is None else float(temperature),
        statistics=None,
    )
    return SavedFrame(frame, path, preview, None, pixels)


def _read_header(file: BinaryIO) -> dict[str, str]:
    """Read the header of a FITS file: text without its quotes, everything else as it is."""
    header: dict[str, str] = {}
    for _ in range(_MAX_BLOCKS):
        block = file.read(BLOCK_BYTES).decode("ascii")
        for start in range(0, len(block), _CARD_BYTES):
            card = block[start : start + _CARD_BYTES]
            if card.rstrip() == "END":
                return header
            if card[8:10] == "= ":
                header[card[:8].rstrip()] = _value_of(card[10:])
    raise ValueError("its header has no end")


def _value_of(text: str) -> str:
    if quoted := _TEXT.match(text.lstrip()):
        return quoted[1].replace("''", "'").rstrip()
    return text.partition("/")[0].strip()


def _pixels_of(header: dict[str, str], path: Path, header_bytes: int) -> PixelFile:
    axes = [int(header[f"NAXIS{number + 1}"]) for number in range(_axis_count(header))]
    dtype: np.dtype[Any] = np.dtype(_TYPES[header["BITPIX"]])
    unsigned = np.dtype(f"u{dtype.itemsize}")
    if "BZERO" in header and int(header["BZERO"]) == bzero_of(unsigned):
        dtype = unsigned
    width, height, *planes = axes
    pixels = PixelFile(path, (height, width, *planes), dtype)
    if min(axes) < 1 or path.stat().st_size != header_bytes + pixels.stored_bytes:
        raise ValueError("its size is not that of its pixels")
    return pixels


def _axis_count(header: dict[str, str]) -> int:
    """Return 2 for an image, 3 for one with planes."""
    count = int(header["NAXIS"])
    if count not in (2, 3):
        raise ValueError(f"it has {count} axes")
    return count

"""Validates the caller's FITS keywords, merges them with the image's. Pure, without astropy."""

from __future__ import annotations

from math import isfinite
from numbers import Integral, Real
from re import compile as pattern
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from .card import Card, ascii_text, fits_integer, is_continued
from .header import image_cards

if TYPE_CHECKING:
    from collections.abc import Mapping

    from alpaca_async._pixels.image_like import ImageLike

    from .card import CardValue

_KEYWORD: Final = pattern(r"[A-Z0-9_-]{1,8}")
_STRUCTURE: Final = pattern(
    r"SIMPLE|XTENSION|BITPIX|NAXIS\d*|EXTEND|[PG]COUNT|GROUPS|BSCALE|BZERO|BLANK|END"
)
_WITH_ASTROPY: Final = "hdu = alpaca_async.fits.to_hdu(image)"
_INSTEAD: Final = {
    "CONTINUE": "pass the whole text under one keyword: it is continued where necessary",
    "CHECKSUM": f"write the file with {_WITH_ASTROPY}; hdu.writeto(path, checksum=True)",
    "DATASUM": f"write the file with {_WITH_ASTROPY}; hdu.writeto(path, checksum=True)",
}
"""What to do instead of passing a reserved keyword."""

_LONG_STRINGS: Final = Card("LONGSTRN", "OGIP 1.0", "long strings use CONTINUE")


def all_cards(image: ImageLike, extra: Mapping[str, Any] | None) -> list[Card]:
    """Return the facts of the image, then the header of its exposure, then `extra`.

    The last card of a keyword wins; cards with the value None are left out. LONGSTRN announces
    long strings, as cfitsio recommends.
    """
    given: Mapping[str, Any] = image.exposure.header if image.exposure else {}
    cards = {card.keyword: card for card in image_cards(image)}
    for card in (*user_cards(given), *user_cards(extra or {})):
        cards[card.keyword] = card
    found = [card for card in cards.values() if card.value is not None]
    return [*found, _LONG_STRINGS] if any(map(is_continued, found)) else found


def user_cards(entries: Mapping[str, Any]) -> list[Card]:
    """Return the cards of `{keyword: value or (value, comment)}`, or raise `ValueError`."""
    return [_card(keyword, entry) for keyword, entry in entries.items()]


def _card(keyword: object, entry: Any) -> Card:  # noqa: ANN401 - checked here
    name = _checked_keyword(keyword)
    value, comment = _value_and_comment(entry)
    return Card(name, _value(name, value), ascii_text(comment))


def _checked_keyword(keyword: object) -> str:
    """Return the keyword in upper case, or raise `ValueError`."""
    name = keyword.strip().upper() if isinstance(keyword, str) else ""
    if name.startswith("HIERARCH") or not _KEYWORD.fullmatch(name):
        raise ValueError(
            f"{keyword!r} is not a FITS keyword: use 1 to 8 of A-Z 0-9 _ -. For HIERARCH and "
            f"longer names, write the file with astropy: {_WITH_ASTROPY}; "
            "hdu.header['HIERARCH long name'] = value; hdu.writeto(path)"
        )
    if name in _INSTEAD:
        raise ValueError(f"{name} is a reserved FITS keyword: {_INSTEAD[name]}")
    if _STRUCTURE.fullmatch(name):
        raise ValueError(
            f"{name} is a reserved FITS keyword: leave it out, it is derived from the pixels"
        )
    return name


def _value_and_comment(entry: Any) -> tuple[Any, str]:  # noqa: ANN401 - checked here
    match entry:
        case (value, str(comment)) if isinstance(entry, tuple):
            return value, comment
        case _:
            return entry, ""


def _value(keyword: str, value: Any) -> CardValue | None:  # noqa: ANN401 - checked here
    if value is None:
        return None
    if _is_boolean(value):
        return bool(value)
    if isinstance(value, str):
        return ascii_text(value)
    if _is_storable_integer(value):
        return int(value)
    if isinstance(value, Real) and not isinstance(value, Integral) and _is_finite(value):
        return float(value)
    if callable(value):
        raise ValueError(  # noqa: TRY004 - as for every other value
            f"{keyword} is a function, to be awaited during an exposure: pass it in the `header` "
            "of `expose` or `ExposureRequest`"
        )
    raise ValueError(
        f"{keyword} = {value!r} cannot be in a FITS header: use text (ISO 8601 for a date), a "
        "boolean, a finite number, an integer of 64 bits, or None to leave the keyword out"
    )


def _is_boolean(value: Any) -> bool:  # noqa: ANN401 - checked here
    return isinstance(value, bool | np.bool_)


def _is_storable_integer(value: Any) -> bool:  # noqa: ANN401 - checked here
    """Whether the value is an integer of 64 bits; numpy takes time differences for integers."""
    is_number = isinstance(value, Integral) and not isinstance(value, np.timedelta64)
    return is_number and fits_integer(int(value))


def _is_finite(value: Real) -> bool:
    try:
        return isfinite(value)
    except OverflowError:  # a fraction that is too large
        return False

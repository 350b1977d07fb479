"""FITS cards: their valid contents and their lines of 80 characters. Pure, without astropy."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

CardValue: TypeAlias = str | bool | int | float

_CARD_LENGTH: Final = 80
_COMMENTARY: Final = frozenset({"COMMENT", "HISTORY"})
_MAX_COMMENTARY: Final = 72
_MAX_STRING: Final = 68
"""Characters between the quotes of a string; a quote within it counts twice."""
_ASCII_SPELLING: Final = str.maketrans(
    {"°": "deg", "µ": "u", "μ": "u", "ß": "ss", "α": "a", "β": "b", "–": "-", "—": "-", "’": "'"}  # noqa: RUF001 - what drivers write
)


class Card(NamedTuple):
    """A keyword, its value (None: the card is left out), and a comment; all text is ASCII."""

    keyword: str
    value: CardValue | None
    comment: str = ""


def ascii_text(text: str) -> str:
    """Return printable ASCII: accents removed, a few symbols spelled out, `?` for the rest."""
    plain = unicodedata.normalize("NFKD", text.translate(_ASCII_SPELLING))
    letters = "".join(letter for letter in plain if not unicodedata.combining(letter))
    printable = "".join(letter if letter.isprintable() else " " for letter in letters)
    return printable.encode("ascii", "replace").decode("ascii").strip()


def fits_integer(value: int) -> bool:
    """Return whether the number fits into a signed 64-bit integer, as FITS readers expect."""
    return -(2**63) <= value < 2**63


def card_lines(card: Card) -> Iterator[str]:
    """Yield the card as lines of 80 characters: more than one if its string is long."""
    if card.keyword in _COMMENTARY:
        for part in _split(str(card.value), _MAX_COMMENTARY):
            yield _line(f"{card.keyword:<8}{part}")
        return
    first, *others = _format_value(card.value)
    comment = fitting_comment(card)
    yield _line(f"{card.keyword:<8}= {first}{comment and ' / '}{comment}")
    for other in others:
        yield _line(f"CONTINUE  {other}")


def is_continued(card: Card) -> bool:
    """Return whether the string of the card continues in CONTINUE cards."""
    return card.keyword not in _COMMENTARY and len(_format_value(card.value)) > 1


def fitting_comment(card: Card) -> str:
    """Return the comment, cut to the space left in the card; empty if the string is continued."""
    first, *others = _format_value(card.value)
    room = 0 if others else _CARD_LENGTH - len("KEYWORD = ") - len(first) - len(" / ")
    return card.comment[: max(room, 0)].rstrip()


def _line(text: str) -> str:
    return f"{text:<{_CARD_LENGTH}}"


def _format_value(value: CardValue | None) -> list[str]:
    """Return the value in FITS format, in parts that each fit into a line."""
    if isinstance(value, str):
        *parts, last = _quoted_parts(value)
        end = f"'{last:<8}'"
        return [*(f"'{part}&'" for part in parts), f"{end:<20}"]
    text = ("F", "T")[value] if isinstance(value, bool) else repr(value).upper()
    return [f"{text:>20}"]


def _quoted_parts(text: str) -> list[str]:
    """Return the text with its quotes doubled, in parts that each fit into a line."""
    doubled = text.replace("'", "''")
    if len(doubled) <= _MAX_STRING:
        return [doubled]
    # A part of half the length always fits, even if it consists of quotes only.
    step = (_MAX_STRING - 1) // 2 if "'" in text else _MAX_STRING - 1
    return [part.replace("'", "''") for part in _split(text, step)]


def _split(text: str, length: int) -> list[str]:
    return [text[start : start + length] for start in range(0, len(text), length)] or [""]

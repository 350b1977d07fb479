"""FITS cards: what may be in one, and the 80 characters that it becomes. Pure, without astropy."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

CardValue: TypeAlias = str | bool | int | float

_LENGTH: Final = 80
_COMMENTARY: Final = frozenset({"COMMENT", "HISTORY"})
_COMMENTARY_ROOM: Final = 72
_TEXT_ROOM: Final = 68
"""Characters between the quotes of a text, each quote within it counted twice."""
_SPELLED: Final = str.maketrans(
    {"°": "deg", "µ": "u", "μ": "u", "ß": "ss", "α": "a", "β": "b", "–": "-", "—": "-", "’": "'"}  # noqa: RUF001 - what drivers write
)


class Card(NamedTuple):
    """A keyword, its value (None: to be left out), and what it means; all text is ASCII."""

    keyword: str
    value: CardValue | None
    comment: str = ""


def ascii_text(text: str) -> str:
    """Return printable ASCII: accents dropped, a few signs spelled out, `?` for the rest."""
    plain = unicodedata.normalize("NFKD", text.translate(_SPELLED))
    letters = "".join(letter for letter in plain if not unicodedata.combining(letter))
    printable = "".join(letter if letter.isprintable() else " " for letter in letters)
    return printable.encode("ascii", "replace").decode("ascii").strip()


def fits_integer(value: int) -> bool:
    """Tell whether readers can take the number: 64 bits with a sign."""
    return -(2**63) <= value < 2**63


def records(card: Card) -> Iterator[str]:
    """Yield the card as lines of 80 characters: more than one if its text is long."""
    if card.keyword in _COMMENTARY:
        for part in _cut(str(card.value), _COMMENTARY_ROOM):
            yield _line(f"{card.keyword:<8}{part}")
        return
    first, *others = _written(card.value)
    comment = fitting_comment(card)
    yield _line(f"{card.keyword:<8}= {first}{comment and ' / '}{comment}")
    for other in others:
        yield _line(f"CONTINUE  {other}")


def is_continued(card: Card) -> bool:
    """Tell whether the text of the card goes on in cards of the keyword CONTINUE."""
    return card.keyword not in _COMMENTARY and len(_written(card.value)) > 1


def fitting_comment(card: Card) -> str:
    """Return as much of the comment as there is room for; none beside a text that is continued."""
    first, *others = _written(card.value)
    room = 0 if others else _LENGTH - len("KEYWORD = ") - len(first) - len(" / ")
    return card.comment[: max(room, 0)].rstrip()


def _line(text: str) -> str:
    return f"{text:<{_LENGTH}}"


def _written(value: CardValue | None) -> list[str]:
    """Return the value as FITS writes it, in pieces that a line can hold."""
    if isinstance(value, str):
        *parts, last = _quoted_parts(value)
        end = f"'{last:<8}'"
        return [*(f"'{part}&'" for part in parts), f"{end:<20}"]
    text = ("F", "T")[value] if isinstance(value, bool) else repr(value).upper()
    return [f"{text:>20}"]


def _quoted_parts(text: str) -> list[str]:
    """Return the text with its quotes doubled, in parts that fit into a line."""
    doubled = text.replace("'", "''")
    if len(doubled) <= _TEXT_ROOM:
        return [doubled]
    # Half of the room holds any part, however many quotes there are in it.
    step = (_TEXT_ROOM - 1) // 2 if "'" in text else _TEXT_ROOM - 1
    return [part.replace("'", "''") for part in _cut(text, step)]


def _cut(text: str, length: int) -> list[str]:
    return [text[start : start + length] for start in range(0, len(text), length)] or [""]

"""Repairs JSON that is slightly wrong, where a list of cameras is worth it. Pure."""

from __future__ import annotations

import re
from typing import Final

# A string that does not end matches as well: else the search would go on inside it, in quadratic
# time.
_STRING_OR_COMMA: Final = re.compile(r'("(?:[^"\\]|\\.)*+"?)|,(?=[ \t\r\n]*+[\]}])', re.DOTALL)

_FIRST_SURROGATE: Final = 0xDC00
"""`surrogateescape` decodes a byte that is not UTF-8 to this number plus the byte."""

_LATIN_1: Final = {_FIRST_SURROGATE + byte: byte for byte in range(0x80, 0x100)}


def repaired(body: bytes) -> bytes:
    """Return JSON without trailing commas, and with bytes that are not UTF-8 read as Latin-1.

    Commas within strings stay. The result is not valid if anything else was wrong.
    """
    text = body.decode("utf-8", "surrogateescape").translate(_LATIN_1)
    return _STRING_OR_COMMA.sub(lambda match: match[1] or "", text).encode()

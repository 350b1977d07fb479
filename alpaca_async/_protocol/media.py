"""Reads media type, content coding and length of a body from the reply's headers. Pure.

Headers have names in lower case, or are looked up whatever the case.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

IMAGEBYTES: Final = "application/imagebytes"
JSON: Final = "application/json"


def media_type(headers: Mapping[str, str]) -> str:
    """Return the media type without parameters, in lower case; empty if missing."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def encoding(headers: Mapping[str, str]) -> str:
    """Return the content coding, such as `gzip`; empty if the body is not encoded."""
    coding = headers.get("content-encoding", "").strip().lower()
    return "" if coding == "identity" else coding


def content_length(headers: Mapping[str, str]) -> int | None:
    """Return the length of the body in bytes; None if the headers do not state it."""
    length = headers.get("content-length", "")
    return int(length) if length.isdecimal() and "transfer-encoding" not in headers else None

"""Removes credentials and pixels from what is recorded."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import TYPE_CHECKING, Final

from ._recording import Body, pack

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ._message import Request

_COOKIE: Final = re.compile(rb"(?im)^(set-cookie:[ \t]*)([^\r\n]*)")
_IMAGEBYTES: Final = b"application/imagebytes"
_HEADER_BYTES: Final = 44
_SHORTEST_PASSWORD: Final = 4
"""A shorter one would be found in half of all texts."""


def secrets_of(request: Request) -> list[bytes]:
    """Return the credentials of a request: of HTTP Basic the password, too."""
    token = request.head.fields.get("authorization", "").partition(" ")[2].strip()
    if not token:
        return []
    try:
        login = base64.b64decode(token, validate=True)
    except binascii.Error:
        return [token.encode("latin-1")]
    password = login.partition(b":")[2]
    found = [token.encode("latin-1")]
    return [*found, password] if len(password) >= _SHORTEST_PASSWORD else found


def redact(data: bytes, secrets: Iterable[bytes]) -> bytes:
    """Return `data` with stars for credentials; the length stays, as Content-Length counts it."""
    for secret in secrets:
        data = data.replace(secret, b"*" * len(secret))
    return data


def recorded_body(reply: bytes, secrets: Iterable[bytes], *, pixels: bool) -> Body:
    """Return a reply without credentials and, unless `pixels`, without those; may take long."""
    head, separator, body = reply.partition(b"\r\n\r\n")
    head = _COOKIE.sub(lambda match: match[1] + b"*" * len(match[2]), redact(head, secrets))
    if _IMAGEBYTES not in head.lower():
        return pack(head + separator + redact(body, secrets))
    start = len(body) if pixels or b"chunked" in head.lower() else _pixels_start(body)
    omitted = body[start:]
    return pack(
        head + separator + body[:start],
        omitted=len(omitted),
        sha256=hashlib.sha256(omitted).hexdigest() if omitted else "",
    )


def _pixels_start(body: bytes) -> int:
    """Return where the pixels of an ImageBytes body start; its end if it has none."""
    error = int.from_bytes(body[4:8], "little", signed=True)
    start = int.from_bytes(body[16:20], "little", signed=True)
    return start if not error and _HEADER_BYTES <= start <= len(body) else len(body)

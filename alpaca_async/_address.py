"""Converts the address of a server, in any form, to an origin. Pure."""

from __future__ import annotations

import ipaddress
import re
from typing import Final

DEFAULT_PORT: Final = 11111
"""The port of an address without a port."""

_PORTS: Final = {"http": 80, "https": 443}
_MAX_PORT: Final = 65535
_NAME: Final = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252}[A-Za-z0-9_.])?")
_ADDRESS: Final = re.compile(
    r"(?:(?P<scheme>[A-Za-z]+)://)?(?:\[(?P<v6>[^\[\]]*)\]|(?P<host>[^\[\]:/]*))(?::(?P<port>\d{1,5}))?/?",
    re.ASCII,
)
_AT_SIGNS: Final = ("@", "\N{FULLWIDTH COMMERCIAL AT}", "\N{SMALL COMMERCIAL AT}")


def origin(address: str) -> str:
    """Return the origin of `address`, such as `http://192.168.1.20:11111`.

    `address` is `host`, `host:port`, `[v6%zone]:port`, a bare IPv6 address, or one of these
    after `http://` or `https://`. Raises `ValueError` for anything else; the message does not
    repeat an address that may contain a password.
    """
    if any(sign in address for sign in _AT_SIGNS):
        raise ValueError("an address must not contain a user name or password: use auth= instead")
    bracketed = f"[{address}]" if _is_ipv6(address) else address
    match = _ADDRESS.fullmatch(bracketed)
    if match is None:
        raise ValueError(f"{address!r} is not an address such as 192.168.1.20:11111")
    scheme = (match["scheme"] or "http").lower()
    if scheme not in _PORTS:
        raise ValueError(f"{address!r} is neither http nor https")
    default_port = _PORTS[scheme] if match["scheme"] else DEFAULT_PORT
    port = int(match["port"] or default_port)
    if not 0 < port <= _MAX_PORT:
        raise ValueError(f"{address!r} has no valid port")
    return f"{scheme}://{_host(address, match)}:{port}"


def _host(address: str, match: re.Match[str]) -> str:
    if match["v6"] is not None:
        v6 = match["v6"].replace("%25", "%")
        if _is_ipv6(v6):
            return f"[{v6}]"
    elif _NAME.fullmatch(match["host"]):
        return match["host"].lower()
    raise ValueError(f"{address!r} has no valid host")


def _is_ipv6(text: str) -> bool:
    try:
        zone = ipaddress.IPv6Address(text).scope_id
    except ValueError:
        return False
    return zone is None or _NAME.fullmatch(zone) is not None

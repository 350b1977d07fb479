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
_WITH_PATH: Final = re.compile(r"(?P<server>(?:[A-Za-z]+://)?+[^/?#]+)(?P<path>[/?#].*)", re.DOTALL)
_DEVICE_PATH: Final = re.compile(
    r"/(?:(?:api|setup)/v\d+/[a-z]+/)?(\d+)(?![^/])", re.ASCII | re.IGNORECASE
)
_PORT_AT_END: Final = re.compile(r":\d+/?$", re.ASCII)
_EXAMPLE: Final = "'192.168.1.20:11111'"
_MAX_DEVICE_NUMBER: Final = 2**32 - 1
_FIRST_USER_PORT: Final = 1024
_AT_SIGNS: Final = ("@", "\N{FULLWIDTH COMMERCIAL AT}", "\N{SMALL COMMERCIAL AT}")


def origin(address: str) -> str:
    """Return the origin of `address`, such as `http://192.168.1.20:11111`.

    `address` is `host`, `host:port`, `[v6%zone]:port`, a bare IPv6 address, or one of these
    after `http://` or `https://`. Raises `ValueError` that says what is wrong with anything else;
    the message does not repeat an address that may contain a password.
    """
    _check_text(address)
    bracketed = f"[{address}]" if _is_ipv6(address) else address
    match = _ADDRESS.fullmatch(bracketed)
    if match is None:
        raise ValueError(f"{address!r} is not an address such as {_EXAMPLE}")
    scheme = (match["scheme"] or "http").lower()
    if scheme not in _PORTS:
        raise ValueError(f"{address!r} is neither http nor https")
    default_port = _PORTS[scheme] if match["scheme"] else DEFAULT_PORT
    port = int(match["port"] or default_port)
    if not 0 < port <= _MAX_PORT:
        raise ValueError(f"{address!r} has no valid port")
    return f"{scheme}://{_host(address, match)}:{port}"


def host_and_port(host: str, port: int) -> str:
    """Return `host:port`, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def check_device_number(address: str, number: int) -> int:
    """Return `number`; raise `ValueError` if it is out of range, or looks like the port."""
    if not 0 <= number <= _MAX_DEVICE_NUMBER:
        raise ValueError(f"device_number must be between 0 and {_MAX_DEVICE_NUMBER}")
    if _FIRST_USER_PORT <= number <= _MAX_PORT and not _PORT_AT_END.search(address):
        raise ValueError(
            f"device_number {number} looks like a port: write the address as '{address}:{number}'"
        )
    return number


def _check_text(address: str) -> None:
    """Raise for what is often taken for an address."""
    if not isinstance(address, str):  # pyright: ignore[reportUnnecessaryIsInstance] - a caller's
        raise TypeError(f"an address must be a string such as {_EXAMPLE}, not {address!r}")
    if any(sign in address for sign in _AT_SIGNS):
        raise ValueError("an address must not contain a user name or password: use auth= instead")
    if address != address.strip():
        raise ValueError(f"{address!r} has spaces around the address")
    parts = _WITH_PATH.fullmatch(address)
    if parts is not None and parts["path"] != "/":
        raise ValueError(
            f"{address!r} has a path, which Alpaca servers do not have: {_without_path(parts)}"
        )
    if not address.isascii():
        raise ValueError(f"{address!r} has letters that are not ASCII: {_in_ascii(address)}")


def _without_path(parts: re.Match[str]) -> str:
    number = _DEVICE_PATH.match(parts["path"])
    advice = f"the address ends before it, {parts['server']!r}"
    return advice if number is None else f"{advice}, and the device number is {number[1]}"


def _in_ascii(address: str) -> str:
    scheme, slashes, rest = address.rpartition("://")
    host, colon, port = rest.partition(":")
    try:
        ascii_form = f"{scheme}{slashes}{host.encode('idna').decode()}{colon}{port}"
    except UnicodeError:
        return "write the IP address"
    return f"write {ascii_form!r}, or the IP address"


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

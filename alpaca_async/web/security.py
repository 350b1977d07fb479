"""Lets in only those who should be: checks the Host, the Origin and a token of each request."""

from __future__ import annotations

import hmac
import ipaddress
import re
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from . import refusal_page

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping

    Message: TypeAlias = MutableMapping[str, Any]
    Receive: TypeAlias = Callable[[], Awaitable[Message]]
    Send: TypeAlias = Callable[[Message], Awaitable[None]]
    Application: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_POLICY_VIOLATION: Final = 1008


class Refusal(NamedTuple):
    """Why a request is refused."""

    status: HTTPStatus
    reason: str


_UNKNOWN_HOST: Final = Refusal(
    HTTPStatus.MISDIRECTED_REQUEST, "This server was not started for this host name."
)
_FOREIGN_ORIGIN: Final = Refusal(
    HTTPStatus.FORBIDDEN, "Pages of other servers cannot use this one."
)
_NO_TOKEN: Final = Refusal(
    HTTPStatus.UNAUTHORIZED,
    "Open the address that alpaca-async web printed: it contains the token.",
)


class AccessControl:
    """ASGI middleware that refuses requests of other web pages, and of people without the token.

    `hosts` are the names under which the server can be reached, besides `localhost` and the IP
    address to which a browser has connected: a page of another name that resolves to this server
    (DNS rebinding) is refused with 421. A page of another origin is refused with 403. With a
    `token`, a browser must open `/?token=...` once, which sets a cookie; programs send
    `Authorization: Bearer ...`. Others are refused with 401. A token consists of letters, digits,
    `-` and `_`, else `ValueError`.
    """

    def __init__(
        self, app: Application, *, hosts: Iterable[str] = (), token: str | None = None
    ) -> None:
        if token is not None and not _TOKEN.fullmatch(token):
            raise ValueError("a token consists of letters, digits, - and _")
        self._app = app
        self._hosts = _LOOPBACK | {host.lower().rstrip(".") for host in hosts}
        self._token = token

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
        elif refusal := self._refusal(scope):
            await _refuse(scope, send, refusal)
        elif location := self._location_without_token(scope):
            await self._set_cookie(scope, send, location)
        elif not self._has_token(scope):
            await _refuse(scope, send, _NO_TOKEN)
        else:
            await self._app(scope, receive, send)

    def _refusal(self, scope: Message) -> Refusal | None:
        host = _header(scope, b"host") or ""
        if not self._is_known(_hostname(host), scope.get("server")):
            return _UNKNOWN_HOST
        origin = _header(scope, b"origin")
        if origin is not None and _netloc(origin) != host.lower():
            return _FOREIGN_ORIGIN
        return None

    def _is_known(self, name: str, server: tuple[str, int] | None) -> bool:
        return name in self._hosts or (server is not None and _same_address(name, server[0]))

    def _location_without_token(self, scope: Message) -> str | None:
        """Return where to go on, if the query has the token."""
        fields = _query(scope)
        if not any(name == "token" and self._is_token(value) for name, value in fields):
            return None
        rest = urlencode([field for field in fields if field[0] != "token"])
        path = quote(scope["path"].lstrip("/"))  # two slashes would begin the name of a host
        return f"/{path}{'?' if rest else ''}{rest}"

    def _has_token(self, scope: Message) -> bool:
        if self._token is None:
            return True
        scheme, _, value = (_header(scope, b"authorization") or "").partition(" ")
        if scheme.lower() == "bearer" and self._is_token(value.strip()):
            return True
        return self._is_token(_cookie(scope, _cookie_name(scope)))

    def _is_token(self, text: str) -> bool:
        return self._token is not None and hmac.compare_digest(text.encode(), self._token.encode())

    async def _set_cookie(self, scope: Message, send: Send, location: str) -> None:
        cookie = f"{_cookie_name(scope)}={self._token}; Path=/; HttpOnly; SameSite=Strict"
        headers = {"Location": location, "Set-Cookie": cookie, "Referrer-Policy": "no-referrer"}
        await _answer(send, HTTPStatus.SEE_OTHER, "", "text/plain", headers)


async def _refuse(scope: Message, send: Send, refusal: Refusal) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
    elif "text/html" in (_header(scope, b"accept") or ""):
        page = refusal_page.page_for(refusal.reason)
        await _answer(send, refusal.status, page, "text/html", refusal_page.HEADERS)
    else:
        await _answer(send, refusal.status, refusal.reason, "text/plain", {})


async def _answer(
    send: Send, status: HTTPStatus, text: str, media_type: str, headers: Mapping[str, str]
) -> None:
    body = text.encode()
    all_headers = {
        "Content-Type": f"{media_type}; charset=utf-8",
        "Content-Length": str(len(body)),
        "Cache-Control": "no-store",
        **headers,
    }
    encoded = [(name.encode(), value.encode()) for name, value in all_headers.items()]
    await send({"type": "http.response.start", "status": status.value, "headers": encoded})
    await send({"type": "http.response.body", "body": body})


def _header(scope: Message, name: bytes) -> str | None:
    """Return a header; None if it is missing, and "" if it is there more than once."""
    values = [value for key, value in scope["headers"] if key == name]
    if not values:
        return None
    return values[0].decode("latin-1") if len(values) == 1 else ""


def _hostname(host: str) -> str:
    """Return the name or the address in a Host header, without the port; "" if it is not valid."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _netloc(origin: str) -> str:
    """Return the host and the port of an Origin; "" if it has none."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _same_address(name: str, address: str) -> bool:
    """Whether `name` is the IP address at which the request arrived: no page can choose that."""
    try:
        return ipaddress.ip_address(name) == ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False


def _query(scope: Message) -> list[tuple[str, str]]:
    return parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)


def _cookie_name(scope: Message) -> str:
    """Return a name with the port: cookies are sent to all ports of a host."""
    server = scope.get("server")
    return f"alpaca_async_{server[1] if server else 0}"


def _cookie(scope: Message, name: str) -> str:
    try:
        cookies = SimpleCookie(_header(scope, b"cookie") or "")
    except CookieError:
        return ""
    return cookies[name].value if name in cookies else ""

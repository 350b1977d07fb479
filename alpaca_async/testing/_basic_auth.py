"""HTTP Basic authentication for the simulated server."""

from __future__ import annotations

from base64 import b64encode
from hmac import compare_digest
from typing import TYPE_CHECKING, Final

from starlette.responses import PlainTextResponse

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

_UNAUTHORIZED: Final = PlainTextResponse(
    "A user name and a password are required", 401, {"WWW-Authenticate": 'Basic realm="Alpaca"'}
)


class BasicAuthMiddleware:
    """Passes a request to an application if it carries the right user name and password."""

    def __init__(self, app: ASGIApp, auth: tuple[str, str]) -> None:
        self._app = app
        self._token = b"Basic " + b64encode(":".join(auth).encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or answer it with status 401."""
        sent = dict(scope["headers"]).get(b"authorization", b"")
        app = self._app if compare_digest(sent, self._token) else _UNAUTHORIZED
        await app(scope, receive, send)

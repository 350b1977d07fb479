"""Builds and sends requests: over our own connections, or with a caller's httpx client."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeAlias, cast

import httpx

from alpaca_async._errors import AlpacaError, TransportError
from alpaca_async._http.transport import DirectTransport
from alpaca_async._progress import ProgressFailed
from alpaca_async._version import __version__

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator
    from typing import Self

    import httpx2

    from .credentials import Credentials

Kind: TypeAlias = Literal["value", "image", "command"]

_VERBS: Final[dict[Kind, str]] = {"value": "GET", "image": "GET", "command": "PUT"}
_COMMON_HEADERS: Final = {
    # In a compressed body a truncation, or an unlimited size, would not be detected.
    "Accept-Encoding": "identity",
    "User-Agent": f"alpaca_async/{__version__}",
}
_HEADERS: Final[dict[Kind, dict[str, str]]] = {
    "value": {"Accept": "application/json"},
    "image": {"Accept": "application/imagebytes, application/json;q=0.9"},
    "command": {
        "Accept": "application/json",
        "Content-Type": "application/x-www-form-urlencoded",
    },
}
_MAX_TEMPLATES: Final = 4096

SENDING_ERRORS: Final = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError)
"""The exceptions that a `Sender` raises besides `AlpacaError`."""


class Sender(Protocol):
    """Builds and sends requests; `parameters` are the query of a GET, or the form of a PUT."""

    def request(
        self, kind: Kind, server: str, path: str, parameters: str, extensions: dict[str, Any]
    ) -> httpx.Request:
        """Return a request for `path` on `server`, an origin."""
        ...

    async def send(self, request: httpx.Request) -> httpx.Response:
        """Return the response once its head has arrived.

        This and reading the body may raise `SENDING_ERRORS`.
        """
        ...

    async def aclose(self) -> None:
        """Close the connections that this sender owns."""
        ...


class DirectSender:
    """Sends over our own connections, without the layers of an httpx client."""

    def __init__(
        self,
        credentials: Credentials,
        *,
        verify: bool | ssl.SSLContext,
        connections_per_server: int,
    ) -> None:
        self._transport = DirectTransport(
            verify=verify, connections_per_server=connections_per_server
        )
        self._credentials = credentials
        # Cached: parsing a URL costs as much as the rest of a small request.
        self._template = lru_cache(_MAX_TEMPLATES)(self._new_template)

    def request(
        self, kind: Kind, server: str, path: str, parameters: str, extensions: dict[str, Any]
    ) -> httpx.Request:
        """Return a request with path and query in the extension `target`; its URL has no query."""
        url, headers = self._template(kind, server, path)
        if kind == "command":
            extensions["target"] = url.raw_path
            stream = httpx.ByteStream(parameters.encode())
        else:
            extensions["target"] = b"%s?%s" % (url.raw_path, parameters.encode())
            stream = _EMPTY
        request = httpx.Request(
            _VERBS[kind], url, headers=headers, stream=stream, extensions=extensions
        )
        if kind == "command":
            request.headers["Content-Length"] = str(len(parameters))
        return request

    async def send(self, request: httpx.Request) -> httpx.Response:
        """Return the response once its head has arrived."""
        return await self._transport.handle_async_request(request)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._transport.aclose()

    def _new_template(self, kind: Kind, server: str, path: str) -> tuple[httpx.URL, httpx.Headers]:
        headers = _headers(kind, self._credentials.header(server))
        built = httpx.Request("GET", f"{server}/{path}", headers=headers)
        return built.url, built.headers


class ClientSender:
    """Sends with the caller's `AsyncClient`, which may add headers, cookies and hooks.

    It is one of httpx or httpx2. Requests are made by the client; responses become those of httpx.
    """

    def __init__(
        self, credentials: Credentials, http: httpx.AsyncClient | httpx2.AsyncClient
    ) -> None:
        self._http = cast("httpx.AsyncClient", http)  # httpx2 has the same interface
        self._credentials = credentials

    def request(
        self, kind: Kind, server: str, path: str, parameters: str, extensions: dict[str, Any]
    ) -> httpx.Request:
        """Return a request with the headers and cookies of the caller's client."""
        url = f"{server}/{path}"
        command = kind == "command"
        return self._http.build_request(
            _VERBS[kind],
            url if command else f"{url}?{parameters}",
            headers=_headers(kind, self._credentials.header(server)),
            content=parameters.encode() if command else None,
            extensions=extensions,
        )

    async def send(self, request: httpx.Request) -> httpx.Response:
        """Return the response once its head has arrived; redirects are not followed.

        Not every transport emits trace events. So the request counts as sent from the start, until
        a transport reports that it is still connecting.
        """
        await request.extensions["trace"]("send_request_headers.started", {})
        if self._http.is_closed:
            raise TransportError("the client is closed")
        with _WrappingErrors():
            response = await self._http.send(request, stream=True, follow_redirects=False)
        return httpx.Response(
            response.status_code,
            headers=response.headers.raw,
            stream=_ClientStream(response),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        """Do nothing: the caller owns the client and closes it."""


class WrappedClientError(httpx.TransportError):
    """The caller's httpx client raised an exception, the cause, that is not in `SENDING_ERRORS`."""


class _WrappingErrors:
    """A context manager for calls of the caller's `httpx.AsyncClient`.

    It raises `WrappedClientError` from an exception that such a call should not raise.
    """

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        # `ProgressFailed` comes from a sink, `StopAsyncIteration` is the end of a stream.
        known = (AlpacaError, *SENDING_ERRORS, ProgressFailed, StopAsyncIteration)
        if isinstance(error, Exception) and not isinstance(error, known):
            raise _counterpart(type(error))(str(error) or type(error).__name__) from error


def _counterpart(kind: type[Exception]) -> type[httpx.TransportError]:
    """Return the error of httpx with the name of `kind`, or of its base, if that is of httpx2."""
    for each in kind.__mro__:
        found: type = getattr(httpx, each.__name__, object)
        if each.__module__ == "httpx2" and issubclass(found, httpx.TransportError):
            return found
    return WrappedClientError


class _ClientStream(httpx.AsyncByteStream):
    """The body of a response that the caller's httpx client received."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self._parts: AsyncIterator[bytes] | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        with _WrappingErrors():
            if self._parts is None:
                self._parts = aiter(cast("httpx.AsyncByteStream", self._response.stream))
            return await anext(self._parts)

    async def aclose(self) -> None:
        self._parts = None  # otherwise the response keeps it, and all objects that it refers to
        with _WrappingErrors():
            await self._response.aclose()


_EMPTY: Final = httpx.ByteStream(b"")


def _headers(kind: Kind, authorization: str | None) -> httpx.Headers:
    authentication = {} if authorization is None else {"Authorization": authorization}
    return httpx.Headers(_COMMON_HEADERS | authentication | _HEADERS[kind])

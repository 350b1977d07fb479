"""How requests are built and sent: over connections of our own, or by a caller's httpx client."""

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

    from .credentials import Credentials

Kind: TypeAlias = Literal["value", "image", "command"]

_VERBS: Final[dict[Kind, str]] = {"value": "GET", "image": "GET", "command": "PUT"}
_COMMON_HEADERS: Final = {
    # A compressed body could end early, or grow without bound, unseen.
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
_TEMPLATES: Final = 4096

SENDING_ERRORS: Final = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError)
"""What a wire raises besides our own errors."""


class Sender(Protocol):
    """Builds and sends requests; `parameters` are the query of a GET, the form of a command."""

    def request(
        self, kind: Kind, server: str, path: str, parameters: str, extensions: dict[str, Any]
    ) -> httpx.Request:
        """Return a request for `path` of `server`, an origin."""
        ...

    async def send(self, request: httpx.Request) -> httpx.Response:
        """Return the response once its head is there; raise `SENDING_ERRORS`, as its body does."""
        ...

    async def aclose(self) -> None:
        """Close what is our own."""
        ...


class DirectSender:
    """Sends over connections of our own, past the layers of an httpx client."""

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
        # To parse a URL costs as much as all else that is done for a small request.
        self._template = lru_cache(_TEMPLATES)(self._new_template)

    def request(
        self, kind: Kind, server: str, path: str, parameters: str, extensions: dict[str, Any]
    ) -> httpx.Request:
        """Return a request whose target is apart from its URL, in the extension `target`."""
        url, headers = self._template(kind, server, path)
        if kind == "command":
            extensions["target"] = url.raw_path
            stream = httpx.ByteStream(parameters.encode())
        else:
            extensions["target"] = b"%s?%s" % (url.raw_path, parameters.encode())
            stream = _NOTHING
        request = httpx.Request(
            _VERBS[kind], url, headers=headers, stream=stream, extensions=extensions
        )
        if kind == "command":
            request.headers["Content-Length"] = str(len(parameters))
        return request

    async def send(self, request: httpx.Request) -> httpx.Response:
        """Return the response once its head is there."""
        return await self._transport.handle_async_request(request)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._transport.aclose()

    def _new_template(self, kind: Kind, server: str, path: str) -> tuple[httpx.URL, httpx.Headers]:
        headers = _headers(kind, self._credentials.header(server))
        built = httpx.Request("GET", f"{server}/{path}", headers=headers)
        return built.url, built.headers


class ClientSender:
    """Sends by an `httpx.AsyncClient` of the caller's, with whatever that adds."""

    def __init__(self, credentials: Credentials, http: httpx.AsyncClient) -> None:
        self._http = http
        self._credentials = credentials

    def request(
        self, kind: Kind, server: str, path: str, parameters: str, extensions: dict[str, Any]
    ) -> httpx.Request:
        """Return a request with the caller's own headers and cookies."""
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
        """Return the response once its head is there; redirects are not followed.

        Not every transport traces: the request counts as sent until one says that it connects.
        """
        if (trace := request.extensions.get("trace")) is not None:
            await trace("send_request_headers.started", {})
        if self._http.is_closed:
            raise TransportError("the client is closed")
        with _ForeignErrors():
            response = await self._http.send(request, stream=True, follow_redirects=False)
            response.stream = _ForeignStream(response.stream)
            return response

    async def aclose(self) -> None:
        """Leave the client to its owner."""


class ForeignError(httpx.TransportError):
    """Its cause is what a caller's client raised, and is not an error of httpx or of sockets."""


class _ForeignErrors:
    """Gives what a caller's client raises a name that is known here."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        known = (AlpacaError, *SENDING_ERRORS, ProgressFailed, StopAsyncIteration)
        # The last two are a sink's, and the end of a stream.
        if isinstance(error, Exception) and not isinstance(error, known):
            raise ForeignError(str(error) or type(error).__name__) from error


class _ForeignStream(httpx.AsyncByteStream):
    """The body of a reply that came by a caller's client."""

    def __init__(self, stream: httpx.AsyncByteStream | httpx.SyncByteStream) -> None:
        self._stream = cast("httpx.AsyncByteStream", stream)  # httpx has seen to it
        self._parts: AsyncIterator[bytes] | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        with _ForeignErrors():
            if self._parts is None:
                self._parts = aiter(self._stream)
            return await anext(self._parts)

    async def aclose(self) -> None:
        self._parts = None  # else it stays with the response, and all that it refers to
        with _ForeignErrors():
            await self._stream.aclose()


_NOTHING: Final = httpx.ByteStream(b"")


def _headers(kind: Kind, authorization: str | None) -> httpx.Headers:
    secret = {} if authorization is None else {"Authorization": authorization}
    return httpx.Headers(_COMMON_HEADERS | secret | _HEADERS[kind])

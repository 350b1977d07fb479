"""Sends requests: over our own connections, or with a caller's httpx client."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeAlias, cast

import httpx

from alpaca_async._errors import AlpacaError, TransportError
from alpaca_async._http.call import RequestTemplate
from alpaca_async._http.transport import DirectTransport
from alpaca_async._progress import ProgressFailed
from alpaca_async._version import __version__

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Mapping
    from typing import Self

    import httpx2

    from .credentials import Credentials

Kind: TypeAlias = Literal["value", "image", "command"]

VERBS: Final[dict[Kind, Literal["GET", "PUT"]]] = {"value": "GET", "image": "GET", "command": "PUT"}
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


class Response(Protocol):
    """A reply whose head has arrived. Names of headers are in lower case, or match any case."""

    @property
    def status_code(self) -> int:
        """The HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The values by name."""
        ...

    @property
    def stream(self) -> AsyncIterator[bytes]:
        """The body as it comes; empty if a sink took it. May raise `SENDING_ERRORS`."""
        ...

    async def aclose(self) -> None:
        """Close the connection unless the reply is complete."""
        ...


class Sender(Protocol):
    """Sends requests; `parameters` are the query of a GET, or the form of a PUT."""

    async def send(
        self, kind: Kind, server: str, path: str, parameters: str, extensions: dict[str, Any]
    ) -> Response:
        """Request `path` of `server`, an origin; return the response once its head has arrived.

        `extensions` are those of httpx and of `DirectTransport`. May raise `SENDING_ERRORS`.
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
        self._template = lru_cache(_MAX_TEMPLATES)(self._new_template)

    async def send(
        self, kind: Kind, server: str, path: str, parameters: str, extensions: dict[str, Any]
    ) -> Response:
        """Send a request without a response of httpx."""
        template = self._template(kind, server, path)
        build = template.with_form if kind == "command" else template.with_query
        return await self._transport.send(build(parameters, extensions))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._transport.aclose()

    def _new_template(self, kind: Kind, server: str, path: str) -> RequestTemplate:
        headers = _headers(kind, self._credentials.header(server))
        with _CheckingAddress():
            return RequestTemplate(VERBS[kind], f"{server}/{path}", headers)


class ClientSender:
    """Sends with the caller's `AsyncClient`, which may add headers, cookies and hooks.

    It is one of httpx or httpx2, which makes the requests.
    """

    def __init__(
        self, credentials: Credentials, http: httpx.AsyncClient | httpx2.AsyncClient
    ) -> None:
        self._http = cast("httpx.AsyncClient", http)  # httpx2 has the same interface
        self._credentials = credentials

    async def send(
        self, kind: Kind, server: str, path: str, parameters: str, extensions: dict[str, Any]
    ) -> Response:
        """Send a request with the headers and cookies of the caller's client.

        Redirects are not followed. Not every transport emits trace events. So the request counts
        as sent from the start, until a transport reports that it is still connecting.
        """
        request = self._request(kind, server, path, parameters, extensions)
        await extensions["trace"]("send_request_headers.started", {})
        if self._http.is_closed:
            raise TransportError("the client is closed")
        try:
            with _WrappingErrors():
                response = await self._http.send(request, stream=True, follow_redirects=False)
        except BaseException:
            _forget_task(request)
            raise
        return _ClientResponse(request, response)

    async def aclose(self) -> None:
        """Do nothing: the caller owns the client and closes it."""

    def _request(
        self, kind: Kind, server: str, path: str, parameters: str, extensions: dict[str, Any]
    ) -> httpx.Request:
        url = f"{server}/{path}"
        command = kind == "command"
        with _CheckingAddress():
            return self._http.build_request(
                VERBS[kind],
                url if command else f"{url}?{parameters}",
                headers=_headers(kind, self._credentials.header(server)),
                content=parameters.encode() if command else None,
                extensions=extensions,
            )


def _forget_task(request: httpx.Request) -> None:
    """Drop what leads to the task, whose result may be large: a response of httpx is a cycle."""
    for name in ("sink", "trace"):
        request.extensions.pop(name, None)


class _CheckingAddress:
    """A context manager that raises `TransportError` where no URL can be made of an address."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, ValueError):  # names that look like IDNA, and are not
            raise TransportError(f"no request can be made of this address: {error}") from error


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


class _ClientResponse:
    """A response of the caller's httpx client, and the stream of its body."""

    def __init__(self, request: httpx.Request, response: httpx.Response) -> None:
        self.status_code = response.status_code
        self.headers: Mapping[str, str] = response.headers
        self._request = request
        self._response = response
        self._parts: AsyncIterator[bytes] | None = None

    @property
    def stream(self) -> AsyncIterator[bytes]:
        """The body, without the layers that httpx would add for decoding."""
        return self

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        with _WrappingErrors():
            if self._parts is None:
                self._parts = aiter(cast("httpx.AsyncByteStream", self._response.stream))
            return await anext(self._parts)

    async def aclose(self) -> None:
        self._parts = None  # otherwise the response keeps it, and all objects that it refers to
        _forget_task(self._request)
        with _WrappingErrors():
            await self._response.aclose()


def _headers(kind: Kind, authorization: str | None) -> httpx.Headers:
    authentication = {} if authorization is None else {"Authorization": authorization}
    return httpx.Headers(_COMMON_HEADERS | authentication | _HEADERS[kind])

"""A request as bytes, and what its reply needs. Does no I/O."""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias

import httpx

from .http1 import Message, serialise

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from .reply import Sink

    Trace: TypeAlias = Callable[[str, Mapping[str, Any]], Awaitable[None]]

_PORTS: Final = {"http": 80, "https": 443}
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


class Origin(NamedTuple):
    """Where a connection leads."""

    tls: bool
    host: str
    port: int
    sni: str | None

    @classmethod
    def of(cls, request: httpx.Request) -> Origin:
        """Return the origin of a request; raise `UnsupportedProtocol` for another scheme."""
        url = request.url
        if url.scheme not in _PORTS or not url.raw_host:
            raise httpx.UnsupportedProtocol(f"unsupported URL: {url.scheme}://{url.host}")
        return cls(
            url.scheme == "https",
            url.raw_host.decode("ascii").replace("%25", "%"),
            url.port or _PORTS[url.scheme],
            request.extensions.get("sni_hostname"),
        )

    @property
    def server_hostname(self) -> str:
        """The name that the certificate must have."""
        return self.sni or self.host.partition("%")[0]


class Call(NamedTuple):
    """One request, ready to be sent, and the extensions of `DirectTransport` that it uses."""

    origin: Origin
    method: str
    data: Message
    sink: Sink | None
    timeouts: Mapping[str, float | None]
    announce: Callable[[], Awaitable[None]] | None
    """Called before the first byte is sent."""
    final: bool = False
    """Whether the request asks the server to close the connection."""

    @classmethod
    async def of(cls, request: httpx.Request) -> Call:
        """Collect the body, so that it is sent in one piece with the head."""
        if not isinstance(request.stream, httpx.AsyncByteStream):
            raise TypeError("the body of the request is not an asynchronous stream")
        body = b"".join([part async for part in request.stream])
        return cls(
            Origin.of(request),
            request.method,
            serialise(request, body),
            request.extensions.get("sink"),
            request.extensions.get("timeout", _NOTHING),
            _announcement(request.extensions, {"request": request}),
            "close" in request.headers.get("connection", "").lower(),
        )

    def __str__(self) -> str:
        target = self.data.split(b" ", 2)[1].decode("ascii", "replace")
        return f"{self.method} {target} to {self.origin.host}:{self.origin.port}"

    @property
    def repeatable(self) -> bool:
        """Whether it may be sent twice."""
        return self.method in {"GET", "HEAD"}


class RequestTemplate:
    """The constant part of the requests for one URL, which is checked and serialised once.

    Parsing a URL and checking headers takes as long as the rest of a small request.
    """

    def __init__(self, method: Literal["GET", "PUT"], url: str, headers: httpx.Headers) -> None:
        sample = httpx.Request("GET", url, headers=headers)
        self._origin = Origin.of(sample)
        self._method = method
        self._start = b"%s %s" % (method.encode(), sample.url.raw_path)
        self._fields = serialise(sample, b"").partition(b"\r\n")[2].removesuffix(b"\r\n")

    def with_query(self, query: str, extensions: Mapping[str, Any]) -> Call:
        """Return a request with a query, which must be percent-encoded."""
        head = b"%s?%s HTTP/1.1\r\n%s\r\n" % (self._start, query.encode("ascii"), self._fields)
        return self._call(head, extensions)

    def with_form(self, form: str, extensions: Mapping[str, Any]) -> Call:
        """Return a request with an encoded form as its body."""
        body = form.encode("ascii")
        length = b"Content-Length: %d\r\n" % len(body)
        parts = (self._start, b" HTTP/1.1\r\n", self._fields, length, b"\r\n", body)
        return self._call(b"".join(parts), extensions)

    def _call(self, data: bytes, extensions: Mapping[str, Any]) -> Call:
        return Call(
            self._origin,
            self._method,
            Message(data),
            extensions.get("sink"),
            extensions.get("timeout", _NOTHING),
            _announcement(extensions, _NOTHING),
        )


def _announcement(
    extensions: Mapping[str, Any], info: Mapping[str, Any]
) -> Callable[[], Awaitable[None]] | None:
    trace: Trace | None = extensions.get("trace")
    return trace and partial(trace, "http11.send_request_headers.started", info)

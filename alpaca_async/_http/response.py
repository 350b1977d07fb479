"""A reply whose head has arrived, and the stream of its body."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from .connection import Connection
    from .reply import Reply


class DirectResponse(httpx.AsyncByteStream):
    """A reply whose head has arrived, and the stream of its body.

    The stream yields nothing if a sink took the body. Small requests use this directly: creating
    an `httpx.Response` would take much of their time.
    """

    def __init__(self, connection: Connection, reply: Reply, read: float | None) -> None:
        self._connection = connection
        self._reply = reply
        self._read = read

    @property
    def status_code(self) -> int:
        """The HTTP status."""
        return self._reply.status

    @property
    def headers(self) -> Mapping[str, str]:
        """The values by name, in lower case; those of repeated headers are joined with commas."""
        headers: dict[str, str] = {}
        for name, value in self._reply.headers:
            key, text = name.decode("latin-1").lower(), value.decode("utf-8", "replace")
            headers[key] = f"{headers[key]}, {text}" if key in headers else text
        return headers

    @property
    def stream(self) -> Self:
        """The body as it comes."""
        return self

    def for_httpx(self) -> httpx.Response:
        """Return this as a response of httpx."""
        return httpx.Response(
            self._reply.status,
            headers=self._reply.headers,
            stream=self,
            extensions=self._reply.extensions,
        )

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        try:
            part = await self._connection.read_body(self._reply, self._read)
        except BaseException:
            await self.aclose()
            raise
        if part is None:
            raise StopAsyncIteration
        return part

    async def aclose(self) -> None:
        """Close the connection unless the reply is complete."""
        self._connection.abandon(self._reply)

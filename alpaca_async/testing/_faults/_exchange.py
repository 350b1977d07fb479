"""One request and its reply in the proxy, with the operations that faults use."""

from __future__ import annotations

import asyncio
import socket
import struct
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from alpaca_async.testing._message import read_reply, relay_reply

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from alpaca_async.testing._message import Reply, Request

_LINGER_ZERO: Final = struct.pack("ii", 1, 0)
"""SO_LINGER with timeout 0: close with a reset and discard unsent data."""
_READ_LIMIT: Final = 1 << 18


class Peer:
    """One end of a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        # Make `drain` wait until all data is sent, so that a later reset does not discard it.
        writer.transport.set_write_buffer_limits(high=0)

    @property
    def gone(self) -> bool:
        """Whether the connection is closed, by us or by the peer."""
        return self.writer.is_closing() or self.reader.at_eof()

    async def send(self, data: bytes) -> None:
        """Send bytes; return when they are handed to the operating system."""
        self.writer.write(data)
        await self.writer.drain()

    async def wait_until_gone(self) -> None:
        """Wait until the peer closes the connection; discard what it sends."""
        while await self.reader.read(_READ_LIMIT):
            pass

    def close(self) -> None:
        """Close the connection after all data is sent."""
        self.writer.close()

    def hold_small_packets(self) -> None:
        """Switch Nagle's algorithm on: data waits until the peer has acknowledged the last."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)

    def reset(self) -> None:
        """Reset the connection."""
        if not self.writer.is_closing():
            sock = self.writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
        self.writer.transport.abort()


class Upstream:
    """A connection to the server; each client connection has its own."""

    def __init__(self, host: str, port: int) -> None:
        self._address = host, port
        self._peer: Peer | None = None

    async def send(self, request: Request) -> asyncio.StreamReader:
        """Send a request once, over a new connection if the old one is closed."""
        if self._peer is None or self._peer.gone:
            self.close()
            reader, writer = await asyncio.open_connection(*self._address, limit=_READ_LIMIT)
            self._peer = Peer(reader, writer)
        await self._peer.send(request.wire)
        return self._peer.reader

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._peer is not None:
            self._peer.close()
            self._peer = None


class Exchange:
    """A request, the client that sent it, and the connection to the server.

    `applied` tells afterwards whether the fault could be applied to this reply.
    """

    def __init__(
        self,
        request: Request,
        client: Peer,
        upstream: Upstream,
        options: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        self.client = client
        self.options = options
        self.applied = True
        self._request = request
        self._upstream = upstream

    @property
    def target(self) -> str:
        """The path and query of the request."""
        return self._request.head.lines[0].split(" ")[1]

    async def pass_on(self) -> None:
        """Forward the request and its reply unchanged."""
        reader = await self._upstream.send(self._request)
        if not await relay_reply(self._request, reader, self.client.writer):
            self.client.close()

    async def reply(self) -> Reply:
        """Forward the request and return the complete reply."""
        return await read_reply(self._request, await self._upstream.send(self._request))

    async def send_changed(self, change: Callable[[Reply], Reply | None]) -> None:
        """Forward the request and send the reply changed; unchanged if `change` returns None."""
        reply = await self.reply()
        changed = change(reply)
        self.applied = changed is not None
        await self.client.send((changed or reply).wire)

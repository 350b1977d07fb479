"""One request on its way through the proxy, and what a fault can do to it."""

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

_AT_ONCE: Final = struct.pack("ii", 1, 0)
"""SO_LINGER: break the connection off with a reset, whatever has not been sent."""
_READ_LIMIT: Final = 1 << 18


class Peer:
    """One end of a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        # What was sent has left when `drain` returns: a reset shall not swallow it.
        writer.transport.set_write_buffer_limits(high=0)

    @property
    def gone(self) -> bool:
        """Whether this end is closed, by us or by the peer."""
        return self.writer.is_closing() or self.reader.at_eof()

    async def send(self, data: bytes) -> None:
        """Send bytes; returns when they have left."""
        self.writer.write(data)
        await self.writer.drain()

    async def wait_until_gone(self) -> None:
        """Wait until the peer closes the connection; what it sends is dropped."""
        while await self.reader.read(_READ_LIMIT):
            pass

    def close(self) -> None:
        """Close the connection when all is sent."""
        self.writer.close()

    def reset(self) -> None:
        """Break the connection off."""
        if not self.writer.is_closing():
            sock = self.writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        self.writer.transport.abort()


class Upstream:
    """The way to the server, over one connection for each of the client's."""

    def __init__(self, host: str, port: int) -> None:
        self._place = host, port
        self._peer: Peer | None = None

    async def send(self, request: Request) -> asyncio.StreamReader:
        """Send a request, over a new connection if the old one is closed; never twice."""
        if self._peer is None or self._peer.gone:
            self.close()
            reader, writer = await asyncio.open_connection(*self._place, limit=_READ_LIMIT)
            self._peer = Peer(reader, writer)
        await self._peer.send(request.wire)
        return self._peer.reader

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._peer is not None:
            self._peer.close()
            self._peer = None


class Exchange:
    """A request, the client that waits for its reply, and the server that would give it.

    `befell` tells afterwards whether the fault could be done to this reply.
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
        self.befell = True
        self._request = request
        self._upstream = upstream

    @property
    def target(self) -> str:
        """What the request asks for, path and query."""
        return self._request.head.lines[0].split(" ")[1]

    async def pass_on(self) -> None:
        """Let the request and its reply through, untouched."""
        reader = await self._upstream.send(self._request)
        if not await relay_reply(self._request, reader, self.client.writer):
            self.client.close()

    async def reply(self) -> Reply:
        """Pass the request on and return the whole reply."""
        return await read_reply(self._request, await self._upstream.send(self._request))

    async def send_changed(self, change: Callable[[Reply], Reply | None]) -> None:
        """Pass the request on and send its reply, unless `change` returns None a changed one."""
        reply = await self.reply()
        changed = change(reply)
        self.befell = changed is not None
        await self.client.send((changed or reply).wire)

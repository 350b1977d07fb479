"""A UDP socket on loopback that sends fixed replies to every request."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, cast

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


class Request(NamedTuple):
    data: bytes
    time: float


def naming(port: object) -> bytes:
    return json.dumps({"AlpacaPort": port}).encode()


class Answering(asyncio.DatagramProtocol):
    def __init__(self, replies: tuple[bytes, ...], delay: float) -> None:
        self.requests: list[Request] = []
        self.transport: asyncio.DatagramTransport
        """Sends the replies; a test may replace it by that of another socket."""
        self._replies = replies
        self._delay = delay

    @property
    def port(self) -> int:
        return int(self.transport.get_extra_info("sockname")[1])

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        self.requests.append(Request(data, asyncio.get_running_loop().time()))
        asyncio.get_running_loop().call_later(self._delay, self._reply, addr)

    def _reply(self, addr: tuple[Any, ...]) -> None:
        for reply in self._replies:
            self.transport.sendto(reply, addr)


@asynccontextmanager
async def answering(
    *replies: bytes, host: str = "127.0.0.1", port: int = 0, delay: float = 0.0
) -> AsyncGenerator[Answering]:
    transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: Answering(replies, delay), local_addr=(host, port)
    )
    try:
        yield protocol
    finally:
        transport.close()
        await asyncio.sleep(0)

"""Answers Alpaca discovery requests over UDP with the server's port."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
import socket
import sys
from contextlib import asynccontextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, cast

from alpaca_async._tasks import finish

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

_DISCOVERY_REQUEST: Final = b"alpacadiscovery1"
_MULTICAST_GROUP: Final = "ff12::a1:9aca"
_LOOPBACK_BROADCAST: Final = "127.255.255.255"

logger = logging.getLogger("alpaca_async")


class Responder(asyncio.DatagramProtocol):
    """Answers discovery requests on one UDP socket."""

    def __init__(self, listening: socket.socket, alpaca_port: int) -> None:
        self.port: int = listening.getsockname()[1]
        """The UDP port that it listens on."""
        self._answer = json.dumps({"AlpacaPort": alpaca_port}).encode()
        self._socket = listening
        self._transport: asyncio.DatagramTransport | None = None

    def close(self) -> None:
        """Close the socket in the next iteration of the event loop."""
        (self._transport.abort if self._transport else self._socket.close)()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport for sending."""
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        """Answer a discovery request; the bytes after it are reserved."""
        if self._transport is not None and data.startswith(_DISCOVERY_REQUEST):
            self._transport.sendto(self._answer, addr)


@asynccontextmanager
async def discovery_responders(
    hosts: Iterable[str], port: int | None, alpaca_port: int
) -> AsyncGenerator[None]:
    """Answer discovery at `hosts` while the block runs; do nothing if `port` is None."""
    responders = [] if port is None else await open_responders(hosts, port, alpaca_port)
    try:
        yield
    finally:
        close_responders(responders)


async def open_responders(hosts: Iterable[str], port: int, alpaca_port: int) -> list[Responder]:
    """Answer discovery at the addresses `hosts`; log a warning for each that fails.

    Broadcasts are received at 0.0.0.0 and at loopback addresses, multicasts at `::`.
    """
    responders: list[Responder] = []
    try:
        for host in chain.from_iterable(map(_answered_hosts, hosts)):
            try:
                responder = await _open(host, port, alpaca_port)
            except OSError as error:
                logger.warning("cannot answer discovery at %s, port %d: %s", host, port, error)
            else:
                responders.append(responder)
                port = responder.port
    except BaseException:
        close_responders(responders)
        raise
    return responders


def close_responders(responders: Iterable[Responder]) -> None:
    """Close the sockets in the next iteration of the event loop."""
    for responder in responders:
        responder.close()


def _answered_hosts(host: str) -> tuple[str, ...]:
    return (host, _LOOPBACK_BROADCAST) if host.startswith("127.") else (host,)


async def _open(host: str, port: int, alpaca_port: int) -> Responder:
    listening = _bound_socket(host, port)
    responder = Responder(listening, alpaca_port)
    try:
        # Cancelled itself, uvloop would leave the socket open.
        await finish(
            asyncio.get_running_loop().create_datagram_endpoint(lambda: responder, sock=listening)
        )
    except BaseException:
        responder.close()
        raise
    return responder


def _bound_socket(host: str, port: int) -> socket.socket:
    """Return a UDP socket that is bound to `host` and `port`."""
    v6 = ":" in host
    listening = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        # Other servers on this host listen on the same port.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if v6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if host == "::":
            _join_multicast_group(listening)
        listening.setblocking(False)
        listening.bind((host, port))
    except BaseException:
        listening.close()
        raise
    return listening


def _join_multicast_group(listening: socket.socket) -> None:
    """Join the multicast group on every interface that supports it."""
    group = ipaddress.IPv6Address(_MULTICAST_GROUP).packed
    for index, name in socket.if_nameindex():
        membership = group + index.to_bytes(4, sys.byteorder)
        try:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, membership)
        except OSError as error:
            logger.info("cannot join the multicast group on %s: %s", name, error)

"""Sends discovery requests and collects the replies. All UDP traffic is here."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from anyio import to_thread

from alpaca_async._address import host_and_port
from alpaca_async._errors import MalformedResponse, TransportError
from alpaca_async._loops import running_loop
from alpaca_async._protocol.values import (
    check_duration,
    check_int,
    check_str,
    decode,
    decode_record,
    quoted,
)
from alpaca_async._stream import Stream
from alpaca_async._tasks import finish, wait_for_end

from .interfaces import Destination, all_destinations

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

Hosts: TypeAlias = Iterable[str] | None
Lookup: TypeAlias = Callable[[], Awaitable[Iterable[Destination]]]

DISCOVERY_PORT: Final = 32227

_REQUEST: Final = b"alpacadiscovery1"
_ATTEMPTS: Final = 3
_ATTEMPT_FRACTION: Final = 0.25
"""The pause between attempts, as a fraction of `timeout`: leaves time for the last replies."""
_MAX_REPLY: Final = 1024
_MAX_PORT: Final = 65535
_MAX_SERVERS: Final = 512
_MAX_SERVERS_PER_HOST: Final = 32
_MAX_LOGGED_HOSTS: Final = 100
_ZONE: Final = re.compile(r"[\w.-]+", re.ASCII)

logger = logging.getLogger("alpaca_async")


@dataclass(frozen=True, slots=True)
class DiscoveredServer:
    """A server that replied; whether it serves cameras is not known yet."""

    host: str
    """A numeric address; a link-local one includes its zone."""
    port: int

    @property
    def address(self) -> str:
        """`host:port`, as `AlpacaClient.camera` takes it."""
        return host_and_port(self.host, self.port)


def discover(
    hosts: Hosts = None, *, timeout: float = 2.0, port: int = DISCOVERY_PORT
) -> Stream[DiscoveredServer]:
    """Search for Alpaca servers, and yield each as soon as it replies.

    Searches all networks of this host, IPv4 and IPv6, and the host itself; or only `hosts`: names
    or addresses, also broadcast addresses. The request is sent three times to the UDP port
    `port`; the stream ends after `timeout` seconds. A server with several addresses is yielded
    once for each. Invalid replies are logged and ignored, as are interfaces and hosts that cannot
    be reached. Use `async with`: leaving the block closes all sockets.

    Raises:
        TransportError: no socket can be opened.
    """
    if check_duration("timeout", timeout) == 0:
        raise ValueError("timeout must be positive")
    lookups: list[Lookup] = (
        [_all_destinations]
        if hosts is None
        else [partial(_resolve, host) for host in check_hosts(hosts)]
    )
    return Stream(_discover(lookups, timeout, check_discovery_port(port)))


def check_hosts(hosts: Iterable[str]) -> list[str]:
    """Return `hosts` as a list; raise `TypeError` unless each is a string."""
    if isinstance(hosts, str):
        raise TypeError("hosts must be an iterable of names, not a string")
    return [check_str("each of hosts", host) for host in hosts]


def check_discovery_port(port: int) -> int:
    """Return `port`; raise `TypeError` or `ValueError` if it is not the number of a UDP port."""
    if not 0 < check_int("port", port) <= _MAX_PORT:
        raise ValueError(f"port must be between 1 and {_MAX_PORT}, not {port}")
    return port


async def _discover(
    lookups: list[Lookup], timeout: float, port: int
) -> AsyncGenerator[DiscoveredServer]:
    deadline = running_loop().time() + timeout
    replies = _Replies()
    sockets = await _open_sockets(replies.add)
    tasks = [
        asyncio.create_task(_send_requests(sockets, lookup, port, timeout * _ATTEMPT_FRACTION))
        for lookup in lookups
    ]
    try:
        while (server := await replies.next_server(deadline)) is not None:
            yield server
    finally:
        for task in tasks:
            task.cancel()
        try:
            await wait_for_end(*tasks)
        finally:
            await finish(_close(sockets))


async def _send_requests(
    sockets: dict[socket.AddressFamily, _DiscoverySocket], lookup: Lookup, port: int, pause: float
) -> None:
    """Send the request several times to the result of `lookup`, because datagrams get lost."""
    try:
        destinations = await lookup()
    except (OSError, ValueError) as error:
        logger.warning("no discovery request sent: %s", error)
        return
    for _ in range(_ATTEMPTS):
        for destination in destinations:
            if (sock := sockets.get(destination.family)) is not None:
                sock.send_request(destination, port)
        await asyncio.sleep(pause)


async def _all_destinations() -> list[Destination]:
    return await to_thread.run_sync(all_destinations)


async def _resolve(host: str) -> set[Destination]:
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    except (OSError, ValueError) as error:
        raise ValueError(f"cannot resolve {quoted(host)}: {error}") from error
    return {Destination(str(address[0]), *map(int, address[3:])) for *_, address in found}


# Sockets


class _DiscoverySocket(asyncio.DatagramProtocol):
    """A UDP socket of one address family: sends requests, and passes replies to `on_reply`."""

    def __init__(self, raw_socket: socket.socket, on_reply: Callable[[bytes, str], None]) -> None:
        self._socket = raw_socket
        self._on_reply = on_reply
        self._closed = asyncio.Event()
        self._transport: asyncio.DatagramTransport | None = None

    def send_request(self, destination: Destination, port: int) -> None:
        """Send the request; log a destination that cannot be reached."""
        scoped = (0, destination.scope) if destination.family == socket.AF_INET6 else ()
        try:
            self._socket.sendto(_REQUEST, (destination.host, port, *scoped))
        except OSError as error:
            logger.info("cannot send a discovery request to %s: %s", destination.host, error)

    async def aclose(self) -> None:
        """Close the socket."""
        if self._transport is None:
            self._socket.close()
        else:
            self._transport.abort()
            await self._closed.wait()

    # Callbacks of asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport: it closes the socket."""
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        """Pass on a reply with its sender's address; it may come from any port."""
        self._on_reply(data, _host_of(addr))

    def error_received(self, exc: Exception) -> None:
        """Continue: only one of many destinations could not be reached."""
        logger.debug("error on a discovery socket: %s", exc)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - of asyncio
        """Record that the socket is closed."""
        self._closed.set()


async def _open_sockets(
    on_reply: Callable[[bytes, str], None],
) -> dict[socket.AddressFamily, _DiscoverySocket]:
    """Open a socket for each address family that this host supports."""
    sockets: dict[socket.AddressFamily, _DiscoverySocket] = {}
    problem: OSError | None = None
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            sockets[family] = await _open_socket(family, on_reply)
        except OSError as error:
            logger.info("no discovery over %s: %s", family.name, error)
            problem = error
        except BaseException:
            await finish(_close(sockets))
            raise
    if not sockets:
        raise TransportError(f"cannot open a discovery socket: {problem}") from problem
    return sockets


async def _open_socket(
    family: socket.AddressFamily, on_reply: Callable[[bytes, str], None]
) -> _DiscoverySocket:
    raw_socket = _bound_socket(family)
    sock = _DiscoverySocket(raw_socket, on_reply)
    try:
        # Cancelled itself, uvloop would leave the socket open.
        await finish(
            asyncio.get_running_loop().create_datagram_endpoint(lambda: sock, sock=raw_socket)
        )
    except BaseException:
        await finish(sock.aclose())
        raise
    return sock


def _bound_socket(family: socket.AddressFamily) -> socket.socket:
    """Return a UDP socket on a free port of all interfaces."""
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        if family == socket.AF_INET:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(("", 0))
    except BaseException:
        sock.close()
        raise
    return sock


async def _close(sockets: dict[socket.AddressFamily, _DiscoverySocket]) -> None:
    for sock in sockets.values():
        await sock.aclose()


def _host_of(address: tuple[Any, ...]) -> str:
    """Return the numeric address of a sender; a link-local one includes its zone."""
    host, scope = str(address[0]), int(address[3]) if len(address) > 3 else 0  # noqa: PLR2004
    return f"{host}%{_zone(scope)}" if scope and "%" not in host else host


def _zone(scope: int) -> str:
    """Return the zone of a link-local address: the interface's name, or its number on Windows.

    Also the number if the interface is gone, or if its name cannot be in an address.
    """
    try:
        name = socket.if_indextoname(scope)
    except OSError:  # the interface is gone
        name = ""
    return name if os.name == "posix" and _ZONE.fullmatch(name) else str(scope)


# Replies


class _Replies:
    """The servers that replied, without duplicates; limits their number against false replies."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[DiscoveredServer] = asyncio.Queue()
        self._known: set[DiscoveredServer] = set()
        self._counts: Counter[str] = Counter()
        self._logged_hosts: set[str] = set()

    async def next_server(self, deadline: float) -> DiscoveredServer | None:
        """Return the next server, or None after `deadline` if none is left."""
        if self._queue.empty():
            try:
                async with asyncio.timeout_at(deadline):
                    return await self._queue.get()
            except TimeoutError:
                return None
        return self._queue.get_nowait()

    def add(self, reply: bytes, host: str) -> None:
        """Add the server of a reply from `host`; log an invalid reply."""
        port = port_in_reply(reply)
        if port is None:
            text = f"{len(reply)} bytes that are not a discovery reply: {quoted(reply[:40])}"
            self._log_once(host, text)
            return
        server = DiscoveredServer(host, port)
        if server in self._known:
            return
        if self._counts[host] >= _MAX_SERVERS_PER_HOST or len(self._known) >= _MAX_SERVERS:
            self._log_once(host, "too many servers")
            return
        self._counts[host] += 1
        self._known.add(server)
        self._queue.put_nowait(server)

    def _log_once(self, host: str, what: str) -> None:
        """Log the first ignored reply of `host` only, so that many cannot fill the log."""
        if host not in self._logged_hosts and len(self._logged_hosts) < _MAX_LOGGED_HOSTS:
            self._logged_hosts.add(host)
            logger.info("discovery ignored a reply: %s sent %s", host, what)


def port_in_reply(reply: bytes) -> int | None:
    """Return the port in a reply, or None if the reply is invalid."""
    if len(reply) > _MAX_REPLY:
        return None
    try:
        # Servers written in C may send the terminating zero.
        fields = decode_record(json.loads(reply.rstrip(b"\0")))
        values = {name.lower(): value for name, value in fields.items()}
        port = decode(int, values.get("alpacaport"))
    except (ValueError, RecursionError, MalformedResponse):
        return None
    return port if 0 < port <= _MAX_PORT else None

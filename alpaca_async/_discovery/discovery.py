"""A question over UDP -> the servers that answer it. The only door for datagrams."""

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

from alpaca_async._errors import MalformedResponse, TransportError
from alpaca_async._protocol.values import check_duration, decode, decode_record, quoted
from alpaca_async._stream import Stream
from alpaca_async._tasks import finish, wait_for_end

from .interfaces import Destination, everywhere

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

Hosts: TypeAlias = Iterable[str] | None
Where: TypeAlias = Callable[[], Awaitable[Iterable[Destination]]]

DISCOVERY_PORT: Final = 32227

_QUESTION: Final = b"alpacadiscovery1"
_ROUNDS: Final = 3
_ROUND: Final = 0.25
"""Of the whole time, between two rounds: the last answers have time to come."""
_MAX_REPLY: Final = 1024
_MAX_PORT: Final = 65535
_MAX_SERVERS: Final = 512
_MAX_SERVERS_OF_A_HOST: Final = 32
_MAX_COMPLAINTS: Final = 100
_ZONE: Final = re.compile(r"[\w.-]+", re.ASCII)

logger = logging.getLogger("alpaca_async")


@dataclass(frozen=True, slots=True)
class DiscoveredServer:
    """A server that answered; that it serves cameras is not known yet."""

    host: str
    """A numeric address, with the zone of one that is link-local."""
    port: int

    @property
    def address(self) -> str:
        """`host:port`, as `AlpacaClient.camera` takes it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def discover(
    hosts: Hosts = None, *, timeout: float = 2.0, port: int = DISCOVERY_PORT
) -> Stream[DiscoveredServer]:
    """Ask for Alpaca servers, and hand out each as soon as it answers.

    Asks all networks of this host, IPv4 and IPv6, and the host itself; or only `hosts`, names or
    addresses, a broadcast address among them. The question is sent three times to the UDP port
    `port`; the stream ends after `timeout` seconds. A server with several addresses comes once
    for each. What is not an answer is logged and passed over, as are interfaces and hosts that
    cannot be reached. Leave it with `async with`: nothing stays open then.

    Raises:
        TransportError: no socket can be opened.
    """
    if isinstance(hosts, str):
        raise TypeError("hosts must be an iterable of names, not a string")
    if check_duration("timeout", timeout) == 0:
        raise ValueError("timeout must be positive")
    if not 0 < port <= _MAX_PORT:
        raise ValueError(f"port must be between 1 and {_MAX_PORT}, not {port}")
    places: list[Where] = (
        [_everywhere] if hosts is None else [partial(_resolve, host) for host in hosts]
    )
    return Stream(_discover(places, timeout, port))


async def _discover(
    places: list[Where], timeout: float, port: int
) -> AsyncGenerator[DiscoveredServer]:
    deadline = asyncio.get_running_loop().time() + timeout
    answers = _Answers()
    askers = await _open_askers(answers.hear)
    tasks = [asyncio.create_task(_ask(askers, place, port, timeout * _ROUND)) for place in places]
    try:
        while (server := await answers.following(deadline)) is not None:
            yield server
    finally:
        for task in tasks:
            task.cancel()
        try:
            await wait_for_end(*tasks)
        finally:
            await finish(_close(askers))


async def _ask(
    askers: dict[socket.AddressFamily, _Asker], place: Where, port: int, pause: float
) -> None:
    """Send the question to `place`, again and again: datagrams get lost."""
    try:
        destinations = await place()
    except (OSError, ValueError) as error:
        logger.warning("not asked for servers: %s", error)
        return
    for _ in range(_ROUNDS):
        for destination in destinations:
            if (asker := askers.get(destination.family)) is not None:
                asker.ask(destination, port)
        await asyncio.sleep(pause)


async def _everywhere() -> list[Destination]:
    return await to_thread.run_sync(everywhere)


async def _resolve(host: str) -> set[Destination]:
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    except (OSError, ValueError) as error:
        raise ValueError(f"{quoted(host)} is not known: {error}") from error
    return {Destination(str(address[0]), *map(int, address[3:])) for *_, address in found}


# Sockets


class _Asker(asyncio.DatagramProtocol):
    """A socket of one family that asks, and hands on what it hears."""

    def __init__(self, asking: socket.socket, hear: Callable[[bytes, str], None]) -> None:
        self._socket = asking
        self._hear = hear
        self._closed = asyncio.Event()
        self._transport: asyncio.DatagramTransport

    def ask(self, destination: Destination, port: int) -> None:
        """Send the question; log where there is no way."""
        scoped = (0, destination.scope) if destination.family == socket.AF_INET6 else ()
        try:
            self._socket.sendto(_QUESTION, (destination.host, port, *scoped))
        except OSError as error:
            logger.info("%s cannot be asked for servers: %s", destination.host, error)

    async def aclose(self) -> None:
        """Close the socket."""
        self._transport.abort()
        await self._closed.wait()

    # What asyncio reports

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what closes the socket."""
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        """Hand on a reply with its sender, whatever port it comes from."""
        self._hear(data, _host_of(addr))

    def error_received(self, exc: Exception) -> None:
        """Go on: one destination of many could not be reached."""
        logger.debug("while asking for servers: %s", exc)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - of asyncio
        """Take note that the socket is closed."""
        self._closed.set()


async def _open_askers(
    hear: Callable[[bytes, str], None],
) -> dict[socket.AddressFamily, _Asker]:
    """Open a socket of each family that this host has."""
    askers: dict[socket.AddressFamily, _Asker] = {}
    problem: OSError | None = None
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            askers[family] = await _open_asker(family, hear)
        except OSError as error:
            logger.info("no servers are asked for over %s: %s", family.name, error)
            problem = error
        except BaseException:
            await finish(_close(askers))
            raise
    if not askers:
        raise TransportError(f"no servers can be asked for: {problem}") from problem
    return askers


async def _open_asker(family: socket.AddressFamily, hear: Callable[[bytes, str], None]) -> _Asker:
    asking = socket.socket(family, socket.SOCK_DGRAM)
    try:
        asking.setblocking(False)
        if family == socket.AF_INET:
            asking.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        else:
            asking.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        asking.bind(("", 0))
        loop = asyncio.get_running_loop()
        _, asker = await loop.create_datagram_endpoint(partial(_Asker, asking, hear), sock=asking)
    except BaseException:
        asking.close()
        raise
    return asker


async def _close(askers: dict[socket.AddressFamily, _Asker]) -> None:
    for asker in askers.values():
        await asker.aclose()


def _host_of(address: tuple[Any, ...]) -> str:
    """Return the numeric address of a sender; a link-local one with its zone."""
    host, scope = str(address[0]), int(address[3]) if len(address) > 3 else 0  # noqa: PLR2004
    return f"{host}%{_zone(scope)}" if scope and "%" not in host else host


def _zone(scope: int) -> str:
    """Return the name of an interface, or its number where that is what addresses take."""
    try:
        name = socket.if_indextoname(scope)
    except OSError:  # it is gone by now
        name = ""
    return name if os.name == "posix" and _ZONE.fullmatch(name) else str(scope)


# Answers


class _Answers:
    """What was heard: servers, each once, and no more than can be true."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[DiscoveredServer] = asyncio.Queue()
        self._known: set[DiscoveredServer] = set()
        self._counts: Counter[str] = Counter()
        self._complained: set[str] = set()

    async def following(self, deadline: float) -> DiscoveredServer | None:
        """Return the next server, None when `deadline` has come and none is left."""
        if self._queue.empty():
            try:
                async with asyncio.timeout_at(deadline):
                    return await self._queue.get()
            except TimeoutError:
                return None
        return self._queue.get_nowait()

    def hear(self, reply: bytes, host: str) -> None:
        """Take a reply from `host`."""
        port = answered_port(reply)
        if port is None:
            self._complain(host, f"{len(reply)} bytes that are no answer: {quoted(reply[:40])}")
            return
        server = DiscoveredServer(host, port)
        if server in self._known:
            return
        if self._counts[host] >= _MAX_SERVERS_OF_A_HOST or len(self._known) >= _MAX_SERVERS:
            self._complain(host, "more servers than can be true")
            return
        self._counts[host] += 1
        self._known.add(server)
        self._queue.put_nowait(server)

    def _complain(self, host: str, what: str) -> None:
        """Log what came from `host`, once: a flood would fill the log as well."""
        if host not in self._complained and len(self._complained) < _MAX_COMPLAINTS:
            self._complained.add(host)
            logger.info("while asking for servers, %s sent %s", host, what)


def answered_port(reply: bytes) -> int | None:
    """Return the port that a reply names; None if it is no reply."""
    if len(reply) > _MAX_REPLY:
        return None
    try:
        # Strings of C end with a zero.
        fields = decode_record(json.loads(reply.rstrip(b"\0")))
        values = {name.lower(): value for name, value in fields.items()}
        port = decode(int, values.get("alpacaport"))
    except (ValueError, RecursionError, MalformedResponse):
        return None
    return port if 0 < port <= _MAX_PORT else None

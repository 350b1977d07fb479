"""Opens connections with what every event loop has: resolve, race the addresses, hand over."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Final, NamedTuple

from alpaca_async._tasks import wait_for_end

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from .connection import Connection

_NEXT_ATTEMPT: Final = 0.25
"""Seconds after which the next address of a name is tried, too, as RFC 8305 recommends."""


class Address(NamedTuple):
    """A numeric address; the host of a link-local one includes its zone."""

    family: socket.AddressFamily
    host: str
    port: int


async def connect(host: str, port: int) -> socket.socket:
    """Return a socket that is connected to the fastest address of `host`; raise `OSError`."""
    addresses = await _resolve(host, port)
    if not addresses:
        raise OSError("the name has no address")
    if len(addresses) == 1:
        return await _connect_to(addresses[0])
    return await _Race().run(addresses)


async def hand_over(
    make: Callable[[socket.socket], Connection],
    sock: socket.socket,
    context: ssl.SSLContext | None,
    server_hostname: str | None,
) -> Connection:
    """Let the event loop serve a connected socket, after the TLS handshake if there is a context.

    On failure everything is closed here: not every loop reports the loss of a connection that was
    cancelled while it was being set up.
    """
    connection = make(sock)
    try:
        await asyncio.get_running_loop().create_connection(
            lambda: connection, sock=sock, ssl=context, server_hostname=server_hostname
        )
    except BaseException:
        connection.close()
        sock.close()
        raise
    return connection


async def _resolve(host: str, port: int) -> list[Address]:
    """Return the addresses of `host`; the families alternate, as one may lead nowhere."""
    if (family := _family(host)) is not None:
        return [Address(family, host, port)]
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    by_family: dict[socket.AddressFamily, dict[Address, None]] = {}
    for family, *_, address in found:
        zone = f"%{address[3]}" if len(address) > 3 and address[3] else ""  # noqa: PLR2004
        entry = Address(family, f"{address[0]}{zone}", port)
        by_family.setdefault(family, {})[entry] = None
    rows = zip_longest(*by_family.values())
    return [address for address in chain.from_iterable(rows) if address is not None]


def _family(host: str) -> socket.AddressFamily | None:
    """Return the family of a numeric address; None for a name."""
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        return None
    return socket.AF_INET6 if version == 6 else socket.AF_INET  # noqa: PLR2004


async def _connect_to(address: Address) -> socket.socket:
    sock = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, (address.host, address.port))
    except BaseException:
        sock.close()
        raise
    return sock


class _Race:
    """Tries one address after the other; the first that connects wins, the others are closed.

    Not `create_connection(happy_eyeballs_delay=...)`: uvloop does not have it, and asyncio's fails
    with eager tasks.
    """

    def __init__(self) -> None:
        self._attempts: set[asyncio.Task[socket.socket]] = set()
        self._errors: list[BaseException] = []

    async def run(self, addresses: list[Address]) -> socket.socket:
        """Return the first connected socket; raise `OSError` if no address can be reached."""
        winner: socket.socket | None = None
        try:
            winner = await self._first(addresses)
        finally:
            await self._close_losers(winner)
        if winner is None:
            raise _combined(self._take_errors())
        return winner

    async def _first(self, addresses: list[Address]) -> socket.socket | None:
        for address in addresses:
            self._attempts.add(asyncio.create_task(_connect_to(address)))
            if (winner := await self._next_end(_NEXT_ATTEMPT)) is not None:
                return winner
        while self._attempts:
            if (winner := await self._next_end(None)) is not None:
                return winner
        return None

    async def _next_end(self, seconds: float | None) -> socket.socket | None:
        """Wait until an attempt ends, at most `seconds`; return the socket if it has succeeded."""
        done, _ = await asyncio.wait(
            self._attempts, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
        )
        for attempt in done:
            self._attempts.remove(attempt)
            if (error := attempt.exception()) is None:
                return attempt.result()
            self._errors.append(error)
        return None

    async def _close_losers(self, winner: socket.socket | None) -> None:
        for attempt in self._attempts:
            attempt.cancel()
        try:
            await wait_for_end(*self._attempts)
        except BaseException:
            if winner is not None:
                winner.close()
            raise
        finally:
            for attempt in self._attempts:
                if not attempt.cancelled() and attempt.exception() is None:
                    attempt.result().close()

    def _take_errors(self) -> list[BaseException]:
        """Return the errors without keeping them: their tracebacks refer to this object."""
        errors, self._errors = self._errors, []
        return errors


def _combined(errors: list[BaseException]) -> BaseException:
    """Return one error that has the reasons of all."""
    reasons = dict.fromkeys(map(_reason, errors))
    return errors[0] if len(reasons) == 1 else OSError(", ".join(reasons))


def _reason(error: BaseException) -> str:
    number = error.errno if isinstance(error, OSError) else None
    return os.strerror(number).lower() if number else str(error)

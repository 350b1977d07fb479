"""A listening socket that can be closed and reopened on the same port."""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    OnConnection = Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]

_BACKLOG: Final = 128
_CAN_RESERVE_PORT: Final = sys.platform == "linux"
"""Whether one socket can listen on a port that another, bound but not listening, reserves."""


class Listener:
    """Accepts connections on an address between `start` and `stop`.

    On Linux it reserves the port until `close`, even while it does not listen. Create and use it
    on one event loop only.
    """

    def __init__(
        self, address: tuple[str, int], on_connection: OnConnection, *, limit: int
    ) -> None:
        self._on_connection = on_connection
        self._limit = limit
        self._reservation = _bind(address)
        self._address: tuple[str, int] = self._reservation.getsockname()[:2]
        if not _CAN_RESERVE_PORT:
            self._reservation.close()
        self._socket: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._starting: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The TCP port."""
        return self._address[1]

    @property
    def is_listening(self) -> bool:
        """Whether it accepts connections."""
        return self._socket is not None

    def start(self) -> None:
        """Accept new connections."""
        self._socket = _bind(self._address)
        self._socket.listen(_BACKLOG)
        self._starting = asyncio.get_running_loop().create_task(self._start_server(self._socket))

    def stop(self) -> None:
        """Refuse new connections; existing ones stay open."""
        if self._starting is not None:
            self._starting.cancel()
        if self._server is not None:
            self._server.close()
        if self._socket is not None:
            self._socket.close()
        self._socket = self._server = self._starting = None

    def close(self) -> None:
        """Refuse new connections and release the port."""
        self.stop()
        self._reservation.close()

    async def _start_server(self, listener: socket.socket) -> None:
        self._server = await asyncio.start_server(
            self._on_connection, sock=listener, limit=self._limit, start_serving=False
        )
        await self._server.start_serving()


def _bind(address: tuple[str, int]) -> socket.socket:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    # asyncio sets TCP_NODELAY only if the socket names its protocol.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setblocking(False)
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    return sock

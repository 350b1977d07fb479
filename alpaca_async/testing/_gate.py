"""A listening socket that can be closed, and opened again on the same port."""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]

_BACKLOG: Final = 128
_SHARES_WITH_ITSELF: Final = sys.platform == "linux"
"""Whether a socket can listen where another is bound that does not, and keeps the port."""


class Gate:
    """Listens on an address, or does not; while it exists, nobody else gets the port.

    Belongs to the loop that runs when it is made, and must be used in it.
    """

    def __init__(self, address: tuple[str, int], serve: Serve, *, limit: int) -> None:
        self._serve = serve
        self._limit = limit
        self._keeper = _bound(address)
        self._place: tuple[str, int] = self._keeper.getsockname()[:2]
        if not _SHARES_WITH_ITSELF:
            self._keeper.close()
        self._listener: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._starting: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The port."""
        return self._place[1]

    @property
    def is_open(self) -> bool:
        """Whether it listens."""
        return self._listener is not None

    def open(self) -> None:
        """Listen; whoever connects from now on is let in."""
        if self._listener is None:
            self._listener = _bound(self._place)
            self._listener.listen(_BACKLOG)
            self._starting = asyncio.get_running_loop().create_task(self._start(self._listener))

    def shut(self) -> None:
        """Refuse whoever connects from now on."""
        if self._starting is not None:
            self._starting.cancel()
        if self._server is not None:
            self._server.close()
        if self._listener is not None:
            self._listener.close()
        self._listener = self._server = self._starting = None

    def close(self) -> None:
        """Shut it for good."""
        self.shut()
        self._keeper.close()

    async def _start(self, listener: socket.socket) -> None:
        self._server = await asyncio.start_server(
            self._serve, sock=listener, limit=self._limit, start_serving=False
        )
        await self._server.start_serving()


def _bound(address: tuple[str, int]) -> socket.socket:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    # asyncio sends small replies at once only where it sees that the protocol is TCP.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setblocking(False)
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    return sock

"""A TCP server that handles each connection in a task of its own, on the running event loop."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Self

from ._faults import Peer
from ._listener import Listener
from ._message import HEAD_LIMIT, BrokenMessage

if TYPE_CHECKING:
    from types import TracebackType

logger = logging.getLogger("alpaca_async.testing")


class ConnectionServer(ABC):
    """Listens on `host` and `port`, and handles each connection with `_serve`.

    It is an async context manager on the running loop; synchronous callers use `run_in_thread`.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._listener: Listener | None = None
        self._clients: dict[asyncio.Task[None], Peer] = {}

    @property
    def port(self) -> int:
        """The TCP port; raises `RuntimeError` while it does not run."""
        if self._listener is None:
            raise RuntimeError("The proxy does not run")
        return self._listener.port

    @property
    def address(self) -> str:
        """`host:port` for clients; raises `RuntimeError` while it does not run."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{host}:{self.port}"

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._clients)

    async def __aenter__(self) -> Self:
        """Start to listen; raise `OSError` if the address is taken."""
        self._listener = Listener((self._host, self._port), self._accept, limit=HEAD_LIMIT)
        self._update_listener()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Reset every connection and release the port."""
        listener, self._listener = self._listener, None
        if listener is None:
            return
        listener.close()
        tasks = list(self._clients)
        for task, client in self._clients.items():
            client.reset()
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # asyncio closes the sockets in the next round of the loop

    def _update_listener(self) -> None:
        """Start or stop listening, as needed."""
        if self._listener is not None:
            self._listener.start()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = Peer(reader, writer)
        task = asyncio.get_running_loop().create_task(self._handle(client))
        self._clients[task] = client
        task.add_done_callback(self._clients.pop)

    async def _handle(self, client: Peer) -> None:
        try:
            await self._serve(client)
        except (BrokenMessage, OSError) as error:
            logger.debug("a connection failed: %s", error)
            client.reset()
        finally:
            client.close()

    @abstractmethod
    async def _serve(self, client: Peer) -> None:
        """Handle the requests of a connection; `BrokenMessage` and `OSError` reset it."""

"""A TCP server that handles each connection in a task of its own, on the running event loop."""

from __future__ import annotations

import asyncio
import logging
from abc import abstractmethod

from ._faults import Peer
from ._listener import Listener
from ._local_server import LocalServer
from ._message import HEAD_LIMIT, BrokenMessage

logger = logging.getLogger("alpaca_async.testing")


class ConnectionServer(LocalServer):
    """Listens on `host` and `port`, and handles each connection with `_serve`.

    It is an async context manager on the running loop; synchronous callers use `run_in_thread`.
    """

    def __init__(self, host: str, port: int) -> None:
        super().__init__(host)
        self._port = port
        self._listener: Listener | None = None
        self._clients: dict[asyncio.Task[None], Peer] = {}

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._clients)

    def _listening_port(self) -> int | None:
        return None if self._listener is None else self._listener.port

    async def _start(self) -> None:
        self._listener = Listener((self._host, self._port), self._accept, limit=HEAD_LIMIT)
        self._update_listener()

    async def _stop(self) -> None:
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

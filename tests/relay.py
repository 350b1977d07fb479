"""A TCP relay to a server that a test can interrupt, even within a reply, and restore."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

from tests.serving import Connections

if TYPE_CHECKING:
    from types import TracebackType


class Relay:
    """Listens on a port of 127.0.0.1 and forwards connections to `target`, `host:port`."""

    def __init__(self, target: str, *, port: int = 0) -> None:
        self.target = target
        self.port = port
        self.connections = 0
        """How many connections were accepted so far."""
        self.cut_after: int | None = None
        """Call `cut` after so many more bytes of replies."""
        self.is_cut = asyncio.Event()
        self._listener: asyncio.Server | None = None
        self._connections = Connections(self._relay)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        await self.mend()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.cut()
        await self._connections.aclose()

    async def mend(self) -> None:
        await self._connections.aclose()  # `cut` has aborted them
        self._listener = await asyncio.start_server(
            self._connections.accept, "127.0.0.1", self.port
        )
        self.port = self._listener.sockets[0].getsockname()[1]
        self.is_cut.clear()

    def cut(self) -> None:
        """Refuse new connections and abort the existing ones, until `mend`."""
        self.cut_after = None
        if self._listener is not None:
            self._listener.close()
        self._connections.abort()
        self.is_cut.set()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        host, _, port = self.target.rpartition(":")
        try:
            target_reader, target_writer = await asyncio.open_connection(host, int(port))
        except OSError:
            writer.transport.abort()
            return
        try:
            sending = asyncio.create_task(self._pump(reader, target_writer))
            await self._pump(target_reader, writer, count=True)
            sending.cancel()
        finally:
            writer.transport.abort()
            target_writer.transport.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, count: bool = False
    ) -> None:
        try:
            while data := await reader.read(8192):
                if count and self.cut_after is not None:
                    data = data[: self.cut_after]
                    self.cut_after -= len(data)
                writer.write(data)
                await writer.drain()
                if count and self.cut_after == 0:
                    self.cut()
        except ConnectionError:
            pass

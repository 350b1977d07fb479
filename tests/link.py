"""A network link with latency, as a TCP relay in the test's event loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

from tests.serving import Connections

if TYPE_CHECKING:
    from types import TracebackType


class Link:
    """Forwards connections to `target`; each direction delays what it carries.

    `round_trip` is in seconds. A new connection costs one more, as its handshake does.
    """

    def __init__(self, target: str, round_trip: float, *, handshake: bool = True) -> None:
        self.address = ""
        self._target = target
        self._round_trip = round_trip
        self._handshake = handshake
        self._connections = Connections(self._relay)

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._connections.accept, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{self._listener.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._connections.close(self._listener)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(self._round_trip if self._handshake else 0)
        host, _, port = self._target.rpartition(":")
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        try:
            async with asyncio.TaskGroup() as directions:
                directions.create_task(self._carry(reader, far_writer))
                directions.create_task(self._carry(far_reader, writer))
        finally:
            writer.transport.abort()
            far_writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry data one way; what is already on its way does not delay what follows."""
        loop = asyncio.get_running_loop()

        def arrive(data: bytes) -> None:
            if data:
                writer.write(data)
            else:
                writer.close()

        while data := await reader.read(65536):
            loop.call_later(self._round_trip / 2, arrive, data)
        loop.call_later(self._round_trip / 2, arrive, b"")

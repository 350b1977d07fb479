"""The connections of a test's server: a task for each, none of them left open at the end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    Serve: TypeAlias = Callable[
        [asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]
    ]


class Connections:
    """Serves each connection by a task; give `accept` to `asyncio.start_server`."""

    def __init__(self, serve: Serve) -> None:
        self._serve = serve
        self._tasks: dict[asyncio.StreamWriter, asyncio.Task[None]] = {}

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a new connection."""
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks[writer] = task
        task.add_done_callback(lambda _: self._tasks.pop(writer))

    def abort(self) -> None:
        """Abort all connections; one whose task has not begun closes nothing by itself."""
        for writer, task in self._tasks.items():
            task.cancel()
            writer.transport.abort()

    async def close(self, server: asyncio.Server) -> None:
        """Close `server` and all its connections.

        It stops to accept first: asyncio of Python 3.11 leaves a socket open that it has accepted
        but not yet reported when the server closes.
        """
        loop = asyncio.get_running_loop()
        for sock in server.sockets:
            loop.remove_reader(sock.fileno())
        for _ in range(3):  # rounds of the loop until a connection is reported
            await asyncio.sleep(0)
        server.close()
        await self.aclose()

    async def aclose(self) -> None:
        """Abort all connections, also those that arrive meanwhile, and wait for their ends."""
        await asyncio.sleep(0)
        while self._tasks:
            self.abort()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)
            await asyncio.sleep(0)

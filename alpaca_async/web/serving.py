"""Serves the application in the running event loop, until its block ends."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Final

import uvicorn

from alpaca_async._tasks import wait_for_end

from .routes import STATE

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from fastapi import FastAPI

_GRACE: Final = 5
"""Seconds for responses to end, when the server stops."""


class _Server(uvicorn.Server):
    """A server that ends its event streams before it waits for open connections."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave signals to the caller, who leaves the block of `serving`."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Tell that the server accepts connections, or that it will not."""
        try:
            await super().startup(sockets)
        except SystemExit:  # uvicorn ends the process where the application does not start
            self.should_exit = True
        self.ready.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the observatory, then the server."""
        await self.lifespan.state[STATE].close()
        await super().shutdown(sockets)


@asynccontextmanager
async def serving(app: FastAPI, host: str = "127.0.0.1", port: int = 0) -> AsyncGenerator[int]:
    """Serve `app` during the block, and yield the port; raise `OSError` if it is in use."""
    listener = await _listen(host, port)
    config = uvicorn.Config(
        app,
        ws="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_GRACE,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve([listener]))
    ready = asyncio.create_task(server.ready.wait())
    try:
        await asyncio.wait({task, ready}, return_when=asyncio.FIRST_COMPLETED)
        if not server.started:
            raise RuntimeError("the application does not start; see the log")
        yield listener.getsockname()[1]
    finally:
        ready.cancel()
        server.should_exit = True
        await wait_for_end(task)
        listener.close()


async def _listen(host: str, port: int) -> socket.socket:
    """Return a socket that is bound to the first address of `host`."""
    loop = asyncio.get_running_loop()
    infos = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, address = infos[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setblocking(False)
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener

"""Serves simulated devices with uvicorn, on the running event loop or on a separate thread."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import uvicorn
from anyio.from_thread import start_blocking_portal
from uvicorn.server import ServerState

from ._app import Application, WireOptions
from ._basic_auth import BasicAuthMiddleware
from ._camera import SimulatedCamera
from ._local_server import LocalServer
from ._responder import close_responders, open_responders

if TYPE_CHECKING:
    import ssl
    from collections.abc import Generator, Iterable
    from contextlib import AbstractAsyncContextManager

    from ._core import SimulatedDevice
    from ._responder import Responder

T = TypeVar("T")


class SimulatorServer(LocalServer):
    """Serves `devices`, such as cameras, on `host` and `port`.

    The number of a device is its position among those of its type.
    It is an async context manager on the running loop; synchronous callers use `run_in_thread`.
    It can be entered again after it was left. Port 0 chooses a free port.
    `content_length=False` sends images chunked, `imagebytes=False` sends them always as JSON, and
    `imagebytes_errors=True` sends errors of imagearray as ImageBytes. `ssl_context` enables https.
    `auth`, a user name and a password, is required from clients if given. With a
    `discovery_port`, the server answers discovery on that UDP port of `host`, or on a free one if
    it is 0; if the port is taken, it logs a warning.
    """

    def __init__(  # noqa: PLR0913 - named choices with defaults
        self,
        devices: Iterable[SimulatedDevice],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        name: str = "Simulated cameras",
        location: str = "Nowhere",
        ssl_context: ssl.SSLContext | None = None,
        keep_alive: int = 5,
        content_length: bool = True,
        imagebytes: bool = True,
        imagebytes_errors: bool = False,
        discovery_port: int | None = None,
        auth: tuple[str, str] | None = None,
    ) -> None:
        super().__init__(host)
        self.devices = tuple(devices)
        self._port = port
        self._discovery_port = discovery_port
        self._responders: list[Responder] = []
        self._ssl = ssl_context
        self._state = ServerState()
        self._listener: asyncio.Server | None = None
        wire = WireOptions(
            content_length=content_length,
            imagebytes=imagebytes,
            imagebytes_errors=imagebytes_errors,
        )
        app = Application(self.devices, name=name, location=location, wire=wire)
        self._config = uvicorn.Config(
            BasicAuthMiddleware(app, auth) if auth else app,
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            timeout_keep_alive=keep_alive,
        )

    @property
    def cameras(self) -> tuple[SimulatedCamera, ...]:
        """The cameras among the devices."""
        return tuple(each for each in self.devices if isinstance(each, SimulatedCamera))

    @property
    def discovery_port(self) -> int:
        """The UDP port for discovery; raises `RuntimeError` if discovery is not answered."""
        if not self._responders:
            raise RuntimeError("the server does not answer discovery")
        return self._responders[0].port

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._state.connections)

    def _listening_port(self) -> int | None:
        if self._listener is None:
            return None
        port: int = self._listener.sockets[0].getsockname()[1]
        return port

    async def _start(self) -> None:
        if not self._config.loaded:
            self._config.load()
        self._listener = await asyncio.get_running_loop().create_server(
            self._protocol, self._host, self._port, ssl=self._ssl, start_serving=False
        )
        await self._listener.start_serving()  # apart: a cancelled create_server leaves it open
        if self._discovery_port is not None:
            hosts = [listening.getsockname()[0] for listening in self._listener.sockets]
            self._responders = await open_responders(hosts, self._discovery_port, self.port)

    def _protocol(self) -> asyncio.Protocol:
        # uvicorn's own Server would add signal handlers, a periodic task and a slow shutdown.
        protocol: Any = self._config.http_protocol_class
        connection: asyncio.Protocol = protocol(
            config=self._config, server_state=self._state, app_state={}
        )
        return connection

    async def _stop(self) -> None:
        listener, self._listener = self._listener, None
        if listener is None:
            return
        listener.close()
        responders, self._responders = self._responders, []
        close_responders(responders)
        for connection in list(self._state.connections):
            transport: asyncio.Transport = connection.transport
            transport.abort()
        await asyncio.sleep(0)
        tasks = list(self._state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await listener.wait_closed()


@contextmanager
def run_in_thread(server: AbstractAsyncContextManager[T]) -> Generator[T]:
    """Run `server`, or a `FaultProxy`, on a separate thread while the block runs.

    Use it in synchronous code, or in tests where client and server must not block each other.
    """
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(server) as running:
        yield running

"""Cameras of the servers that answer: who they are and where, each once."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from alpaca_async._address import origin
from alpaca_async._errors import AlpacaError
from alpaca_async._session.management import get_configured_devices
from alpaca_async._session.session import Session, Timeouts
from alpaca_async._stream import Stream
from alpaca_async._tasks import wait_for_end

from .discovery import DISCOVERY_PORT, discover

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from .discovery import DiscoveredServer, Hosts

_AT_ONCE: Final = 16
_QUERY_LIMIT: Final = 5.0
_MAX_DEVICES: Final = 256
_TIMEOUTS: Final = Timeouts(establish=2.0, reply=3.0)

logger = logging.getLogger("alpaca_async")


@dataclass(frozen=True, slots=True)
class FoundCamera:
    """A camera of a server: all that `AlpacaClient.camera` needs, and what it is called."""

    address: str
    """Of the server, `host:port`."""
    device_number: int
    name: str
    unique_id: str
    """Stays the same when the address or the number changes."""


def find_cameras(
    hosts: Hosts = None,
    *,
    timeout: float = 2.0,
    port: int = DISCOVERY_PORT,
    client: Session | None = None,
) -> Stream[FoundCamera]:
    """Ask all servers that `discover` finds for their cameras, and hand out each at once.

    Servers are asked concurrently, at most 16 at a time, and have five seconds each. One that
    fails costs its own cameras, and a warning. A camera with several addresses comes once: with
    the one that answered first. The stream ends at most five seconds after `timeout`.

    Whoever is in the network can answer, so servers are asked without credentials; `client`
    asks with its own.

    Raises:
        TransportError: no socket can be opened.
    """
    return Stream(_find(discover(hosts, timeout=timeout, port=port), timeout, client))


async def find_camera(
    unique_id: str,
    hosts: Hosts = None,
    *,
    timeout: float = 2.0,
    port: int = DISCOVERY_PORT,
    client: Session | None = None,
) -> FoundCamera | None:
    """Return where the camera with `unique_id` is now, None if nobody has it.

    All else is as in `find_cameras`.
    """
    async with find_cameras(hosts, timeout=timeout, port=port, client=client) as cameras:
        async for camera in cameras:
            if camera.unique_id == unique_id:
                return camera
    return None


async def _find(
    servers: Stream[DiscoveredServer], timeout: float, client: Session | None
) -> AsyncGenerator[FoundCamera]:
    session = Session(timeouts=_TIMEOUTS) if client is None else client
    search = _Search(session, asyncio.get_running_loop().time() + timeout + _QUERY_LIMIT)
    task = asyncio.create_task(search.run(servers))
    known: set[FoundCamera | str] = set()
    try:
        while (camera := await search.found.get()) is not None:
            key = camera.unique_id or camera
            if key not in known:
                known.add(key)
                yield camera
        await task
    finally:
        task.cancel()
        try:
            await wait_for_end(task)
        finally:
            if not task.cancelled():
                task.exception()  # the caller had it, or left before
            if client is None:
                await session.aclose()


class _Search:
    """The questions to all servers of one search; `found` ends with None."""

    def __init__(self, session: Session, deadline: float) -> None:
        self.found: asyncio.Queue[FoundCamera | None] = asyncio.Queue()
        self._session = session
        self._deadline = deadline
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def run(self, servers: Stream[DiscoveredServer]) -> None:
        """Ask each server as soon as it is known."""
        tasks: list[asyncio.Task[None]] = []
        try:
            async with servers:
                async for server in servers:
                    asking = asyncio.create_task(self._ask(server.address))
                    tasks.append(asking)  # at once, to end with this task
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await wait_for_end(*tasks)
            self.found.put_nowait(None)

    async def _ask(self, address: str) -> None:
        try:
            async with asyncio.timeout_at(self._deadline), self._turns:
                async with asyncio.timeout(_QUERY_LIMIT):
                    devices = await get_configured_devices(self._session, origin(address))
        except AlpacaError as error:
            logger.warning("a server that was found does not tell its devices: %s", error)
            return
        except TimeoutError:
            logger.warning("%s was found, but does not tell its devices", address)
            return
        for device in devices[:_MAX_DEVICES]:
            if device.device_type.lower() == "camera":
                self.found.put_nowait(
                    FoundCamera(address, device.device_number, device.device_name, device.unique_id)
                )

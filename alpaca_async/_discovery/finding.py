"""Lists the cameras of all servers that discovery finds, without duplicates."""

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

_MAX_CONCURRENT: Final = 16
_QUERY_TIMEOUT: Final = 5.0
_MAX_DEVICES: Final = 256
_TIMEOUTS: Final = Timeouts(establish=2.0, reply=3.0)

logger = logging.getLogger("alpaca_async")


@dataclass(frozen=True, slots=True)
class FoundCamera:
    """A camera that was found: the arguments of `AlpacaClient.camera`, its name and its id."""

    address: str
    """The address of the server, `host:port`."""
    device_number: int
    name: str
    unique_id: str
    """Does not change if the address or the device number changes."""


def find_cameras(
    hosts: Hosts = None,
    *,
    timeout: float = 2.0,
    port: int = DISCOVERY_PORT,
    client: Session | None = None,
) -> Stream[FoundCamera]:
    """Query all servers that `discover` finds for their cameras, and yield each at once.

    Servers are queried concurrently, at most 16 at a time, each for at most five seconds. If one
    fails, its cameras are missing and a warning is logged. A camera with several addresses is
    yielded once, with the address that replied first. The stream ends at most five seconds after
    `timeout`.

    Any host in the network can reply, so servers are queried without credentials, unless `client`
    is given: it uses its own.

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
    """Return the camera with `unique_id` at its present address, None if no server has it.

    Arguments and errors are those of `find_cameras`.
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
    search = _Search(session, asyncio.get_running_loop().time() + timeout + _QUERY_TIMEOUT)
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
                task.exception()  # marks it as retrieved: raised above, or the caller left early
            if client is None:
                await session.aclose()


class _Search:
    """The queries to all servers of one search; the queue `found` ends with None."""

    def __init__(self, session: Session, deadline: float) -> None:
        self.found: asyncio.Queue[FoundCamera | None] = asyncio.Queue()
        self._session = session
        self._deadline = deadline
        self._slots = asyncio.Semaphore(_MAX_CONCURRENT)

    async def run(self, servers: Stream[DiscoveredServer]) -> None:
        """Query each server as soon as it is discovered."""
        tasks: list[asyncio.Task[None]] = []
        try:
            async with servers:
                async for server in servers:
                    query = asyncio.create_task(self._query(server.address))
                    tasks.append(query)  # before any await, so that it is cancelled with this task
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await wait_for_end(*tasks)
            self.found.put_nowait(None)

    async def _query(self, address: str) -> None:
        try:
            async with asyncio.timeout_at(self._deadline), self._slots:
                async with asyncio.timeout(_QUERY_TIMEOUT):
                    devices = await get_configured_devices(self._session, origin(address))
        except AlpacaError as error:
            logger.warning("cannot list the devices of a discovered server: %s", error)
            return
        except TimeoutError:
            logger.warning("the discovered server %s did not list its devices in time", address)
            return
        for device in devices[:_MAX_DEVICES]:
            if device.device_type.lower() == "camera":
                self.found.put_nowait(
                    FoundCamera(address, device.device_number, device.device_name, device.unique_id)
                )

"""Lists the devices of all servers that discovery finds, each once."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeAlias, cast

from alpaca_async._address import origin
from alpaca_async._errors import AlpacaError, OperationFailed
from alpaca_async._loops import running_loop
from alpaca_async._protocol.values import check_str, quoted
from alpaca_async._session.management import get_configured_devices
from alpaca_async._session.session import Session, Timeouts
from alpaca_async._stream import Stream
from alpaca_async._tasks import wait_for_end

from .discovery import DISCOVERY_PORT, discover
from .same_server import is_same_server

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from alpaca_async._session.management import ConfiguredDevice

    from .discovery import DiscoveredServer, Hosts

_DEVICES: Final = "management/v1/configureddevices"
_MAX_CONCURRENT: Final = 16
_QUERY_TIMEOUT: Final = 5.0
_MAX_DEVICES: Final = 256
_MAX_SHARED_IDS: Final = 1024
_TIMEOUTS: Final = Timeouts(establish=2.0, reply=3.0)

logger = logging.getLogger("alpaca_async")

_Key: TypeAlias = tuple[str, str]
"""Device type and unique id."""


@dataclass(frozen=True, slots=True)
class FoundDevice:
    """A device that was found."""

    address: str
    """The address of the server, `host:port`."""
    device_number: int
    name: str
    unique_id: str
    """Does not change if the address or the device number changes.

    Some servers derive it from the model's name: there, two cameras of a model have the same id.
    """
    device_type: str
    """In lower case, as in the argument of `AlpacaClient.device`."""


@dataclass(frozen=True, slots=True)
class FoundCamera(FoundDevice):
    """A camera that was found."""

    device_type: str = "camera"


class _SharedIds:
    """Unique ids that several devices of a type had at the same time, with these devices."""

    def __init__(self) -> None:
        self._devices: dict[_Key, frozenset[FoundDevice]] = {}

    def add(self, key: _Key, devices: set[FoundDevice]) -> bool:
        """Record that `devices` have this id; return whether that is new."""
        known = self.devices(key)
        if devices <= known or (not known and len(self._devices) >= _MAX_SHARED_IDS):
            return False
        self._devices[key] = known | devices
        return True

    def devices(self, key: _Key) -> frozenset[FoundDevice]:
        """Return the devices with this id; none if it is unique as far as is known."""
        return self._devices.get(key, frozenset())


_SHARED_IDS: Final = _SharedIds()
"""Shared by all searches of this process: a search that finds only one of these devices could not
tell otherwise that its id is not unique."""


def find_cameras(
    hosts: Hosts = None,
    *,
    timeout: float = 2.0,
    port: int = DISCOVERY_PORT,
    client: Session | None = None,
) -> Stream[FoundCamera]:
    """Query all servers that `discover` finds for their cameras, and yield each at once.

    Servers are queried concurrently, at most 16 at a time, each for at most five seconds. If one
    fails, its cameras are missing and a warning is logged. The stream ends at most five seconds
    after `timeout`.

    A server with several addresses is recognised by the numbers of its replies; its cameras are
    yielded once, with the address that replied first. Different cameras are all yielded, also
    those with the same unique id; a warning names these.

    Any host in the network can reply, so servers are queried without credentials, unless `client`
    is given: it uses its own.

    Raises:
        TransportError: no socket can be opened.
    """
    servers = discover(hosts, timeout=timeout, port=port)
    return Stream(_find_cameras(servers, timeout, client, set()))


def find_devices(
    hosts: Hosts = None,
    *,
    device_type: str | None = None,
    timeout: float = 2.0,
    port: int = DISCOVERY_PORT,
    client: Session | None = None,
) -> Stream[FoundDevice]:
    """Query all servers for their devices, as `find_cameras` does for their cameras.

    `device_type`, such as `focuser`, selects one type; None means all. Cameras are yielded as
    `FoundCamera`.
    """
    kind = None if device_type is None else check_str("device_type", device_type).lower()
    servers = discover(hosts, timeout=timeout, port=port)
    return Stream(_find(servers, timeout, client, set(), kind))


async def find_camera(
    unique_id: str,
    hosts: Hosts = None,
    *,
    timeout: float = 2.0,
    port: int = DISCOVERY_PORT,
    client: Session | None = None,
    last_address: str | None = None,
) -> FoundCamera | None:
    """Return the camera with `unique_id` at its present address, None if no server has it.

    This waits for the replies of all servers, because several cameras may have the same id. It
    never returns a camera that an earlier search found together with another of the same id: such
    a camera has not moved. `last_address` is where the camera was before: a camera there that has
    the id is always returned, and `OperationFailed` is raised if the server there answers
    discovery but does not list its devices. The other arguments and errors are those of
    `find_cameras`.

    Raises:
        OperationFailed: the id does not tell which camera is meant; or the server at
            `last_address` fails.
        ValueError: `unique_id` is empty, as it is for the cameras of some servers.
    """
    check_unique_id(unique_id)
    failed: set[str] = set()
    neighbours = _SHARED_IDS.devices(("camera", unique_id))
    servers = discover(hosts, timeout=timeout, port=port)
    async with Stream(_find_cameras(servers, timeout, client, failed)) as cameras:
        found = [camera async for camera in cameras if camera.unique_id == unique_id]
    if last_address is not None:
        home = origin(last_address)
        if returned := [camera for camera in found if origin(camera.address) == home]:
            return returned[0]
        if home in map(origin, failed):
            raise OperationFailed("the server does not list its devices").at(home, _DEVICES)
    moved = [camera for camera in found if camera not in neighbours]
    if len(moved) > 1 or (found and not moved):
        raise OperationFailed(
            f"the unique id {quoted(unique_id)} does not tell which camera is meant: "
            f"{_places(neighbours.union(found))} have the same; use the address instead"
        )
    return moved[0] if moved else None


def check_unique_id(unique_id: str) -> str:
    """Return `unique_id`; raise `ValueError` if it is empty."""
    if not check_str("unique_id", unique_id):
        raise ValueError("unique_id must not be empty: such cameras cannot be told apart")
    return unique_id


def _find_cameras(
    servers: Stream[DiscoveredServer], timeout: float, client: Session | None, failed: set[str]
) -> AsyncGenerator[FoundCamera]:
    found = _find(servers, timeout, client, failed, "camera")
    return cast("AsyncGenerator[FoundCamera]", found)


async def _find(
    servers: Stream[DiscoveredServer],
    timeout: float,
    client: Session | None,
    failed: set[str],
    device_type: str | None,
) -> AsyncGenerator[FoundDevice]:
    """Yield the devices of all `servers`; add the addresses of those that fail to `failed`."""
    session = Session(timeouts=_TIMEOUTS) if client is None else client
    deadline = running_loop().time() + timeout + _QUERY_TIMEOUT
    search = _Search(session, deadline, failed, device_type)
    task = asyncio.create_task(search.run(servers))
    try:
        while (device := await search.found.get()) is not None:
            yield device
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

    def __init__(
        self, session: Session, deadline: float, failed: set[str], device_type: str | None
    ) -> None:
        self.found: asyncio.Queue[FoundDevice | None] = asyncio.Queue()
        self._device_type = device_type
        self._session = session
        self._deadline = deadline
        self._failed = failed
        self._slots = asyncio.Semaphore(_MAX_CONCURRENT)
        self._devices: dict[str, list[FoundDevice]] = {}
        self._by_id: defaultdict[_Key, set[FoundDevice]] = defaultdict(set)

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
        """Queue the devices of a server, unless it was queried at another address."""
        try:
            async with self._turn():
                devices = await self._list(address)
        except AlpacaError as error:
            logger.warning("cannot list the devices of a discovered server: %s", error)
            self._failed.add(address)
        except TimeoutError:
            logger.warning("the discovered server %s did not list its devices in time", address)
            self._failed.add(address)
        else:
            if not await self._is_known(address, devices):
                self._add(devices)

    @asynccontextmanager
    async def _turn(self) -> AsyncGenerator[None]:
        """Limit the number of queries, and the duration of each."""
        async with asyncio.timeout_at(self._deadline), self._slots:
            async with asyncio.timeout(_QUERY_TIMEOUT):
                yield

    async def _list(self, address: str) -> list[FoundDevice]:
        devices = await get_configured_devices(self._session, origin(address))
        found = [_found(address, device) for device in devices[:_MAX_DEVICES]]
        return [
            device
            for device in dict.fromkeys(found)
            if self._device_type in {None, device.device_type}
        ]

    async def _is_known(self, address: str, devices: list[FoundDevice]) -> bool:
        """Return whether a server with the same devices, at another address, is this server."""
        candidates = [
            other
            for other, others in self._devices.items()
            if devices and devices == [replace(each, address=address) for each in others]
        ]
        self._devices[address] = devices
        try:
            async with self._turn():
                for other in candidates:
                    if await is_same_server(self._session, other, address):
                        return True
        except TimeoutError:
            logger.info("%s may be another address of %s", address, ", ".join(candidates))
        return False

    def _add(self, devices: list[FoundDevice]) -> None:
        """Queue devices, and log those whose unique id another device of their type has."""
        for device in devices:
            self.found.put_nowait(device)
            if device.unique_id:
                key = (device.device_type, device.unique_id)
                same = self._by_id[key]
                same.add(device)
                if len(same) > 1 and _SHARED_IDS.add(key, same):
                    logger.warning(
                        "%s have the same unique id, %s", _places(same), quoted(device.unique_id)
                    )


def _found(address: str, device: ConfiguredDevice) -> FoundDevice:
    device_type = device.device_type.lower()
    place = (address, device.device_number, device.device_name, device.unique_id)
    return FoundCamera(*place) if device_type == "camera" else FoundDevice(*place, device_type)


def _places(devices: Iterable[FoundDevice]) -> str:
    return ", ".join(
        sorted(f"{each.device_type} {each.device_number} at {each.address}" for each in devices)
    )

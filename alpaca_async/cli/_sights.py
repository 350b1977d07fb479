"""Many cameras followed at once: what each does, or why that is not known."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from alpaca_async._errors import AlpacaError, NotConnectedException, TransportError
from alpaca_async._facts import CameraStatus

from ._members import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from alpaca_async._camera import AlpacaClient, AsyncCamera

_NOTHING: Final = CameraStatus()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """A camera at one moment; after an error `status` is the last one that was known.

    `number` is None for a server whose cameras are not known.
    """

    server: str
    number: int | None = None
    name: str = ""
    status: CameraStatus = _NOTHING
    connected: bool = True
    error: str = ""
    answered: bool = True
    """Whether there was an answer, if only an error."""

    def failed(self, error: AlpacaError) -> Sight:
        """Return the sight of the same camera after an error."""
        reason = " ".join(error.reason.split())
        return replace(self, error=reason, answered=not isinstance(error, TransportError))

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        place = {"server": self.server, "device_number": self.number, "name": self.name}
        if self.error:
            return {**place, "error": self.error}
        return {
            **place,
            "connected": self.connected,
            **self.status.as_dict(),
            "camera_state": plain(self.status.camera_state),
        }


class Watchers:
    """Follows the cameras of some servers; `sights` is what is seen of each.

    Only those with the number `device`, if it is not None. `tell` is called with each new sight.
    An error is a sight, too: the camera is asked again, and a server that does not answer.
    """

    def __init__(
        self,
        client: AlpacaClient,
        servers: Sequence[str],
        *,
        interval: float,
        device: int | None,
        tell: Callable[[Sight], None],
    ) -> None:
        self.sights: dict[tuple[str, int | None], Sight]
        self.sights = {(server, None): Sight(server=server) for server in servers}
        self._client = client
        self._interval = interval
        self._device = device
        self._tell = tell

    async def run(self, count: float = math.inf) -> None:
        """Look at every camera `count` times."""
        async with asyncio.TaskGroup() as group:
            for server in self.sights.values():
                group.create_task(self._follow_server(server, count))

    def _see(self, sight: Sight) -> Sight:
        self.sights[sight.server, sight.number] = sight
        self._tell(sight)
        return sight

    async def _follow_server(self, server: Sight, left: float) -> None:
        while left > 0:
            try:
                cameras = await self._cameras(server)
            except AlpacaError as error:
                self._see(server.failed(error))
            else:
                await self._follow_cameras(server, cameras, left)
                return
            left -= 1
            await self._rest(left)

    async def _cameras(self, server: Sight) -> list[Sight]:
        return [
            replace(server, number=device.device_number, name=device.device_name)
            for device in await self._client.get_configured_devices(server.server)
            if device.device_type.lower() == "camera"
            and self._device in {None, device.device_number}
        ]

    async def _follow_cameras(self, server: Sight, cameras: Sequence[Sight], left: float) -> None:
        if not cameras:
            wanted = "no cameras" if self._device is None else f"no camera {self._device}"
            self._see(replace(server, error=wanted))
            return
        # In one step, lest somebody draw the server without its cameras, and in its place.
        known = ((sight.server, sight.number) for sight in cameras)
        mine = dict(zip(known, cameras, strict=True))
        self.sights = {
            key: sight
            for place, old in self.sights.items()
            for key, sight in (mine if place == (server.server, None) else {place: old}).items()
        }
        async with asyncio.TaskGroup() as group:
            for sight in cameras:
                group.create_task(self._follow_camera(sight, left))

    async def _follow_camera(self, sight: Sight, left: float) -> None:
        camera = self._client.camera(sight.server, sight.number or 0)
        while left > 0:
            try:
                async with camera.watch(self._interval) as statuses:
                    while left > 0:
                        sight = self._see(await _next(sight, camera, await anext(statuses)))
                        left -= 1
            except AlpacaError as error:
                sight = self._see(_after(sight, error))
                left -= 1
                await self._rest(left)

    async def _rest(self, left: float) -> None:
        if left > 0:
            await asyncio.sleep(self._interval)


async def _next(sight: Sight, camera: AsyncCamera, status: CameraStatus) -> Sight:
    """Return what is seen now; a camera that tells no state may not be connected."""
    connected = status.camera_state is not None or await camera.get_connected()
    return replace(sight, status=status, connected=connected, error="", answered=True)


def _after(sight: Sight, error: AlpacaError) -> Sight:
    if isinstance(error, NotConnectedException):
        return replace(sight, status=_NOTHING, connected=False, error="", answered=True)
    return sight.failed(error)

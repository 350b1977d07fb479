"""Polls many cameras concurrently, and reports the status or the error of each."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Final

from alpaca_async._errors import AlpacaError, HostLost, NotConnectedException, TransportError
from alpaca_async._facts import CameraStatus

from ._members import json_value

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from alpaca_async._camera import AlpacaClient, AsyncCamera
    from alpaca_async._progress import Progress

_UNKNOWN: Final = CameraStatus()


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The state of a camera at one time; after an error, `status` is the last known one.

    `number` is None for a server without known cameras.
    """

    server: str
    number: int | None = None
    name: str = ""
    status: CameraStatus = _UNKNOWN
    connected: bool = True
    error: str = ""
    answered: bool = True
    """Whether the server answered, even with an error."""
    progress: Progress | None = None
    """Of the exposure that a program takes, as that reports it; None if nobody does."""

    def failed(self, error: AlpacaError) -> Snapshot:
        """Return this snapshot with the error."""
        reason = " ".join(error.reason.split())
        answered = not isinstance(error, TransportError | HostLost)
        return replace(self, error=reason, answered=answered, progress=None)

    def after_error(self, error: AlpacaError) -> Snapshot:
        """Return this snapshot with the error, which may mean that the camera is not connected."""
        if not isinstance(error, NotConnectedException):
            return self.failed(error)
        return Snapshot(server=self.server, number=self.number, name=self.name, connected=False)

    def as_dict(self) -> dict[str, Any]:
        """Return the snapshot for JSON."""
        identity = {"server": self.server, "device_number": self.number, "name": self.name}
        if self.error:
            return {**identity, "error": self.error}
        return {
            **identity,
            "connected": self.connected,
            **self.status.as_dict(),
            "camera_state": json_value(self.status.camera_state),
            "progress": None if self.progress is None else _as_dict(self.progress),
        }


def _as_dict(progress: Progress) -> dict[str, Any]:
    return {each.name: json_value(getattr(progress, each.name)) for each in fields(progress)}


class Watcher:
    """Polls the cameras of some servers; `snapshots` has the latest snapshot of each.

    If `device` is not None, it polls only the cameras with this number. It calls `on_snapshot`
    with each new snapshot. After an error, which is also a snapshot, it polls again.
    """

    def __init__(
        self,
        client: AlpacaClient,
        servers: Sequence[str],
        *,
        interval: float,
        device: int | None,
        on_snapshot: Callable[[Snapshot], None],
    ) -> None:
        self.snapshots: dict[tuple[str, int | None], Snapshot]
        self.snapshots = {(server, None): Snapshot(server=server) for server in servers}
        self._client = client
        self._interval = interval
        self._device = device
        self._on_snapshot = on_snapshot

    async def run(self, count: float = math.inf) -> None:
        """Poll every camera `count` times."""
        async with asyncio.TaskGroup() as group:
            for server in self.snapshots.values():
                group.create_task(self._watch_server(server, count))

    def _update(self, snapshot: Snapshot) -> Snapshot:
        self.snapshots[snapshot.server, snapshot.number] = snapshot
        self._on_snapshot(snapshot)
        return snapshot

    async def _watch_server(self, server: Snapshot, remaining: float) -> None:
        while remaining > 0:
            try:
                cameras = await self._cameras(server)
            except AlpacaError as error:
                self._update(server.failed(error))
            else:
                await self._watch_cameras(server, cameras, remaining)
                return
            remaining -= 1
            await self._pause(remaining)

    async def _cameras(self, server: Snapshot) -> list[Snapshot]:
        return [
            replace(server, number=device.device_number, name=device.device_name)
            for device in await self._client.get_configured_devices(server.server)
            if device.device_type.lower() == "camera"
            and self._device in {None, device.device_number}
        ]

    async def _watch_cameras(
        self, server: Snapshot, cameras: Sequence[Snapshot], remaining: float
    ) -> None:
        if not cameras:
            message = "no cameras" if self._device is None else f"no camera {self._device}"
            self._update(replace(server, error=message))
            return
        # One assignment, because the display may read `snapshots` at any time. The cameras take
        # the position of their server.
        found = {(snapshot.server, snapshot.number): snapshot for snapshot in cameras}
        self.snapshots = {
            key: snapshot
            for old_key, old in self.snapshots.items()
            for key, snapshot in (
                found if old_key == (server.server, None) else {old_key: old}
            ).items()
        }
        async with asyncio.TaskGroup() as group:
            for snapshot in cameras:
                group.create_task(self._watch_camera(snapshot, remaining))

    async def _watch_camera(self, snapshot: Snapshot, remaining: float) -> None:
        camera = self._client.camera(snapshot.server, snapshot.number or 0)
        while remaining > 0:
            try:
                async with camera.watch(self._interval) as statuses:
                    while remaining > 0:
                        snapshot = self._update(
                            await _after_status(snapshot, camera, await anext(statuses))
                        )
                        remaining -= 1
            except AlpacaError as error:
                snapshot = self._update(snapshot.after_error(error))
                remaining -= 1
                await self._pause(remaining)

    async def _pause(self, remaining: float) -> None:
        if remaining > 0:
            await asyncio.sleep(self._interval)


async def _after_status(snapshot: Snapshot, camera: AsyncCamera, status: CameraStatus) -> Snapshot:
    """Return the new snapshot; without a camera state, ask whether it is connected."""
    connected = status.camera_state is not None or await camera.get_connected()
    return replace(snapshot, status=status, connected=connected, error="", answered=True)

"""The cameras of the `CameraHosts` of other programs, as snapshots for `watch`."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from alpaca_async.ray import watch_hosts

from ._snapshots import Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable

    from alpaca_async.ray import HostStatus


class HostsWatcher:
    """Watches all cameras in the Ray cluster; `snapshots` has the latest snapshot of each.

    It calls `on_snapshot` with each new snapshot, an error included.
    """

    def __init__(self, *, interval: float, on_snapshot: Callable[[Snapshot], None]) -> None:
        self.snapshots: dict[tuple[str, int | None], Snapshot] = {}
        self._interval = interval
        self._on_snapshot = on_snapshot
        self._readings: Counter[tuple[str, int | None]] = Counter()

    async def run(self, count: float = math.inf) -> None:
        """Watch until every camera was read `count` times."""
        async with watch_hosts(self._interval) as statuses:
            async for status in statuses:
                self._add(status)
                if all(self._readings[camera] >= count for camera in self.snapshots):
                    return

    def _add(self, status: HostStatus) -> None:
        camera = status.address, status.device_number
        if camera not in self.snapshots:
            new = {camera: Snapshot(server=status.address, number=status.device_number)}
            self.snapshots = dict(sorted((self.snapshots | new).items()))  # for a display at once
        if status.status is None and status.error is None:
            return
        snapshot = _after(self.snapshots[camera], status)
        self.snapshots[camera] = snapshot
        self._readings[camera] += 1
        self._on_snapshot(snapshot)


def _after(snapshot: Snapshot, new: HostStatus) -> Snapshot:
    if new.error is not None:
        return snapshot.after_error(new.error)
    if new.status is None or new.status.camera_state is None:
        return Snapshot(server=snapshot.server, number=snapshot.number, connected=False)
    return replace(
        snapshot, status=new.status, connected=True, error="", answered=True, progress=new.progress
    )

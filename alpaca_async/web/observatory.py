"""All cameras, from the start of the server to its end."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from anyio import create_task_group

from alpaca_async._tasks import together

from .changes import Changes, Limit
from .devices import Rig
from .models import State
from .station import Station

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable
    from pathlib import Path

    from alpaca_async._camera import AlpacaClient
    from alpaca_async._group.member import CameraAddress

    from .models import Pace
    from .saved_frame import SavedFrame


MAX_LISTENERS: Final = 100
"""Event streams: each gets the whole state, up to ten times a second."""
MAX_TRANSFERS: Final = 16
"""Files and crops: each opens a file; crops take a thread and memory, too."""


class Observatory:
    """All cameras, and what has changed of them."""

    def __init__(
        self, client: AlpacaClient, cameras: Iterable[CameraAddress], folder: Path, pace: Pace
    ) -> None:
        self.open = True
        self._folder = folder
        self.changes = Changes()
        self.listeners = Limit(MAX_LISTENERS, "open pages")
        self.transfers = Limit(MAX_TRANSFERS, "downloads")
        self.rig = Rig(client, self.changes, pace)
        rest = folder, self.changes, pace, self.rig
        self.stations = [
            Station(number, client.camera(at.address, at.device_number), *rest)
            for number, at in enumerate(cameras)
        ]

    @property
    def servers(self) -> list[str]:
        """The servers of the cameras, each once."""
        return list(dict.fromkeys(station.server for station in self.stations))

    def state(self) -> State:
        """Return the state of all cameras and of the devices beside them."""
        return State(
            cameras=[station.view() for station in self.stations],
            devices=[device.view() for device in self.rig.devices],
            folder=str(self._folder),
        )

    def find_frame(self, name: str) -> SavedFrame | None:
        """Return the frame called `name`, if it is among the latest of any camera."""
        found = (station.store.find(name) for station in self.stations)
        return next((saved for saved in found if saved), None)

    async def close(self) -> None:
        """Abort all exposures, ramps and movements, and end the event streams."""
        self.open = False
        exposures = [station.exposer.close() for station in self.stations]
        ramps = [station.cooler.close() for station in self.stations]
        await together([*exposures, *ramps, *(device.close() for device in self.rig.devices)])
        self.changes.notify()


@asynccontextmanager
async def running(
    cameras: Iterable[CameraAddress],
    folder: Path,
    pace: Pace,
    new_client: Callable[[], AlpacaClient],
) -> AsyncGenerator[Observatory]:
    """Run an observatory during the block; at its end, running exposures are aborted."""
    async with new_client() as client, create_task_group() as tasks:
        observatory = Observatory(client, cameras, folder, pace)
        for station in observatory.stations:
            tasks.start_soon(station.follower.run)
            tasks.start_soon(station.show_earlier_frames)
            tasks.start_soon(station.cooler.run, pace.cooler_interval)
        for server in observatory.servers:
            tasks.start_soon(observatory.rig.run, server)
        try:
            yield observatory
        finally:
            await observatory.close()
            tasks.cancel_scope.cancel()

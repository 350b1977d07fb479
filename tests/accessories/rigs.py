"""A simulated rig in virtual time, and a client of it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from alpaca_async import AlpacaClient
from alpaca_async.testing import (
    SimulatedCamera,
    SimulatedCoverCalibrator,
    SimulatedFilterWheel,
    SimulatedFocuser,
    SimulatedRig,
    SimulatorServer,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from alpaca_async import AsyncCoverCalibrator, AsyncFilterWheel, AsyncFocuser


@dataclass
class Served:
    """The rig, and the devices of a client."""

    rig: SimulatedRig
    client: AlpacaClient
    address: str

    @property
    def focuser(self) -> AsyncFocuser:
        return self.client.focuser(self.address)

    @property
    def wheel(self) -> AsyncFilterWheel:
        return self.client.filter_wheel(self.address)

    @property
    def cover(self) -> AsyncCoverCalibrator:
        return self.client.cover_calibrator(self.address)


@asynccontextmanager
async def served(
    *,
    focuser: dict[str, Any] | None = None,
    wheel: dict[str, Any] | None = None,
    cover: dict[str, Any] | None = None,
) -> AsyncGenerator[Served]:
    """Serve a connected rig, with models of these options, by the clock of the running loop."""
    common: dict[str, Any] = {
        "initially_connected": True,
        "clock": asyncio.get_running_loop().time,
    }
    rig = SimulatedRig(
        [SimulatedCamera(width=8, height=8, **common)],
        focuser=SimulatedFocuser(**common, **(focuser or {})),
        filter_wheel=SimulatedFilterWheel(**common, **(wheel or {})),
        cover_calibrator=SimulatedCoverCalibrator(**common, **(cover or {})),
    )
    async with SimulatorServer(rig.devices) as server, AlpacaClient() as client:
        yield Served(rig, client, server.address)

"""Fixtures for tests that need a camera, or the devices around it.

The server runs on a separate thread, so synchronous and asynchronous tests can use it. Override
`alpaca_cameras` to choose the cameras, or `alpaca_rig` to choose all devices. `alpaca_faults` is
a proxy before the server, for tests of network faults.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._camera import SimulatedCamera
    from ._proxy import FaultProxy
    from ._rig import SimulatedRig
    from ._server import SimulatorServer


@pytest.fixture
def alpaca_cameras() -> list[SimulatedCamera]:
    """Return the cameras to serve: by default one small, fast camera; override it to choose."""
    from ._camera import SimulatedCamera  # noqa: PLC0415 - loaded where a test needs it

    return [SimulatedCamera(width=320, height=240, readout_time=0.01, speed_up=10.0)]


@pytest.fixture
def alpaca_rig(alpaca_cameras: list[SimulatedCamera]) -> SimulatedRig:
    """Return `alpaca_cameras` with a filter wheel, a focuser, a cover and a safety monitor."""
    from ._rig import SimulatedRig  # noqa: PLC0415 - as above

    return SimulatedRig(alpaca_cameras)


@pytest.fixture
def alpaca_server(alpaca_rig: SimulatedRig) -> Iterator[SimulatorServer]:
    """Serve the devices of `alpaca_rig` during a test, at `alpaca_server.address`."""
    from ._server import SimulatorServer, run_in_thread  # noqa: PLC0415 - as above

    with run_in_thread(SimulatorServer(alpaca_rig.devices)) as server:
        yield server


@pytest.fixture
def alpaca_camera(alpaca_server: SimulatorServer) -> SimulatedCamera:
    """Return the first served camera, device number 0."""
    return alpaca_server.cameras[0]


@pytest.fixture
def alpaca_faults(alpaca_server: SimulatorServer) -> Iterator[FaultProxy]:
    """Run a proxy before `alpaca_server` during a test, at `alpaca_faults.address`."""
    from ._proxy import FaultProxy  # noqa: PLC0415 - as above
    from ._server import run_in_thread  # noqa: PLC0415 - as above

    with run_in_thread(FaultProxy(alpaca_server.address)) as proxy:
        yield proxy

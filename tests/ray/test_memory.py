"""How much memory large images take in the workers and in the object stores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from alpaca_async.ray import CameraHost
from alpaca_async.testing import SimulatedCamera, SimulatorServer, run_in_thread
from benchmarks.array_costs import BIG, FRAME, memory_of

from .test_hosts import addresses

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("cluster")]

FRAMES = 3.2
"""Three frames of a camera, and what else a worker needs to take them."""


@pytest.fixture
def hosts() -> Iterator[list[CameraHost]]:
    """A camera of 26 megapixels at each site."""
    width, height = BIG
    cameras = [
        SimulatedCamera(width=width, height=height, readout_time=0.0, noise=False) for _ in range(2)
    ]
    with run_in_thread(SimulatorServer(cameras)) as server:
        west, east = addresses(server, range(2))
        yield [CameraHost([west], "west"), CameraHost([east], "east")]


@pytest.mark.timeout(150)  # large frames, on a busy machine
async def test_a_camera_needs_three_frames_at_most(hosts: list[CameraHost]) -> None:
    peak = await memory_of(hosts, 3, None)
    assert 2 < peak.total / FRAME / 2 <= FRAMES

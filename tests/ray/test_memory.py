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

ROUNDS = 6
IN_WORK = 1.1
"""The frame that a camera takes, and what else a worker needs for that."""
PLACES = 3.1
"""Of the object store: for two frames, and the one whose place Ray has not given free yet.

The system tells only which places a worker has used, not in which of them a frame is left.
"""


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
async def test_the_frames_of_a_sequence_use_the_same_memory(hosts: list[CameraHost]) -> None:
    peak = await memory_of(hosts, ROUNDS, None)
    assert 0.9 < peak.workers / FRAME / len(hosts) <= IN_WORK
    assert 1.9 < peak.store / FRAME / len(hosts) <= PLACES

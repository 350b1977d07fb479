"""How much memory large images take in a worker and in its object store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from alpaca_async.ray import CameraHost
from alpaca_async.testing import SimulatedCamera, SimulatorServer, run_in_thread
from benchmarks.array_costs import BIG, FRAME, memory_of

from .conftest import add_node
from .test_hosts import addresses

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .conftest import Cluster

pytestmark = pytest.mark.ray

STORE = int(2.2 * FRAME)
"""Two frames. Without room, Ray waits for what is about to be freed, and fails after that."""
IN_WORK = 1.2
"""The frame that is taken, and what else a worker needs for that."""


@pytest.fixture
def host(cluster: Cluster) -> Iterator[CameraHost]:
    """A camera of 26 megapixels at a node with a small object store."""
    width, height = BIG
    camera = SimulatedCamera(width=width, height=height, readout_time=0.0, noise=False)
    node = add_node(cluster, "narrow", store=STORE)
    with run_in_thread(SimulatorServer([camera])) as server:
        yield CameraHost(addresses(server, [0]), "narrow")
    cluster.remove_node(node)


@pytest.mark.timeout(150)  # large frames, on a busy machine
async def test_a_camera_needs_three_frames_at_most(host: CameraHost) -> None:
    peak = await memory_of([host], 6, None)
    assert peak.store > 1.9 * FRAME
    assert peak.workers <= IN_WORK * FRAME

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

CAPACITY = int(2.2 * FRAME)
"""Of the object store: room for two frames. For a third one, Ray waits until one of them is freed,
and after a while uses memory outside of the store, which is counted, too."""
STORED = 2.1
IN_WORK = 1.1
"""Frames: two that wait for the program, one that is taken, and what else a worker needs."""


@pytest.fixture
def host(cluster: Cluster) -> Iterator[CameraHost]:
    """A camera of 26 megapixels at a node with a small object store."""
    width, height = BIG
    camera = SimulatedCamera(width=width, height=height, readout_time=0.0, noise=False)
    node = add_node(cluster, "narrow", store=CAPACITY)
    with run_in_thread(SimulatorServer([camera])) as server:
        yield CameraHost(addresses(server, [0]), "narrow")
    cluster.remove_node(node)


@pytest.mark.timeout(150)  # large frames, on a busy machine
async def test_a_camera_needs_three_frames_at_most(host: CameraHost) -> None:
    peak = await memory_of([host], 6, None)
    assert 2 <= peak.store / FRAME <= STORED
    assert peak.workers / FRAME <= IN_WORK

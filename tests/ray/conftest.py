"""A Ray cluster of three nodes on this machine, for all tests of this folder."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from alpaca_async._optional import load
from alpaca_async.testing import SimulatedCamera, SimulatorServer, run_in_thread

if TYPE_CHECKING:
    from collections.abc import Iterator

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

Cluster: TypeAlias = Any
"""Ray has no complete types."""
STORE = 200_000_000
SITES = ("west", "east")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests with a cluster where Ray is not installed."""
    if find_spec("ray") is not None:
        return
    for item in items:
        if item.get_closest_marker("ray"):
            item.add_marker(pytest.mark.skip(reason="needs the extra ray"))


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The head, which runs no cameras, and a node for each of the two sites."""
    ray, utilities = load("ray", extra="ray"), load("ray.cluster_utils", extra="ray")
    head = {
        "num_cpus": 1,
        "object_store_memory": STORE,
        "include_dashboard": False,
        "_system_config": {"automatic_object_spilling_enabled": False},  # to disk
    }
    started = utilities.Cluster(initialize_head=True, head_node_args=head)
    for site in SITES:
        add_node(started, site)
    ray.init(address=started.address, log_to_driver=False, logging_level="ERROR")
    yield started
    ray.shutdown()
    started.shutdown()


def add_node(cluster: Cluster, resource: str, *, store: int = STORE) -> Cluster:
    return cluster.add_node(
        num_cpus=1,
        resources={resource: 1},
        labels={"site": resource},
        object_store_memory=store,
    )


@pytest.fixture
def server() -> Iterator[SimulatorServer]:
    """Forty-eight small cameras."""
    cameras = [SimulatedCamera(width=64, height=48, readout_time=0.0) for _ in range(48)]
    with run_in_thread(SimulatorServer(cameras)) as running:
        yield running

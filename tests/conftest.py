"""Fixtures: simulated cameras on real sockets, and a check for blocking calls."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
from importlib import import_module
from typing import TYPE_CHECKING

import pytest
from blockbuster import BlockBuster
from hypothesis import settings

from alpaca_async import AlpacaClient, AsyncCamera
from alpaca_async.testing import SimulatedCamera, SimulatorServer

from .loops import LOOPS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

# The same examples in every run; `--hypothesis-profile=explore` tries others. There is no deadline
# because the time for an example depends on the machine.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("explore", derandomize=False, deadline=None)
settings.load_profile("repeatable")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--loop", choices=LOOPS, default=LOOPS[0], help="run all coroutines on this event loop"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Set the policy, which `asyncio.run` and the simulator in a thread follow, too."""
    name = str(config.getoption("--loop"))
    if name != LOOPS[0]:  # a loop factory would not reach asyncio.run
        asyncio.set_event_loop_policy(  # pyright: ignore[reportDeprecated]
            import_module(name).EventLoopPolicy()
        )


@pytest.hookimpl(trylast=True)  # after the shuffling
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the long tests: one that is begun last would run alone."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


def pytest_collection_finish() -> None:
    """Let the garbage collector pass over the thousands of tests, which live until the end."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def blocking_calls() -> BlockBuster:
    """Return what knows all blocking calls; to make it takes longer than many a test."""
    guard = BlockBuster("alpaca_async")
    if _counts_lines():  # for which coverage takes a lock
        del guard.functions["threading.Lock.acquire"]
    return guard


@pytest.fixture(autouse=True)
def no_blocking_calls(blocking_calls: BlockBuster) -> Iterator[None]:
    """Fail a test in which the library makes a blocking call on the event loop."""
    blocking_calls.activate()
    yield
    blocking_calls.deactivate()


def _counts_lines() -> bool:
    coverage = sys.modules.get("coverage")
    return coverage is not None and coverage.Coverage.current() is not None


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Restore what the command, or a page about logging, has set for the library's logger."""
    logger = logging.getLogger("alpaca_async")
    level, handlers, propagates = logger.level, logger.handlers, logger.propagate
    yield
    logger.setLevel(level)
    logger.handlers, logger.propagate = handlers, propagates


@pytest.fixture
def simulated() -> SimulatedCamera:
    """A small fast camera; a test module may override it."""
    return SimulatedCamera(width=64, height=48, readout_time=0.0, connect_time=0.0)


@pytest.fixture
async def server(simulated: SimulatedCamera) -> AsyncIterator[SimulatorServer]:
    async with SimulatorServer([simulated]) as running:
        yield running


@pytest.fixture
async def client() -> AsyncIterator[AlpacaClient]:
    async with AlpacaClient() as opened:
        yield opened


@pytest.fixture
async def camera(server: SimulatorServer, client: AlpacaClient) -> AsyncCamera:
    """A connected client of the simulated camera."""
    camera = client.camera(server.address)
    await camera.set_connected(True)
    return camera

"""One client in two event loops: what one moves, the other halts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from anyio.from_thread import start_blocking_portal

from alpaca_async import AlpacaClient, OperationFailed, TransportError
from alpaca_async.testing import (
    SimulatedCamera,
    SimulatedRig,
    SimulatorServer,
    run_in_thread,
)
from tests.conditions import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anyio.from_thread import BlockingPortal


@pytest.fixture
def rig() -> SimulatedRig:
    return SimulatedRig([SimulatedCamera(width=8, height=8, initially_connected=True)])


@pytest.fixture
def address(rig: SimulatedRig) -> Iterator[str]:
    with run_in_thread(SimulatorServer(rig.devices)) as server:
        yield server.address


@pytest.fixture
def other_loop() -> Iterator[BlockingPortal]:
    with start_blocking_portal() as portal:
        yield portal


async def test_a_halt_in_another_loop_ends_the_wait(
    rig: SimulatedRig, address: str, other_loop: BlockingPortal
) -> None:
    async with AlpacaClient() as client:
        moving = other_loop.start_task_soon(client.focuser(address).move_to, 8000)
        await until(lambda: rig.focuser.count("ismoving"))
        await client.focuser(address).halt()
        with pytest.raises(OperationFailed, match="another command"):
            await asyncio.wrap_future(moving)
    assert rig.focuser.count("halt") == 1


async def test_closing_in_another_loop_halts_a_movement(
    rig: SimulatedRig, address: str, other_loop: BlockingPortal
) -> None:
    async with AlpacaClient() as client:
        moving = other_loop.start_task_soon(client.focuser(address).move_to, 8000)
        await until(lambda: rig.focuser.count("ismoving"))
        await client.aclose()
        with pytest.raises(TransportError, match="the client was closed"):
            await asyncio.wrap_future(moving)
    assert rig.focuser.count("halt") == 1
    assert not rig.focuser.get_is_moving()

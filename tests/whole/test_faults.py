"""Checks the outcome of every fault: for the caller, and for the camera."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from alpaca_async import AlpacaClient, AlpacaError, Timeouts, TransportError, TransportTimeout
from alpaca_async.testing import FAULTS, Fault, FaultProxy, SimulatedCamera
from tests.outcomes import OUTCOMES
from tests.short_timeouts import QUICK, get_name_with_retries

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from alpaca_async.testing import SimulatorServer

OPTIONS: dict[str, dict[str, Any]] = {
    "delay": {"seconds": 0.02},
    "delay_request": {"seconds": 0.02},
    "drip": {"seconds": 0.03},
}

READ_AGAIN = {"reset_after", "close_after"}
"""The connection breaks before the reply, so that a read is sent once more."""


@pytest.fixture
def simulated() -> SimulatedCamera:
    """Return a camera with an image of a few bytes."""
    camera = SimulatedCamera(
        width=16, height=12, stars=0, noise=False, readout_time=0.0, initially_connected=True
    )
    camera.start_exposure(0.001, light=True)
    return camera


def test_every_fault_has_an_outcome() -> None:
    assert sorted(OUTCOMES) == sorted(FAULTS)
    assert len(FAULTS) >= 80


async def result_of(operation: Awaitable[Any]) -> AlpacaError | None:
    """Return the error of `operation`, which must end within a limit."""
    try:
        async with asyncio.timeout(30.0):
            await operation
    except AlpacaError as error:
        return error
    return None


def limits_for(fault: Fault) -> Timeouts:
    """Return short timeouts for faults that reach them."""
    return QUICK if TransportTimeout in OUTCOMES[fault.name] else Timeouts()


def add_fault(proxy: FaultProxy, fault: Fault) -> None:
    options = OPTIONS.get(fault.name, {})
    if fault.scope == "request":
        for member in ("gain", "offset", "imagearray"):
            proxy.add(fault.name, member=member, **options)
    else:
        proxy.add(fault.name, **options)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=lambda fault: fault.name)
async def test_a_fault_has_its_outcome(
    fault: Fault, simulated: SimulatedCamera, server: SimulatorServer
) -> None:
    expected = OUTCOMES[fault.name]
    async with (
        FaultProxy(server.address) as proxy,
        AlpacaClient(timeouts=limits_for(fault)) as client,
    ):
        camera = client.camera(proxy.address)
        add_fault(proxy, fault)
        operations = camera.get_gain(), camera.set_offset(1), camera.get_image_array()
        results = await asyncio.gather(*(result_of(each) for each in operations))
        assert [type(result) for result in results] == [each or type(None) for each in expected]
        check_knowledge(fault, results[1])
        for member in ("gain", "offset", "imagearray"):
            read_again = fault.name in READ_AGAIN and member != "offset"
            assert simulated.count(member) == int(fault.passes_on) + read_again
        proxy.clear()
        assert await get_name_with_retries(camera) == simulated.name, "the client is usable at once"


def check_knowledge(fault: Fault, error: Exception | None) -> None:
    """A command that was sent may have been executed, and the error says so."""
    if isinstance(error, TransportError):
        assert error.outcome_unknown == (fault.name != "refuse")

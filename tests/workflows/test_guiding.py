from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

import pytest

from alpaca_async import (
    AlpacaClient,
    AsyncCamera,
    DriverException,
    GuideDirections,
    NotImplementedException,
    OperationTimeout,
)
from alpaca_async.testing import SimulatedCamera, SimulatorServer
from tests.scripted import ScriptedServer, ascom_error, value
from tests.virtual_time import in_virtual_time, now

if TYPE_CHECKING:
    from tests.scripted import Request


@pytest.mark.parametrize("milliseconds", [20, 200, 2000, 9000])
@in_virtual_time
async def test_the_wait_ends_with_the_pulse(milliseconds: int) -> None:
    clock = asyncio.get_running_loop().time
    simulated = SimulatedCamera(width=8, height=8, initially_connected=True, clock=clock)
    async with SimulatorServer([simulated]) as server, AsyncCamera(server.address) as camera:
        await camera.pulse_guide(GuideDirections.NORTH, milliseconds)
        await camera.wait_pulse_guide(timeout=20)
        assert 0 <= now() - milliseconds / 1000 <= 0.5
        assert not await camera.get_is_pulse_guiding()


async def test_without_a_pulse_there_is_nothing_to_wait_for(
    camera: AsyncCamera, simulated: SimulatedCamera
) -> None:
    await camera.wait_pulse_guide()
    assert simulated.count("ispulseguiding") == 1


async def test_a_long_pulse_times_out_with_server_and_member(camera: AsyncCamera) -> None:
    await camera.pulse_guide(GuideDirections.WEST, 60_000)
    with pytest.raises(OperationTimeout, match=r"camera/0/ispulseguiding: .* after 0\.1 s") as late:
        await camera.wait_pulse_guide(timeout=0.1)
    assert isinstance(late.value, TimeoutError)


async def test_the_wait_can_be_cancelled(camera: AsyncCamera) -> None:
    await camera.pulse_guide(GuideDirections.WEST, 60_000)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await camera.wait_pulse_guide()
    assert await camera.get_is_pulse_guiding()


class TestACameraThatBlocks:
    @pytest.fixture
    def simulated(self) -> SimulatedCamera:
        return SimulatedCamera(width=8, height=8, connect_time=0.0, pulse_guide_blocks=True)

    async def test_has_nothing_left_to_wait_for(
        self, camera: AsyncCamera, simulated: SimulatedCamera
    ) -> None:
        await camera.pulse_guide(GuideDirections.EAST, 200)
        await camera.wait_pulse_guide(timeout=0)
        assert simulated.count("ispulseguiding") == 1


class TestACameraThatCannotGuide:
    @pytest.fixture
    def simulated(self) -> SimulatedCamera:
        return SimulatedCamera(width=8, height=8, connect_time=0.0, can_pulse_guide=False)

    async def test_says_so(self, camera: AsyncCamera) -> None:
        with pytest.raises(NotImplementedException):
            await camera.wait_pulse_guide()


async def test_the_error_of_a_failed_pulse_is_raised(client: AlpacaClient) -> None:
    answers = itertools.chain([value(True)], itertools.repeat(ascom_error(0x501, "cable is out")))

    def next_answer(_: Request) -> bytes:
        return next(answers)

    async with ScriptedServer({"ispulseguiding": next_answer}) as server:
        with pytest.raises(DriverException, match="cable is out"):
            await client.camera(server.address).wait_pulse_guide()

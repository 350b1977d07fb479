"""Memory for the next image is provided in the last second of an exposure, and never kept."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest

from alpaca_async import AlpacaClient, AsyncCamera
from alpaca_async._device import readiness
from alpaca_async._download import frame_memory
from alpaca_async._download.frame_memory import FrameMemory
from alpaca_async._workflows import provision as provision_module
from tests.conditions import until
from tests.scripted import ScriptedServer
from tests.virtual_time import in_virtual_time, now

from .test_exposure import Forgiving, exposing

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Provided:
    """The memory that exposures have provided, and when they tried to."""

    def __init__(self) -> None:
        self.arrays: list[NDArray[np.uint8]] = []
        self.times: list[float] = []

    def new(self, nbytes: int) -> FrameMemory:
        self.times.append(now())
        memory = FrameMemory(nbytes)
        self.arrays.append(memory.array)
        return memory


@pytest.fixture
def provided(monkeypatch: pytest.MonkeyPatch) -> Provided:
    """Provide memory for small images, too, and note it."""
    some = Provided()
    monkeypatch.setattr(frame_memory, "_WORTH_PROVIDING", 1)
    monkeypatch.setattr(provision_module, "FrameMemory", some.new)
    return some


def nothing_kept(camera: AsyncCamera) -> bool:
    return camera._record.next_frame.take() is None


@pytest.mark.parametrize("contiguous", [True, False])
async def test_the_next_image_is_received_into_the_memory_that_was_provided(
    provided: Provided, camera: AsyncCamera, contiguous: bool
) -> None:
    first = await camera.expose(0.01, contiguous=contiguous)
    assert not provided.times
    second = await camera.expose(0.01, contiguous=contiguous)
    assert [each.nbytes for each in provided.arrays] == [first.data.nbytes]
    assert np.shares_memory(second.data, provided.arrays[0])
    assert not np.array_equal(first.data, second.data)
    assert nothing_kept(camera)


@in_virtual_time
async def test_memory_is_provided_in_the_last_second(
    provided: Provided, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "LAG_LIMIT", 0.0)
    async with (
        ScriptedServer(Forgiving(exposing())) as server,
        AsyncCamera(server.address) as camera,
    ):
        await camera.expose(0.5)
        started = now()
        await camera.expose(5.0)
    assert provided.times == [pytest.approx(started + 4.0, abs=0.2)]


async def test_no_memory_is_provided_once_a_setting_has_changed(
    provided: Provided, camera: AsyncCamera
) -> None:
    await camera.expose(0.01)
    await camera.set_num_x(10)
    await camera.expose(0.01)
    assert not provided.times


async def test_no_memory_is_provided_above_the_limit(
    provided: Provided, camera: AsyncCamera, client: AlpacaClient
) -> None:
    image = await camera.expose(0.01)
    client.max_image_bytes = image.data.nbytes - 1
    assert camera._record.next_frame.worth_providing(client.max_image_bytes) is None


@pytest.mark.parametrize("aborts", [True, False], ids=["aborted", "cancelled"])
async def test_an_exposure_that_ends_early_leaves_no_memory(
    provided: Provided, camera: AsyncCamera, aborts: bool
) -> None:
    await camera.expose(0.01)
    task = asyncio.create_task(camera.expose(0.9))
    await until(lambda: provided.arrays)
    await (camera.abort_exposure() if aborts else asyncio.sleep(0))
    task.cancel()
    await asyncio.wait([task])
    assert nothing_kept(camera)
    assert not [task for task in asyncio.all_tasks() if "_map_pages" in repr(task.get_coro())]


async def test_a_cancelled_exposure_waits_for_the_thread_that_writes_to_the_memory(
    provided: Provided, camera: AsyncCamera, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, events = threading.Event(), list[str]()

    def wait_at_the_gate(_memory: FrameMemory, _nbytes: int) -> None:
        gate.wait(10)
        events.append("mapped")

    await camera.expose(0.01)
    monkeypatch.setattr(FrameMemory, "map_pages", wait_at_the_gate)
    task = asyncio.create_task(camera.expose(0.9))
    task.add_done_callback(lambda _: events.append("ended"))
    await until(lambda: provided.arrays)
    task.cancel()
    asyncio.get_running_loop().call_later(0.2, gate.set)
    await asyncio.wait([task])
    assert events == ["mapped", "ended"]
    assert nothing_kept(camera)


async def test_memory_for_an_image_of_another_size_is_dropped(
    provided: Provided, camera: AsyncCamera
) -> None:
    image = await camera.expose(0.01)
    camera._record.next_frame.nbytes = image.data.nbytes - 2
    image = await camera.expose(0.01)
    assert len(provided.arrays) == 1
    assert not np.shares_memory(image.data, provided.arrays[0])
    assert nothing_kept(camera)


async def test_an_image_that_cannot_have_memory_in_advance_is_taken_as_ever(
    provided: Provided, camera: AsyncCamera, monkeypatch: pytest.MonkeyPatch
) -> None:
    await camera.expose(0.01)

    def no_memory(nbytes: int) -> FrameMemory:
        raise MemoryError(nbytes)

    monkeypatch.setattr(provision_module, "FrameMemory", no_memory)
    await camera.expose(0.01)

from __future__ import annotations

import asyncio
import gc
import weakref
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from alpaca_async import (
    AsyncCamera,
    CameraStates,
    DriverException,
    ExposureRequest,
    InvalidValueException,
)
from tests.conditions import until
from tests.scripted import ScriptedServer, ascom_error, value
from tests.virtual_time import in_virtual_time, now

from .test_exposure import Forgiving, exposing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from alpaca_async import Image, Progress
    from alpaca_async.testing import SimulatedCamera
    from tests.scripted import Request


def durations_of(simulated: SimulatedCamera) -> list[tuple[float, str]]:
    starts = (r.parameters for r in simulated.requests if r.member == "startexposure")
    return [(float(each["Duration"]), each["Light"]) for each in starts]


def settled(simulated: SimulatedCamera, tasks: int) -> Callable[[], bool]:
    """Return a check that one abort has arrived and no task of ours still runs."""

    def check() -> bool:
        return simulated.count("abortexposure") == 1 and our_tasks() <= tasks

    return check


def noting(times: list[float], reply: bytes) -> Callable[[Request], bytes]:
    """Return a reply that adds the time of each request to `times`."""

    def answer(_: Request) -> bytes:
        times.append(now())
        return reply

    return answer


def our_tasks() -> int:
    """Count the tasks, without those of the server, and those that read facts for later images."""
    others = ("uvicorn", "FactReader")
    running = [repr(task.get_coro()) for task in asyncio.all_tasks()]
    return len([each for each in running if not any(name in each for name in others)])


async def test_count_images_come_in_order(camera: AsyncCamera, simulated: SimulatedCamera) -> None:
    tasks = our_tasks()
    async with camera.exposures(0.01, count=3, light=False) as frames:
        images = [image async for image in frames]
    assert len(images) == 3
    assert all(image.data.flags.c_contiguous for image in images)
    begun = [image.exposure.started for image in images]
    assert begun == sorted(begun)
    assert durations_of(simulated) == [(0.01, "False")] * 3
    assert simulated.count("abortexposure") == 0
    assert our_tasks() == tasks


async def test_count_zero_takes_no_image(camera: AsyncCamera, simulated: SimulatedCamera) -> None:
    assert [image async for image in camera.exposures(1, count=0)] == []
    assert simulated.count("startexposure") == 0


async def test_nothing_starts_before_the_first_step(
    camera: AsyncCamera, simulated: SimulatedCamera
) -> None:
    async with camera.exposures(1):
        await asyncio.sleep(0.02)
    assert simulated.count("startexposure") == 0


@pytest.mark.parametrize("work", [0.0, 1.5, 2.0, 30.0])
@in_virtual_time
async def test_the_next_exposure_runs_while_the_caller_works(work: float) -> None:
    """It starts in the moment in which the caller gets an image, and is fetched when it is over."""
    starts, downloads, arrivals = list[float](), list[float](), list[float]()
    replies = exposing()
    image = replies["imagearray"]
    assert isinstance(image, bytes)
    replies["startexposure"] = noting(starts, value(None))
    replies["imagearray"] = noting(downloads, image)
    async with ScriptedServer(Forgiving(replies)) as server, AsyncCamera(server.address) as camera:
        await camera.expose(2.0)
        starts.clear()
        downloads.clear()
        async with camera.exposures(2.0, count=8) as frames:
            async for _ in frames:
                arrivals.append(now())
                await asyncio.sleep(work)
    assert starts[1:] == pytest.approx(arrivals[:-1])
    assert [b - a for a, b in pairwise(arrivals)] == pytest.approx([max(work, 2.0)] * 7)
    assert [end - start for start, end in zip(starts, downloads, strict=True)] == pytest.approx(
        [2.0] * 8
    )


@pytest.mark.parametrize("work", [0.0, 0.06], ids=["a fast caller", "a slow caller"])
async def test_at_most_two_images_are_in_memory(camera: AsyncCamera, work: float) -> None:
    alive: set[int] = set()
    most = 0
    download = camera.get_image

    async def counted(
        *, contiguous: bool = True, dtype: object = None, progress: object = None
    ) -> Image:
        nonlocal most
        most = max(most, len(alive) + 1)  # including the one whose download starts
        image = await download(contiguous=contiguous)
        alive.add(id(image.data))
        weakref.finalize(image.data, alive.discard, id(image.data))
        return image

    camera.get_image = counted  # type: ignore[method-assign]
    async for image in camera.exposures(0.01, count=8):
        most = max(most, len(alive))
        await asyncio.sleep(work)
        assert image.data.size
    assert most == 2


async def test_each_exposure_has_its_request(
    camera: AsyncCamera, simulated: SimulatedCamera
) -> None:
    requests: list[float | ExposureRequest] = [
        0.01,
        ExposureRequest(0.02, light=False, prepare=lambda: camera.set_gain(7)),
        ExposureRequest(0.03, prepare=lambda: camera.set_gain(9)),
    ]
    images = [image async for image in camera.exposures(requests)]
    assert durations_of(simulated) == [(0.01, "True"), (0.02, "False"), (0.03, "True")]
    gains = [image.exposure.settings.gain for image in images]
    assert gains == [0, 7, 9]


async def test_requests_may_come_from_an_endless_async_iterator(
    camera: AsyncCamera, simulated: SimulatedCamera
) -> None:
    async def growing() -> AsyncIterator[float]:
        duration = 0.01
        while True:
            yield duration
            await asyncio.sleep(0)
            duration += 0.01

    source = growing()
    images = [image async for image in camera.exposures(source, count=3, light=False)]
    await source.aclose()  # type: ignore[attr-defined]
    assert len(images) == 3
    assert durations_of(simulated) == [(0.01, "False"), (0.02, "False"), (0.03, "False")]


@in_virtual_time
async def test_before_each_is_awaited_and_pauses_separate_exposures() -> None:
    events: list[tuple[str, float]] = []

    def note(what: str) -> None:
        events.append((what, now()))

    async def dither(number: int) -> None:
        note(f"dither {number}")
        await asyncio.sleep(1)

    async def prepare() -> None:
        note("prepare")
        await asyncio.sleep(3)

    def start(_: Request) -> bytes:
        note("start")
        return value(None)

    replies = exposing(startexposure=start)
    async with ScriptedServer(Forgiving(replies)) as server, AsyncCamera(server.address) as camera:
        requests = [ExposureRequest(2.0, prepare=prepare)] * 3
        async with camera.exposures(requests, pause=5, before_each=dither) as frames:
            assert len([image async for image in frames]) == 3
    assert [what for what, _ in events] == [
        each for number in range(3) for each in (f"dither {number}", "prepare", "start")
    ]
    times = [time for _, time in events]
    assert times == pytest.approx([0, 1, 4, 11, 12, 15, 22, 23, 26], abs=0.5)


async def test_leaving_the_block_early_aborts_once_before_it_ends(
    camera: AsyncCamera, simulated: SimulatedCamera
) -> None:
    tasks = our_tasks()
    seen: list[Progress] = []
    async with camera.exposures(0.05, progress=seen.append) as frames:
        async for _ in frames:
            await until(lambda: simulated.count("startexposure") == 2)
            break
    assert settled(simulated, tasks)()
    assert simulated.state is CameraStates.IDLE
    assert seen
    assert (await camera.expose(0.01)).data.shape == (48, 64)


async def test_an_error_of_the_caller_aborts_once(
    camera: AsyncCamera, simulated: SimulatedCamera
) -> None:
    async def work() -> None:
        async with camera.exposures(0.05) as frames:
            async for _ in frames:
                await until(lambda: simulated.count("startexposure") == 2)
                raise ZeroDivisionError

    tasks = our_tasks()
    with pytest.raises(ZeroDivisionError):
        await work()
    assert settled(simulated, tasks)()


@pytest.mark.parametrize("exposure", [1, 2], ids=["while it waits", "while it works"])
async def test_cancelling_the_caller_aborts_once(
    camera: AsyncCamera, simulated: SimulatedCamera, exposure: int
) -> None:
    async def work() -> None:
        async with camera.exposures(0.15) as frames:
            async for _ in frames:
                await asyncio.sleep(10)

    tasks = our_tasks()
    task = asyncio.create_task(work())
    await until(lambda: simulated.count("startexposure") == exposure)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert settled(simulated, tasks)()


async def test_leaving_a_loop_without_async_with_aborts_soon(
    camera: AsyncCamera, simulated: SimulatedCamera
) -> None:
    tasks = our_tasks()
    async for _ in camera.exposures([0.01, 60.0]):
        await until(lambda: simulated.count("startexposure") == 2)
        break
    gc.collect()
    await until(settled(simulated, tasks))


async def test_an_error_is_raised_at_the_next_step_and_ends_the_stream(
    camera: AsyncCamera, simulated: SimulatedCamera
) -> None:
    simulated.refuse("StartExposure", nth=2, error=InvalidValueException(0x401, "too long"))
    frames = camera.exposures([0.01, 3000, 0.01])
    assert (await anext(frames)).data.size
    await until(lambda: simulated.count("startexposure") == 2)
    with pytest.raises(InvalidValueException):
        await anext(frames)
    with pytest.raises(StopAsyncIteration):
        await anext(frames)
    assert simulated.count("startexposure") == 2


@in_virtual_time
async def test_an_error_after_the_end_of_the_sequence_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "alpaca_async")
    starts = iter([value(None), ascom_error(0x500, "no USB")])
    replies = Forgiving(exposing(startexposure=lambda _: next(starts)))
    async with ScriptedServer(replies) as server, AsyncCamera(server.address) as camera:
        async with camera.exposures(0.01) as frames:
            await anext(frames)
            await asyncio.sleep(1)  # in which the second one has failed
    assert "failed after its caller had left" in caplog.text


async def test_a_failing_exposure_and_a_failing_dither_reach_the_caller(
    camera: AsyncCamera, simulated: SimulatedCamera
) -> None:
    simulated.fail_exposure("shutter stuck")
    with pytest.raises(DriverException, match="shutter stuck"):
        await anext(camera.exposures(0.01))

    async def refuse(_: int) -> None:
        raise DriverException(0x500, "guiding lost")

    with pytest.raises(DriverException, match="guiding lost"):
        await anext(camera.exposures(0.01, before_each=refuse))
    assert simulated.count("startexposure") == 1


@pytest.mark.parametrize("wrong", [{"count": -1}, {"pause": -1.0}])
async def test_invalid_arguments_are_refused_at_once(
    camera: AsyncCamera, wrong: dict[str, int]
) -> None:
    with pytest.raises(ValueError, match="must not be negative"):
        camera.exposures(1, **wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="duration"):
        camera.exposures(-1)
    with pytest.raises(TypeError, match="count"):
        camera.exposures(1, count=2.5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="light"):
        ExposureRequest(1, light=1)  # type: ignore[arg-type]


async def test_a_request_has_its_own_header(camera: AsyncCamera) -> None:
    requests = [ExposureRequest(0.01, header={"OBJECT": name}) for name in ("M 42", "M 43")]
    async with camera.exposures(requests) as images:
        headers = [image.exposure.header async for image in images]
    assert headers == [{"OBJECT": "M 42"}, {"OBJECT": "M 43"}]
    with pytest.raises(ValueError, match="FITS"):
        ExposureRequest(0.01, header={"NINELETTE": 1})

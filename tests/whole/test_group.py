from __future__ import annotations

import asyncio
import copy
import pickle
import re
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from alpaca_async import (
    AlpacaClient,
    AsyncCamera,
    CameraAddress,
    CameraGroup,
    DriverException,
    ExposureRequest,
    NotImplementedException,
    OperationTimeout,
    Outcome,
    Progress,
    Timeouts,
    TransportError,
    UnexpectedError,
)
from alpaca_async._group import round as round_module
from alpaca_async.testing import FaultProxy, SimulatedCamera, SimulatorServer, run_in_thread
from tests.conditions import until
from tests.scripted import ScriptedServer, value
from tests.virtual_time import in_virtual_time, now
from tests.workflows.test_exposure import Forgiving, exposing
from tests.workflows.test_polling import virtual

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping
    from datetime import tzinfo
    from typing import Self, TypeAlias

    from alpaca_async._fits.header_source import HeaderSource
    from tests.scripted import Reply, Request

    Options: TypeAlias = Mapping[str, Any]
    Requests: TypeAlias = list[float | ExposureRequest]
    Way: TypeAlias = Callable[[CameraGroup, Requests, Options], Awaitable[list[Outcome]]]


def small(count: int) -> list[SimulatedCamera]:
    return [SimulatedCamera(width=32, height=24, readout_time=0.0) for _ in range(count)]


@pytest.fixture
def few() -> Iterator[SimulatorServer]:
    with run_in_thread(SimulatorServer(small(3))) as server:
        yield server


async def dither() -> None:
    raise ValueError("too far")


def addresses(server: SimulatorServer) -> list[CameraAddress]:
    return [CameraAddress(server.address, number) for number in range(len(server.cameras))]


async def test_a_group_can_be_closed_at_any_time(few: SimulatorServer) -> None:
    group = CameraGroup(addresses(few))
    await group.aclose()
    for _ in range(2):
        async with group:
            assert all(outcome.error is None for outcome in await group.connect())
            await group.aclose()
            with pytest.raises(TransportError, match="closed"):
                await group.cameras[0].get_name()


@in_virtual_time
async def test_48_cameras_start_together_and_three_failures_do_not_affect_the_others() -> None:
    """In virtual time, a start that waited for anything would be late."""
    cameras = [virtual() for _ in range(47)]
    cameras[1].fail_exposure("shutter stuck")
    cameras[2].image_delay = 60
    async with SimulatorServer(cameras) as server:
        members = [*addresses(server), CameraAddress("127.0.0.1:9")]
        async with CameraGroup(members) as group:
            outcomes = await group.expose(0.1, ready_timeout=3)
            assert [outcome.camera for outcome in outcomes] == list(group.cameras)
    clock_zeros = [now() - camera.now for camera in cameras]
    starts = [
        zero + camera.exposure.started
        for zero, camera in zip(clock_zeros, cameras, strict=True)
        if camera.exposure is not None
    ]
    assert len(starts) == 45  # without the two that have no image
    assert max(starts) - min(starts) < 0.001
    errors = {n: type(each.error) for n, each in enumerate(outcomes) if each.error is not None}
    assert errors == {1: DriverException, 2: OperationTimeout, 47: TransportError}
    assert sum(outcome.image is not None for outcome in outcomes) == 45


@in_virtual_time
async def test_a_camera_that_goes_silent_holds_up_its_group_for_half_a_minute_once() -> None:
    cameras = [virtual(), virtual()]
    async with SimulatorServer(cameras) as server, FaultProxy(server.address) as proxy:
        members = [CameraAddress(proxy.address, number) for number in range(2)]
        async with CameraGroup(members) as group:
            await group.expose(1)
            silence = proxy.add("silence", device=1)
            first, second = await round_of(group), await round_of(group)
            assert cameras[1].count("startexposure") == 1
            silence.remove()
            third = await round_of(group)
    for seconds, good, silent in (first, second):
        assert good.image is not None
        assert isinstance(silent.error, TransportError)
        assert seconds < 35
    assert second[0] < 5
    assert all(outcome.image is not None for outcome in third[1:])


async def round_of(group: CameraGroup) -> tuple[float, Outcome, Outcome]:
    """Return how long one round of two cameras takes, and its outcomes."""
    began = now()
    async with group.exposures(1, count=1, retries=1) as rounds:
        one, other = await anext(rounds)
    return now() - began, one, other


async def never() -> None:
    await asyncio.Event().wait()


async def test_a_camera_that_is_prepared_too_late_does_not_delay_the_others(
    few: SimulatorServer,
) -> None:
    async with CameraGroup(addresses(few)) as group:
        await group.connect()
        requests: Requests = [0.02, ExposureRequest(0.02, prepare=never), 0.02]
        outcomes = await group.expose(requests, prepare_timeout=0.1)
    assert [outcome.image is not None for outcome in outcomes] == [True, False, True]
    assert isinstance(outcomes[1].error, OperationTimeout)
    assert outcomes[1].error.reason == "not prepared within 0.1 s"
    assert few.cameras[1].count("startexposure") == 0


async def hang(_: Request) -> bytes:
    await never()
    return b""


def reset(_: Request) -> bytes:
    raise ConnectionResetError


@pytest.mark.parametrize("reply", [hang, reset])
@in_virtual_time
async def test_facts_that_never_come_neither_delay_the_start_nor_cost_the_frame(
    reply: Reply,
) -> None:
    replies = Forgiving(exposing(name=reply, gain=reply, connected=value(True)))
    new_client = partial(AlpacaClient, timeouts=Timeouts(reply=100))
    async with (
        ScriptedServer(replies) as server,
        CameraGroup([CameraAddress(server.address)], new_client=new_client) as group,
    ):
        (connected,) = await group.connect(timeout=3)
        assert connected.error is None
        (outcome,) = await group.expose(0.01, prepare_timeout=0)
    assert outcome.image is not None


async def test_connecting_reads_the_facts_so_that_exposures_need_not(
    few: SimulatorServer,
) -> None:
    async with CameraGroup(addresses(few)) as group:
        await group.connect()
        assert [camera.count("name") for camera in few.cameras] == [1, 1, 1]
        (image, *_) = await group.expose_all(0.02)
    assert image.exposure.info.name == few.cameras[0].name
    for member in ("name", "binx"):
        assert [camera.count(member) for camera in few.cameras] == [1, 1, 1]


async def test_an_invalid_fact_does_not_lose_the_image() -> None:
    replies = Forgiving(exposing(sensorname=value(None), connected=value(True)))
    async with (
        ScriptedServer(replies) as server,
        CameraGroup([CameraAddress(server.address)]) as group,
    ):
        (image,) = await group.expose_all(0.01)
    assert image.data.shape == (7, 3)


async def test_all_or_nothing_aborts_the_others(few: SimulatorServer) -> None:
    async with CameraGroup(addresses(few)) as group:
        await group.connect()
        assert len(await group.expose_all(0.02)) == 3
        few.cameras[1].fail_exposure("shutter stuck")
        with pytest.raises(DriverException, match="shutter stuck"):
            await group.expose_all([30, 0.02, 30])
    assert [camera.count("abortexposure") for camera in few.cameras] == [1, 1, 1]


async def test_all_or_nothing_starts_nothing_if_a_camera_cannot_be_prepared(
    few: SimulatorServer,
) -> None:
    async with CameraGroup(addresses(few)) as group:
        await group.connect()
        with pytest.raises(UnexpectedError, match="ValueError: too far") as caught:
            await group.expose_all([0.01, ExposureRequest(0.01, prepare=dither), 0.01])
    assert isinstance(caught.value.__cause__, ValueError)
    assert [camera.count("startexposure") for camera in few.cameras] == [0, 0, 0]


async def test_outcomes_come_when_they_are_ready_and_leaving_aborts_the_rest(
    few: SimulatorServer,
) -> None:
    async with CameraGroup(addresses(few)) as group:
        await group.connect()
        async with group.outcomes([30, 0.02, 0.02]) as outcomes:
            ready = {(await anext(outcomes)).device_number for _ in range(2)}
        async with group.outcomes(0.02) as outcomes:
            assert len([outcome async for outcome in outcomes]) == 3
    assert ready == {1, 2}
    assert [camera.count("abortexposure") for camera in few.cameras] == [1, 0, 0]


async def test_cancelled_repeatedly_it_waits_until_all_exposures_are_aborted(
    few: SimulatorServer,
) -> None:
    async with CameraGroup(addresses(few)) as group:
        await group.connect()
        tasks = len(asyncio.all_tasks())
        step = asyncio.ensure_future(anext(group.outcomes(30)))
        while not all(camera.count("startexposure") for camera in few.cameras):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        while not step.done():
            step.cancel()
            await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == tasks
    assert [camera.count("abortexposure") for camera in few.cameras] == [1, 1, 1]


async def test_images_and_progress_are_like_those_of_one_camera(few: SimulatorServer) -> None:
    seen: set[AsyncCamera] = set()

    def progress(camera: AsyncCamera, _: Progress) -> None:
        seen.add(camera)

    async with CameraGroup(addresses(few)) as group:
        await group.connect()
        for outcome in await group.expose(0.02, contiguous=False, progress=progress):
            assert outcome.image is not None
            assert outcome.image.array.flags.c_contiguous
        assert seen == set(group.cameras)


async def test_a_pickled_group_opens_its_connections_where_it_is_used(
    few: SimulatorServer,
) -> None:
    members = [CameraAddress(few.address, 1, {"bin_x": 2, "num_x": 16})]
    group: CameraGroup = pickle.loads(pickle.dumps(CameraGroup(members)))  # noqa: S301 - our own
    async with group:
        assert [outcome.error for outcome in await group.connect()] == [None]
        (outcome,) = await group.expose(0.02)
    assert outcome.image is not None
    assert outcome.image.data.shape == (24, 16)


async def test_cameras_of_the_caller_are_used_and_prepared(
    camera: AsyncCamera, simulated: SimulatedCamera
) -> None:
    async with CameraGroup([camera]) as group:
        assert group.cameras == (camera,)
        request = ExposureRequest(
            0.02, light=False, prepare=partial(camera.set_gain, 9), header={"OBJECT": "M 42"}
        )
        (outcome,) = await group.expose([request])
        assert (await group.connect())[0].error is None
    assert outcome.image is not None
    assert outcome.image.exposure.settings.gain == 9
    assert outcome.image.exposure.header == {"OBJECT": "M 42"}
    assert await camera.get_gain() == 9


async def usb_gone() -> None:
    raise OSError("filter wheel: USB gone")


async def wait_for_a_cancelled_task() -> None:
    task = asyncio.create_task(never())
    task.cancel()
    await task


async def fail_in_a_task_group() -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(usb_gone())


async def take_too_long() -> None:
    async with asyncio.timeout(0):
        await never()


# Three ways to take a round, each with the outcomes of a whole one.


async def expose(group: CameraGroup, requests: Requests, options: Options) -> list[Outcome]:
    return await group.expose(requests, **options)


async def outcomes_as_they_come(
    group: CameraGroup, requests: Requests, options: Options
) -> list[Outcome]:
    async with group.outcomes(requests, **options) as outcomes:
        return sorted([each async for each in outcomes], key=lambda each: each.device_number)


async def second_round(group: CameraGroup, requests: Requests, options: Options) -> list[Outcome]:
    async with group.exposures(requests, count=2, **options) as rounds:
        await anext(rounds)
        return await anext(rounds)


WAYS = pytest.mark.parametrize(
    "way", [expose, outcomes_as_they_come, second_round], ids=lambda way: way.__name__
)


@WAYS
@pytest.mark.parametrize(
    ("prepare", "kind", "reason"),
    [
        (usb_gone, OSError, "prepare raised OSError: filter wheel: USB gone"),
        (wait_for_a_cancelled_task, asyncio.CancelledError, "prepare raised CancelledError"),
        (fail_in_a_task_group, ExceptionGroup, "prepare raised ExceptionGroup: .*"),
        (take_too_long, TimeoutError, "prepare raised TimeoutError"),
        (lambda: None, TypeError, "prepare raised TypeError: .*"),
    ],
)
async def test_an_error_of_prepare_costs_its_camera(
    few: SimulatorServer,
    way: Way,
    prepare: Callable[[], Awaitable[None]],
    kind: type[BaseException],
    reason: str,
) -> None:
    async with CameraGroup(addresses(few)) as group:
        await group.connect()
        outcomes = await way(group, [0.02, ExposureRequest(0.02, prepare=prepare), 0.02], {})
    assert [outcome.image is not None for outcome in outcomes] == [True, False, True]
    error = outcomes[1].error
    assert isinstance(error, UnexpectedError)
    assert isinstance(error.__cause__, kind)
    assert re.fullmatch(reason, error.reason)
    assert (error.server, error.member) == (f"http://{few.address}", "camera/1")


@WAYS
async def test_an_error_of_the_progress_callback_costs_its_camera(
    few: SimulatorServer, way: Way
) -> None:
    def fail_for_the_second(camera: AsyncCamera, _: Progress) -> None:
        if camera.device_number == 1:
            raise KeyError("no such bar")

    async with CameraGroup(addresses(few)) as group:
        await group.connect()
        outcomes = await way(group, [0.02] * 3, {"progress": fail_for_the_second})
    assert [outcome.image is not None for outcome in outcomes] == [True, False, True]
    assert isinstance(outcomes[1].error, UnexpectedError)
    assert outcomes[1].error.reason == "expose raised KeyError: 'no such bar'"


@pytest.mark.parametrize(
    "header", [usb_gone, {"OBJECT": usb_gone}, {"OBJECT": wait_for_a_cancelled_task}]
)
async def test_an_error_of_a_header_source_loses_its_keywords_only(
    few: SimulatorServer, header: HeaderSource
) -> None:
    async with CameraGroup(addresses(few)) as group:
        await group.connect()
        outcomes = await group.expose([0.02, ExposureRequest(0.02, header=header), 0.02])
    assert [outcome.error for outcome in outcomes] == [None, None, None]


async def test_a_header_that_became_invalid_costs_its_camera(few: SimulatorServer) -> None:
    header: dict[str, object] = {}
    request = ExposureRequest(0.02, header=header)
    header["OBJECT"] = object()
    async with CameraGroup(addresses(few)) as group:
        await group.connect()
        outcomes = await group.expose([0.02, request, 0.02])
    assert [outcome.image is not None for outcome in outcomes] == [True, False, True]
    assert isinstance(outcomes[1].error, UnexpectedError)


async def test_a_setting_of_a_wrong_type_costs_its_camera(few: SimulatorServer) -> None:
    wrong = CameraAddress(few.address, 1, {"gain": "100"})
    async with CameraGroup([addresses(few)[0], wrong]) as group:
        outcomes = await group.connect()
    assert outcomes[0].error is None
    assert isinstance(outcomes[1].error, UnexpectedError)
    assert outcomes[1].error.reason == "connect raised TypeError: gain must be an int, not '100'"


async def test_an_error_of_the_library_is_not_wrapped(few: SimulatorServer) -> None:
    async def refuse() -> None:
        raise NotImplementedException(0x400, "no filter 9")

    async with CameraGroup(addresses(few)) as group:
        await group.connect()
        outcomes = await group.expose([0.02, ExposureRequest(0.02, prepare=refuse), 0.02])
    assert isinstance(outcomes[1].error, NotImplementedException)


async def test_errors_of_all_cameras_are_one_error_for_expose_all(few: SimulatorServer) -> None:
    def fail(_: AsyncCamera, __: Progress) -> None:
        raise KeyError("bug")

    async with CameraGroup(addresses(few)) as group:
        await group.connect()
        with pytest.raises(UnexpectedError) as caught:
            await group.expose_all(0.02, progress=fail)
    assert isinstance(caught.value.__cause__, KeyError)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"ready_timeout": -1}, "ready_timeout must not be negative"),
        ({"prepare_timeout": -1}, "prepare_timeout must not be negative"),
        ({"at": datetime(2026, 1, 1)}, "at needs a time zone"),  # noqa: DTZ001 - that is the fault
        ({"at": 1767225600.0}, "at must be a datetime"),
    ],
)
async def test_wrong_arguments_are_refused_before_anything_is_sent(
    few: SimulatorServer, options: dict[str, Any], error: str
) -> None:
    async with CameraGroup(addresses(few)) as group:
        for method in (group.expose, group.expose_all):
            with pytest.raises((TypeError, ValueError), match=error):
                await method(0.02, **options)
        for stream in (group.outcomes, group.exposures):
            with pytest.raises((TypeError, ValueError), match=error):
                stream(0.02, **options)
        with pytest.raises(ValueError, match="timeout must not be negative"):
            await group.connect(timeout=-1)
        with pytest.raises(ValueError, match="count must not be negative"):
            group.exposures(0.02, count=-1)
        with pytest.raises(ValueError, match="retries must not be negative"):
            group.exposures(0.02, retries=-1)
    assert not any(camera.requests for camera in few.cameras)


async def test_an_outcome_is_pickled_with_its_image_and_without_its_camera(
    few: SimulatorServer,
) -> None:
    async with CameraGroup(addresses(few)) as group:
        await group.connect()
        few.cameras[1].fail_exposure("shutter stuck")
        requests: Requests = [0.02, 0.02, ExposureRequest(0.02, prepare=usb_gone)]
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            for contiguous in (True, False):
                outcomes = await group.expose(requests, contiguous=contiguous)
                copies: list[Outcome] = pickle.loads(pickle.dumps(outcomes, protocol))  # noqa: S301
                assert [each.device_number for each in copies] == [0, 1, 2]
                assert [each.address for each in copies] == [few.address] * 3
                image, taken = copies[0].image, outcomes[0].image
                assert image is not None
                assert taken is not None
                assert np.array_equal(image.data, taken.data)
                assert (image.metadata, image.exposure) == (taken.metadata, taken.exposure)
                assert [str(each.error) for each in copies] == [str(o.error) for o in outcomes]
                with pytest.raises(RuntimeError, match="use its address and device_number"):
                    _ = copies[0].camera


async def test_an_outcome_has_the_address_by_which_the_caller_knows_the_camera(
    camera: AsyncCamera, few: SimulatorServer
) -> None:
    port = few.address.rpartition(":")[2]
    async with CameraGroup([CameraAddress(f"localhost:{port}", 2), camera]) as group:
        outcomes = await group.connect()
    assert [(each.address, each.device_number) for each in outcomes] == [
        (f"localhost:{port}", 2),
        (camera.server, 0),
    ]
    assert outcomes[1].camera is camera
    assert copy.copy(outcomes[1]) == outcomes[1]


async def test_rounds_follow_each_other_and_a_failed_camera_takes_part_again(
    few: SimulatorServer,
) -> None:
    async with CameraGroup(addresses(few)) as group:
        await group.connect()
        few.cameras[1].fail_exposure("shutter stuck")
        async with group.exposures([0.02, 0.03, 0.02], count=3) as rounds:
            taken = [[each.image is not None for each in outcomes] async for outcomes in rounds]
    assert taken == [[True, False, True], [True, True, True], [True, True, True]]
    assert [camera.count("startexposure") for camera in few.cameras] == [3, 3, 3]


async def test_an_exposure_that_failed_is_repeated_within_its_round(
    few: SimulatorServer,
) -> None:
    prepared: list[int] = []

    async def prepare() -> None:
        prepared.append(len(prepared))

    requests: Requests = [0.02, ExposureRequest(0.02, light=False, prepare=prepare), 0.02]
    async with CameraGroup(addresses(few)) as group:
        await group.connect()
        few.cameras[1].fail_exposure("shutter stuck")
        async with group.exposures(requests, count=1, retries=1) as rounds:
            (outcomes,) = [each async for each in rounds]
    exposures = [outcome.image and outcome.image.exposure for outcome in outcomes]
    assert [len(each.failures) if each else None for each in exposures] == [0, 1, 0]
    assert [each.light if each else None for each in exposures] == [True, False, True]
    assert [camera.count("startexposure") for camera in few.cameras] == [1, 2, 1]
    assert prepared == [0]


async def test_an_error_of_the_callers_own_code_is_not_repeated(few: SimulatorServer) -> None:
    def fail(_: AsyncCamera, __: Progress) -> None:
        raise KeyError("bug")

    async with CameraGroup(addresses(few)) as group:
        await group.connect()
        async with group.exposures(0.02, count=1, retries=5, progress=fail) as rounds:
            (outcomes,) = [each async for each in rounds]
    assert [type(outcome.error) for outcome in outcomes] == [UnexpectedError] * 3
    assert [camera.count("startexposure") for camera in few.cameras] == [1, 1, 1]


async def test_connecting_takes_over_cameras_that_are_exposing(few: SimulatorServer) -> None:
    async with AlpacaClient() as other:
        dead = other.camera(few.address, 1)
        await dead.connect()
        await dead.start_exposure(60)
        async with CameraGroup(addresses(few)) as group:
            await group.connect(abort=True)
            images = await group.expose_all(0.02)
    assert len(images) == 3
    assert [camera.count("abortexposure") for camera in few.cameras] == [0, 1, 0]


async def test_the_next_round_is_exposed_while_the_caller_has_the_last_one(
    few: SimulatorServer,
) -> None:
    async with CameraGroup(addresses(few)) as group:
        await group.connect()
        async with group.exposures(0.02) as rounds:
            await anext(rounds)
            await until(lambda: [c.count("imagearray") for c in few.cameras] == [2, 2, 2])
            await asyncio.sleep(0.1)  # in which no third round may start
            starts = [camera.count("startexposure") for camera in few.cameras]
    assert starts == [2, 2, 2]


async def test_leaving_the_rounds_aborts_the_running_exposures(few: SimulatorServer) -> None:
    async with CameraGroup(addresses(few)) as group:
        await group.connect()
        async with group.exposures(1.0) as rounds:
            await anext(rounds)
            await until(lambda: all(c.count("startexposure") == 2 for c in few.cameras))
    assert [camera.count("abortexposure") for camera in few.cameras] == [1, 1, 1]


async def test_closing_the_group_ends_the_rounds(few: SimulatorServer) -> None:
    async with CameraGroup(addresses(few)) as group:
        await group.connect()
        rounds = group.exposures(30)
        step = asyncio.ensure_future(anext(rounds))
        await until(lambda: all(camera.count("startexposure") for camera in few.cameras))
    with pytest.raises(TransportError, match="the client was closed"):
        await step
    assert [camera.count("abortexposure") for camera in few.cameras] == [1, 1, 1]


async def test_closing_the_group_is_the_outcome_of_exposures_that_are_still_running(
    few: SimulatorServer,
) -> None:
    async with CameraGroup(addresses(few)) as group:
        await group.connect()
        outcomes = group.outcomes([0.02, 30, 30])
        assert (await anext(outcomes)).error is None
    errors = [each.error async for each in outcomes]
    assert [type(error) for error in errors] == [TransportError, TransportError]
    assert [camera.count("abortexposure") for camera in few.cameras] == [0, 1, 1]


async def test_no_round_at_all(few: SimulatorServer) -> None:
    async with CameraGroup(addresses(few)) as group:
        async with group.exposures(0.02, count=0) as rounds:
            assert [each async for each in rounds] == []
    assert not any(camera.requests for camera in few.cameras)


@WAYS
async def test_exposures_start_at_the_given_time_and_are_prepared_before(
    few: SimulatorServer, way: Way, caplog: pytest.LogCaptureFixture
) -> None:
    prepared: list[datetime] = []

    async def prepare() -> None:
        prepared.append(datetime.now(UTC))

    async with CameraGroup(addresses(few)) as group:
        await group.connect()
        at = datetime.now(UTC) + timedelta(seconds=0.5)
        outcomes = await way(group, [ExposureRequest(0.02, prepare=prepare)] * 3, {"at": at})
    assert prepared[0] < at
    for outcome in outcomes:
        assert outcome.image is not None
        assert outcome.image.exposure.started >= at
    assert caplog.records == []  # the second round is not late, but has no time to start


async def test_a_time_that_has_passed_is_logged_and_the_exposures_start(
    few: SimulatorServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with CameraGroup(addresses(few)) as group:
        await group.connect()
        images = await group.expose_all(0.02, at=datetime.now(UTC) - timedelta(hours=1))
    assert len(images) == 3
    (message,) = (record.getMessage() for record in caplog.records)
    assert re.match(r"the exposures start now, 3600\.\d+ s later than 20", message)


async def test_a_clock_that_is_set_while_the_start_is_awaited_is_followed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    times = iter([0, 1, 3600])

    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return cls(2026, 1, 1, tzinfo=tz) + timedelta(seconds=next(times))

    monkeypatch.setattr(round_module, "datetime", Clock)
    monkeypatch.setattr(round_module, "_LONGEST_SLEEP", 0.0)
    await round_module._wait_until(datetime(2026, 1, 1, 0, 30, tzinfo=UTC))
    assert next(times, None) is None


async def test_closing_the_group_ends_the_wait_for_the_start(few: SimulatorServer) -> None:
    async with CameraGroup(addresses(few)) as group:
        await group.connect()
        at = datetime.now(UTC) + timedelta(hours=1)
        waiting = asyncio.create_task(group.expose(0.02, at=at))
        await asyncio.sleep(0.05)
    with pytest.raises(TransportError, match="the client was closed"):
        await waiting
    assert [camera.count("startexposure") for camera in few.cameras] == [0, 0, 0]


async def test_invalid_counts_and_names_are_refused(few: SimulatorServer) -> None:
    async with CameraGroup(addresses(few)) as group:
        with pytest.raises(ValueError, match="2 exposures for 3 cameras"):
            await group.expose([1, 2])
    with pytest.raises(ValueError, match="no setting 'colour'"):
        CameraAddress("host", 0, {"colour": "red"})

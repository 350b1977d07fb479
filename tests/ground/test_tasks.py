from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any

import pytest

from alpaca_async._loops import Turns
from alpaca_async._tasks import SingleFlight, as_completed, finish, prefetch, together


class Frame:
    """Stands for the memory of an image."""


async def test_a_cancelled_wait_keeps_nothing_of_its_callers() -> None:
    held: list[weakref.ref[Frame]] = []

    async def owner() -> None:
        frame = Frame()
        held.append(weakref.ref(frame))
        await finish(asyncio.sleep(0.02))

    task = asyncio.create_task(owner())
    await asyncio.sleep(0.01)
    gc.collect()
    gc.disable()
    try:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        del task
        await asyncio.sleep(0)
        assert held[0]() is None
    finally:
        gc.enable()


async def fail(seconds: float) -> None:
    await asyncio.sleep(seconds)
    raise ValueError(seconds)


@pytest.fixture
async def loop_reports() -> list[dict[str, Any]]:
    """Return the list of what the event loop reports, such as errors that were not retrieved."""
    reports = list[dict[str, Any]]()
    asyncio.get_running_loop().set_exception_handler(lambda _, report: reports.append(report))
    return reports


async def test_an_error_that_a_cancellation_overtakes_is_not_reported_by_the_loop(
    loop_reports: list[dict[str, Any]],
) -> None:
    task = asyncio.create_task(finish(fail(0.02)))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    del task
    gc.collect()
    assert loop_reports == []


async def test_a_coroutine_that_cancels_itself_is_cancelled() -> None:
    async def give_up() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await finish(give_up())


async def test_a_cancelled_caller_waits_for_work_that_is_cancelled_as_well() -> None:
    ended = asyncio.Event()

    async def give_up() -> None:
        await asyncio.sleep(0.02)
        ended.set()
        raise asyncio.CancelledError

    caller = asyncio.create_task(finish(give_up()))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert ended.is_set()


async def test_the_first_error_comes_when_all_have_ended() -> None:
    ended = list[int]()

    async def slow() -> None:
        await asyncio.sleep(0.02)
        ended.append(1)

    with pytest.raises(ValueError, match="0"):
        await together([fail(0.0), slow(), fail(0.01)])
    assert ended == [1]


async def test_turns_are_taken_in_order_and_given_up_ones_are_skipped() -> None:
    turns = Turns()
    order = list[str]()

    async def take(name: str) -> None:
        async with turns():
            order.append(f"{name} in")
            await asyncio.sleep(0.01)
            order.append(f"{name} out")

    tasks = [asyncio.create_task(take(name)) for name in "abc"]
    await asyncio.sleep(0)
    tasks[1].cancel()
    await asyncio.wait(tasks)
    assert order == ["a in", "a out", "c in", "c out"]
    await take("d")
    assert order[-1] == "d out"


async def sleep_and_return(seconds: float) -> float:
    await asyncio.sleep(seconds)
    return seconds


async def test_results_come_as_they_are_completed_and_the_rest_is_cancelled() -> None:
    tasks = [asyncio.create_task(sleep_and_return(each)) for each in (60, 0.02, 0)]
    results = as_completed(tasks)
    assert [await anext(results), await anext(results)] == [0, 0.02]
    await results.aclose()
    assert tasks[0].cancelled()


async def test_errors_after_the_first_are_not_reported_by_the_loop(
    loop_reports: list[dict[str, Any]],
) -> None:
    tasks = [asyncio.create_task(fail(0)) for _ in range(3)]
    await asyncio.wait(tasks)
    with pytest.raises(ValueError, match="0"):
        await anext(as_completed(tasks))
    del tasks
    gc.collect()
    assert loop_reports == []


async def test_the_error_of_a_run_that_all_callers_have_left_is_logged(
    loop_reports: list[dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await fail(0)

    caplog.set_level("INFO", "alpaca_async")
    flight = SingleFlight[None]()
    task = asyncio.create_task(flight(run))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    del task
    gc.collect()
    assert loop_reports == []
    assert "an operation failed after its caller had left: 0" in caplog.text


async def test_the_error_of_a_run_is_raised_in_all_callers_and_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "alpaca_async")
    flight = SingleFlight[None]()
    callers = (flight(lambda: fail(0)) for _ in range(2))
    errors = await asyncio.gather(*callers, return_exceptions=True)
    assert [type(error) for error in errors] == [ValueError, ValueError]
    assert not flight.running
    assert caplog.text == ""


async def test_the_next_is_taken_while_the_caller_has_the_last_one() -> None:
    taken: list[int] = []

    async def take() -> int | None:
        taken.append(len(taken))
        return taken[-1] if len(taken) <= 2 else None

    items = prefetch(take)
    assert await anext(items) == 0
    await asyncio.sleep(0)
    assert taken == [0, 1]
    assert [each async for each in items] == [1]
    assert taken == [0, 1, 2]


async def test_an_error_that_nobody_receives_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "alpaca_async")
    steps = iter([sleep_and_return(0), fail(0)])
    items = prefetch(lambda: next(steps))
    assert await anext(items) == 0
    await asyncio.sleep(0.02)
    await items.aclose()
    (message,) = (record.getMessage() for record in caplog.records)
    assert message == "an operation failed after its caller had left: 0"


async def test_an_error_that_the_caller_receives_is_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def take() -> int | None:
        raise ValueError("0")

    caplog.set_level("INFO", "alpaca_async")
    with pytest.raises(ValueError, match="0"):
        await anext(prefetch(take))
    assert caplog.text == ""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any

import pytest

from alpaca_async._loops import Turns
from alpaca_async._tasks import as_completed, finish, prefetch, together


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


async def test_an_error_that_a_cancellation_overtakes_is_not_reported_by_the_loop() -> None:
    reports = list[dict[str, Any]]()
    asyncio.get_running_loop().set_exception_handler(lambda _, report: reports.append(report))
    task = asyncio.create_task(finish(fail(0.02)))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    del task
    gc.collect()
    assert reports == []


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

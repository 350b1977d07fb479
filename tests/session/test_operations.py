"""What closing a client does with its operations."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import pytest

from alpaca_async import TransportError
from alpaca_async._session.operations import Operation, Operations
from tests.virtual_time import in_virtual_time, now

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Awaitable


async def work(operations: Operations, clean_up: float = 0.0) -> None:
    async with Operation(operations, "http://here", "camera/0/startexposure"):
        try:
            await asyncio.sleep(300)
        finally:
            await asyncio.sleep(clean_up)


async def error_of(awaitable: Awaitable[object]) -> BaseException | None:
    try:
        await awaitable
    except BaseException as error:  # noqa: BLE001 - to look at it
        return error
    return None


@in_virtual_time
async def test_closing_ends_operations_with_an_error_that_says_why() -> None:
    operations = Operations()
    task = asyncio.create_task(work(operations))
    await asyncio.sleep(1)
    await operations.close()
    assert task.done()
    assert now() == 1
    with pytest.raises(TransportError, match=r"here camera/0/startexposure: the client was closed"):
        await task
    with pytest.raises(TransportError, match="the client is closed"):
        await work(operations)


@in_virtual_time
async def test_closing_twice_waits_twice_for_the_same_clean_up() -> None:
    operations = Operations()
    task = asyncio.create_task(work(operations, clean_up=3))
    await asyncio.sleep(1)
    first = asyncio.create_task(operations.close())
    await asyncio.sleep(1)
    await operations.close()
    assert now() == 4
    await first
    assert isinstance(await error_of(task), TransportError)


@in_virtual_time
async def test_closing_waits_twenty_seconds_at_most(caplog: pytest.LogCaptureFixture) -> None:
    operations = Operations()
    tasks = [asyncio.create_task(work(operations, clean_up=each)) for each in (19, 60, 60)]
    await asyncio.sleep(1)
    await operations.close()
    assert now() == 21
    assert [task.done() for task in tasks] == [True, False, False]
    assert "2 operations did not end when their client was closed" in caplog.text
    await asyncio.gather(*tasks, return_exceptions=True)


@in_virtual_time
async def test_an_operation_that_has_ended_is_neither_cancelled_nor_awaited() -> None:
    operations = Operations()

    async def end_and_go_on() -> str:
        async with Operation(operations):
            pass
        await asyncio.sleep(60)
        return "went on"

    task = asyncio.create_task(end_and_go_on())
    await asyncio.sleep(1)
    await operations.close()
    assert now() == 1
    assert await task == "went on"


@in_virtual_time
async def test_a_timeout_or_cancellation_of_the_caller_stays_what_it_is() -> None:
    operations = Operations()
    assert type(await error_of(asyncio.wait_for(work(operations), 5))) is TimeoutError
    task = asyncio.create_task(work(operations))
    await asyncio.sleep(1)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


async def test_operations_may_end_in_other_threads_while_the_client_is_being_closed() -> None:
    operations = Operations()

    class OtherLoop:
        """The loop of an operation that ends when closing looks at it."""

        def __init__(self, operation: Operation) -> None:
            self._operation = operation

        def is_running(self) -> bool:
            operations.ended(self._operation)
            return False

    for _ in range(3):
        operation = Operation(operations)
        operation.loop = cast("AbstractEventLoop", OtherLoop(operation))
        operations.start(operation)
    await operations.close()

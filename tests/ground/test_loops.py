"""A lock that several event loops share, in the moments that are easily missed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVarTuple

import pytest

from alpaca_async._loops import Turns, call_in

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from contextvars import Context

Ts = TypeVarTuple("Ts")


async def hold(turns: Turns, name: str, order: list[str], end: asyncio.Event) -> None:
    async with turns():
        order.append(name)
        await end.wait()


async def rounds() -> None:
    """Let everything run that can run."""
    for _ in range(9):
        await asyncio.sleep(0)


@pytest.mark.parametrize("granted_first", [True, False])
async def test_a_waiter_that_is_cancelled_in_the_moment_of_its_grant_passes_the_lock_on(
    granted_first: bool,
) -> None:
    turns, order, end = Turns(), list[str](), asyncio.Event()
    end.set()
    async with turns():
        waiter = asyncio.create_task(hold(turns, "waiter", order, end))
        await rounds()
        if not granted_first:
            waiter.cancel()
    if granted_first:
        waiter.cancel()
    await asyncio.wait([waiter])
    assert waiter.cancelled()
    async with asyncio.timeout(20), turns():
        order.append("next")
    assert order == ["next"]


async def test_an_error_in_the_block_releases_the_lock() -> None:
    turns = Turns()
    with pytest.raises(ZeroDivisionError):
        async with turns():
            raise ZeroDivisionError
    async with asyncio.timeout(20), turns():
        pass


def test_waiters_of_a_closed_loop_are_skipped() -> None:
    turns, order = Turns(), list[str]()

    async def main() -> None:
        end = asyncio.Event()
        holder = asyncio.create_task(hold(turns, "holder", order, end))
        await rounds()
        await asyncio.to_thread(abandon, hold(turns, "abandoned", order, end))
        other = asyncio.create_task(hold(turns, "other", order, end))
        await rounds()
        end.set()
        await asyncio.wait_for(asyncio.gather(holder, other), 20)

    asyncio.run(main())
    assert order == ["holder", "other"]
    assert not turns._queue


def abandon(work: Coroutine[object, object, object]) -> None:
    """Begin `work` in a loop that is closed before it ends."""
    begin(asyncio.SelectorEventLoop(), work).close()
    work.close()


def begin(
    loop: asyncio.AbstractEventLoop, work: Coroutine[object, object, object]
) -> asyncio.AbstractEventLoop:
    """Begin `work` in `loop`, which then stops for ever; return the loop."""
    task = loop.create_task(work)
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert not task.done()
    return loop


class Interrupted(asyncio.SelectorEventLoop):
    """Something happens just before the first callback of another thread is accepted."""

    def __init__(self, interruption: Callable[[Interrupted], object]) -> None:
        super().__init__()
        self._interruptions = [interruption]

    def call_soon_threadsafe(
        self,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.Handle:
        while self._interruptions:
            self._interruptions.pop()(self)
        return super().call_soon_threadsafe(callback, *args, context=context)


async def test_a_waiter_whose_loop_is_closed_in_the_moment_of_its_grant_is_skipped() -> None:
    turns, order, end = Turns(), list[str](), asyncio.Event()
    end.set()
    async with turns():
        loop = Interrupted(Interrupted.close)
        abandoned = hold(turns, "abandoned", order, end)
        await asyncio.to_thread(begin, loop, abandoned)
        other = asyncio.create_task(hold(turns, "other", order, end))
        await rounds()
    await asyncio.wait_for(other, 20)
    abandoned.close()
    assert order == ["other"]


async def test_a_loop_that_is_closed_before_it_heard_of_the_grant_loses_the_lock() -> None:
    turns, order, end = Turns(), list[str](), asyncio.Event()
    end.set()
    async with turns():
        loop = asyncio.SelectorEventLoop()
        abandoned = hold(turns, "abandoned", order, end)
        await asyncio.to_thread(begin, loop, abandoned)
    loop.close()
    await asyncio.wait_for(hold(turns, "other", order, end), 20)
    abandoned.close()
    assert order == ["other"]


async def test_a_holder_that_is_closed_where_no_loop_runs_passes_the_lock_on() -> None:
    turns, order, end = Turns(), list[str](), asyncio.Event()
    abandoned = hold(turns, "abandoned", order, asyncio.Event())
    loop = await asyncio.to_thread(begin, asyncio.SelectorEventLoop(), abandoned)
    other = asyncio.create_task(hold(turns, "other", order, end))
    await rounds()
    await asyncio.to_thread(abandoned.close)
    end.set()
    await asyncio.wait_for(other, 20)
    loop.close()
    assert order == ["abandoned", "other"]


async def test_a_task_that_is_closed_while_the_lock_is_passed_on_blocks_nobody() -> None:
    turns, order, end = Turns(), list[str](), asyncio.Event()
    end.set()
    async with turns():
        closed = hold(turns, "closed", order, end)
        first = hold(turns, "first", order, end)
        loop = Interrupted(lambda _: closed.close())
        await asyncio.to_thread(begin, loop, first)
        other = await asyncio.to_thread(begin, asyncio.SelectorEventLoop(), closed)
    await asyncio.to_thread(loop.run_until_complete, rounds())
    await asyncio.wait_for(hold(turns, "next", order, end), 20)
    loop.close()
    other.close()
    first.close()
    assert order == ["first", "next"]


async def test_a_callback_runs_at_once_in_the_running_loop_and_never_in_a_closed_one() -> None:
    called: list[str] = []
    call_in(asyncio.get_running_loop(), lambda: called.append("running"))
    assert called == ["running"]
    closed = asyncio.new_event_loop()
    closed.close()
    call_in(closed, lambda: called.append("closed"))
    await rounds()
    assert called == ["running"]

"""A lock that several event loops share, in the moments that are easily missed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from alpaca_async._loops import Turns, call_in

if TYPE_CHECKING:
    from collections.abc import Coroutine


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
        await asyncio.to_thread(abandon, turns._acquire())
        other = asyncio.create_task(hold(turns, "other", order, end))
        await rounds()
        end.set()
        await asyncio.wait_for(asyncio.gather(holder, other), 20)

    asyncio.run(main())
    assert order == ["holder", "other"]
    assert not turns._taken


def abandon(work: Coroutine[object, object, object]) -> None:
    """Begin `work` in a loop that is closed before it ends."""
    loop = asyncio.new_event_loop()
    task = loop.create_task(work)
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()
    assert not task.done()
    work.close()


async def test_a_callback_runs_at_once_in_the_running_loop_and_never_in_a_closed_one() -> None:
    called: list[str] = []
    call_in(asyncio.get_running_loop(), lambda: called.append("running"))
    assert called == ["running"]
    closed = asyncio.new_event_loop()
    closed.close()
    call_in(closed, lambda: called.append("closed"))
    await rounds()
    assert called == ["running"]

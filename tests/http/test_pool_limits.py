"""The pool's limit holds whatever is cancelled, and idle connections are kept again in the end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import httpx
import pytest

from alpaca_async._http.pool import Pool
from tests.virtual_time import in_virtual_time

if TYPE_CHECKING:
    from alpaca_async._http.connection import Connection


async def rounds() -> None:
    """Let everything run that can run."""
    for _ in range(9):
        await asyncio.sleep(0)


@pytest.mark.parametrize("bulk", [False, True])
@pytest.mark.parametrize("granted_first", [False, True])
async def test_a_waiter_that_is_cancelled_in_the_moment_of_its_grant_keeps_the_limit(
    granted_first: bool, bulk: bool
) -> None:
    pool = Pool(1)
    slot = await pool.acquire_slot(bulk=bulk, timeout=None)
    waiter = asyncio.create_task(pool.acquire_slot(bulk=bulk, timeout=None))
    await rounds()
    for step in (slot.release, waiter.cancel) if granted_first else (waiter.cancel, slot.release):
        step()
    await asyncio.wait([waiter])
    assert waiter.cancelled()
    await pool.acquire_slot(bulk=bulk, timeout=0)
    with pytest.raises(httpx.PoolTimeout):
        await pool.acquire_slot(bulk=bulk, timeout=0)


@pytest.mark.parametrize("bulk", [False, True])
@pytest.mark.parametrize("expires_first", [False, True])
@in_virtual_time
async def test_a_waiter_that_expires_in_the_moment_of_its_grant_keeps_the_limit(
    expires_first: bool, bulk: bool
) -> None:
    loop, pool = asyncio.get_running_loop(), Pool(1)
    slot = await pool.acquire_slot(bulk=bulk, timeout=None)
    if not expires_first:
        loop.call_later(1, slot.release)
    waiter = asyncio.create_task(pool.acquire_slot(bulk=bulk, timeout=1))
    await asyncio.sleep(0)
    if expires_first:
        loop.call_later(1, slot.release)
    await asyncio.wait([waiter])
    if waiter.exception() is None:
        waiter.result().release()
    await pool.acquire_slot(bulk=bulk, timeout=0)
    with pytest.raises(httpx.PoolTimeout):
        await pool.acquire_slot(bulk=bulk, timeout=0)


async def test_a_small_request_that_waited_longer_goes_before_a_large_one() -> None:
    pool, order = Pool(2), list[str]()

    async def ask(name: str, *, bulk: bool) -> None:
        (await pool.acquire_slot(bulk=bulk, timeout=None)).release()
        order.append(name)

    slots = [
        await pool.acquire_slot(bulk=True, timeout=None),
        await pool.acquire_slot(bulk=False, timeout=None),
    ]
    tasks: list[asyncio.Task[None]] = []
    for name in ("small 1", "bulk 1", "small 2", "bulk 2"):
        tasks.append(asyncio.create_task(ask(name, bulk="bulk" in name)))
        await rounds()
    slots[0].release()
    await asyncio.wait(tasks)
    assert order == ["small 1", "bulk 1", "small 2", "bulk 2"]


class Closable:
    """A connection of which only the end matters."""

    closed = False

    def close(self) -> None:
        self.closed = True


def idle_connection(pool: Pool) -> Closable:
    """Pass a connection to `pool` that nobody needs at the moment."""
    connection = Closable()
    pool.put_idle(cast("Connection", connection))
    return connection


@in_virtual_time
async def test_connections_stay_idle_again_after_a_slow_first_exchange() -> None:
    pool = Pool(2)
    before = idle_connection(pool)
    with pool.first_exchange(cast("Connection", Closable())):
        await asyncio.sleep(0.3)
        meanwhile = idle_connection(pool)
    afterwards = idle_connection(pool)
    assert [each.closed for each in (before, meanwhile, afterwards)] == [True, True, False]


@in_virtual_time
async def test_connections_stay_idle_after_a_first_exchange_in_time() -> None:
    pool = Pool(2)
    with pool.first_exchange(cast("Connection", Closable())):
        await asyncio.sleep(0.2)
    before = idle_connection(pool)
    await asyncio.sleep(1)
    assert [each.closed for each in (before, idle_connection(pool))] == [False, False]

"""A reply ends after its own time, however it trickles; the time to connect comes before that."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from alpaca_async import AlpacaClient, AsyncCamera, Timeouts, TransportTimeout
from alpaca_async._session.deadline import ReplyDeadline
from alpaca_async._session.error_mapping import Attempt
from tests.scripted import Request, ScriptedServer, http
from tests.virtual_time import in_virtual_time, now

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

SENT = "http11.send_request_headers.started"
NEVER = 1e6
REPLY = http(b'{"Value": 5}')

CALLS: dict[str, Callable[[AsyncCamera], Awaitable[object]]] = {
    "get": AsyncCamera.get_gain,
    "put": lambda camera: camera.set_gain(5),
}


async def drip(_: Request) -> AsyncIterator[bytes]:
    for place in range(len(REPLY)):
        yield REPLY[place : place + 1]
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("injected", [False, True])
@pytest.mark.parametrize("call", CALLS)
@in_virtual_time
async def test_a_reply_that_drips_ends_after_its_own_time(call: str, injected: bool) -> None:
    limits = Timeouts(establish=30.0, reply=0.2)
    async with httpx.AsyncClient() as own, ScriptedServer({"gain": drip}) as server:
        async with AlpacaClient(http=own if injected else None, timeouts=limits) as client:
            with pytest.raises(TransportTimeout, match=r"0\.2 s \(Timeouts\.reply\)") as caught:
                await CALLS[call](client.camera(server.address))
            assert now() == pytest.approx(0.2)
    assert caught.value.outcome_unknown == (call == "put")


async def wait_in(deadline: ReplyDeadline, event: str, *, after: float = 0) -> None:
    with deadline:
        await asyncio.sleep(after)
        await deadline.trace(event, {})
        await asyncio.Event().wait()


@in_virtual_time
async def test_the_time_counts_from_the_moment_when_the_request_is_sent() -> None:
    deadline = ReplyDeadline(None, NEVER, 0.01)
    with deadline:
        await asyncio.sleep(0.05)
        await deadline.trace("connection.connect_tcp.started", {})
        await asyncio.sleep(0.05)


@in_virtual_time
async def test_a_sent_request_has_the_time_of_a_reply() -> None:
    with pytest.raises(TimeoutError):
        await wait_in(ReplyDeadline(None, NEVER, 0.01), SENT)


@in_virtual_time
async def test_the_time_of_a_reply_begins_when_the_request_is_sent_late() -> None:
    for seconds in (0.2, 2.0):
        begun = now()
        with pytest.raises(TimeoutError):
            await wait_in(ReplyDeadline(None, NEVER, 0.5), SENT, after=seconds)
        assert now() - begun == pytest.approx(seconds + 0.5)


async def test_a_reply_in_time_needs_one_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    timers: list[asyncio.TimerHandle] = []
    loop = asyncio.get_running_loop()
    call_at = loop.call_at

    def counted(*arguments: Any, **options: Any) -> asyncio.TimerHandle:  # noqa: ANN401
        timers.append(call_at(*arguments, **options))
        return timers[-1]

    monkeypatch.setattr(loop, "call_at", counted)
    deadline = ReplyDeadline(None, NEVER, 100.0)
    with deadline:
        await deadline.trace(SENT, {})
    assert [timer.cancelled() for timer in timers] == [True]


@in_virtual_time
async def test_without_a_report_there_is_the_sum_of_both() -> None:
    with pytest.raises(TimeoutError):
        await wait_in(ReplyDeadline(None, 0.005, 0.005), "connection.connect_tcp.started")


async def test_an_attempt_is_told_the_same() -> None:
    attempt = Attempt()
    deadline = ReplyDeadline(attempt, NEVER, NEVER)
    with deadline:
        await deadline.trace(SENT, {})
    assert attempt.sent


@pytest.mark.parametrize("connecting", [0.0, 0.05])
@in_virtual_time
async def test_the_timers_of_an_event_loop_need_not_know_their_time(connecting: float) -> None:
    loop = asyncio.get_running_loop()

    def call_at(due: float, callback: Callable[[], None]) -> SimpleNamespace:
        return SimpleNamespace(cancel=loop.call_at(due, callback).cancel)

    deadline: Any = ReplyDeadline(None, NEVER, 0.01)
    deadline._loop = SimpleNamespace(time=loop.time, call_at=call_at)
    with pytest.raises(TimeoutError):
        await wait_in(deadline, SENT, after=connecting)
    assert now() == pytest.approx(connecting + 0.01)


@in_virtual_time
async def test_a_cancellation_at_the_moment_of_the_deadline_is_not_lost() -> None:
    task = asyncio.create_task(wait_in(ReplyDeadline(None, NEVER, 1.0), SENT))
    asyncio.get_running_loop().call_later(1.0, task.cancel)
    await asyncio.wait([task])
    assert now() == pytest.approx(1.0)
    assert task.cancelled()


@in_virtual_time
async def test_an_expired_deadline_leaves_no_cancellation_behind() -> None:
    with pytest.raises(TimeoutError):
        await wait_in(ReplyDeadline(None, NEVER, 1.0), SENT)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0

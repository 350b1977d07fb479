from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import pytest

from alpaca_async import AlpacaClient, TransportError
from tests.scripted import ScriptedServer, value
from tests.virtual_time import in_virtual_time, now

from .rigs import served

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.scripted import Reply, Request


@in_virtual_time
async def test_it_says_what_the_monitor_says() -> None:
    async with served() as here:
        monitor = here.client.safety_monitor(here.address)
        assert await monitor.is_safe()
        here.rig.safety_monitor.make_unsafe()
        assert not await monitor.is_safe()
        here.rig.safety_monitor.make_safe()
        assert await monitor.get_is_safe()


@in_virtual_time
async def test_a_client_can_make_the_simulated_monitor_unsafe() -> None:
    async with served() as here:
        monitor = here.client.safety_monitor(here.address)
        await monitor.action("SetSafe", "false")
        assert not await monitor.get_is_safe()


@in_virtual_time
async def test_a_monitor_that_is_not_connected_is_unsafe(caplog: pytest.LogCaptureFixture) -> None:
    async with served() as here:
        here.rig.safety_monitor.disconnect()
        await asyncio.sleep(1)
        assert not await here.client.safety_monitor(here.address).is_safe()
        assert now() < 2
    assert "counts as unsafe" in caplog.text


async def silence(_: Request) -> bytes:
    await asyncio.sleep(3600)
    return value(True)


def refusal(_: Request) -> bytes:
    raise ConnectionError


async def answer(reply: Reply, request: Request) -> bytes:
    made = reply(request) if callable(reply) else reply
    return made if isinstance(made, bytes) else await made  # type: ignore[misc]


@pytest.mark.parametrize("reply", [silence, refusal])
@in_virtual_time
async def test_a_monitor_that_does_not_answer_is_unsafe(reply: object) -> None:
    async with ScriptedServer({"issafe": reply}) as server:  # type: ignore[dict-item]
        async with AlpacaClient() as client:
            monitor = client.safety_monitor(server.address)
            assert not await monitor.is_safe(timeout=3)
            assert 3 <= now() < 3.1
            assert not await monitor.is_safe()
            assert now() == pytest.approx(8, abs=0.2)
            async with monitor.watch() as states:
                assert not await anext(states)
            assert now() == pytest.approx(13, abs=0.3)


@in_virtual_time
async def test_one_lost_reply_is_not_unsafe() -> None:
    replies = iter([ConnectionError, ConnectionError, True])

    def answer(_: Request) -> bytes:
        if (reply := next(replies)) is ConnectionError:
            raise ConnectionError
        return value(reply)

    async with ScriptedServer({"issafe": answer}) as server, AlpacaClient() as client:
        assert await client.safety_monitor(server.address).is_safe()


@pytest.mark.parametrize("safe", [True, False])
@in_virtual_time
async def test_a_reply_that_does_not_come_is_asked_for_again(
    safe: bool, caplog: pytest.LogCaptureFixture
) -> None:
    replies: Iterator[Reply] = iter([silence, value(safe)])
    async with (
        ScriptedServer({"issafe": lambda request: answer(next(replies), request)}) as server,
        AlpacaClient() as client,
    ):
        assert await client.safety_monitor(server.address).is_safe() is safe
        assert now() < 2
        assert server.count("issafe") == 2
    assert "counts as unsafe" not in caplog.text


@in_virtual_time
async def test_a_monitor_that_is_always_slow_is_read() -> None:
    async def slow(_: Request) -> bytes:
        await asyncio.sleep(4)
        return value(True)

    async with ScriptedServer({"issafe": slow}) as server, AlpacaClient() as client:
        assert await client.safety_monitor(server.address).is_safe()
        assert now() < 4.1


@in_virtual_time
async def test_a_second_poll_that_fails_does_not_end_the_first() -> None:
    async def slow(_: Request) -> bytes:
        await asyncio.sleep(3)
        return value(True)

    replies: Iterator[Reply] = iter([slow, refusal, refusal])
    async with (
        ScriptedServer({"issafe": lambda request: answer(next(replies), request)}) as server,
        AlpacaClient() as client,
    ):
        assert await client.safety_monitor(server.address).is_safe()
        assert now() < 3.1


@pytest.mark.parametrize("first", [True, False])
@in_virtual_time
async def test_of_two_answers_at_the_same_moment_the_one_that_is_unsafe_counts(
    first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several times, because the order of the two may be left to chance."""
    monitor = AlpacaClient().safety_monitor("127.0.0.1:1")
    for _ in range(10):
        answers, answered = iter([first, not first]), asyncio.Event()
        asyncio.get_running_loop().call_later(2, answered.set)

        async def answer_later(
            answers: Iterator[bool] = answers, answered: asyncio.Event = answered
        ) -> bool:
            answer = next(answers)
            await answered.wait()
            return answer

        monkeypatch.setattr(monitor, "get_is_safe", answer_later)
        assert not await monitor.is_safe()


@in_virtual_time
async def test_the_log_names_the_time_for_which_failures_are_tolerated(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "alpaca_async")
    async with ScriptedServer({"issafe": refusal}) as server, AlpacaClient() as client:
        assert not await client.safety_monitor(server.address).is_safe(timeout=30)
        assert now() == pytest.approx(30, abs=0.5)
    assert "tolerated for 30 s" in caplog.text


@in_virtual_time
async def test_a_change_is_seen_within_the_interval() -> None:
    async with served() as here:
        async with here.client.safety_monitor(here.address).watch() as states:
            assert await anext(states)
            await asyncio.sleep(5.1)
            here.rig.safety_monitor.make_unsafe()
            changed = now()
            async for safe in states:
                if not safe:
                    break
            assert now() - changed <= 0.6


@in_virtual_time
async def test_listeners_share_one_poll() -> None:
    async with served() as here:
        first = here.client.safety_monitor(here.address)
        second = here.client.safety_monitor(here.address)
        async with first.watch(1) as one, second.watch(1) as other:
            await asyncio.gather(anext(one), anext(other))
        assert here.rig.safety_monitor.count("issafe") == 1


@in_virtual_time
async def test_watching_goes_on_while_the_monitor_is_away() -> None:
    answers = {"issafe": value(True)}
    async with ScriptedServer({**answers}) as server, AlpacaClient() as client:
        async with client.safety_monitor(server.address).watch(1, timeout=2) as states:
            assert await anext(states)
            server.replies["issafe"] = refusal
            assert not await anext(states)
            server.replies["issafe"] = value(True)
            while not await anext(states):
                pass


@in_virtual_time
async def test_closing_the_client_ends_the_stream_with_an_error() -> None:
    async with served() as here:
        monitor = here.client.safety_monitor(here.address)
        async with monitor.watch() as states:
            assert await anext(states)
            await here.client.aclose()
            with pytest.raises(TransportError, match="closed"):
                [safe async for safe in states]
        with pytest.raises(TransportError, match="closed"):
            await monitor.is_safe()


def test_an_interval_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="interval must be positive"):
        AlpacaClient().safety_monitor("127.0.0.1:1").watch(0)

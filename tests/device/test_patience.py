"""One rule for failed polls."""

from __future__ import annotations

import asyncio

import pytest

from alpaca_async import (
    AlpacaError,
    DriverException,
    MalformedResponse,
    NotImplementedException,
    RequestRejected,
    TransportError,
    TransportTimeout,
)
from alpaca_async._device.patience import Patience
from tests.virtual_time import in_virtual_time, now

TRANSIENT = [
    TransportError("reset"),
    TransportTimeout("late"),
    MalformedResponse("nonsense"),
    RequestRejected("busy", status=503),
    RequestRejected("oops", status=500),
]
FINAL = [
    DriverException(0x500, "cable off"),
    NotImplementedException(0x400, "no"),
    RequestRejected("unknown", status=404),
    RequestRejected("driver", status=500, number=0x500),
]


def name(error: AlpacaError) -> str:
    return f"{type(error).__name__}-{getattr(error, 'status', '')}"


@pytest.mark.parametrize("error", TRANSIENT, ids=name)
async def test_what_says_nothing_of_the_device_is_tolerated(error: AlpacaError) -> None:
    answers: list[AlpacaError | int] = [error, error, 7]

    async def poll() -> int:
        answer = answers.pop(0)
        if isinstance(answer, AlpacaError):
            raise answer
        return answer

    assert await Patience().read(poll) == 7


@in_virtual_time
async def test_polls_that_fail_in_a_row_are_one_line_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "alpaca_async")
    answers: list[AlpacaError] = []

    async def poll() -> int:
        if answers:
            raise answers.pop()
        return 7

    patience = Patience()
    for lines in (1, 2):
        answers += [TRANSIENT[0]] * 5
        await patience.read(poll)
        assert len(caplog.records) == lines


@pytest.mark.parametrize("error", FINAL, ids=name)
async def test_what_the_device_reports_is_raised_at_once(error: AlpacaError) -> None:
    async def poll() -> int:
        raise error

    with pytest.raises(type(error)):
        await Patience().read(poll)


@pytest.mark.parametrize("error", FINAL[2:], ids=name)
async def test_a_stray_status_is_tolerated_where_a_poll_has_worked(error: AlpacaError) -> None:
    patience = Patience()
    assert not patience.tolerates(error)
    patience.succeeded()
    assert patience.tolerates(error)


@pytest.mark.parametrize("error", FINAL[:2], ids=name)
async def test_what_the_device_reports_is_no_stray_status(error: AlpacaError) -> None:
    patience = Patience()
    patience.succeeded()
    assert not patience.tolerates(error)


@in_virtual_time
async def test_nobody_waits_for_more_than_ten_seconds() -> None:
    polls = 0

    async def poll() -> int:
        nonlocal polls
        polls += 1
        raise TransportError("reset")

    with pytest.raises(TransportError, match="reset"):
        await Patience().read(poll)
    assert 10 <= now() < 10.3
    assert 40 < polls < 60


@in_virtual_time
async def test_the_time_counts_from_the_first_poll_that_failed_after_one_that_worked() -> None:
    patience = Patience()
    await asyncio.sleep(50)
    assert patience.tolerates(TransportError("reset"))
    await asyncio.sleep(9.9)
    assert patience.tolerates(TransportError("reset"))
    await asyncio.sleep(0.1)
    assert not patience.tolerates(TransportError("reset"))
    patience.succeeded()
    assert patience.tolerates(TransportError("reset"))

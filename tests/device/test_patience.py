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
from alpaca_async._device import patience as patience_module
from alpaca_async._device.patience import Patience

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


async def test_nobody_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience_module, "LOSS_GRACE", 0.3)
    polls = 0

    async def poll() -> int:
        nonlocal polls
        polls += 1
        raise TransportError("reset")

    with pytest.raises(TransportError, match="reset"):
        await Patience().read(poll)
    assert 2 <= polls <= 4


async def test_the_time_counts_from_the_last_poll_that_worked() -> None:
    patience = Patience()
    loop = asyncio.get_running_loop()
    assert patience.tolerates(TransportError("reset"))
    patience._failing_since = loop.time() - patience_module.LOSS_GRACE
    assert not patience.tolerates(TransportError("reset"))
    patience.succeeded()
    assert patience.tolerates(TransportError("reset"))

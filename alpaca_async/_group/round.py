"""One exposure on each camera of a group: all are prepared, then all start together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from alpaca_async._workflows.sequence import ExposureRequest, as_request

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from .member import Member, Options
    from .outcome import Outcome

    Start: TypeAlias = Callable[[], Coroutine[Any, Any, Outcome]]

Durations: TypeAlias = float | ExposureRequest | Iterable[float | ExposureRequest]
"""One exposure for all cameras, or one for each."""

_LONGEST_SLEEP: Final = 1.0
"""Seconds after which the clock is read again: it may be set, or the machine may sleep."""

logger = logging.getLogger("alpaca_async")


@dataclass(frozen=True, slots=True)
class Round:
    """One exposure on each camera, with a request for each."""

    members: Sequence[Member]
    requests: Sequence[ExposureRequest]
    options: Options

    async def expose(self) -> list[Outcome]:
        """Expose on all cameras, and return the outcomes in the cameras' order."""
        prepared = await self.prepare()
        await self.wait()
        return await outcomes_of(start() for start in self.starts(prepared))

    async def prepare(self) -> list[Outcome]:
        """Prepare all cameras; the outcomes have no images."""
        limit = self.options.prepare_timeout
        return await outcomes_of(
            member.prepare(request, limit)
            for member, request in zip(self.members, self.requests, strict=True)
        )

    async def wait(self) -> None:
        """Wait for the time to start, if one is given."""
        if self.options.at is not None:
            await _wait_until(self.options.at)

    def starts(self, prepared: Iterable[Outcome]) -> list[Start]:
        """Return for each camera the function that exposes."""
        return [
            partial(member.expose, outcome, request, self.options)
            for member, outcome, request in zip(self.members, prepared, self.requests, strict=True)
        ]


def requests_for(duration: Durations, cameras: int) -> list[ExposureRequest]:
    """Return one request for each camera; `ValueError` if there are more or fewer."""
    if not isinstance(duration, Iterable):
        return [as_request(duration, light=True)] * cameras
    requests = [as_request(each, light=True) for each in duration]
    if len(requests) != cameras:
        raise ValueError(f"{len(requests)} exposures for {cameras} cameras")
    return requests


async def outcomes_of(work: Iterable[Coroutine[Any, Any, Outcome]]) -> list[Outcome]:
    """Run `work`, which raises nothing, concurrently; a cancellation cancels all of it."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(each) for each in work]
    return [task.result() for task in tasks]


async def _wait_until(at: datetime) -> None:
    """Wait for a time by the clock of this computer; log that it has passed already."""
    left = _seconds_until(at)
    if left < 0:
        logger.warning("the exposures start now, %.3f s later than %s", -left, at.isoformat())
    while left > 0:
        await asyncio.sleep(min(left, _LONGEST_SLEEP))
        left = _seconds_until(at)


def _seconds_until(at: datetime) -> float:
    return (at - datetime.now(UTC)).total_seconds()

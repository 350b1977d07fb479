"""One exposure on each camera of a group: all are prepared, then all start together."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Sequence

    from alpaca_async._workflows.sequence import ExposureRequest

    from .member import Member, Options
    from .outcome import Outcome

    Start: TypeAlias = Callable[[], Coroutine[Any, Any, Outcome]]


@dataclass(frozen=True, slots=True)
class Round:
    """One exposure on each camera, with a request for each."""

    members: Sequence[Member]
    requests: Sequence[ExposureRequest]
    options: Options

    async def expose(self) -> list[Outcome]:
        """Expose on all cameras, and return the outcomes in the cameras' order."""
        prepared = await self.prepare()
        return await outcomes_of(start() for start in self.starts(prepared))

    async def prepare(self) -> list[Outcome]:
        """Prepare all cameras; the outcomes have no images."""
        limit = self.options.prepare_timeout
        return await outcomes_of(
            member.prepare(request, limit)
            for member, request in zip(self.members, self.requests, strict=True)
        )

    def starts(self, prepared: Iterable[Outcome]) -> list[Start]:
        """Return for each camera the function that exposes."""
        return [
            partial(member.expose, outcome, request, self.options)
            for member, outcome, request in zip(self.members, prepared, self.requests, strict=True)
        ]


async def outcomes_of(work: Iterable[Coroutine[Any, Any, Outcome]]) -> list[Outcome]:
    """Run `work`, which raises nothing, concurrently; a cancellation cancels all of it."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(each) for each in work]
    return [task.result() for task in tasks]

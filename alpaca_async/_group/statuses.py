"""The status of every camera of a group, as one stream."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeAlias

from alpaca_async._errors import AlpacaError
from alpaca_async._tasks import cancel

from .outcome import StatusOutcome

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable

    from .member import Member

    Post: TypeAlias = Callable[[StatusOutcome], None]
    Source: TypeAlias = Callable[[Post], Coroutine[Any, Any, None]]


def statuses_of(members: Iterable[Member], interval: float) -> AsyncGenerator[StatusOutcome]:
    """Yield the status of each camera, read every `interval` seconds."""
    return latest(_source(member, interval) for member in members)


async def latest(sources: Iterable[Source]) -> AsyncGenerator[StatusOutcome]:
    """Yield what `sources` post; of what one camera posts meanwhile, only the latest."""
    new: dict[tuple[str, int], StatusOutcome] = {}
    arrived = asyncio.Event()

    def post(status: StatusOutcome) -> None:
        new[status.address, status.device_number] = status
        arrived.set()

    tasks = [asyncio.create_task(source(post)) for source in sources]
    try:
        while True:
            await arrived.wait()
            arrived.clear()
            while new:
                yield new.pop(next(iter(new)))
    finally:
        await cancel(*tasks)


def _source(member: Member, interval: float) -> Source:
    async def watch(post: Post) -> None:
        while True:
            try:
                async with member.camera.watch(interval) as statuses:
                    async for status in statuses:
                        post(StatusOutcome(member.address, member.device_number, status))
            except AlpacaError as error:
                post(StatusOutcome(member.address, member.device_number, error=error))
            await asyncio.sleep(interval)

    return watch

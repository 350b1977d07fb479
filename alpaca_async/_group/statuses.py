"""The status of every camera of a group, as one stream."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from alpaca_async._errors import AlpacaError
from alpaca_async._tasks import cancel

from .outcome import StatusOutcome

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable

    from .member import Member

    Post: TypeAlias = Callable[["Status"], None]
    Source: TypeAlias = Callable[[Post["Status"]], Coroutine[Any, Any, None]]

Status = TypeVar("Status", bound=StatusOutcome)


def statuses_of(members: Iterable[Member], interval: float) -> AsyncGenerator[StatusOutcome]:
    """Yield the status of each camera, read every `interval` seconds."""
    return latest(_source(member, interval) for member in members)


async def latest(sources: Iterable[Source[Status]]) -> AsyncGenerator[Status]:
    """Yield what `sources` post; of what one camera posts meanwhile, only the latest.

    The error of a source ends it.
    """
    new: dict[tuple[str, int], Status] = {}
    arrived = asyncio.Event()

    def post(status: Status) -> None:
        new[status.address, status.device_number] = status
        arrived.set()

    tasks = [asyncio.create_task(source(post)) for source in sources]
    for task in tasks:
        task.add_done_callback(lambda _: arrived.set())
    try:
        while True:
            await arrived.wait()
            arrived.clear()
            for task in tasks:
                if task.done():
                    task.result()
            while new:
                yield new.pop(next(iter(new)))
    finally:
        await cancel(*tasks)


def _source(member: Member, interval: float) -> Source[StatusOutcome]:
    async def watch(post: Post[StatusOutcome]) -> None:
        while True:
            try:
                async with member.camera.watch(interval) as statuses:
                    async for status in statuses:
                        post(StatusOutcome(member.address, member.device_number, status))
            except AlpacaError as error:
                post(StatusOutcome(member.address, member.device_number, error=error))
            await asyncio.sleep(interval)

    return watch

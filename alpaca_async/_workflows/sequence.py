"""One exposure after the other, each begun while the caller works on the image before."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeAlias, overload

from alpaca_async._fits.header_source import HeaderReader
from alpaca_async._protocol.values import check_bool, check_duration, check_index
from alpaca_async._stream import Stream
from alpaca_async._tasks import wait_for_end

from .recovery import Recovering

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from contextlib import AbstractAsyncContextManager

    from alpaca_async._fits.header_source import HeaderSource
    from alpaca_async._image import Image
    from alpaca_async._progress import ProgressCallback

    from .exposure import TakenExposure
    from .recovery import Reconnect

    Images: TypeAlias = AsyncGenerator[Image]

logger = logging.getLogger("alpaca_async")


@dataclass(frozen=True, slots=True)
class ExposureRequest:
    """An exposure to be made: `prepare` is awaited before it starts, to change settings."""

    duration: float
    """Seconds."""
    light: bool = True
    prepare: Callable[[], Awaitable[object]] | None = None
    header: HeaderSource = None
    """As that of `expose`."""

    def __post_init__(self) -> None:
        HeaderReader(self.header)
        check_duration("duration", self.duration)
        check_bool("light", self.light)


Duration: TypeAlias = float | ExposureRequest
"""Seconds, or all that is to be said about one exposure."""


class Sequencing(Recovering):
    """A camera that takes pictures one after the other."""

    def exposures(  # noqa: PLR0913 - named choices with defaults
        self,
        duration: Duration | Iterable[Duration] | AsyncIterable[Duration],
        *,
        count: int | None = None,
        light: bool = True,
        pause: float = 0.0,
        before_each: Callable[[int], Awaitable[object]] | None = None,
        contiguous: bool = True,
        progress: ProgressCallback | None = None,
        ready_timeout: float = 60.0,
        reconnect: Reconnect | None = None,
    ) -> Stream[Image]:
        """Expose again and again: each exposure starts as soon as the last image was handed over.

        `duration` is the same for all, or an iterable of one for each, which may end; requests
        bring their own `light`. At most `count` images, no limit if it is None. Before each
        exposure but the first come `pause` seconds, before each, with its number from 0 on,
        `before_each` is awaited, then the `prepare` of a request. The other arguments and the
        errors are those of `expose`; an error is raised at the step after the last image, and
        ends the stream. At most two images are in memory: the caller's, and the next.

        With `reconnect` a camera that is lost is got back as the method of that name does, and
        the exposure fetched if the camera has it still, or begun again with all that comes before
        it. What the camera itself refuses, or fails in, ends the stream as ever.

        Leave it with `async with`: a running exposure is then aborted, once, before the block
        ends. Computations of the caller belong on a thread, or the next exposure waits for them.
        """
        if count is not None and check_index("count", count) < 0:
            raise ValueError(f"count must not be negative, not {count}")
        check_duration("pause", pause)
        if reconnect is not None:
            self._check_reconnect(reconnect)
        next_request = _requests(duration, check_bool("light", light))
        numbers = itertools.count()

        async def take() -> Image | None:
            number = next(numbers)
            request = None if number == count else await next_request()
            if request is None:
                return None
            if number:
                await asyncio.sleep(pause)

            async def expose() -> TakenExposure:
                if before_each is not None:
                    await before_each(number)
                if request.prepare is not None:
                    await request.prepare()
                keywords = HeaderReader(request.header)
                return await self._take(
                    request.duration, request.light, progress, ready_timeout, keywords
                )

            fetch = partial(self._fetch, contiguous=contiguous, progress=progress)
            if reconnect is None:
                return await fetch(await expose())
            return await self._outlast(reconnect, expose, fetch)

        return Stream(_one_ahead(take, partial(self._operation, "startexposure")))


async def _one_ahead(
    take: Callable[[], Awaitable[Image | None]],
    new_operation: Callable[[], AbstractAsyncContextManager[None]],
) -> Images:
    """Yield what `take` returns until it is None, with the next one under way meanwhile."""

    async def run() -> Image | None:
        async with new_operation():
            return await take()

    task = asyncio.create_task(run())
    try:
        while (image := await task) is not None:
            task = asyncio.create_task(run())
            yield image
    finally:
        await _give_up(task)


async def _give_up(task: asyncio.Task[Image | None]) -> None:
    """End `task`; nobody is left to raise its error to."""
    task.cancel()
    await wait_for_end(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.info("an exposure that nobody waited for failed: %s", error)


def _requests(
    durations: Duration | Iterable[Duration] | AsyncIterable[Duration], light: bool
) -> Callable[[], Awaitable[ExposureRequest | None]]:
    """Return a function that returns the next request, None after the last."""
    if isinstance(durations, AsyncIterable):
        coming = aiter(durations)

        async def next_request() -> ExposureRequest | None:
            return as_request(await anext(coming, None), light)

        return next_request

    if not isinstance(durations, Iterable):
        durations = itertools.repeat(as_request(durations, light))
    following = iter(durations)

    async def next_given() -> ExposureRequest | None:
        return as_request(next(following, None), light)

    return next_given


@overload
def as_request(duration: Duration, light: bool) -> ExposureRequest: ...
@overload
def as_request(duration: Duration | None, light: bool) -> ExposureRequest | None: ...
def as_request(duration: Duration | None, light: bool) -> ExposureRequest | None:
    """Return `duration` with what is to be said about an exposure; None stays None."""
    if duration is None or isinstance(duration, ExposureRequest):
        return duration
    return ExposureRequest(duration, light)

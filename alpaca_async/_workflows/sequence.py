"""Takes one exposure after another, each while the caller processes the previous image."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal, TypeAlias, overload

from alpaca_async._errors import AlpacaError, ExposureAborted
from alpaca_async._fits.header_source import HeaderReader
from alpaca_async._protocol.pixeltype import pixel_type
from alpaca_async._protocol.values import check_bool, check_count, check_duration, check_limit
from alpaca_async._stream import Stream
from alpaca_async._tasks import prefetch

from .exposure import ExposureOrder
from .retrying import Attempts, Retrying

if TYPE_CHECKING:
    from alpaca_async._facts import Exposure
    from alpaca_async._fits.header_source import HeaderSource
    from alpaca_async._image import Image
    from alpaca_async._progress import ProgressCallback
    from alpaca_async._protocol.pixeltype import PixelType, PixelTypeLike

    from .exposure import TakenExposure
    from .recovery import Reconnect

logger = logging.getLogger("alpaca_async")


@dataclass(frozen=True, slots=True)
class ExposureRequest:
    """One exposure to take; `prepare` is awaited before it starts, to change settings."""

    duration: float
    """Seconds."""
    light: bool = True
    prepare: Callable[[], Awaitable[object]] | None = None
    header: HeaderSource = None
    """As in `expose`."""

    def __post_init__(self) -> None:
        HeaderReader(self.header)
        check_duration("duration", self.duration)
        check_bool("light", self.light)


Duration: TypeAlias = float | ExposureRequest
"""Seconds, or a full request."""


class Sequencing(Retrying):
    """A camera that takes sequences of exposures."""

    def exposures(  # noqa: PLR0913 - named choices with defaults
        self,
        duration: Duration | Iterable[Duration] | AsyncIterable[Duration],
        *,
        count: int | None = None,
        light: bool = True,
        pause: float = 0.0,
        before_each: Callable[[int], Awaitable[object]] | None = None,
        contiguous: bool = True,
        dtype: PixelTypeLike = None,
        progress: ProgressCallback | None = None,
        ready_timeout: float = 60.0,
        reconnect: Reconnect | None = None,
        retries: int = 0,
        on_failure: Literal["raise", "skip"] = "raise",
    ) -> Stream[Image[Exposure]]:
        """Expose repeatedly: each exposure starts when the caller receives the previous image.

        `duration` is one duration for all exposures, or an iterable with one for each; the stream
        ends with it. A request has its own `light`. `count` limits the number of images; None
        means no limit. Each exposure except the first is preceded by `pause` seconds. Then
        `before_each` is awaited with the exposure's number, from 0, then the request's `prepare`.
        The other arguments and the errors are those of `expose`. An error is raised instead of
        the next image, and ends the stream. At most two images are in memory: the caller's and
        the next.

        With `reconnect`, a camera that is lost is reconnected to as by the method `reconnect`.
        If it still has the image, that is fetched; otherwise the exposure is repeated, including
        `before_each` and `prepare`.

        With `retries`, an exposure that fails otherwise is repeated up to so many times: one that
        the camera refuses, that ends in an error, or whose image does not come. The camera is
        aborted first, and awaited until it is idle. If only the download failed, and the camera
        still has the image, that is downloaded again first, which counts as one of them.
        `Exposure.failures` tells the reasons. After that, the last error is raised, or with
        `on_failure="skip"` the next exposure follows; `count` counts those that were skipped.
        An exposure that another task aborts ends the stream. One whose pixels do not fit into
        `dtype` is not repeated, but may be skipped.

        Use the stream with `async with`: leaving the block aborts a running exposure once. Run
        long computations in a thread: in the event loop they delay the next exposure.
        """
        if count is not None:
            check_count("count", count)
        if on_failure not in ("raise", "skip"):
            raise ValueError(f'on_failure must be "raise" or "skip", not {on_failure!r}')
        if reconnect is not None:
            self._check_reconnect(reconnect)
        sequence = _Sequence(
            expose=self._expose_for,
            skip=self._skip,
            next_request=_requests(duration, check_bool("light", light)),
            count=count,
            pause=check_duration("pause", pause),
            before_each=before_each,
            contiguous=contiguous,
            wanted=pixel_type(dtype),
            progress=progress,
            ready_timeout=check_limit("ready_timeout", ready_timeout),
            reconnect=reconnect,
            retries=check_count("retries", retries),
            skips=on_failure == "skip",
        )

        async def next_image() -> Image[Exposure] | None:
            async with self._operation("startexposure"):
                return await sequence.next_image()

        return Stream(prefetch(next_image))

    async def _expose_for(self, sequence: _Sequence, request: ExposureRequest) -> Image[Exposure]:
        """Take the next image of `sequence`, as often as it may be tried."""

        async def take() -> TakenExposure:
            if sequence.before_each is not None:
                await sequence.before_each(sequence.number)
            if request.prepare is not None:
                await request.prepare()
            order = ExposureOrder(
                duration=request.duration,
                light=request.light,
                ready_timeout=sequence.ready_timeout,
                progress=sequence.progress,
                keywords=HeaderReader(request.header),
            )
            await self._resolve(sequence.wanted)
            return await self._take(order)

        fetch = partial(self._fetch, wanted=sequence.wanted, contiguous=sequence.contiguous)
        return await self._take_and_fetch(
            Attempts(sequence.retries, sequence.reconnect), take, fetch
        )

    async def _skip(self, number: int, error: AlpacaError) -> None:
        logger.warning("%r: exposure %d is skipped: %s", self, number, error)
        await self._abort_and_wait()


@dataclass(kw_only=True)
class _Sequence:
    """The arguments of `exposures`, and how far the sequence is."""

    expose: Callable[[_Sequence, ExposureRequest], Awaitable[Image[Exposure]]]
    skip: Callable[[int, AlpacaError], Awaitable[None]]
    next_request: Callable[[], Awaitable[ExposureRequest | None]]
    count: int | None
    pause: float
    before_each: Callable[[int], Awaitable[object]] | None
    contiguous: bool
    wanted: PixelType
    progress: ProgressCallback | None
    ready_timeout: float
    reconnect: Reconnect | None
    retries: int
    skips: bool
    number: int = -1

    async def next_image(self) -> Image[Exposure] | None:
        """Return the next image; None after the last one."""
        while (request := await self._next()) is not None:
            try:
                return await self.expose(self, request)
            except ExposureAborted:
                raise
            except AlpacaError as error:
                if not self.skips:
                    raise
                await self.skip(self.number, error)
        return None

    async def _next(self) -> ExposureRequest | None:
        self.number += 1
        request = None if self.number == self.count else await self.next_request()
        if request is not None and self.number:
            await asyncio.sleep(self.pause)
        return request


def _requests(
    durations: Duration | Iterable[Duration] | AsyncIterable[Duration], light: bool
) -> Callable[[], Awaitable[ExposureRequest | None]]:
    """Return a function that returns the next request, or None after the last."""
    if isinstance(durations, AsyncIterable):
        async_iterator = aiter(durations)

        async def next_request() -> ExposureRequest | None:
            return as_request(await anext(async_iterator, None), light)

        return next_request

    if not isinstance(durations, Iterable):
        durations = itertools.repeat(as_request(durations, light))
    iterator = iter(durations)

    async def next_from_iterable() -> ExposureRequest | None:
        return as_request(next(iterator, None), light)

    return next_from_iterable


@overload
def as_request(duration: Duration, light: bool) -> ExposureRequest: ...
@overload
def as_request(duration: Duration | None, light: bool) -> ExposureRequest | None: ...
def as_request(duration: Duration | None, light: bool) -> ExposureRequest | None:
    """Return `duration` as a request; None stays None."""
    if duration is None or isinstance(duration, ExposureRequest):
        return duration
    return ExposureRequest(duration, light)

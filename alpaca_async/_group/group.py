"""CameraGroup: exposures on many cameras that start at the same time."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from alpaca_async._camera import AlpacaClient, AsyncCamera
from alpaca_async._errors import AlpacaError
from alpaca_async._loops import running_loop
from alpaca_async._protocol.values import check_count, check_duration, check_limit
from alpaca_async._session.operations import Operation, Operations
from alpaca_async._stream import Stream
from alpaca_async._tasks import as_completed, prefetch
from alpaca_async._workflows.cooling import CoolingPace

from .member import CameraAddress, Member, Options
from .round import Round, outcomes_of, requests_for
from .statuses import statuses_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
    from datetime import datetime
    from typing import Self

    from alpaca_async._facts import Exposure
    from alpaca_async._image import Image
    from alpaca_async._protocol.pixeltype import PixelTypeLike

    from .member import GroupProgress, Then
    from .outcome import Outcome, StatusOutcome
    from .round import Durations, Start

_PACE: Final = CoolingPace()


class CameraGroup:
    """Cameras that expose together; enter it with `async with`.

    `cameras` are cameras or `CameraAddress`es. For addresses the group opens its own client with
    `new_client`; a group of addresses can be pickled and entered in another process. The client's
    `max_downloads` limits the simultaneous downloads. Images that the caller has not received
    yet also stay in memory, at most one for each camera.

    Whatever goes wrong with one camera costs that camera only, and is the `error` of its `Outcome`,
    always an `AlpacaError`. Exceptions of other kinds, such as those of the caller's `prepare` or
    `progress`, become an `UnexpectedError` with the exception as its `__cause__`. The methods
    raise only `TypeError` or `ValueError` for a wrong argument, before anything is sent, and
    `TransportError` if the group is closed meanwhile; `expose_all` also raises the first error.
    """

    def __init__(
        self,
        cameras: Iterable[AsyncCamera | CameraAddress],
        *,
        new_client: Callable[[], AlpacaClient] = AlpacaClient,
    ) -> None:
        self._given = tuple(cameras)
        self._new_client = new_client
        self._client: AlpacaClient | None = None
        self._operations: Operations | None = None
        self._members: tuple[Member, ...] = ()

    async def __aenter__(self) -> Self:
        running_loop()
        self._operations = Operations()
        self._client = client = self._new_client()
        self._members = tuple(_member(given, client) for given in self._given)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Abort the exposures of the group, then close the client that it opened."""
        try:
            if self._operations is not None:
                await self._operations.close()
        finally:
            client, self._client = self._client, None
            if client is not None:
                await client.aclose()

    @property
    def cameras(self) -> tuple[AsyncCamera, ...]:
        """The cameras, in the order of the argument; empty before `async with`."""
        return tuple(member.camera for member in self._members)

    async def connect(self, *, timeout: float = 30.0, abort: bool = False) -> list[Outcome]:
        """Connect all cameras and apply their settings; the outcomes have no images.

        Each camera has `timeout` seconds to connect. In what is left of them, its facts are read
        for the headers of its images. `abort` takes over cameras that are exposing, as the
        `connect` of a camera does.
        """
        limit = check_limit("timeout", timeout)
        async with self._operation():
            return await outcomes_of(member.connect(limit, abort=abort) for member in self._members)

    async def cool_to(
        self,
        temperature: float,
        *,
        rate: float | None = None,
        tolerance: float = 0.5,
        timeout: float | None = None,
        pace: CoolingPace = _PACE,
    ) -> list[Outcome]:
        """Cool all cameras as the `cool_to` of a camera does; the outcomes have no images."""
        limit, tolerance = check_limit("timeout", timeout), check_duration("tolerance", tolerance)

        def ramp(camera: AsyncCamera) -> Awaitable[None]:
            return camera.cool_to(
                temperature, rate=rate, tolerance=tolerance, timeout=limit, pace=pace
            )

        return await self._change_temperatures("cool_to", ramp)

    async def warm_up(
        self,
        temperature: float | None = None,
        *,
        rate: float | None = None,
        tolerance: float = 0.5,
        timeout: float | None = None,
        pace: CoolingPace = _PACE,
    ) -> list[Outcome]:
        """Warm up all cameras as the `warm_up` of a camera does; the outcomes have no images."""
        limit, tolerance = check_limit("timeout", timeout), check_duration("tolerance", tolerance)

        def ramp(camera: AsyncCamera) -> Awaitable[None]:
            return camera.warm_up(
                temperature, rate=rate, tolerance=tolerance, timeout=limit, pace=pace
            )

        return await self._change_temperatures("warm_up", ramp)

    def watch(self, interval: float = 1.0) -> Stream[StatusOutcome]:
        """Yield the status of each camera, read every `interval` seconds.

        A camera that cannot be read yields its error, and is read again. A slow listener gets only
        the latest of each camera. Use the stream with `async with`.
        """
        if check_duration("interval", interval) == 0:
            raise ValueError("interval must be positive")
        return Stream(statuses_of(self._members, interval))

    async def expose(
        self,
        duration: Durations,
        *,
        contiguous: bool = True,
        dtype: PixelTypeLike = None,
        progress: GroupProgress | None = None,
        ready_timeout: float = 60.0,
        prepare_timeout: float = 10.0,
        at: datetime | None = None,
        then: Then | None = None,
    ) -> list[Outcome]:
        """Expose on all cameras at once and return the outcomes, in the cameras' order.

        `duration` is one duration for all cameras, or an iterable with one for each. First, each
        camera's `prepare` is awaited; then all exposures start together. They do not wait for a
        camera that fails, or whose `prepare` takes longer than `prepare_timeout` seconds.

        `at` is the time at which the exposures start, by the clock of this computer; the cameras
        are prepared before. If it has passed by then, they start at once, which is logged.

        `then` is awaited with the `CameraAddress` and the image of each camera, as soon as that is
        there. The outcome has what it returns as its `result`, and no image.

        Cancellation aborts all exposures. The other arguments are those of `AsyncCamera.expose`;
        `progress` also gets the camera.
        """
        options = Options(
            contiguous, dtype, progress, ready_timeout, prepare_timeout, at, then=then
        )
        this_round = self._round(duration, options)
        async with self._operation():
            return await this_round.expose()

    async def expose_all(
        self,
        duration: Durations,
        *,
        contiguous: bool = True,
        dtype: PixelTypeLike = None,
        progress: GroupProgress | None = None,
        ready_timeout: float = 60.0,
        prepare_timeout: float = 10.0,
        at: datetime | None = None,
    ) -> list[Image[Exposure]]:
        """Expose as `expose` does, all or nothing: an error is raised and aborts the others.

        If a camera cannot be prepared, no exposure starts.
        """
        options = Options(contiguous, dtype, progress, ready_timeout, prepare_timeout, at)
        this_round = self._round(duration, options)
        async with self._operation():
            prepared = await this_round.prepare()
            for outcome in prepared:
                _raise_error(outcome)
            await this_round.wait()
            return await _images_of(this_round.starts(prepared))

    def outcomes(
        self,
        duration: Durations,
        *,
        contiguous: bool = True,
        dtype: PixelTypeLike = None,
        progress: GroupProgress | None = None,
        ready_timeout: float = 60.0,
        prepare_timeout: float = 10.0,
        at: datetime | None = None,
        then: Then | None = None,
    ) -> Stream[Outcome]:
        """Expose as `expose` does, and yield each outcome as soon as it is known."""
        options = Options(
            contiguous, dtype, progress, ready_timeout, prepare_timeout, at, then=then
        )
        return Stream(self._outcomes(self._round(duration, options)))

    def exposures(  # noqa: PLR0913 - named choices with defaults
        self,
        duration: Durations,
        *,
        count: int | None = None,
        retries: int = 0,
        contiguous: bool = True,
        dtype: PixelTypeLike = None,
        progress: GroupProgress | None = None,
        ready_timeout: float = 60.0,
        prepare_timeout: float = 10.0,
        at: datetime | None = None,
        then: Then | None = None,
    ) -> Stream[list[Outcome]]:
        """Expose repeatedly as `expose` does, and yield the outcomes round by round.

        All cameras start each round together, when the caller receives the outcomes of the round
        before. `count` limits the number of rounds; None means no limit. A camera that fails
        takes part in the next round again. `at` is the start of the first round. At most two
        images of each camera are in memory: the caller's and the next.

        With `retries`, an exposure that fails is repeated up to so many times, as `exposures` of a
        camera does it, except that `prepare` is not awaited again. The other cameras wait with the
        next round. After that, the last error is the outcome.

        Use the stream with `async with`: leaving the block aborts running exposures once.
        """
        options = Options(
            contiguous, dtype, progress, ready_timeout, prepare_timeout, at, retries, then
        )
        if count is not None:
            check_count("count", count)
        first = self._round(duration, options)
        later = replace(first, options=replace(options, at=None))
        numbers = itertools.count()

        async def expose() -> list[Outcome] | None:
            number = next(numbers)
            if number == count:
                return None
            async with self._operation():
                return await (later if number else first).expose()

        return Stream(prefetch(expose))

    async def _outcomes(self, this_round: Round) -> AsyncGenerator[Outcome]:
        async with self._operation():
            prepared = await this_round.prepare()
            await this_round.wait()
        starts = zip(self._members, this_round.starts(prepared), strict=True)
        tasks = [asyncio.create_task(self._run(member, start)) for member, start in starts]
        async with aclosing(as_completed(tasks)) as outcomes:
            async for outcome in outcomes:
                yield outcome

    async def _run(self, member: Member, start: Start) -> Outcome:
        """Expose on one camera; closing the group cancels that, and becomes the outcome."""
        try:
            async with self._operation():
                return await start()
        except AlpacaError as error:
            return member.outcome(error=error)

    async def _change_temperatures(
        self, step: str, ramp: Callable[[AsyncCamera], Awaitable[None]]
    ) -> list[Outcome]:
        async with self._operation():
            return await outcomes_of(
                member.change_temperature(step, ramp) for member in self._members
            )

    def _operation(self) -> Operation:
        """Return a context for a long operation: closing the group cancels it first."""
        if self._operations is None:
            raise RuntimeError("a CameraGroup must be entered with `async with`")
        return Operation(self._operations)

    def _round(self, duration: Durations, options: Options) -> Round:
        """Return a round with one request for each camera."""
        return Round(self._members, requests_for(duration, len(self._given)), options)


def _member(given: AsyncCamera | CameraAddress, client: AlpacaClient) -> Member:
    if isinstance(given, CameraAddress):
        camera = client.camera(given.address, given.device_number)
        return Member(camera, given.address, given.device_number, given.settings)
    return Member(given, given.server, given.device_number, {})


async def _images_of(starts: list[Start]) -> list[Image[Exposure]]:
    """Expose on all cameras; the first error is raised, and cancels the others."""
    tasks = [asyncio.create_task(start()) for start in starts]
    async with aclosing(as_completed(tasks)) as outcomes:
        async for outcome in outcomes:
            _raise_error(outcome)
    return [image for task in tasks if (image := task.result().image) is not None]


def _raise_error(outcome: Outcome) -> None:
    if outcome.error is not None:
        raise outcome.error

"""CameraHosts: cameras on many computers that expose together."""

from __future__ import annotations

import asyncio
import itertools
import logging
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from anyio import to_thread

from alpaca_async._camera import AlpacaClient
from alpaca_async._errors import AlpacaError
from alpaca_async._group.member import Options
from alpaca_async._group.round import requests_for
from alpaca_async._group.statuses import latest
from alpaca_async._loops import running_loop
from alpaca_async._protocol.values import check_count, check_duration, check_limit
from alpaca_async._session.operations import Operation, Operations
from alpaca_async._stream import Stream
from alpaca_async._tasks import finish, prefetch, together
from alpaca_async._workflows.cooling import CoolingPace

from . import _cluster
from ._images import ImageCount
from ._outcome import HostOutcome
from ._placement import CameraHost, hosts_for, in_given_order, name_of
from ._remote import RemoteWorker
from ._round import HostRound, Place
from ._worker import Worker

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
    from datetime import datetime
    from typing import Self

    from alpaca_async._group.member import CameraAddress, Then
    from alpaca_async._group.round import Durations
    from alpaca_async._group.statuses import Post
    from alpaca_async._protocol.pixeltype import PixelTypeLike
    from alpaca_async._workflows.sequence import ExposureRequest

    from ._outcome import HostStatus, StoredImage
    from ._remote import ClockOffset
    from ._round import HostProgress

_PACE: Final = CoolingPace()

logger = logging.getLogger("alpaca_async")


class CameraHosts:
    """Cameras of many computers that expose together; enter it with `async with`.

    `cameras` are `CameraHost`s, which say on which Ray nodes their cameras are controlled, or
    `CameraAddress`es, which are spread over the nodes: those of one server stay together. Ray must
    be connected (`ray.init`), and the package installed on every node. Each worker process has its
    own client, made by `new_client`.

    The methods are those of `CameraGroup`, with the same arguments, which are sent to the workers:
    they must be picklable. `progress` is called in this process, with the `CameraAddress`, twice a
    second. Images stay in the object store of their node, as `StoredImage`s, at most `max_images`
    of each camera. A further exposure of that camera waits until the program has deleted one; it
    fails with `OperationTimeout` after `prepare_timeout` seconds.

    If a worker dies or does not answer, its cameras fail in the present round, with the error
    `HostLost`. The worker is started again, on another node if it may run there. It connects its
    cameras, aborts their exposures, and takes part again. Rounds wait for it for at most
    `prepare_timeout` seconds after its death. No exposure is ever started twice.
    """

    def __init__(
        self,
        cameras: Iterable[CameraAddress | CameraHost],
        *,
        new_client: Callable[[], AlpacaClient] = AlpacaClient,
        max_images: int = 2,
    ) -> None:
        self._given = tuple(cameras)
        self._cameras = in_given_order(self._given)
        self._new_client = new_client
        self._images = ImageCount(check_count("max_images", max_images))
        self._operations: Operations | None = None
        self._workers: list[RemoteWorker] = []
        self._places: list[Place] = []

    async def __aenter__(self) -> Self:
        running_loop()
        actors = await to_thread.run_sync(self._start_actors)
        self._operations = Operations()
        self._workers = [RemoteWorker(actor, host) for actor, host in actors]
        places = {
            (camera.address, camera.device_number): Place(worker, number)
            for worker in self._workers
            for number, camera in enumerate(worker.cameras)
        }
        self._places = [places[each.address, each.device_number] for each in self._cameras]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Abort the exposures, then close all connections and end the worker processes."""
        try:
            if self._operations is not None:
                await self._operations.close()
        finally:
            workers, self._workers = self._workers, []
            await finish(_close(workers))

    @property
    def cameras(self) -> tuple[CameraAddress, ...]:
        """The cameras, in the order of the argument."""
        return tuple(self._cameras)

    async def connect(self, *, timeout: float = 30.0, abort: bool = False) -> list[HostOutcome]:
        """Connect all cameras as `CameraGroup.connect` does; the outcomes have no images.

        A worker has `timeout` seconds to start; its cameras then have as long to connect.
        """
        limit = check_limit("timeout", timeout)
        async with self._operation():
            return await self._on_all("connect", limit, abort, start_timeout=limit)

    async def cool_to(
        self,
        temperature: float,
        *,
        rate: float | None = None,
        tolerance: float = 0.5,
        timeout: float | None = None,
        pace: CoolingPace = _PACE,
    ) -> list[HostOutcome]:
        """Cool all cameras as the `cool_to` of a camera does; the outcomes have no images."""
        return await self._change_temperatures(
            "cool_to", temperature, rate=rate, tolerance=tolerance, timeout=timeout, pace=pace
        )

    async def warm_up(
        self,
        temperature: float | None = None,
        *,
        rate: float | None = None,
        tolerance: float = 0.5,
        timeout: float | None = None,
        pace: CoolingPace = _PACE,
    ) -> list[HostOutcome]:
        """Warm up all cameras as the `warm_up` of a camera does; the outcomes have no images."""
        return await self._change_temperatures(
            "warm_up", temperature, rate=rate, tolerance=tolerance, timeout=timeout, pace=pace
        )

    def watch(self, interval: float = 1.0) -> Stream[HostStatus]:
        """Yield the status of each camera as `CameraGroup.watch` does, with its progress.

        While a host is lost, its cameras yield `HostLost`. `watch_hosts` does the same in another
        program.
        """
        if check_duration("interval", interval) == 0:
            raise ValueError("interval must be positive")
        return Stream(latest(partial(_watch, worker, interval) for worker in self._workers))

    async def get_clock_offsets(self) -> list[ClockOffset]:
        """Return how far the clock of each host is ahead of this computer's, measured now.

        Raises:
            HostLost: one of the hosts is lost.
        """
        async with self._operation():
            return await together(worker.measure_clock() for worker in self._workers)

    async def expose(
        self,
        duration: Durations,
        *,
        contiguous: bool = True,
        dtype: PixelTypeLike = None,
        progress: HostProgress | None = None,
        ready_timeout: float = 60.0,
        prepare_timeout: float = 10.0,
        at: datetime | None = None,
        then: Then | None = None,
    ) -> list[HostOutcome]:
        """Expose on all cameras at once and return the outcomes, in the cameras' order.

        First all cameras of all hosts are prepared, then all exposures start together: at once, or
        at the time `at` by the clock of each host. `then` runs in the worker; only its result is
        sent to this process, and no image is stored. Cancellation aborts all exposures.
        """
        options = Options(contiguous, dtype, None, ready_timeout, prepare_timeout, at, then=then)
        this_round = self._round(duration, options, progress)
        async with self._operation():
            return await _expose(this_round)

    async def expose_all(
        self,
        duration: Durations,
        *,
        contiguous: bool = True,
        dtype: PixelTypeLike = None,
        progress: HostProgress | None = None,
        ready_timeout: float = 60.0,
        prepare_timeout: float = 10.0,
        at: datetime | None = None,
    ) -> list[StoredImage]:
        """Expose as `expose` does, all or nothing: an error is raised and aborts the others.

        If a camera cannot be prepared, no exposure starts.
        """
        options = Options(contiguous, dtype, None, ready_timeout, prepare_timeout, at)
        this_round = self._round(duration, options, progress)
        async with self._operation():
            return await _expose_all(this_round)

    def outcomes(
        self,
        duration: Durations,
        *,
        contiguous: bool = True,
        dtype: PixelTypeLike = None,
        progress: HostProgress | None = None,
        ready_timeout: float = 60.0,
        prepare_timeout: float = 10.0,
        at: datetime | None = None,
        then: Then | None = None,
    ) -> Stream[HostOutcome]:
        """Expose as `expose` does, and yield each outcome as soon as it is known."""
        options = Options(contiguous, dtype, None, ready_timeout, prepare_timeout, at, then=then)
        return Stream(self._outcomes(self._round(duration, options, progress)))

    def exposures(  # noqa: PLR0913 - named choices with defaults
        self,
        duration: Durations,
        *,
        count: int | None = None,
        retries: int = 0,
        contiguous: bool = True,
        dtype: PixelTypeLike = None,
        progress: HostProgress | None = None,
        ready_timeout: float = 60.0,
        prepare_timeout: float = 10.0,
        at: datetime | None = None,
        then: Then | None = None,
    ) -> Stream[list[HostOutcome]]:
        """Expose repeatedly as `expose` does, and yield the outcomes round by round.

        As `CameraGroup.exposures`: each round starts when the caller receives the outcomes of the
        round before. Use the stream with `async with`.
        """
        options = Options(
            contiguous, dtype, None, ready_timeout, prepare_timeout, at, retries, then
        )
        if count is not None:
            check_count("count", count)
        self._requests(duration)
        later = replace(options, at=None)
        numbers = itertools.count()

        async def expose() -> list[HostOutcome] | None:
            number = next(numbers)
            if number == count:
                return None
            async with self._operation():
                own = later if number else options
                return await _expose(self._round(duration, own, progress))

        return Stream(prefetch(expose))

    async def _outcomes(self, this_round: HostRound) -> AsyncGenerator[HostOutcome]:
        async with self._operation():
            prepared = await this_round.prepare()
        async with aclosing(this_round.outcomes(prepared)) as outcomes:
            async for _, outcome in outcomes:
                yield outcome

    async def _change_temperatures(
        self,
        method: str,
        temperature: float | None,
        *,
        tolerance: float,
        timeout: float | None,
        **options: object,
    ) -> list[HostOutcome]:
        check_limit("timeout", timeout)
        check_duration("tolerance", tolerance)
        options |= {"tolerance": tolerance, "timeout": timeout}
        async with self._operation():
            return await self._on_all(method, temperature, options, start_timeout=0.0)

    async def _on_all(
        self, method: str, *arguments: object, start_timeout: float
    ) -> list[HostOutcome]:
        """Call a method of every worker that returns an error or None for each camera."""
        errors = await together(
            worker.errors(method, *arguments, start_timeout=start_timeout)
            for worker in self._workers
        )
        errors_of = dict(zip(self._workers, errors, strict=True))
        return [
            HostOutcome(
                camera.address, camera.device_number, error=errors_of[place.worker][place.number]
            )
            for camera, place in zip(self._cameras, self._places, strict=True)
        ]

    def _operation(self) -> Operation:
        """Return a context for a long operation: closing cancels it first."""
        if self._operations is None:
            raise RuntimeError("CameraHosts must be entered with `async with`")
        return Operation(self._operations)

    def _requests(self, duration: Durations) -> Mapping[int, ExposureRequest]:
        return dict(enumerate(requests_for(duration, len(self._cameras))))

    def _round(
        self, duration: Durations, options: Options, progress: HostProgress | None
    ) -> HostRound:
        requests = self._requests(duration)
        return HostRound(self._places, requests, options, progress, self._images)

    def _start_actors(self) -> list[tuple[Any, CameraHost]]:
        return [
            (_start_actor(host, self._new_client), host)
            for host in hosts_for(self._given, _cluster.node_count())
        ]


def _start_actor(host: CameraHost, new_client: Callable[[], AlpacaClient]) -> _cluster.Actor:
    name = name_of(host.cameras, uuid4().hex)
    return _cluster.start_actor(Worker, host, name, host.cameras, new_client)


async def _close(workers: Iterable[RemoteWorker]) -> None:
    await together(worker.aclose() for worker in workers)


async def _watch(worker: RemoteWorker, interval: float, post: Post[HostStatus]) -> None:
    """Post the statuses of one worker's cameras; while it is lost, that error."""
    while True:
        try:
            async for status in worker.iterate("watch", interval):
                post(status)
        except AlpacaError as error:
            for status in worker.statuses(error):
                post(status)
        await asyncio.sleep(interval)


async def _expose(this_round: HostRound) -> list[HostOutcome]:
    prepared = await this_round.prepare()
    async with aclosing(this_round.outcomes(prepared)) as outcomes:
        found = {position: outcome async for position, outcome in outcomes}
    return [found[position] for position in sorted(found)]


async def _expose_all(this_round: HostRound) -> list[StoredImage]:
    prepared = await this_round.prepare()
    for error in prepared.values():
        if error is not None:
            await this_round.end()
            raise error
    found: dict[int, StoredImage] = {}
    async with aclosing(this_round.outcomes(prepared)) as outcomes:
        async for position, outcome in outcomes:
            if outcome.error is not None:
                raise outcome.error
            if outcome.image is not None:
                found[position] = outcome.image
    return [found[position] for position in sorted(found)]

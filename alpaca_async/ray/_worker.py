"""The process on a host: controls its cameras, as a group whose rounds are started by messages.

Its methods are called over Ray. Each call that may take long has a key, by which it can be
cancelled: Ray's own cancellation does not wait until an exposure is aborted.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from alpaca_async._errors import HostLost
from alpaca_async._group.group import CameraGroup
from alpaca_async._group.round import Round
from alpaca_async._tasks import wait_for_end

from ._outcome import HostStatus

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence

    from alpaca_async._camera import AlpacaClient, AsyncCamera
    from alpaca_async._errors import AlpacaError
    from alpaca_async._facts import Exposure
    from alpaca_async._group.member import CameraAddress, Options
    from alpaca_async._group.outcome import Outcome
    from alpaca_async._image import Image
    from alpaca_async._progress import Progress
    from alpaca_async._protocol.imagebytes import ImageMetadata
    from alpaca_async._workflows.sequence import ExposureRequest

    Errors = list[AlpacaError | None]

_PROGRESS_INTERVAL = 0.5
"""Seconds between two reports of progress."""
_OBSERVATION = 30.0
"""Seconds after which an observer has to ask again: it may have died, which Ray does not tell."""


@dataclass(frozen=True, slots=True)
class Report:
    """An outcome without pixels."""

    error: AlpacaError | None = None
    result: object = None
    metadata: ImageMetadata | None = None
    exposure: Exposure | None = None


class WorkerGroup(CameraGroup):
    """A group whose rounds wait for a message between their preparation and their start."""

    def run(self, requests: Mapping[int, ExposureRequest], options: Options) -> Run:
        """Prepare a round of the cameras whose numbers in this group are the keys."""
        numbers = {id(self.cameras[number]): number for number in requests}
        progress: dict[int, Progress] = {}

        def note(camera: AsyncCamera, latest: Progress) -> None:
            progress[numbers[id(camera)]] = latest

        members = [self._members[number] for number in requests]
        noting = replace(options, progress=note)
        return Run(self, list(requests), Round(members, list(requests.values()), noting), progress)

    async def prepare(self, this_round: Round) -> list[Outcome]:
        """Prepare the cameras of a round."""
        async with self._operation():
            return await this_round.prepare()

    async def wait(self, this_round: Round, start: asyncio.Event) -> None:
        """Wait for the message, then for the time to start, if one is given."""
        async with self._operation():
            await start.wait()
            await this_round.wait()

    def takes(
        self, this_round: Round, prepared: Sequence[Outcome]
    ) -> list[Coroutine[Any, Any, Outcome]]:
        """Return the exposures of a round; each ends with an outcome."""
        starts = this_round.starts(prepared)
        return [
            self._run(member, start)
            for member, start in zip(this_round.members, starts, strict=True)
        ]


class Run:
    """One exposure on some cameras of the group."""

    def __init__(
        self,
        group: WorkerGroup,
        numbers: list[int],
        this_round: Round,
        progress: dict[int, Progress],
    ) -> None:
        loop = asyncio.get_running_loop()
        self.start = asyncio.Event()
        self.prepared: asyncio.Future[list[Outcome]] = loop.create_future()
        self.progress = progress
        self._outcomes: dict[int, asyncio.Future[Outcome]]
        self._outcomes = {number: loop.create_future() for number in numbers}
        self._group = group
        self._round = this_round

    async def expose(self) -> None:
        """Prepare, wait for the start, expose; each outcome is there as soon as it is known."""
        try:
            prepared = await self._group.prepare(self._round)
            self.prepared.set_result(prepared)
            await self._group.wait(self._round, self.start)
            async with asyncio.TaskGroup() as tasks:
                self._create_tasks(tasks, prepared)
        finally:
            self._cancel_futures()

    def _create_tasks(self, tasks: asyncio.TaskGroup, prepared: list[Outcome]) -> None:
        takes = self._group.takes(self._round, prepared)
        for future, take in zip(self._outcomes.values(), takes, strict=True):
            tasks.create_task(_into(future, take))

    def _cancel_futures(self) -> None:
        self.prepared.cancel()
        for future in self._outcomes.values():
            future.cancel()

    async def outcome(self, number: int) -> Outcome:
        """Wait for the outcome of one camera, and forget it, as its image needs much memory."""
        await asyncio.wait([self._outcomes[number]])
        return self._outcomes.pop(number).result()

    def progress_of(self, number: int) -> Progress | None:
        """Return the latest progress of a camera's exposure; None if that does not run."""
        outcome = self._outcomes.get(number)
        return None if outcome is None or outcome.done() else self.progress.get(number)

    @property
    def ended(self) -> bool:
        """Whether all outcomes are known."""
        return all(future.done() for future in self._outcomes.values())


async def _into(future: asyncio.Future[Outcome], take: Coroutine[Any, Any, Outcome]) -> None:
    future.set_result(await take)


class Worker:
    """The Ray actor of one host."""

    def __init__(
        self, cameras: Sequence[CameraAddress], new_client: Callable[[], AlpacaClient]
    ) -> None:
        self._cameras = cameras
        self._group = WorkerGroup(cameras, new_client=new_client)
        self._process = uuid4().hex
        self._opened = False
        self._runs: dict[str, Run] = {}
        self._tasks: dict[str, asyncio.Task[Any]] = {}

    async def ping(self) -> tuple[str, float]:
        """Return the name of this process, and the time of this computer's clock."""
        return self._process, time.time()

    async def open(self) -> str:
        """Open the client of the group; return the name of this process."""
        if not self._opened:
            self._opened = True
            await self._group.__aenter__()
        return self._process

    async def connect(self, key: str, timeout: float, abort: bool) -> Errors:
        """Connect all cameras."""
        await self.open()
        return await self._errors(key, self._group.connect(timeout=timeout, abort=abort))

    async def cool_to(self, key: str, temperature: float, options: Mapping[str, Any]) -> Errors:
        """Cool all cameras."""
        return await self._errors(key, self._group.cool_to(temperature, **options))

    async def warm_up(
        self, key: str, temperature: float | None, options: Mapping[str, Any]
    ) -> Errors:
        """Warm up all cameras."""
        return await self._errors(key, self._group.warm_up(temperature, **options))

    async def begin(
        self, key: str, requests: Mapping[int, ExposureRequest], options: Options
    ) -> Errors | None:
        """Prepare a round; None from a new process, which has not taken over its cameras yet."""
        if not self._opened:
            return None
        self._runs[key] = run = self._group.run(requests, options)
        task = self._start_task(key, run.expose())
        await asyncio.wait([task, run.prepared], return_when=asyncio.FIRST_COMPLETED)
        return [outcome.error for outcome in await run.prepared]

    async def start(self, key: str) -> None:
        """Start the exposures of a prepared round."""
        if key in self._runs:
            self._runs[key].start.set()

    async def take(self, key: str, number: int) -> tuple[Report, Image | None]:
        """Wait for the outcome of one camera; its image goes into the object store.

        A new process knows nothing of the rounds that the former one has prepared.
        """
        if key not in self._runs:
            raise HostLost("the process of the host was restarted")
        outcome = await self._runs[key].outcome(number)
        return _report(outcome), outcome.image

    async def end(self, key: str) -> None:
        """Forget a call; if it still runs, cancel it, which aborts its exposures."""
        task = self._tasks.pop(key, None)
        if task is not None:
            task.cancel()
            await wait_for_end(task)
        self._runs.pop(key, None)

    async def progress(self, key: str) -> AsyncGenerator[dict[int, Progress]]:
        """Yield the latest progress of each camera that has made some."""
        run = self._runs.get(key)
        told: dict[int, Progress] = {}
        while run is not None and not run.ended:
            await asyncio.sleep(_PROGRESS_INTERVAL)
            news = {n: each for n, each in run.progress.items() if each is not told.get(n)}
            told |= news
            if news:
                yield news

    async def watch(self, interval: float) -> AsyncGenerator[HostStatus]:
        """Yield the status of each camera."""
        await self.open()
        async with aclosing(self._statuses(interval)) as statuses:
            async for status in statuses:
                yield status

    async def observe(self, interval: float) -> AsyncGenerator[HostStatus]:
        """Yield the status of each camera to another program, for a limited time.

        Opens no client: a new process has to take over its cameras first.
        """
        if not self._opened:
            raise HostLost("the host has not connected its cameras yet")
        end = time.monotonic() + _OBSERVATION
        async with aclosing(self._statuses(interval)) as statuses:
            async for status in statuses:
                yield status
                if time.monotonic() > end:
                    break

    async def close(self) -> None:
        """Abort all exposures and close all connections."""
        await self._group.aclose()

    async def _statuses(self, interval: float) -> AsyncGenerator[HostStatus]:
        numbers = {
            (camera.address, camera.device_number): number
            for number, camera in enumerate(self._cameras)
        }
        async with self._group.watch(interval) as statuses:
            async for each in statuses:
                number = numbers[each.address, each.device_number]
                yield HostStatus(
                    each.address,
                    each.device_number,
                    each.status,
                    each.error,
                    self._progress_of(number),
                )

    def _progress_of(self, number: int) -> Progress | None:
        found = (run.progress_of(number) for run in self._runs.values())
        return next((each for each in found if each is not None), None)

    async def _errors(self, key: str, call: Coroutine[Any, Any, list[Outcome]]) -> Errors:
        task = self._start_task(key, call)
        try:
            return [outcome.error for outcome in await task]
        finally:
            self._tasks.pop(key, None)

    def _start_task(self, key: str, call: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        self._tasks[key] = task = asyncio.create_task(call)
        return task


def _report(outcome: Outcome) -> Report:
    image = outcome.image
    if image is None:
        return Report(outcome.error, outcome.result)
    return Report(metadata=image.metadata, exposure=image.exposure)

"""One exposure on each camera of all hosts: all are prepared, then all start together."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from alpaca_async._address import origin
from alpaca_async._errors import AlpacaError, HostLost, OperationTimeout
from alpaca_async._tasks import as_completed, cancel, finish, together

from ._outcome import HostOutcome, StoredImage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence

    from alpaca_async._group.member import CameraAddress, Options
    from alpaca_async._progress import Progress
    from alpaca_async._workflows.sequence import ExposureRequest

    from ._cluster import ObjectRef
    from ._images import ImageCount
    from ._remote import RemoteWorker
    from ._worker import Errors, Report

    HostProgress: TypeAlias = Callable[[CameraAddress, Progress], None]

_GRACE: Final = 5.0
"""Seconds beyond the limit for the preparations, within which a worker has to report them."""
_CALLS_AT_ONCE: Final = 16
"""Calls that are sent in one iteration of the event loop: each takes some tenths of a ms."""
_NOTABLE_DIFFERENCE: Final = 0.02
"""Seconds between the clocks of hosts, beyond their uncertainties, that are worth a warning."""

logger = logging.getLogger("alpaca_async")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a camera is: a worker, and the camera's number there."""

    worker: RemoteWorker
    number: int


class HostRound:
    """One exposure on some cameras; the keys are their positions in the caller's order."""

    def __init__(
        self,
        places: Sequence[Place],
        requests: Mapping[int, ExposureRequest],
        options: Options,
        progress: HostProgress | None,
        images: ImageCount,
    ) -> None:
        self._places = places
        self._requests = requests
        self._options = options
        self._progress = progress
        self._images = images
        self._shares: dict[RemoteWorker, _Share] = {}

    async def prepare(self) -> dict[int, AlpacaError | None]:
        """Prepare all cameras, and return their errors."""
        limit = self._options.prepare_timeout
        full = await self._images.wait(self._requests, limit)
        self._shares = self._divide(self._requests.keys() - full)
        try:
            await together(share.prepare(limit) for share in self._shares.values())
        except asyncio.CancelledError:
            await finish(self.end())
            raise
        self._compare_clocks()
        return {
            position: self._too_many(position) if position in full else self._prepared(position)
            for position in self._requests
        }

    async def outcomes(
        self, prepared: Mapping[int, AlpacaError | None]
    ) -> AsyncGenerator[tuple[int, HostOutcome]]:
        """Start all exposures that are prepared, and yield each outcome as soon as it is known.

        Closing the generator early aborts the exposures that still run.
        """
        for share in self._shares.values():
            share.start()
        tasks: list[asyncio.Task[tuple[int, HostOutcome]]] = []
        reports = self._report_progress()
        complete = False
        try:
            for position, error in prepared.items():
                tasks.append(asyncio.create_task(self._outcome(position, error)))
                if len(tasks) % _CALLS_AT_ONCE == 0:
                    await asyncio.sleep(0)
            async with aclosing(as_completed(tasks)) as outcomes:
                async for each in outcomes:
                    yield each
            complete = True
        finally:
            await finish(self._end(tasks, reports, complete=complete))

    async def end(self) -> None:
        """End a round whose exposures have not started."""
        await together(share.end() for share in self._shares.values())

    async def _end(
        self,
        tasks: Sequence[asyncio.Task[object]],
        reports: Sequence[asyncio.Task[None]],
        *,
        complete: bool,
    ) -> None:
        await cancel(*tasks)
        if complete:
            for share in self._shares.values():
                share.end_soon()
        else:
            await self.end()
        await cancel(*reports)

    def _divide(self, positions: Iterable[int]) -> dict[RemoteWorker, _Share]:
        """Return the share of each worker."""
        requests: dict[RemoteWorker, dict[int, ExposureRequest]] = {}
        for position in sorted(positions):
            place = self._places[position]
            requests.setdefault(place.worker, {})[place.number] = self._requests[position]
        return {worker: _Share(worker, own, self._options) for worker, own in requests.items()}

    def _compare_clocks(self) -> None:
        """Warn if the clocks of the hosts are too different to start at the same time."""
        clocks = [worker.clock for worker in self._shares if worker.clock is not None]
        if self._options.at is None or not clocks:
            return
        first = min(clocks, key=lambda clock: clock.offset)
        last = max(clocks, key=lambda clock: clock.offset)
        apart, uncertainty = last.offset - first.offset, last.uncertainty + first.uncertainty
        if apart > uncertainty + _NOTABLE_DIFFERENCE:
            logger.warning(
                "the clocks of the hosts differ by %.3f s (+- %.3f s), and so do the starts",
                apart,
                uncertainty,
            )

    def _prepared(self, position: int) -> AlpacaError | None:
        place = self._places[position]
        return self._shares[place.worker].errors[place.number]

    def _too_many(self, position: int) -> AlpacaError:
        place = self._places[position]
        reason = (
            f"{self._images.limit} images of the camera are still in the object store: delete their"
            " outcomes, or raise max_images"
        )
        return place.worker.error_of(place.number, OperationTimeout(reason))

    async def _outcome(
        self, position: int, prepared: AlpacaError | None
    ) -> tuple[int, HostOutcome]:
        place = self._places[position]
        if prepared is not None:
            camera = place.worker.cameras[place.number]
            return position, HostOutcome(camera.address, camera.device_number, error=prepared)
        outcome = await self._shares[place.worker].outcome(place.number)
        if outcome.image is not None:
            self._images.add(position, outcome.image)
        return position, outcome

    def _report_progress(self) -> list[asyncio.Task[None]]:
        if self._progress is None:
            return []
        return [
            asyncio.create_task(share.report_progress(self._progress))
            for share in self._shares.values()
        ]


class _Share:
    """The cameras of one worker in a round."""

    def __init__(
        self, worker: RemoteWorker, requests: dict[int, ExposureRequest], options: Options
    ) -> None:
        self.worker = worker
        self.errors: dict[int, AlpacaError | None] = {}
        self._key = worker.new_key()
        self._requests = requests
        self._options = options

    async def prepare(self, limit: float) -> None:
        """Prepare the cameras; whatever goes wrong with the worker is an error of each."""
        try:
            async with asyncio.timeout(limit + _GRACE):
                errors = await self._begin(limit)
        except TimeoutError:
            late = OperationTimeout(f"the host was not prepared within {limit + _GRACE:g} s")
            errors = self._errors_for_all(late)
        except AlpacaError as error:
            errors = self._errors_for_all(error)
        self.errors = dict(zip(self._requests, errors, strict=True))

    def start(self) -> None:
        """Let the exposures start."""
        try:
            self.worker.send("start", self._key)
        except HostLost as error:
            logger.info("the exposures of a host do not start: %s", error)

    async def outcome(self, number: int) -> HostOutcome:
        """Wait for the outcome of one camera; its image stays where it is."""
        camera = self.worker.cameras[number]
        try:
            head, image = self._take(number)
            report: Report = await self.worker.value_of(head)
        except AlpacaError as error:
            failed = self.worker.error_of(number, error)
            return HostOutcome(camera.address, camera.device_number, error=failed)
        return HostOutcome(
            camera.address,
            camera.device_number,
            _stored(camera, image, report),
            report.error,
            report.result,
        )

    def _take(self, number: int) -> tuple[ObjectRef, ObjectRef]:
        references: list[ObjectRef] = self.worker.send("take", self._key, number, results=2)
        return references[0], references[1]

    async def report_progress(self, progress: HostProgress) -> None:
        """Pass on the progress of each camera until the exposures have ended."""
        latest: dict[int, Progress]
        try:
            async for latest in self.worker.iterate("progress", self._key):
                for number, each in latest.items():
                    progress(self.worker.cameras[number], each)
        except HostLost:
            return

    async def end(self) -> None:
        """Abort the exposures that still run."""
        await self.worker.end(self._key)

    def end_soon(self) -> None:
        """Let the worker forget the round, which has ended."""
        self.worker.end_soon(self._key)

    async def _begin(self, limit: float) -> Errors:
        """Prepare the cameras; if the worker dies meanwhile, once more with the next one.

        This may be repeated: no exposure starts before `start`, of which a new process knows none.
        """
        try:
            return await self._begin_once(limit)
        except HostLost as error:
            logger.info("the cameras of a host are prepared again: %s", error)
        return await self._begin_once(limit)

    async def _begin_once(self, limit: float) -> Errors:
        await self.worker.ready(limit)
        errors: Errors | None = await self.worker.call(
            "begin", self._key, self._requests, self._options
        )
        if errors is not None:
            return errors
        self.worker.lose_new_process()
        raise HostLost("the process of the host was restarted")

    def _errors_for_all(self, error: AlpacaError) -> Errors:
        return [self.worker.error_of(number, error) for number in self._requests]


def _stored(camera: CameraAddress, image: ObjectRef, report: Report) -> StoredImage | None:
    if report.metadata is None or report.exposure is None:
        return None
    server = origin(camera.address)
    return StoredImage(image, report.metadata, report.exposure, server, camera.device_number)

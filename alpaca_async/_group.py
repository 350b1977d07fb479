"""CameraGroup: the same moment, or the same exposure, on many cameras."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from ._camera import AlpacaClient, AsyncCamera
from ._errors import AlpacaError, OperationTimeout
from ._progress import Progress
from ._session.operations import Operation, Operations
from ._stream import Stream
from ._tasks import wait_for_end
from ._workflows.sequence import ExposureRequest, as_request

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Coroutine
    from typing import Self

    from ._image import Image
    from ._progress import ProgressCallback

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CameraAddress:
    """Where a camera is, and the settings that `CameraGroup.connect` gives it, in their order.

    `settings` maps names such as `gain` to the arguments of `set_gain`.
    """

    address: str
    device_number: int = 0
    settings: Mapping[str, object] = field(default_factory=dict[str, object])

    def __post_init__(self) -> None:
        for name in self.settings:
            if not hasattr(AsyncCamera, f"set_{name}"):
                raise ValueError(f"a camera has no setting {name!r}")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an exposure on one camera of a group: an image or an error."""

    camera: AsyncCamera
    image: Image | None = None
    error: AlpacaError | None = None


GroupProgress: TypeAlias = Callable[[AsyncCamera, Progress], None]
"""Called in the event loop with a camera of the group, and how far its exposure is."""

Asked: TypeAlias = float | ExposureRequest | Iterable[float | ExposureRequest]
"""One exposure for all cameras, or one for each."""


@dataclass(frozen=True, slots=True)
class _How:
    """The arguments of `AsyncCamera.expose` that are the same for all cameras."""

    contiguous: bool
    progress: GroupProgress | None
    ready_timeout: float

    def progress_of(self, camera: AsyncCamera) -> ProgressCallback | None:
        return None if self.progress is None else partial(self.progress, camera)


class CameraGroup:
    """Cameras that expose together; enter it with `async with`.

    Made of cameras, or of `CameraAddress`es, for which a client of the group's own is opened with
    `new_client`: such a group can be pickled and entered in another process. The client's
    `max_downloads` bounds how many images come at once; those that nobody took yet are in memory
    as well, at most one for each camera.
    """

    def __init__(
        self,
        cameras: Iterable[AsyncCamera | CameraAddress],
        *,
        new_client: Callable[[], AlpacaClient] = AlpacaClient,
    ) -> None:
        self._members = tuple(cameras)
        self._new_client = new_client
        self._client: AlpacaClient | None = None
        self._operations: Operations | None = None
        self._cameras: tuple[AsyncCamera, ...] = ()

    async def __aenter__(self) -> Self:
        self._operations = Operations()
        self._client = client = self._new_client()
        self._cameras = tuple(
            client.camera(member.address, member.device_number)
            if isinstance(member, CameraAddress)
            else member
            for member in self._members
        )
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
        """The cameras, in the order in which they were given; none before `async with`."""
        return self._cameras

    async def connect(self, *, timeout: float = 30.0) -> list[Outcome]:
        """Connect all cameras and give them their settings; the outcomes have no images."""
        async with self._operation():
            return await _all(
                _outcome(camera, self._connect(camera, member, timeout))
                for camera, member in zip(self._cameras, self._members, strict=True)
            )

    async def expose(
        self,
        duration: Asked,
        *,
        contiguous: bool = True,
        progress: GroupProgress | None = None,
        ready_timeout: float = 60.0,
        prepare_timeout: float = 10.0,
    ) -> list[Outcome]:
        """Expose on all cameras at once and return what became of it, in the cameras' order.

        `duration` is the same for all, or an iterable of one for each. First each `prepare` is
        awaited and facts and settings are read; then the exposures start together. A camera that
        fails, or is not prepared after `prepare_timeout` seconds, does not hold up the others
        further. Cancelled, it aborts all exposures. The other arguments are those of
        `AsyncCamera.expose`; `progress` gets the camera as well.
        """
        how = _How(contiguous, progress, ready_timeout)
        async with self._operation():
            work = await self._prepared(duration, how, prepare_timeout)
            return await _all(_outcome(camera, expose) for camera, expose in work)

    async def expose_all(
        self,
        duration: Asked,
        *,
        contiguous: bool = True,
        progress: GroupProgress | None = None,
        ready_timeout: float = 60.0,
        prepare_timeout: float = 10.0,
    ) -> list[Image]:
        """Expose as `expose` does, all or nothing: an error aborts the others and is raised."""
        how = _How(contiguous, progress, ready_timeout)
        try:
            async with self._operation():
                work = await self._prepared(duration, how, prepare_timeout)
                return await _all(expose for _, expose in work)
        except ExceptionGroup as group:
            raise group.exceptions[0] from None

    def outcomes(
        self,
        duration: Asked,
        *,
        contiguous: bool = True,
        progress: GroupProgress | None = None,
        ready_timeout: float = 60.0,
        prepare_timeout: float = 10.0,
    ) -> Stream[Outcome]:
        """Expose as `expose` does, and hand out each outcome as it comes."""
        how = _How(contiguous, progress, ready_timeout)
        return Stream(self._outcomes(duration, how, prepare_timeout))

    async def _outcomes(
        self, duration: Asked, how: _How, prepare_timeout: float
    ) -> AsyncGenerator[Outcome]:
        async with self._operation():
            work = await self._prepared(duration, how, prepare_timeout)
        tasks = [
            asyncio.create_task(_outcome(camera, self._run(expose))) for camera, expose in work
        ]
        try:
            while tasks:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                first = done.pop()
                tasks.remove(first)
                yield first.result()
        finally:
            for task in tasks:
                task.cancel()
            await wait_for_end(*tasks)

    def _operation(self) -> Operation:
        """Surround what takes a while, so that closing the group ends it first."""
        if self._operations is None:
            raise RuntimeError("a CameraGroup has to be entered with `async with`")
        return Operation(self._operations)

    async def _run(self, work: Coroutine[None, None, T]) -> T:
        async with self._operation():
            return await work

    async def _prepared(
        self, duration: Asked, how: _How, prepare_timeout: float
    ) -> list[tuple[AsyncCamera, Coroutine[None, None, Image]]]:
        """Prepare all cameras; return for each what is left to do."""
        requests = self._requests(duration)
        outcomes = await _all(
            _outcome(camera, _prepare(camera, request, prepare_timeout))
            for camera, request in zip(self._cameras, requests, strict=True)
        )
        return [
            (outcome.camera, _expose(outcome, request, how))
            for outcome, request in zip(outcomes, requests, strict=True)
        ]

    def _requests(self, duration: Asked) -> list[ExposureRequest]:
        if isinstance(duration, Iterable):
            requests = [as_request(each, light=True) for each in duration]
        else:
            requests = [as_request(duration, light=True)] * len(self._cameras)
        if len(requests) != len(self._cameras):
            raise ValueError(f"{len(requests)} exposures for {len(self._cameras)} cameras")
        return requests

    async def _connect(
        self, camera: AsyncCamera, member: AsyncCamera | CameraAddress, timeout: float
    ) -> None:
        await camera.connect(timeout=timeout)
        if isinstance(member, CameraAddress):
            for name, value in member.settings.items():
                await getattr(camera, f"set_{name}")(value)


async def _prepare(camera: AsyncCamera, request: ExposureRequest, limit: float) -> None:
    """Do what can be done before the start, so that the starts come close together."""
    deadline = asyncio.timeout(limit)
    try:
        async with deadline:
            if request.prepare is not None:
                await request.prepare()
            await camera.get_info()
            await camera.get_settings()
    except TimeoutError:
        if not deadline.expired():
            raise
        late = OperationTimeout(f"not prepared within {limit:g} s")
        raise late.at(camera.server, f"camera/{camera.device_number}") from None


async def _expose(prepared: Outcome, request: ExposureRequest, how: _How) -> Image:
    """Expose, or raise what came before."""
    if prepared.error is not None:
        raise prepared.error
    return await prepared.camera.expose(
        request.duration,
        light=request.light,
        contiguous=how.contiguous,
        progress=how.progress_of(prepared.camera),
        ready_timeout=how.ready_timeout,
        header=request.header,
    )


async def _outcome(camera: AsyncCamera, work: Coroutine[None, None, Image | None]) -> Outcome:
    try:
        return Outcome(camera, await work)
    except AlpacaError as error:
        return Outcome(camera, error=error)


async def _all(work: Iterable[Coroutine[None, None, T]]) -> list[T]:
    """Run `work` at once; an error, or a cancellation, ends all of it."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(each) for each in work]
    return [task.result() for task in tasks]

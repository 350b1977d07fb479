"""CameraGroup: exposures on many cameras that start at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from ._camera import AlpacaClient, AsyncCamera
from ._errors import AlpacaError, OperationTimeout
from ._loops import running_loop
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
    """The address of a camera, and the settings that `CameraGroup.connect` applies, in order.

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
    """The result of an exposure on one camera of a group: an image or an error."""

    camera: AsyncCamera
    image: Image | None = None
    error: AlpacaError | None = None


GroupProgress: TypeAlias = Callable[[AsyncCamera, Progress], None]
"""Called in the event loop with a camera of the group and the progress of its exposure."""

Durations: TypeAlias = float | ExposureRequest | Iterable[float | ExposureRequest]
"""One exposure for all cameras, or one for each."""


@dataclass(frozen=True, slots=True)
class _Options:
    """The arguments of `AsyncCamera.expose` that are the same for all cameras."""

    contiguous: bool
    progress: GroupProgress | None
    ready_timeout: float

    def progress_of(self, camera: AsyncCamera) -> ProgressCallback | None:
        return None if self.progress is None else partial(self.progress, camera)


class CameraGroup:
    """Cameras that expose together; enter it with `async with`.

    `cameras` are cameras or `CameraAddress`es. For addresses the group opens its own client with
    `new_client`; a group of addresses can be pickled and entered in another process. The client's
    `max_downloads` limits the simultaneous downloads. Images that the caller has not received
    yet also stay in memory, at most one for each camera.
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
        running_loop()
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
        """The cameras, in the order of the argument; empty before `async with`."""
        return self._cameras

    async def connect(self, *, timeout: float = 30.0) -> list[Outcome]:
        """Connect all cameras and apply their settings; the outcomes have no images."""
        async with self._operation():
            return await _run_all(
                _to_outcome(camera, self._connect(camera, member, timeout))
                for camera, member in zip(self._cameras, self._members, strict=True)
            )

    async def expose(
        self,
        duration: Durations,
        *,
        contiguous: bool = True,
        progress: GroupProgress | None = None,
        ready_timeout: float = 60.0,
        prepare_timeout: float = 10.0,
    ) -> list[Outcome]:
        """Expose on all cameras at once and return the outcomes, in the cameras' order.

        `duration` is one duration for all cameras, or an iterable with one for each. First, each
        camera's `prepare` is awaited, and its facts and settings are read; then all exposures
        start together. They do not wait for a camera that fails, or that is not prepared after
        `prepare_timeout` seconds. Cancellation aborts all exposures. The other arguments are
        those of `AsyncCamera.expose`; `progress` also gets the camera.
        """
        options = _Options(contiguous, progress, ready_timeout)
        async with self._operation():
            work = await self._prepared(duration, options, prepare_timeout)
            return await _run_all(_to_outcome(camera, expose) for camera, expose in work)

    async def expose_all(
        self,
        duration: Durations,
        *,
        contiguous: bool = True,
        progress: GroupProgress | None = None,
        ready_timeout: float = 60.0,
        prepare_timeout: float = 10.0,
    ) -> list[Image]:
        """Expose as `expose` does, all or nothing: an error is raised and aborts the others."""
        options = _Options(contiguous, progress, ready_timeout)
        try:
            async with self._operation():
                work = await self._prepared(duration, options, prepare_timeout)
                return await _run_all(expose for _, expose in work)
        except ExceptionGroup as group:
            raise group.exceptions[0] from None

    def outcomes(
        self,
        duration: Durations,
        *,
        contiguous: bool = True,
        progress: GroupProgress | None = None,
        ready_timeout: float = 60.0,
        prepare_timeout: float = 10.0,
    ) -> Stream[Outcome]:
        """Expose as `expose` does, and yield each outcome as soon as it is known."""
        options = _Options(contiguous, progress, ready_timeout)
        return Stream(self._outcomes(duration, options, prepare_timeout))

    async def _outcomes(
        self, duration: Durations, options: _Options, prepare_timeout: float
    ) -> AsyncGenerator[Outcome]:
        async with self._operation():
            work = await self._prepared(duration, options, prepare_timeout)
        tasks = [
            asyncio.create_task(_to_outcome(camera, self._run(expose))) for camera, expose in work
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
        """Return a context for a long operation: closing the group cancels it first."""
        if self._operations is None:
            raise RuntimeError("a CameraGroup must be entered with `async with`")
        return Operation(self._operations)

    async def _run(self, work: Coroutine[None, None, T]) -> T:
        async with self._operation():
            return await work

    async def _prepared(
        self, duration: Durations, options: _Options, prepare_timeout: float
    ) -> list[tuple[AsyncCamera, Coroutine[None, None, Image]]]:
        """Prepare all cameras; return for each the coroutine that exposes."""
        requests = self._requests(duration)
        outcomes = await _run_all(
            _to_outcome(camera, _prepare(camera, request, prepare_timeout))
            for camera, request in zip(self._cameras, requests, strict=True)
        )
        return [
            (outcome.camera, _expose(outcome, request, options))
            for outcome, request in zip(outcomes, requests, strict=True)
        ]

    def _requests(self, duration: Durations) -> list[ExposureRequest]:
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
    """Prepare a camera and read its facts, so that all exposures can start close together."""
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
        error = OperationTimeout(f"not prepared within {limit:g} s")
        raise error.at(camera.server, f"camera/{camera.device_number}") from None


async def _expose(prepared: Outcome, request: ExposureRequest, options: _Options) -> Image:
    """Expose, or raise the error of the preparation."""
    if prepared.error is not None:
        raise prepared.error
    return await prepared.camera.expose(
        request.duration,
        light=request.light,
        contiguous=options.contiguous,
        progress=options.progress_of(prepared.camera),
        ready_timeout=options.ready_timeout,
        header=request.header,
    )


async def _to_outcome(camera: AsyncCamera, work: Coroutine[None, None, Image | None]) -> Outcome:
    try:
        return Outcome(camera, await work)
    except AlpacaError as error:
        return Outcome(camera, error=error)


async def _run_all(work: Iterable[Coroutine[None, None, T]]) -> list[T]:
    """Run `work` concurrently; an error or a cancellation cancels all of it."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(each) for each in work]
    return [task.result() for task in tasks]

"""One camera of a group: whatever goes wrong with it becomes its outcome."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from alpaca_async._camera import AsyncCamera
from alpaca_async._errors import AlpacaError, OperationTimeout, UnexpectedError
from alpaca_async._progress import Progress
from alpaca_async._protocol.pixeltype import pixel_type
from alpaca_async._protocol.values import check_count, check_limit
from alpaca_async._tasks import together

from .outcome import Outcome

if TYPE_CHECKING:
    from alpaca_async._facts import Exposure
    from alpaca_async._image import Image
    from alpaca_async._progress import ProgressCallback
    from alpaca_async._protocol.pixeltype import PixelTypeLike
    from alpaca_async._workflows.sequence import ExposureRequest

    Then: TypeAlias = Callable[["CameraAddress", Image[Exposure]], Awaitable[object]]

GroupProgress: TypeAlias = Callable[[AsyncCamera, Progress], None]
"""Called in the event loop with a camera of the group and the progress of its exposure."""

logger = logging.getLogger("alpaca_async")


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
class Options:
    """The arguments of `CameraGroup.expose` that are the same for all cameras."""

    contiguous: bool
    dtype: PixelTypeLike
    progress: GroupProgress | None
    ready_timeout: float
    prepare_timeout: float
    at: datetime | None
    retries: int = 0
    then: Then | None = None

    def __post_init__(self) -> None:
        pixel_type(self.dtype)
        check_limit("ready_timeout", self.ready_timeout)
        check_limit("prepare_timeout", self.prepare_timeout)
        if self.at is not None:
            _check_time("at", self.at)
        check_count("retries", self.retries)

    def progress_of(self, camera: AsyncCamera) -> ProgressCallback | None:
        """Return the progress callback for one camera."""
        return None if self.progress is None else partial(self.progress, camera)


@dataclass(frozen=True, slots=True)
class Member:
    """A camera of a group, under the address by which the caller knows it."""

    camera: AsyncCamera
    address: str
    device_number: int
    settings: Mapping[str, object]

    async def connect(self, timeout: float, *, abort: bool) -> Outcome:
        """Connect the camera, apply its settings, and read its facts."""
        return await self._outcome("connect", self._connect(timeout, abort=abort))

    async def prepare(self, request: ExposureRequest, limit: float) -> Outcome:
        """Await the request's `prepare`, for at most `limit` seconds."""
        return await self._outcome("prepare", self._prepare(request, limit))

    async def expose(
        self, prepared: Outcome, request: ExposureRequest, options: Options
    ) -> Outcome:
        """Expose, unless the preparation has failed."""
        if prepared.error is not None:
            return prepared
        exposed = await self._outcome("expose", self._expose(request, options))
        if options.then is None or exposed.image is None:
            return exposed
        return await self._outcome("then", self._hand_over(exposed.image, options.then))

    async def change_temperature(
        self, step: str, ramp: Callable[[AsyncCamera], Awaitable[None]]
    ) -> Outcome:
        """Await a ramp of the camera's temperature."""

        async def change() -> Outcome:
            await ramp(self.camera)
            return self.outcome()

        return await self._outcome(step, change())

    def outcome(
        self,
        image: Image[Exposure] | None = None,
        error: AlpacaError | None = None,
        result: object = None,
    ) -> Outcome:
        """Return an outcome of this camera."""
        return Outcome(self.address, self.device_number, image, error, result, self.camera)

    async def _outcome(self, step: str, work: Coroutine[Any, Any, Outcome]) -> Outcome:
        """Await `work`; every exception except a cancellation of the group costs this camera."""
        try:
            return await work
        except AlpacaError as error:
            return self.outcome(error=error)
        except Exception as error:  # noqa: BLE001 - the caller's functions may raise anything
            return self.outcome(error=self._unexpected(step, error))
        except asyncio.CancelledError as error:
            if _is_cancelled():
                raise
            # What the caller's function waited for was cancelled, not the group.
            return self.outcome(error=self._unexpected(step, error))

    def _unexpected(self, step: str, error: BaseException) -> UnexpectedError:
        text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        unexpected = UnexpectedError(f"{step} raised {text}")
        unexpected.__cause__ = error
        return unexpected.at(self.camera.server, f"camera/{self.camera.device_number}")

    async def _connect(self, timeout: float, *, abort: bool) -> Outcome:
        end = asyncio.get_running_loop().time() + timeout
        await self.camera.connect(timeout=timeout, abort=abort)
        for name, value in self.settings.items():
            await getattr(self.camera, f"set_{name}")(value)
        await self._read_facts(end)
        return self.outcome()

    async def _read_facts(self, end: float) -> None:
        """Read and cache what the headers need, so that the first exposures need not.

        None of it is required, so a failure is not one of the camera.
        """
        try:
            async with asyncio.timeout_at(end):
                await together([self.camera.get_info(), self.camera.get_settings()])
        except (AlpacaError, TimeoutError) as error:
            logger.info("%r: some facts will be read with the first exposure: %r", self, error)

    async def _prepare(self, request: ExposureRequest, limit: float) -> Outcome:
        if request.prepare is None:
            return self.outcome()
        deadline = asyncio.timeout(limit)
        try:
            async with deadline:
                await request.prepare()
        except TimeoutError:
            if not deadline.expired():
                raise
            late = OperationTimeout(f"not prepared within {limit:g} s")
            raise late.at(self.camera.server, f"camera/{self.camera.device_number}") from None
        return self.outcome()

    async def _expose(self, request: ExposureRequest, options: Options) -> Outcome:
        """Take one image, as a sequence of one: `expose` does not repeat what failed."""
        images = self.camera.exposures(
            replace(request, prepare=None),
            count=1,
            contiguous=options.contiguous,
            dtype=options.dtype,
            progress=options.progress_of(self.camera),
            ready_timeout=options.ready_timeout,
            retries=options.retries,
        )
        async with images:
            return self.outcome(await anext(images))

    async def _hand_over(self, image: Image[Exposure], then: Then) -> Outcome:
        """Await what the caller does with the image; the outcome has its result instead."""
        camera = CameraAddress(self.address, self.device_number, self.settings)
        return self.outcome(result=await then(camera, image))


def _check_time(name: str, time: datetime) -> None:
    if not isinstance(time, datetime):  # pyright: ignore[reportUnnecessaryIsInstance] - from a caller
        raise TypeError(f"{name} must be a datetime, not {time!r}")
    if time.utcoffset() is None:
        raise ValueError(f"{name} needs a time zone, as in datetime.now(UTC)")


def _is_cancelled() -> bool:
    """Whether the current task was cancelled, not only what it awaited."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0

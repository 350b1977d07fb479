"""Start, wait, download: an exposure as one story that can be cancelled at any moment."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from alpaca_async._device.cached_facts import optional
from alpaca_async._device.imaging import Imaging
from alpaca_async._device.status import Reporting
from alpaca_async._errors import (
    AlpacaError,
    AscomError,
    ExposureAborted,
    NotImplementedException,
)
from alpaca_async._facts import Exposure
from alpaca_async._fits.header_source import HeaderReader
from alpaca_async._protocol.values import check_duration, check_limit
from alpaca_async._session.error_mapping import Attempt
from alpaca_async._tasks import finish, wait_for_end

from .waiting import ImageWait

if TYPE_CHECKING:
    from collections.abc import Mapping

    from alpaca_async._device.cached_facts import Reader
    from alpaca_async._facts import CameraSettings
    from alpaca_async._fits.header_source import HeaderSource
    from alpaca_async._image import Image
    from alpaca_async._progress import ProgressCallback

_ABORT_LIMIT: Final = 5.0
_START_GRACE: Final = 2.0
_FACTS_GRACE: Final = 2.0
_FACTS_PAUSE: Final = 0.1
"""Seconds in which the exposures of other cameras can start before this one is asked for facts."""

logger = logging.getLogger("alpaca_async")


@dataclass(frozen=True, slots=True)
class _Start:
    """When an exposure began, by our clock: the request lasted `lasted` seconds from `sent`."""

    sent: datetime
    lasted: float


class Exposing(Imaging, Reporting):
    """A camera that takes pictures."""

    _due = -math.inf
    """When the last exposure is over, by the loop's clock; `_ghost_due` of the last that may have
    been aborted, `_aborted_due` and `_stopped_due` of the last that was aborted, or stopped."""
    _ghost_due = -math.inf
    _aborted_due = -math.inf
    _stopped_due = -math.inf
    _waits: frozenset[ImageWait] = frozenset()

    async def expose(
        self,
        duration: float,
        *,
        light: bool = True,
        contiguous: bool = True,
        progress: ProgressCallback | None = None,
        ready_timeout: float = 60.0,
        header: HeaderSource = None,
    ) -> Image:
        """Expose for `duration` seconds and return the image with the facts of its exposure.

        Cancelled at any moment after StartExposure left, it aborts the exposure, once, before
        the cancellation goes on; an error before the image is ready aborts it too. If only the
        download fails the image stays in the camera for `get_image`. `progress` is called in
        the event loop with a `Progress`. What the pixels are is said at `get_image`.

        `header` is for files: keywords with values, or `(value, comment)`. A coroutine function in
        place of the mapping, or of a value, is awaited while the exposure runs, until two seconds
        after the image is ready at the latest; one that fails or is late only costs its keywords.

        Raises:
            ValueError: a given keyword or value cannot be in a FITS header.
            OperationTimeout: no image `ready_timeout` seconds after the exposure should be over.
            OperationFailed: the camera reports an error, or is idle without an image.
            ExposureAborted: another task called `abort_exposure` of this object.
            AlpacaError: as `start_exposure` and `get_image` do.
        """
        keywords = HeaderReader(header)
        exposure = await self._take(duration, light, progress, ready_timeout, keywords)
        return await self._fetch(exposure, contiguous=contiguous, progress=progress)

    async def wait_image_ready(
        self, *, timeout: float | None = None, progress: ProgressCallback | None = None
    ) -> None:
        """Wait until an image can be downloaded, for an exposure that was started elsewhere.

        Does not abort anything. `timeout` in seconds; None waits for as long as the camera is
        busy.

        Raises:
            OperationTimeout: no image within `timeout`.
            OperationFailed: the camera reports an error, or is idle without an image.
            ExposureAborted: another task called `abort_exposure` of this object.
        """
        await self._wait(0.0, check_limit("timeout", timeout), progress)

    async def stop_exposure(self) -> None:
        """End the exposure now and keep what it has gathered.

        An `expose` or `wait_image_ready` of this object goes on to the image at once; others
        notice when the exposure would have been over.
        """
        due = self._due
        await super().stop_exposure()
        self._stopped_due = due
        for wait in self._waits:
            wait.stop()

    async def abort_exposure(self) -> None:
        """End the exposure now and discard it. Does nothing if the camera is idle.

        An `expose` or `wait_image_ready` of this object that waits for the image raises
        `ExposureAborted` at once; a download that has begun goes on.
        """
        self._ghost_due = due = self._due
        await super().abort_exposure()
        self._aborted_due = due
        for wait in self._waits:
            wait.abort()

    async def _start_exposure(
        self, duration: float, light: bool, attempt: Attempt | None = None
    ) -> None:
        self._due = asyncio.get_running_loop().time() + check_duration("duration", duration)
        await super()._start_exposure(duration, light, attempt)

    async def _take(
        self,
        duration: float,
        light: bool,
        progress: ProgressCallback | None,
        ready_timeout: float,
        keywords: HeaderReader,
    ) -> Exposure:
        """Expose until the image is ready, and return the facts of the exposure."""
        ready_timeout = check_limit("ready_timeout", ready_timeout)
        start = await self._start(duration, light)
        if self._aborted_due == self._due:
            await finish(self._abort())  # the other abort may have overtaken the start
            aborted = ExposureAborted("the exposure was aborted while it started")
            raise aborted.at(self._server, self._member("startexposure"))
        try:
            return await self._integrate(start, duration, light, progress, ready_timeout, keywords)
        except ExposureAborted:
            raise
        except (Exception, asyncio.CancelledError):
            await finish(self._abort())
            raise

    async def _fetch(
        self, exposure: Exposure, *, contiguous: bool, progress: ProgressCallback | None
    ) -> Image:
        """Download the image of `exposure`."""
        try:
            image = await self.get_image(contiguous=contiguous, progress=progress)
        except asyncio.CancelledError:
            await finish(self._abort())
            raise
        image = replace(image, exposure=exposure)
        self._compare(image, exposure.settings)
        return image

    async def _wait(
        self, duration: float, timeout: float, progress: ProgressCallback | None
    ) -> None:
        wait = ImageWait(
            self,
            self._ask_device_state,
            duration=duration,
            timeout=timeout,
            progress=progress,
            ghost_due=self._ghost_due,
        )
        self._waits |= {wait}
        try:
            await wait.run()
        finally:
            self._waits -= {wait}

    def _compare(self, image: Image, settings: CameraSettings) -> None:
        """Log if the camera delivered another frame than its settings promise."""
        if (mismatch := image.frame_mismatch) is not None:
            logger.warning(
                "%r delivered %d x %d pixels, but its settings say %s x %s%s",
                self,
                *image.metadata.shape[:2],
                settings.num_x,
                settings.num_y,
                ": the axes are swapped" if mismatch == "swapped" else "",
            )

    async def _start(self, duration: float, light: bool) -> _Start:
        """Send StartExposure; cancelled on its way, wait for its reply to know what to abort."""
        sent, clock = datetime.now(UTC), time.monotonic()
        attempt = Attempt()
        request = asyncio.create_task(self._start_exposure(duration, light, attempt))
        try:
            await asyncio.shield(request)
        except asyncio.CancelledError:
            await finish(self._take_back(request, attempt))
            raise
        except AlpacaError as error:
            if _may_have_started(error):
                await finish(self._abort())
            raise
        return _Start(sent, time.monotonic() - clock)

    async def _take_back(self, request: asyncio.Task[None], attempt: Attempt) -> None:
        if attempt.sent:
            await asyncio.wait([request], timeout=_START_GRACE)
        request.cancel()
        await wait_for_end(request)
        # Whoever ends the loop may have cancelled the request itself.
        error = None if request.cancelled() else request.exception()
        if attempt.sent and (error is None or _may_have_started(error)):
            await self._abort()

    async def _abort(self) -> None:
        """Return the camera to idle as far as it lets us, within a bounded time."""
        try:
            async with asyncio.timeout(_ABORT_LIMIT):
                try:
                    await self.abort_exposure()
                except NotImplementedException:
                    await self.stop_exposure()
        except (AlpacaError, TimeoutError) as error:
            logger.warning("the exposure could not be aborted: %s", error)

    async def _integrate(
        self,
        start: _Start,
        duration: float,
        light: bool,
        progress: ProgressCallback | None,
        ready_timeout: float,
        keywords: HeaderReader,
    ) -> Exposure:
        """Wait for the image, and gather its facts meanwhile."""
        facts: dict[str, Any] = {}
        pause = min(_FACTS_PAUSE, duration / 2)
        readers = {**self._facts_of_the_camera(), "header": keywords.run}
        gathering = asyncio.create_task(_gather(facts, readers, pause))
        try:
            stopped = self._stopped_due == self._due
            if stopped:
                with suppress(AscomError):  # the other stop may have overtaken the start, or not
                    await self.stop_exposure()
            # Some drivers answer StartExposure only when the exposure is over.
            left = 0.0 if stopped or start.lasted >= duration else duration
            await self._wait(left, ready_timeout, progress)
            await self._complete(facts, gathering)
        finally:
            gathering.cancel()
            await wait_for_end(gathering)
        half = start.lasted / 2
        return Exposure(
            duration=duration,
            light=light,
            started=start.sent + timedelta(seconds=half),
            started_uncertainty=half,
            header=keywords.found,
            **facts,
        )

    async def _complete(self, facts: dict[str, Any], gathering: asyncio.Task[None]) -> None:
        """Add what the camera tells when the exposure is over; a late fact holds up no frame."""
        try:
            async with asyncio.timeout(_FACTS_GRACE):
                await asyncio.gather(gathering, _gather(facts, self._facts_of_the_end()))
        except TimeoutError:
            logger.warning("%r, or its header, was too slow to tell all about its exposure", self)

    def _facts_of_the_camera(self) -> dict[str, Reader]:
        return {
            "info": self.get_info,
            "settings": self.get_settings,
            "ccd_temperature": self.get_ccd_temperature,
            "cooler_power": self.get_cooler_power,
        }

    def _facts_of_the_end(self) -> dict[str, Reader]:
        return {
            "last_exposure_start_time": self.get_last_exposure_start_time,
            "last_exposure_duration": self.get_last_exposure_duration,
        }


def _may_have_started(error: BaseException) -> bool:
    """Whether the camera may expose although StartExposure ended with `error`."""
    return not isinstance(error, AlpacaError) or error.outcome_unknown


async def _gather(facts: dict[str, Any], readers: Mapping[str, Reader], pause: float = 0.0) -> None:
    """Read what can be read into `facts` after a pause; none that fails costs the frame."""

    async def read_one(name: str, read: Reader) -> None:
        try:
            value = await optional(read)
        except AlpacaError as error:
            logger.info("a fact of the exposure is missing: %s", error)
        else:
            if value is not None:
                facts[name] = value

    await asyncio.sleep(pause)
    await asyncio.gather(*(read_one(name, read) for name, read in readers.items()))

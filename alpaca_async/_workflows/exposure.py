"""Takes an exposure: starts it, waits for its image, downloads it; can be cancelled at any time."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from alpaca_async._device.cached_facts import optional
from alpaca_async._device.imaging import Imaging
from alpaca_async._device.status import Reporting
from alpaca_async._errors import (
    AlpacaError,
    AscomError,
    ExposureAborted,
)
from alpaca_async._facts import Exposure
from alpaca_async._fits.duration import duration_warning
from alpaca_async._fits.header_source import HeaderReader
from alpaca_async._fits.start import start_warning
from alpaca_async._protocol.values import check_limit
from alpaca_async._session.error_mapping import Attempt
from alpaca_async._tasks import finish, wait_for_end

from .idle import Idling
from .waiting import ImageWait

if TYPE_CHECKING:
    from collections.abc import Mapping

    from alpaca_async._device.cached_facts import Reader
    from alpaca_async._device.exposure_log import StartedExposure
    from alpaca_async._facts import CameraSettings
    from alpaca_async._fits.header_source import HeaderSource
    from alpaca_async._image import Image
    from alpaca_async._progress import ProgressCallback

_START_GRACE: Final = 2.0
"""Seconds for which a cancelled start waits for the reply to StartExposure."""
_FACTS_GRACE: Final = 2.0
"""Seconds for which the download waits for facts after the image is ready."""
_FACTS_PAUSE: Final = 0.1
"""Seconds before the first fact is read, so that other cameras can start their exposures first."""

logger = logging.getLogger("alpaca_async")


@dataclass(frozen=True, slots=True)
class _Start:
    """A StartExposure request, sent at `sent` by our clock and answered `lasted` seconds later."""

    exposure: StartedExposure
    sent: datetime
    lasted: float


class TakenExposure(NamedTuple):
    """An exposure whose image is ready, with its facts."""

    exposure: StartedExposure
    facts: Exposure


class Exposing(Imaging, Reporting, Idling):
    """A camera that takes pictures."""

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

        If the call is cancelled after StartExposure was sent, it aborts the exposure once, then
        raises `CancelledError`. An error before the image is ready aborts the exposure, too. If
        only the download fails, the image stays in the camera for `get_image`. `progress` is
        called in the event loop with a `Progress`. `get_image` describes the order of the pixels.

        `header` maps FITS keywords to values or to `(value, comment)`. The mapping, or a value,
        may be a coroutine function instead: it is awaited during the exposure, and until two
        seconds after the image is ready at the latest. If it fails or is late, only its keywords
        are missing.

        Raises:
            ValueError: a FITS header cannot contain one of the keywords or values.
            OperationTimeout: no image within `ready_timeout` seconds after the exposure time.
            OperationFailed: the camera reports an error, or is idle without an image.
            ExposureAborted: another task aborted the exposure, or started another one.
            AlpacaError: as `start_exposure` and `get_image` do.
        """
        keywords = HeaderReader(header)
        async with self._operation("startexposure"):
            taken = await self._take(duration, light, progress, ready_timeout, keywords)
            return await self._fetch(taken, contiguous=contiguous, progress=progress)

    async def wait_image_ready(
        self, *, timeout: float | None = None, progress: ProgressCallback | None = None
    ) -> None:
        """Wait until an image can be downloaded, for an exposure that was started elsewhere.

        Never aborts the exposure. `timeout` in seconds; None waits as long as the camera is busy.

        Raises:
            OperationTimeout: no image within `timeout`.
            OperationFailed: the camera reports an error, or is idle without an image.
            ExposureAborted: another task aborted the exposure, or started another one.
        """
        limit = check_limit("timeout", timeout)
        async with self._operation("imageready"):
            await self._wait(self._record.exposures.latest, 0.0, limit, progress)

    async def _take(
        self,
        duration: float,
        light: bool,
        progress: ProgressCallback | None,
        ready_timeout: float,
        keywords: HeaderReader,
    ) -> TakenExposure:
        """Expose until the image is ready, and return the facts of the exposure."""
        ready_timeout = check_limit("ready_timeout", ready_timeout)
        start = await self._start_when_idle(duration, light)
        if start.exposure.aborted:
            # The server may have handled the other abort before the start.
            await finish(self._abort())
            aborted = ExposureAborted("the exposure was aborted while it started")
            raise aborted.at(self._server, self._member("startexposure"))
        try:
            return await self._wait_and_read_facts(
                start, duration, light, progress, ready_timeout, keywords
            )
        except ExposureAborted:
            raise
        except (Exception, asyncio.CancelledError):
            await finish(self._abort())
            raise

    async def _fetch(
        self, taken: TakenExposure, *, contiguous: bool, progress: ProgressCallback | None
    ) -> Image:
        """Download the image of `taken`."""
        if taken.exposure.replaced:
            raise _replaced().at(self._server, self._member("imagearray"))
        try:
            image = await self.get_image(contiguous=contiguous, progress=progress)
        except asyncio.CancelledError:
            await finish(self._abort())
            raise
        finally:
            self._record.exposures.ended(taken.exposure)
        image = replace(image, exposure=taken.facts)
        self._compare(image, taken.facts.settings)
        return image

    async def _wait(
        self,
        exposure: StartedExposure | None,
        duration: float,
        timeout: float,
        progress: ProgressCallback | None,
    ) -> None:
        log = self._record.exposures
        wait = ImageWait(
            self,
            self._read_device_state,
            exposure=exposure,
            duration=duration,
            timeout=timeout,
            progress=progress,
            stale_image_due=log.stale_image_due,
        )
        log.join(wait)
        try:
            await wait.run()
        finally:
            log.leave(wait)

    def _compare(self, image: Image, settings: CameraSettings) -> None:
        """Log a warning if the size of the image contradicts the camera's settings."""
        if (mismatch := image.frame_mismatch) is not None:
            logger.warning(
                "%r delivered %d x %d pixels, but its settings say %s x %s%s",
                self,
                *image.metadata.shape[:2],
                settings.num_x,
                settings.num_y,
                ": the axes are swapped" if mismatch == "swapped" else "",
            )

    async def _start_when_idle(self, duration: float, light: bool) -> _Start:
        """Start; if the camera refuses because it is busy after an abort, wait and start then."""
        try:
            return await self._start(duration, light)
        except AscomError as error:
            if not self._record.exposures.was_aborted or not await self._wait_until_idle():
                raise
            logger.info("StartExposure was refused while the camera was busy: %s", error)
        return await self._start(duration, light)

    async def _start(self, duration: float, light: bool) -> _Start:
        """Send StartExposure; if cancelled, wait for the reply and abort if necessary."""
        sent, clock = datetime.now(UTC), time.monotonic()
        attempt = Attempt()
        request = asyncio.create_task(self._start_exposure(duration, light, attempt))
        try:
            exposure = await asyncio.shield(request)
        except asyncio.CancelledError:
            await finish(self._undo_start(request, attempt))
            raise
        except AlpacaError as error:
            if _may_have_started(error):
                await finish(self._abort())
            raise
        return _Start(exposure, sent, time.monotonic() - clock)

    async def _undo_start(self, request: asyncio.Task[StartedExposure], attempt: Attempt) -> None:
        if attempt.sent:
            await asyncio.wait([request], timeout=_START_GRACE)
        request.cancel()
        await wait_for_end(request)
        # The end of the event loop may have cancelled the request itself.
        error = None if request.cancelled() else request.exception()
        if attempt.sent and (error is None or _may_have_started(error)):
            await self._abort()

    async def _wait_and_read_facts(
        self,
        start: _Start,
        duration: float,
        light: bool,
        progress: ProgressCallback | None,
        ready_timeout: float,
        keywords: HeaderReader,
    ) -> TakenExposure:
        """Wait for the image, and read the facts of the exposure meanwhile."""
        facts: dict[str, Any] = {}
        pause = min(_FACTS_PAUSE, duration / 2)
        readers = {**self._readers_during(), "header": keywords.run}
        reading = asyncio.create_task(_read_into(facts, readers, pause))
        try:
            stopped = start.exposure.stopped
            if stopped:
                # The server may have handled the other stop before the start.
                with suppress(AscomError):
                    await self.stop_exposure()
            # Some drivers answer StartExposure only when the exposure is over.
            left = 0.0 if stopped or start.lasted >= duration else duration
            await self._wait(start.exposure, left, ready_timeout, progress)
            await self._read_last_facts(facts, reading)
        finally:
            reading.cancel()
            await wait_for_end(reading)
        half = start.lasted / 2
        taken = Exposure(
            duration=duration,
            light=light,
            started=start.sent + timedelta(seconds=half),
            started_uncertainty=half,
            stopped_after=start.exposure.stopped_after(half),
            header=keywords.found,
            **facts,
        )
        self._warn_about_clock(taken)
        return TakenExposure(start.exposure, taken)

    def _warn_about_clock(self, taken: Exposure) -> None:
        """Log once for each camera that its times are not used."""
        for warning in (start_warning, duration_warning):
            text = warning(taken)
            if text is not None and self._record.is_first_warning(warning.__name__):
                logger.warning("%r: %s", self, text)

    async def _read_last_facts(self, facts: dict[str, Any], reading: asyncio.Task[None]) -> None:
        """Add the facts that are known after the exposure; leave out those that are late."""
        try:
            async with asyncio.timeout(_FACTS_GRACE):
                await asyncio.gather(reading, _read_into(facts, self._readers_after()))
        except TimeoutError:
            logger.warning("%r: some facts or header keywords came too late and are missing", self)

    def _readers_during(self) -> dict[str, Reader]:
        return {
            "info": self.get_info,
            "settings": self.get_settings,
            "ccd_temperature": self.get_ccd_temperature,
            "cooler_power": self.get_cooler_power,
        }

    def _readers_after(self) -> dict[str, Reader]:
        return {
            "last_exposure_start_time": self.get_last_exposure_start_time,
            "last_exposure_duration": self.get_last_exposure_duration,
        }


def _replaced() -> ExposureAborted:
    """Return the error of an exposure that another one has replaced."""
    return ExposureAborted("another exposure was started before this one's image was fetched")


def _may_have_started(error: BaseException) -> bool:
    """Whether the camera may be exposing although StartExposure raised `error`."""
    return not isinstance(error, AlpacaError) or error.outcome_unknown


async def _read_into(
    facts: dict[str, Any], readers: Mapping[str, Reader], pause: float = 0.0
) -> None:
    """Read facts into `facts` after a pause; leave out those that fail."""

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

"""Takes an exposure: starts it, waits for its image, downloads it; can be cancelled at any time."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from alpaca_async._device.imaging import Imaging
from alpaca_async._errors import (
    AlpacaError,
    AscomError,
    ExposureAborted,
    InvalidOperationException,
)
from alpaca_async._facts import Exposure
from alpaca_async._fits.duration import duration_warning
from alpaca_async._fits.header_source import HeaderReader
from alpaca_async._fits.start import decimals_shown, start_warning
from alpaca_async._image import Image
from alpaca_async._protocol.pixeltype import pixel_type
from alpaca_async._protocol.values import check_limit
from alpaca_async._session.error_mapping import Attempt
from alpaca_async._tasks import finish, wait_for_end

from .idle import Idling
from .provision import Provision
from .true_settings import Checking
from .waiting import ImageWait

if TYPE_CHECKING:
    from collections.abc import Callable

    from alpaca_async._device.exposure_log import StartedExposure
    from alpaca_async._device.readout import ReadoutTimes
    from alpaca_async._facts import CameraStatus
    from alpaca_async._fits.header_source import HeaderSource
    from alpaca_async._progress import ProgressCallback
    from alpaca_async._protocol.pixeltype import PixelType, PixelTypeLike

    from .exposure_facts import ExposureFacts

_START_GRACE: Final = 2.0
"""Seconds for which a cancelled start waits for the reply to StartExposure."""
_FACTS_PAUSE: Final = 0.1
"""Seconds before the first fact is read, so that other cameras can start their exposures first."""

_MAY_BE_EXPOSING: Final = (
    "if it still exposes for a program that has ended, connect(abort=True) aborts that exposure"
)

logger = logging.getLogger("alpaca_async")


@dataclass(frozen=True, slots=True)
class _Start:
    """A StartExposure request, sent at `sent` by our clock and answered `lasted` seconds later."""

    exposure: StartedExposure
    sent: datetime
    lasted: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ExposureOrder:
    """What is asked of one exposure; `keywords` are read for it only."""

    duration: float
    light: bool
    ready_timeout: float
    progress: ProgressCallback | None
    keywords: HeaderReader


class TakenExposure(NamedTuple):
    """An exposure whose image is ready; its facts may still be on their way."""

    order: ExposureOrder
    start: _Start
    facts: ExposureFacts
    provision: Provision


class Exposing(Imaging, Checking, Idling):
    """A camera that takes pictures."""

    async def expose(
        self,
        duration: float,
        *,
        light: bool = True,
        contiguous: bool = True,
        dtype: PixelTypeLike = None,
        progress: ProgressCallback | None = None,
        ready_timeout: float = 60.0,
        header: HeaderSource = None,
    ) -> Image[Exposure]:
        """Expose for `duration` seconds and return the image with the facts of its exposure.

        If the call is cancelled after StartExposure was sent, it aborts the exposure once, then
        raises `CancelledError`. An error before the image is ready aborts the exposure, too. If
        only the download fails, the image stays in the camera for `get_image`. `progress` is
        called in the event loop with a `Progress`. `get_image` describes the order and the `dtype`
        of the pixels; MaxADU for `dtype="camera"` is read before the exposure starts.

        `header` maps FITS keywords to values or to `(value, comment)`. The mapping, or a value,
        may be a coroutine function instead: it is awaited during the exposure and the download,
        and for at least two seconds after the image is ready. If it fails or is late, only its
        keywords are missing.

        Raises:
            ValueError: a FITS header cannot contain one of the keywords or values.
            OperationTimeout: no image within `ready_timeout` seconds after the exposure time.
            OperationFailed: the camera reports an error, or is idle without an image.
            ExposureAborted: another task aborted the exposure, or started another one.
            AlpacaError: as `start_exposure` and `get_image` do.
        """
        order = ExposureOrder(
            duration=duration,
            light=light,
            ready_timeout=check_limit("ready_timeout", ready_timeout),
            progress=progress,
            keywords=HeaderReader(header),
        )
        wanted = pixel_type(dtype)
        async with self._operation("startexposure"):
            wanted = await self._resolve(wanted)
            return await self._fetch(await self._take(order), wanted, contiguous=contiguous)

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

    async def _take(self, order: ExposureOrder) -> TakenExposure:
        """Expose until the image is ready. `_fetch` must follow: it ends the reading of facts."""
        facts = self._new_facts()
        provision = Provision(self._record.next_frame, self._session.max_image_bytes)
        try:
            return await self._start_and_wait(order, facts, provision)
        except BaseException:
            await _end_preparations(facts, provision)
            raise

    async def _start_and_wait(
        self, order: ExposureOrder, facts: ExposureFacts, provision: Provision
    ) -> TakenExposure:
        """Start, and wait for the image; abort if that fails."""
        duration = order.duration
        start = await self._start_when_idle(duration, order.light)
        if start.exposure.aborted:
            # The server may have handled the other abort before the start.
            await finish(self._abort())
            aborted = ExposureAborted("the exposure was aborted while it started")
            raise aborted.at(self._server, self._member("startexposure"))
        # Some drivers answer StartExposure only when the exposure is over.
        left = 0.0 if start.exposure.stopped or start.lasted >= duration else duration
        provision.begin(left)
        try:
            await self._wait_beside_facts(order, facts, start, left)
        except ExposureAborted:
            raise
        except (Exception, asyncio.CancelledError):
            await finish(self._abort())
            raise
        return TakenExposure(order, start, facts, provision)

    async def _fetch(
        self, taken: TakenExposure, wanted: PixelType, *, contiguous: bool
    ) -> Image[Exposure]:
        """Download the image of `taken`, and add the facts of its exposure."""
        try:
            if taken.start.exposure.replaced:
                raise _replaced().at(self._server, self._member("imagearray"))
            self._begin_last_facts(taken.facts)
            await taken.provision.finish()
            return await self._download_and_describe(taken, wanted, contiguous)
        except asyncio.CancelledError:
            await finish(self._abort())
            raise
        finally:
            await _end_preparations(taken.facts, taken.provision)

    async def _download_and_describe(
        self, taken: TakenExposure, wanted: PixelType, contiguous: bool
    ) -> Image[Exposure]:
        order = taken.order
        try:
            frame = await self.get_image(
                contiguous=contiguous, dtype=wanted, progress=order.progress
            )
        finally:
            self._record.exposures.ended(taken.start.exposure)
        half = taken.start.lasted / 2
        facts = Exposure(
            duration=order.duration,
            light=order.light,
            started=taken.start.sent + timedelta(seconds=half),
            started_uncertainty=half,
            stopped_after=taken.start.exposure.stopped_after(half),
            header=order.keywords.found,
            **await self._finish_facts(taken.facts),
        )
        facts = replace(facts, start_decimals=self._start_decimals(facts))
        self._warn_about_clock(facts)
        image = Image(frame.data, frame.metadata, facts)
        await self._warn_about_signs(image)
        return await self._with_true_settings(image, taken.facts.settings_before)

    async def _wait(
        self,
        exposure: StartedExposure | None,
        duration: float,
        timeout: float,
        progress: ProgressCallback | None,
        before_pause: Callable[[], None] | None = None,
        readout: ReadoutTimes | None = None,
    ) -> CameraStatus | None:
        """Wait for an image; return the last status if it is known from one request."""
        log = self._record.exposures
        wait = ImageWait(
            self,
            self._try_device_state,
            exposure=exposure,
            duration=duration,
            timeout=timeout,
            progress=progress,
            before_pause=before_pause,
            readout=readout,
            stale_image_due=log.stale_image_due,
        )
        log.join(wait)
        try:
            await wait.run()
        finally:
            log.leave(wait)
        return wait.status

    async def _start_when_idle(self, duration: float, light: bool) -> _Start:
        """Start; if the camera refuses because it is busy after an abort, wait and start then."""
        try:
            return await self._start(duration, light)
        except AscomError as error:
            if not self._record.exposures.was_aborted or not await self._wait_until_idle():
                if isinstance(error, InvalidOperationException):
                    error.append(_MAY_BE_EXPOSING)
                raise
            logger.info("StartExposure was refused while the camera was busy: %s", error)
        return await self._start(duration, light)

    async def _start(self, duration: float, light: bool) -> _Start:
        """Send StartExposure; if cancelled, wait for the reply and abort if necessary."""
        clock = time.monotonic()  # before `sent`: `lasted` may be too long, but not too short
        sent = datetime.now(UTC)
        attempt = Attempt()
        request = asyncio.create_task(self._start_exposure(duration, light, attempt))
        try:
            await asyncio.wait([request])  # unlike shield, since Python 3.14, this logs no error
            exposure = request.result()
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

    async def _wait_beside_facts(
        self, order: ExposureOrder, facts: ExposureFacts, start: _Start, left: float
    ) -> None:
        """Wait `left` seconds for the image, while tasks read the facts of the exposure."""
        pause = max(min(_FACTS_PAUSE, order.duration / 2) - start.lasted, 0.0)
        self._begin_facts(facts, order.keywords, pause=pause, left=left, round_trip=start.lasted)
        if start.exposure.stopped:
            # The server may have handled the other stop before the start.
            with suppress(AscomError):
                await self.stop_exposure()
        readout = None if start.exposure.stopped else self._record.readout_times()
        interrupt = facts.suspension.interrupt_once
        status = await self._wait(
            start.exposure, left, order.ready_timeout, order.progress, interrupt, readout
        )
        self._take_facts_from(status, facts)

    def _start_decimals(self, exposure: Exposure) -> int:
        """Return how many decimals the start times of this camera have shown so far."""
        record = self._record
        record.start_decimals = max(record.start_decimals, decimals_shown(exposure))
        return record.start_decimals

    def _warn_about_clock(self, exposure: Exposure) -> None:
        """Log once for each camera that its times are not used."""
        for warning in (start_warning, duration_warning):
            text = warning(exposure)
            if text is not None and self._record.is_first_warning(warning.__name__):
                logger.warning("%r: %s", self, text)


async def _end_preparations(facts: ExposureFacts, provision: Provision) -> None:
    """End the tasks of an exposure, and drop memory that was not used."""
    try:
        await provision.aclose()
    finally:
        await facts.cancel()


def _replaced() -> ExposureAborted:
    """Return the error of an exposure that another one has replaced."""
    return ExposureAborted("another exposure was started before this one's image was fetched")


def _may_have_started(error: BaseException) -> bool:
    """Whether the camera may be exposing although StartExposure raised `error`."""
    return not isinstance(error, AlpacaError) or error.outcome_unknown

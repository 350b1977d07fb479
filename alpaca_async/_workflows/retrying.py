"""Repeats an exposure that failed, or whose camera was lost."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from alpaca_async._device.patience import Patience, is_loss_of_contact
from alpaca_async._errors import AlpacaError, ExposureAborted, PixelTypeError
from alpaca_async._tasks import finish

from .idle import READ_LIMIT
from .recovery import Recovering

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from alpaca_async._facts import Exposure
    from alpaca_async._image import Image

    from .exposure import TakenExposure
    from .recovery import Reconnect

_REPEATED: Final = "the exposure is repeated"

logger = logging.getLogger("alpaca_async")


@dataclass(slots=True)
class Attempts:
    """How often one exposure may be repeated, and what made that necessary so far."""

    retries: int
    reconnect: Reconnect | None
    failures: list[AlpacaError] = field(default_factory=list[AlpacaError])
    losses: int = 0
    lost: bool = False
    """Whether the last attempt ended because the camera was lost."""

    @property
    def left(self) -> bool:
        """Whether there may be another attempt."""
        reconnects = 0 if self.reconnect is None else self.reconnect.attempts
        return self.losses <= reconnects and len(self.failures) <= self.retries

    def record(self, error: AlpacaError, *, lost: bool) -> None:
        """Count a failed attempt; a loss counts as one only if it can be followed up."""
        self.lost = lost and self.reconnect is not None
        if self.lost:
            self.losses += 1
        else:
            self.failures.append(error)


class Retrying(Recovering):
    """A camera whose exposures can be repeated."""

    async def _take_and_fetch(
        self,
        attempts: Attempts,
        take: Callable[[], Awaitable[TakenExposure]],
        fetch: Callable[[TakenExposure], Awaitable[Image[Exposure]]],
    ) -> Image[Exposure]:
        """Take an image and fetch it, as often as `attempts` allows.

        Fetches the image if the camera still has it after a failed download; otherwise exposes
        again. An exposure that somebody aborted is not repeated, nor is one whose pixels do not
        fit into the wanted dtype: the next ones would not, either.
        """
        if self._record.is_silent and attempts.reconnect is None:
            await self._check_contact()
        taken: TakenExposure | None = None
        is_second_download = False
        while True:
            restarts = self._record.restarts
            try:
                taken = taken or await take()
                image = await fetch(taken)
            except (ExposureAborted, PixelTypeError):
                raise
            except AlpacaError as error:
                restarted = self._record.restarts > restarts
                attempts.record(error, lost=restarted or self._is_loss(error))
                if not attempts.left:
                    raise
                former = None if is_second_download else taken
                step = _REPEATED if former is None else "the download failed"
                logger.warning("%r: %s: %s", self, step, error)
            else:
                return _with_failures(image, attempts.failures)
            taken = await self._prepare(attempts, former)
            is_second_download = taken is not None
            if former is not None:
                step = "the image is downloaded again" if is_second_download else _REPEATED
                logger.warning("%r: %s", self, step)

    async def _check_contact(self) -> None:
        """Raise `TransportTimeout` soon if the camera, which was silent before, still is.

        StartExposure, the abort and the wait until it is idle would take half a minute.
        """
        try:
            patience = Patience(READ_LIMIT)
            await self._read_again("camerastate", self.get_camera_state, patience)
        except AlpacaError as error:
            if is_loss_of_contact(error):
                raise

    async def _prepare(
        self, attempts: Attempts, taken: TakenExposure | None
    ) -> TakenExposure | None:
        """Make the camera ready to expose; return `taken` if the camera still has its image."""
        while True:
            try:
                if attempts.lost and attempts.reconnect is not None:
                    return await self._recover(attempts.reconnect, taken)
                if taken is not None and await Patience().read(self.get_image_ready):
                    return taken
                await self._abort_and_wait()
            except AlpacaError as error:
                if attempts.reconnect is None or not self._is_loss(error):
                    raise
                attempts.record(error, lost=True)
                if not attempts.left:
                    raise
            else:
                return None

    async def _recover(self, how: Reconnect, taken: TakenExposure | None) -> TakenExposure | None:
        """Reconnect, and return `taken` if the camera still has its image; else abort.

        Also aborts if reconnecting fails or is cancelled: the exposure may still be running.
        """
        image_ready = False
        try:
            await self._reconnect(how)
            image_ready = await Patience().read(self.get_image_ready) and taken is not None
        finally:
            if not image_ready:
                await finish(self._abort())
        return taken if image_ready else None


def _with_failures(image: Image[Exposure], failures: list[AlpacaError]) -> Image[Exposure]:
    """Add to the facts of the exposure why it was repeated, or its image downloaded again."""
    if not failures:
        return image
    reasons = tuple(str(error) for error in failures)
    return replace(image, exposure=replace(image.exposure, failures=reasons))

"""Checks whether the settings of an image are those that it was taken with."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from alpaca_async._device.cached_facts import READ_EACH_TIME
from alpaca_async._enums import ImageArrayElementTypes
from alpaca_async._files import in_thread
from alpaca_async._pixels.saturation import has_negative_pixels, may_have_wrong_signs
from alpaca_async._tasks import together

from .exposure_facts import Describing

if TYPE_CHECKING:
    from alpaca_async._facts import CameraSettings, Exposure
    from alpaca_async._image import Image

_REREAD_LIMIT: Final = 2.0
"""Seconds for which an image waits for settings that were changed by another program."""

logger = logging.getLogger("alpaca_async")


class Checking(Describing):
    """A camera whose images are compared with its settings."""

    async def _with_true_settings(
        self, image: Image[Exposure], before: CameraSettings
    ) -> Image[Exposure]:
        """Return the image with the settings that it was taken with.

        They are read again if they are not those that were cached `before`: then another program
        has changed them, or the camera delivers another frame than it says.
        """
        settings = image.exposure.settings
        if _has_changed(before, settings) or self._has_new_mismatch(image):
            actual = await self._reread_settings()
            if actual != settings:
                logger.warning("%r: another program has changed the settings", self)
            image = replace(image, exposure=replace(image.exposure, settings=actual))
        self._log_mismatch(image)
        return image

    def _has_new_mismatch(self, image: Image[Exposure]) -> bool:
        """Whether the image has another size than the settings say, and that is not usual."""
        return image.frame_mismatch is not None and _frame(image) not in self._record.odd_frames

    def _log_mismatch(self, image: Image[Exposure]) -> None:
        """Log a warning if the size of the image contradicts what the camera says it is."""
        if (mismatch := image.frame_mismatch) is None:
            return
        self._record.odd_frames |= {_frame(image)}
        logger.warning(
            "%r delivered %d x %d pixels, but its settings say %s x %s%s",
            self,
            *_frame(image),
            ": the axes are swapped" if mismatch == "swapped" else "",
        )

    async def _warn_about_signs(self, image: Image[Exposure]) -> None:
        """Log a warning, once, if the pixels have wrapped to negative numbers."""
        sent = image.metadata.transmission_element_type
        if self._record.has_wrong_signs or sent is not ImageArrayElementTypes.INT16:
            return
        if not may_have_wrong_signs(image):
            return
        if not await in_thread(partial(has_negative_pixels, image)):
            return
        self._record.has_wrong_signs = True
        logger.warning(
            "%r delivers negative pixels in 16 bits, although its MaxADU needs all of them: its"
            " driver sends unsigned numbers as signed ones; with dtype=PixelType(int16_is_unsigned="
            "True) they have the right values",
            self,
        )

    async def _reread_settings(self) -> CameraSettings:
        """Return the settings that the camera has now, as far as it soon answers."""
        settings = self._record.settings
        settings.forget()
        reader = self._read_in_background()
        at_end = self._allowed(self._readers_at_end()).items()
        unread = set[str]()
        try:
            async with asyncio.timeout(_REREAD_LIMIT):
                reading = (self._value_or_none(name, read, unread) for name, read in at_end)
                await together([reader.wait(), *reading])
        except TimeoutError:
            settings.stop_waiting()
        return settings.known


def _has_changed(before: CameraSettings, after: CameraSettings) -> bool:
    """Whether a setting that is read each time differs from the value that was known before."""
    return any(getattr(before, name) not in (None, getattr(after, name)) for name in READ_EACH_TIME)


def _frame(image: Image[Exposure]) -> tuple[int, int, int | None, int | None]:
    """Return columns and rows of the image, then what its settings say."""
    columns, rows = image.metadata.shape[:2]
    settings = image.exposure.settings
    return columns, rows, settings.num_x, settings.num_y

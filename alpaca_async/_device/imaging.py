"""The members that download images."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from alpaca_async._download.download import ASCOM_ORDER, ROW_MAJOR, download
from alpaca_async._image import Image

from .icamera import ICameraV4

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from alpaca_async._download.delivery import DeliveryStatistics
    from alpaca_async._download.download import Downloaded, Layout
    from alpaca_async._progress import ProgressCallback
    from alpaca_async._protocol.imagebytes import ImageMetadata


logger = logging.getLogger("alpaca_async")


class Imaging(ICameraV4):
    """A camera whose images can be downloaded."""

    _image_array_info: ImageMetadata | None = None

    @property
    def image_array_info(self) -> ImageMetadata | None:
        """The metadata of the last downloaded image; None before the first."""
        return self._image_array_info

    @property
    def delivery_statistics(self) -> DeliveryStatistics | None:
        """Latency, speed and evenness of the last downloads; None before the first.

        A warning is logged when three in a row are much slower than usual.
        """
        return self._record.deliveries.statistics

    async def get_image_array(self, *, progress: ProgressCallback | None = None) -> NDArray[Any]:
        """Download the image in ASCOM's order `[x, y]` or `[x, y, plane]`, C-contiguous.

        The dtype is the type on the wire, little-endian. The socket writes directly into the
        memory of the array; nothing is copied.

        Raises:
            InvalidOperationException: there is no image.
            IncompleteImage: the connection was lost during the download.
            MalformedResponse: the reply is not a valid image, or exceeds `max_image_bytes`.
        """
        return (await self._download("ImageArray", ASCOM_ORDER, progress)).array

    async def get_image_array_variant(
        self, *, progress: ProgressCallback | None = None
    ) -> NDArray[Any]:
        """Download the image as `get_image_array` does. Deprecated: most cameras refuse it."""
        return (await self._download("ImageArrayVariant", ASCOM_ORDER, progress)).array

    async def get_image(
        self, *, contiguous: bool = True, progress: ProgressCallback | None = None
    ) -> Image:
        """Download the image with rows first, `(height, width)` or `(height, width, planes)`.

        With `contiguous=True` the pixels are reordered while they arrive, without a second frame
        in memory. With `contiguous=False` they are a transposed view of ASCOM's order. Raises the
        same errors as `get_image_array`.
        """
        if contiguous:
            image = await self._download("ImageArray", ROW_MAJOR, progress)
            return Image(image.array, image.metadata)
        image = await self._download("ImageArray", ASCOM_ORDER, progress)
        return Image(image.array.swapaxes(0, 1), image.metadata)

    async def _download(
        self, member: str, layout: Layout, progress: ProgressCallback | None
    ) -> Downloaded:
        path = self._path + member.lower()
        next_frame = self._record.next_frame
        downloaded = await download(
            self._session, self._server, path, layout, progress, next_frame.take()
        )
        next_frame.nbytes = downloaded.received_nbytes
        self._image_array_info = downloaded.metadata
        if (complaint := self._record.deliveries.add(downloaded.delivery)) is not None:
            logger.warning("%r: %s", self, complaint)
        return downloaded

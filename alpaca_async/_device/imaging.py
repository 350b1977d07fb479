"""The members that download images."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from alpaca_async._download.download import ASCOM_ORDER, ROW_MAJOR, download
from alpaca_async._errors import AscomError, PixelTypeError, RequestRejected
from alpaca_async._image import Image
from alpaca_async._protocol.pixeltype import AS_SENT, no_camera_type, pixel_type

from .cached_facts import CachedFacts
from .verbs import is_missing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from alpaca_async._download.delivery import DeliveryStatistics
    from alpaca_async._download.download import Downloaded, Layout
    from alpaca_async._progress import ProgressCallback
    from alpaca_async._protocol.imagebytes import ImageMetadata
    from alpaca_async._protocol.pixeltype import PixelType, PixelTypeLike


logger = logging.getLogger("alpaca_async")


class Imaging(CachedFacts):
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

    async def get_image_array(
        self, *, dtype: PixelTypeLike = None, progress: ProgressCallback | None = None
    ) -> NDArray[Any]:
        """Download the image in ASCOM's order `[x, y]` or `[x, y, plane]`, C-contiguous.

        Without a `dtype`, that is the type on the wire, little-endian, and the socket writes
        directly into the memory of the array; nothing is copied. With one, the pixels are converted
        while they arrive, without a second frame in memory. `dtype` is a numpy dtype, `"camera"`,
        or a `PixelType`, which describes them.

        Raises:
            InvalidOperationException: there is no image.
            IncompleteImage: the connection was lost during the download.
            MalformedResponse: the reply is not a valid image, or exceeds `max_image_bytes`.
            PixelTypeError: a pixel does not fit into `dtype`, or the camera has no MaxADU.
            TypeError: images cannot have this `dtype`.
        """
        wanted = await self._resolve(pixel_type(dtype))
        return (await self._download("ImageArray", ASCOM_ORDER, wanted, progress)).array

    async def get_image_array_variant(
        self, *, progress: ProgressCallback | None = None
    ) -> NDArray[Any]:
        """Download the image as `get_image_array` does. Deprecated: most cameras refuse it."""
        return (await self._download("ImageArrayVariant", ASCOM_ORDER, AS_SENT, progress)).array

    async def get_image(
        self,
        *,
        contiguous: bool = True,
        dtype: PixelTypeLike = None,
        progress: ProgressCallback | None = None,
    ) -> Image:
        """Download the image with rows first, `(height, width)` or `(height, width, planes)`.

        With `contiguous=True` the pixels are reordered while they arrive, without a second frame
        in memory. With `contiguous=False` they are a transposed view of ASCOM's order. `dtype` and
        the errors are those of `get_image_array`.
        """
        wanted = await self._resolve(pixel_type(dtype))
        if contiguous:
            image = await self._download("ImageArray", ROW_MAJOR, wanted, progress)
            return Image(image.array, image.metadata)
        image = await self._download("ImageArray", ASCOM_ORDER, wanted, progress)
        return Image(image.array.swapaxes(0, 1), image.metadata)

    async def _resolve(self, wanted: PixelType) -> PixelType:
        """Return `wanted` with the camera's dtype if it follows the camera."""
        if not wanted.follows_camera:
            return wanted
        try:
            return wanted.for_camera(await self._max_adu())
        except PixelTypeError as error:
            error.at(self._server, self._member("maxadu"))
            raise

    async def _max_adu(self) -> int:
        """Return MaxADU, which is cached as `get_info` caches it."""
        facts = self._record.info
        if facts.known.max_adu is not None:
            return facts.known.max_adu
        version = facts.version
        try:
            max_adu = await self.get_max_adu()
        except (AscomError, RequestRejected) as error:
            if not is_missing(error):
                raise
            raise no_camera_type("the camera has none") from error
        facts.add("max_adu", max_adu, version)
        return max_adu

    async def _download(
        self, member: str, layout: Layout, wanted: PixelType, progress: ProgressCallback | None
    ) -> Downloaded:
        path = self._path + member.lower()
        next_frame = self._record.next_frame
        downloaded = await download(
            self._session, self._server, path, layout, wanted, progress, next_frame.take()
        )
        next_frame.nbytes = downloaded.received_nbytes
        self._image_array_info = downloaded.metadata
        if (complaint := self._record.deliveries.add(downloaded.delivery)) is not None:
            logger.warning("%r: %s", self, complaint)
        return downloaded

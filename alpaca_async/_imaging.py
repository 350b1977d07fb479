"""The members that deliver images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._download import COLUMNS, ROWS, download
from ._icamera import ICameraV4
from ._image import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._download import Layout
    from ._imagebytes import ImageMetadata
    from ._progress import ProgressCallback


class Imaging(ICameraV4):
    """A camera whose images can be downloaded."""

    _image_array_info: ImageMetadata | None = None

    @property
    def image_array_info(self) -> ImageMetadata | None:
        """What the header of the last downloaded image said; None before the first."""
        return self._image_array_info

    async def get_image_array(self, *, progress: ProgressCallback | None = None) -> NDArray[Any]:
        """Download the image in ASCOM's order `[x, y]` or `[x, y, plane]`, C-contiguous.

        The dtype is the little-endian type of the transmission. The socket fills the array's
        own memory; nothing is copied.

        Raises:
            InvalidOperationException: there is no image.
            IncompleteImage: the connection broke off.
            MalformedResponse: what came is not one image, or exceeds `max_image_bytes`.
        """
        array, _ = await self._download("ImageArray", COLUMNS, progress)
        return array

    async def get_image_array_variant(
        self, *, progress: ProgressCallback | None = None
    ) -> NDArray[Any]:
        """Download the image as `get_image_array` does. Deprecated: most cameras refuse."""
        array, _ = await self._download("ImageArrayVariant", COLUMNS, progress)
        return array

    async def get_image(
        self, *, contiguous: bool = True, progress: ProgressCallback | None = None
    ) -> Image:
        """Download the image with rows first, `(height, width)` or `(height, width, planes)`.

        Contiguous pixels are brought into that order while they arrive, without a second frame;
        with `contiguous=False` they are a transposed view of ASCOM's order. Errors as those of
        `get_image_array`.
        """
        if contiguous:
            return Image(*await self._download("ImageArray", ROWS, progress))
        array, metadata = await self._download("ImageArray", COLUMNS, progress)
        return Image(array.swapaxes(0, 1), metadata)

    async def _download(
        self, member: str, layout: Layout, progress: ProgressCallback | None
    ) -> tuple[NDArray[Any], ImageMetadata]:
        path = self._path + member.lower()
        array, metadata = await download(self._session, self._server, path, layout, progress)
        self._image_array_info = metadata
        return array, metadata

"""The ImageBytes format: validates the 44-byte header, and views the pixels after it. Pure."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import numpy as np

from alpaca_async._enums import ImageArrayElementTypes
from alpaca_async._errors import AscomError, IncompleteImage, MalformedResponse, ascom_error

if TYPE_CHECKING:
    from numpy.typing import NDArray

    ReadableBuffer: TypeAlias = bytes | bytearray | memoryview | NDArray[Any]

_HEADER: Final = struct.Struct("<iiIIiiiiiii")

HEADER_SIZE: Final = _HEADER.size
"""Size in bytes of the header of metadata version 1."""

MAX_DATA_START: Final = 65536
"""The largest offset of the pixels that is accepted."""

MAX_ERROR_TEXT: Final = 65536
"""The longest text of an error, in bytes."""

MAX_PLANES: Final = 1024
"""The largest number of planes that is accepted."""

DTYPES: Final[dict[ImageArrayElementTypes, np.dtype[Any]]] = {
    ImageArrayElementTypes.INT16: np.dtype("<i2"),
    ImageArrayElementTypes.INT32: np.dtype("<i4"),
    ImageArrayElementTypes.DOUBLE: np.dtype("<f8"),
    ImageArrayElementTypes.SINGLE: np.dtype("<f4"),
    ImageArrayElementTypes.UINT64: np.dtype("<u8"),
    ImageArrayElementTypes.BYTE: np.dtype("u1"),
    ImageArrayElementTypes.INT64: np.dtype("<i8"),
    ImageArrayElementTypes.UINT16: np.dtype("<u2"),
    ImageArrayElementTypes.UINT32: np.dtype("<u4"),
}
"""The numpy type of each element type that can be transmitted."""


@dataclass(frozen=True, slots=True)
class ImageMetadata:
    """The description of the pixels in the header of an image.

    `dimension1` is the width, `dimension2` the height, and `dimension3` the number of planes (0
    for rank 2). A JSON image has the same metadata as the ImageBytes form of that image.
    """

    metadata_version: int
    image_element_type: ImageArrayElementTypes
    transmission_element_type: ImageArrayElementTypes
    rank: int
    dimension1: int
    dimension2: int
    dimension3: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape in ASCOM's order, `(width, height)` or `(width, height, planes)`."""
        return (self.dimension1, self.dimension2, self.dimension3)[: self.rank]

    @property
    def dtype(self) -> np.dtype[Any]:
        """The little-endian numpy type of the pixels as they were transmitted."""
        return DTYPES[self.transmission_element_type]

    @property
    def nbytes(self) -> int:
        """The size of all pixels in bytes."""
        return math.prod(self.shape) * self.dtype.itemsize


class ImageHeader(NamedTuple):
    """The eleven numbers of the header, as received."""

    metadata_version: int
    error_number: int
    client_transaction_id: int
    server_transaction_id: int
    data_start: int
    image_element_type: int
    transmission_element_type: int
    rank: int
    dimension1: int
    dimension2: int
    dimension3: int

    @classmethod
    def unpack(cls, buffer: ReadableBuffer) -> ImageHeader:
        """Read the first 44 bytes; raise `IncompleteImage` if there are fewer."""
        view = as_bytes(buffer)
        if len(view) < HEADER_SIZE:
            raise IncompleteImage(len(view), HEADER_SIZE)
        header = cls._make(_HEADER.unpack_from(view))
        if header.metadata_version != 1:
            raise MalformedResponse(f"image metadata version {header.metadata_version} is unknown")
        return header

    def metadata(self) -> ImageMetadata:
        """Return the description of the pixels; raise `MalformedResponse` if it is invalid."""
        if not HEADER_SIZE <= self.data_start <= MAX_DATA_START:
            raise MalformedResponse(f"image data cannot start at byte {self.data_start}")
        transmitted = ImageArrayElementTypes(self.transmission_element_type)
        if transmitted not in DTYPES:
            raise MalformedResponse(f"pixels of element type {int(transmitted)} are unknown")
        if self.image_element_type < 0:
            raise MalformedResponse(f"image element type {self.image_element_type} is negative")
        dimensions = (self.dimension1, self.dimension2, self.dimension3)
        if self.rank not in (2, 3):
            raise MalformedResponse(f"image rank {self.rank} is neither 2 nor 3")
        if self.dimension3 > MAX_PLANES:
            raise MalformedResponse(f"an image of {self.dimension3} planes exceeds {MAX_PLANES}")
        if min(dimensions[: self.rank]) < 1 or any(dimensions[self.rank :]):
            raise MalformedResponse(f"image dimensions {dimensions} do not fit rank {self.rank}")
        return ImageMetadata(
            self.metadata_version,
            ImageArrayElementTypes(self.image_element_type),
            transmitted,
            self.rank,
            *dimensions,
        )


def decode_imagebytes(buffer: ReadableBuffer) -> NDArray[Any]:
    """Return the pixels of a complete ImageBytes payload in ASCOM's order `[x, y(, plane)]`.

    The array is a view of `buffer`: nothing is copied, and the array is read-only if `buffer` is.
    Its dtype is the little-endian type in which the pixels were transmitted.

    Raises:
        AscomError: the payload contains an error of the device instead of pixels.
        IncompleteImage: the payload ends early.
        MalformedResponse: the header is invalid, or bytes follow the pixels.

    """
    view = as_bytes(buffer)
    header = ImageHeader.unpack(view)
    if header.error_number:
        raise payload_error(header, view[HEADER_SIZE:])
    metadata = header.metadata()
    received = len(view) - header.data_start
    if received < metadata.nbytes:
        raise IncompleteImage(max(received, 0), metadata.nbytes)
    if received > metadata.nbytes:
        raise MalformedResponse(f"{received - metadata.nbytes} bytes follow the image")
    return pixels(view[header.data_start :], metadata)


def pixels(buffer: ReadableBuffer, metadata: ImageMetadata) -> NDArray[Any]:
    """Return an array that is a view of `buffer`, which holds exactly the pixels."""
    return np.frombuffer(buffer, metadata.dtype).reshape(metadata.shape)


def as_bytes(buffer: ReadableBuffer) -> memoryview:
    """Return a view of `buffer` with items of one byte."""
    view = buffer.data if isinstance(buffer, np.ndarray) else memoryview(buffer)
    return view.cast("B") if view.nbytes else memoryview(b"")


def payload_error(header: ImageHeader, text: ReadableBuffer) -> AscomError:
    """Return the error that the device sent instead of pixels: `text` follows the `header`.

    Some servers send the pixels as well. These are no text, so that only the number is kept. A
    text longer than `MAX_ERROR_TEXT` is cut.
    """
    start = max(header.data_start - HEADER_SIZE, 0)
    message = as_bytes(text)[start : start + MAX_ERROR_TEXT]
    if _holds_pixels(header, len(as_bytes(text)) - start):
        return ascom_error(header.error_number, "")
    return ascom_error(header.error_number, bytes(message).decode("utf-8", "replace").rstrip("\0"))


def _holds_pixels(header: ImageHeader, nbytes: int) -> bool:
    """Whether the `nbytes` received so far are those pixels that the header describes."""
    try:
        return min(header.metadata().nbytes, MAX_ERROR_TEXT) <= nbytes
    except MalformedResponse:
        return False

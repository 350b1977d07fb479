"""The dtype that a caller wants for the pixels of images. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import numpy as np

from alpaca_async._enums import ImageArrayElementTypes
from alpaca_async._errors import PixelTypeError

from .imagebytes import DTYPES

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

_INT16: Final = DTYPES[ImageArrayElementTypes.INT16]
_UINT16: Final = DTYPES[ImageArrayElementTypes.UINT16]
_CAMERA_TYPES: Final = (
    DTYPES[ImageArrayElementTypes.BYTE],
    DTYPES[ImageArrayElementTypes.UINT16],
    DTYPES[ImageArrayElementTypes.INT32],
)
"""What `"camera"` can mean, from narrow to wide. MaxADU is an int32, so the last one holds all."""


@dataclass(frozen=True, slots=True)
class PixelType:
    """The dtype for the pixels of images, and how pixels that are sent as Int16 are read.

    Raises `TypeError` for a dtype that images cannot have.
    """

    dtype: DTypeLike | Literal["camera"] | None = None
    """uint8, int16, uint16, int32, uint32, int64, uint64, float32 or float64; or `"camera"`.

    `"camera"` is the dtype that follows from the camera's MaxADU, the same for all of its images:
    uint8 up to 255, uint16 up to 65535, else int32. None keeps the dtype in which each image is
    sent.
    """
    int16_is_unsigned: bool = False
    """Read pixels that are sent as Int16 as uint16, with the same bytes.

    For drivers that send the numbers of a 16-bit camera as signed ones: 65535 is sent as -1. By
    default, Int16 is signed, as ASCOM defines it.
    """

    def __post_init__(self) -> None:
        if self.dtype is not None and not self.follows_camera:
            _dtype(self.dtype)

    @property
    def follows_camera(self) -> bool:
        """Whether the dtype is that of the camera, which is not known here."""
        return isinstance(self.dtype, str) and self.dtype == "camera"

    def for_camera(self, max_adu: int) -> PixelType:
        """Return this type with the dtype that follows from MaxADU.

        Raises `PixelTypeError` if it is not positive: some drivers state -1 for unknown.
        """
        if max_adu <= 0:
            raise no_camera_type(f"MaxADU is {max_adu}")
        dtype = next(each for each in _CAMERA_TYPES if max_adu <= np.iinfo(each).max)
        return replace(self, dtype=dtype)

    def source_for(self, sent: np.dtype[Any]) -> np.dtype[Any]:
        """Return the dtype as which the bytes of pixels of the dtype `sent` are read."""
        return _UINT16 if self.int16_is_unsigned and sent == _INT16 else sent

    def target_for(self, sent: np.dtype[Any]) -> np.dtype[Any]:
        """Return the dtype of the array for pixels of the dtype `sent`."""
        return self.source_for(sent) if self.dtype is None else _dtype(self.dtype)


PixelTypeLike: TypeAlias = "DTypeLike | Literal['camera'] | PixelType | None"
"""A dtype, `"camera"`, or a `PixelType`; None keeps the dtype in which each image is sent."""

AS_SENT: Final = PixelType()
"""Pixels as they are sent."""


def pixel_type(wanted: PixelTypeLike) -> PixelType:
    """Return `wanted` as a `PixelType`; raise `TypeError` if images cannot have it."""
    return wanted if isinstance(wanted, PixelType) else PixelType(wanted)


def no_camera_type(reason: str) -> PixelTypeError:
    """Return the error for a camera whose dtype is unknown."""
    return PixelTypeError(
        f'dtype="camera" needs MaxADU, and {reason}; request a dtype, such as dtype="uint16"'
    )


def _dtype(wanted: DTypeLike) -> np.dtype[Any]:
    """Return `wanted` as the dtype of an image, little-endian, or raise `TypeError`."""
    try:
        dtype = np.dtype(wanted)
    except (TypeError, ValueError, SyntaxError):  # of texts, numpy parses some as Python
        dtype = np.dtype(object)
    if dtype.isnative:
        dtype = dtype.newbyteorder("<")
    if dtype not in DTYPES.values():
        known = ", ".join(each.name for each in DTYPES.values())
        raise TypeError(f'dtype must be "camera" or one of {known}, not {wanted!r}')
    return dtype

"""Replies of known servers that the page of faults does not list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from alpaca_async import MalformedResponse, RequestRejected, TransportError
from tests.faults.catalogue import (
    HAS_IMAGE,
    PIXELS,
    UNTOUCHED,
    Call,
    Fault,
    Outcome,
    Raises,
    Returns,
    broken,
    image,
    once,
    pixels,
    text,
)
from tests.scripted import imagebytes, value

from .deviations import Deviation, of_fault

if TYPE_CHECKING:
    from alpaca_async import AsyncCamera
    from tests.scripted import Reply

_PADDED: Final = PIXELS.tobytes() + bytes(3 * PIXELS.nbytes)
_NO_REPLY: Final = text(b"", status="500 Internal Server Error")
_STATUS_500: Final = Raises(RequestRejected, "HTTP status 500")


def _image(cause: str, reply: Reply, outcome: Outcome) -> Deviation:
    return of_fault(Fault("bytes", cause, outcome, HAS_IMAGE, image, {"imagearray": reply}))


def _member(cause: str, member: str, reply: Reply, call: Call, outcome: Outcome) -> Deviation:
    return of_fault(Fault("bytes", cause, outcome, UNTOUCHED, call, always={member: reply}))


async def _start_time(camera: AsyncCamera) -> str:
    return await camera.get_last_exposure_start_time()


async def _readout_mode(camera: AsyncCamera) -> int | None:
    return (await camera.get_settings()).readout_mode


async def _name(camera: AsyncCamera) -> str:
    return await camera.get_name()


async def _second_image(camera: AsyncCamera) -> object:
    await camera.get_image_array()
    return await camera.get_image_array()


INVALID_JSON_IMAGE: Final = _image(
    "Images in JSON are invalid: `[[, 1514`",
    text(b'{"Type":2,"Rank":2,"Value":[[, 1514, 1460],[, 1300, 2]]}'),
    Raises(MalformedResponse, ""),
)
HEADER_WITHOUT_HEAD: Final = _image(
    "Without an image, ImageArray is answered with 44 bytes, without an HTTP head",
    broken(imagebytes(b"", 0, 0)),
    Raises(TransportError, "not HTTP/1"),
)
ERROR_WITHOUT_HEAD: Final = _image(
    "Without an image, ImageArray is answered with JSON, without an HTTP head",
    broken(b'{\r\n\t"Device":"AlpacaPi","ErrorNumber":1035\r\n}\r\n'),
    Raises(TransportError, '"ErrorNumber":1035'),
)
PADDED_IMAGE: Final = _image(
    "With numpy 2, images are padded to four times their length",
    pixels(imagebytes(_PADDED, 3, 7)),
    Raises(MalformedResponse, "describes 86 bytes, but 212"),
)
UNKNOWN_NUMBER: Final = _member(
    "A device number that does not exist is answered with status 500",
    "name",
    _NO_REPLY,
    _name,
    _STATUS_500,
)
READOUT_MODE_AS_TEXT: Final = _member(
    "ReadoutMode is a text",
    "readoutmode",
    value("High quality"),
    _readout_mode,
    Returns(None, "`None` as the readout mode in `get_settings`"),
)
IMAGE_READ_ONCE: Final = _member(
    "An image can be read only once; then the status is 500",
    "imagearray",
    once(pixels(imagebytes(PIXELS.tobytes(), 3, 7)), _NO_REPLY),
    _second_image,
    _STATUS_500,
)
WHOLE_SECONDS: Final = _member(
    "LastExposureStartTime has no fraction of a second",
    "lastexposurestarttime",
    value("2026-11-26T12:08:02"),
    _start_time,
    Returns("2026-11-26T12:08:02", "the text, as received"),
)

"""Faults in ImageBytes: wrong headers, missing pixels."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from ._catalogue import fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from alpaca_async.testing._message import Reply

    from ._exchange import Exchange

_HEADER: Final = struct.Struct("<iiIIiiiiiii")
_IMAGEBYTES: Final = "application/imagebytes"
_JSON: Final = "application/json"
_SMALL_IMAGE: Final = b'{"Type": 2, "Rank": 2, "Value": [[1, 2], [3, 4]], "ErrorNumber": 0}'


class Header(NamedTuple):
    """The eleven numbers of the ImageBytes header."""

    version: int
    error: int
    client_id: int
    server_id: int
    data_start: int
    element_type: int
    transmission_type: int
    rank: int
    x: int
    y: int
    z: int


Change: TypeAlias = "Callable[[Header, bytes], tuple[Header, bytes]]"


def changes_image(description: str) -> Callable[[Change], Change]:
    """Return a decorator that registers a function that changes an image as a fault."""

    def register(change: Change) -> Change:
        def changed(reply: Reply) -> Reply | None:
            if reply.media_type != _IMAGEBYTES or len(reply.body) < _HEADER.size:
                return None
            header = Header._make(_HEADER.unpack_from(reply.body))
            header, rest = change(header, reply.body[_HEADER.size :])
            return reply.with_body(_HEADER.pack(*header) + rest)

        @fault("image", description, name=change.__name__)
        async def _(exchange: Exchange) -> None:
            await exchange.send_changed(changed)

        return change

    return register


@changes_image("The last byte of the pixels is missing.")
def short_image(header: Header, pixels: bytes) -> tuple[Header, bytes]:
    return header, pixels[:-1]


@changes_image("The pixels are 100 bytes longer than the header says.")
def long_image(header: Header, pixels: bytes) -> tuple[Header, bytes]:
    return header, pixels + bytes(100)


@changes_image("All pixels are missing.")
def header_alone(header: Header, _pixels: bytes) -> tuple[Header, bytes]:
    return header, b""


@changes_image("The header gives a size larger than any memory.")
def huge_image(header: Header, pixels: bytes) -> tuple[Header, bytes]:
    return header._replace(x=2**31 - 1, y=2**31 - 1), pixels


@changes_image("The header gives a negative width.")
def negative_size(header: Header, pixels: bytes) -> tuple[Header, bytes]:
    return header._replace(x=-header.x), pixels


@changes_image("The header gives a size of 0.")
def empty_image(header: Header, pixels: bytes) -> tuple[Header, bytes]:
    return header._replace(x=0, y=0), pixels


@changes_image("The header gives a larger width than the pixels have.")
def lying_size(header: Header, pixels: bytes) -> tuple[Header, bytes]:
    return header._replace(x=header.x + 1), pixels


@changes_image("The header gives rank 5.")
def wrong_rank(header: Header, pixels: bytes) -> tuple[Header, bytes]:
    return header._replace(rank=5), pixels


@changes_image("The header gives an unknown pixel type.")
def unknown_pixel_type(header: Header, pixels: bytes) -> tuple[Header, bytes]:
    return header._replace(transmission_type=77), pixels


@changes_image("The header says that the pixels start within the header.")
def early_data_start(header: Header, pixels: bytes) -> tuple[Header, bytes]:
    return header._replace(data_start=12), pixels


@changes_image("The header says that the pixels start two gigabytes away.")
def late_data_start(header: Header, pixels: bytes) -> tuple[Header, bytes]:
    return header._replace(data_start=2**31 - 1), pixels


@changes_image("The header has the unknown version 2.")
def future_version(header: Header, pixels: bytes) -> tuple[Header, bytes]:
    return header._replace(version=2), pixels


@changes_image("The device reports a driver error in ImageBytes.")
def image_error(header: Header, _pixels: bytes) -> tuple[Header, bytes]:
    zeros = header._replace(element_type=0, transmission_type=0, rank=0, x=0, y=0, z=0)
    return zeros._replace(error=0x500), "Too little light: 0 \u00b5s".encode()


@changes_image("The header reports a driver error, but the pixels follow.")
def image_error_with_pixels(header: Header, pixels: bytes) -> tuple[Header, bytes]:
    return header._replace(error=0x500), pixels


@fault(
    "image",
    "Content-Length counts the pixels without the header; all is sent, then the connection closes.",
)
async def length_of_pixels(exchange: Exchange) -> None:
    reply = await exchange.reply()
    exchange.applied = reply.media_type == _IMAGEBYTES
    length = len(reply.body) - _HEADER.size if exchange.applied else len(reply.body)
    await exchange.client.send(reply.head(f"Content-Length: {length}") + reply.body)
    exchange.client.close()


@fault("image", "ImageBytes are labelled as JSON.")
async def imagebytes_as_json(exchange: Exchange) -> None:
    await exchange.send_changed(_as_json)


@fault("image", "JSON is labelled as ImageBytes.")
async def json_as_imagebytes(exchange: Exchange) -> None:
    await exchange.send_changed(_with_json)


def _as_json(reply: Reply) -> Reply | None:
    return reply.with_media_type(_JSON) if reply.media_type == _IMAGEBYTES else None


def _with_json(reply: Reply) -> Reply | None:
    return reply.with_body(_SMALL_IMAGE) if reply.media_type == _IMAGEBYTES else None

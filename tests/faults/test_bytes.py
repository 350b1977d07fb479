"""Replies whose bytes are not what the protocol says, or are so in an odd way."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from alpaca_async import (
    AlpacaError,
    ConfiguredDevice,
    DriverException,
    ImageArrayElementTypes,
    IncompleteImage,
    InvalidOperationException,
    InvalidValueException,
    MalformedResponse,
    NotConnectedException,
    NotImplementedException,
    ServerDescription,
)
from tests.scripted import ascom_error, imagebytes, value

from .catalogue import (
    HAS_IMAGE,
    PAYLOAD,
    PIXELS,
    THE_IMAGE,
    UNTOUCHED,
    Call,
    Fault,
    Gives,
    Outcome,
    Raises,
    image,
    pixels,
    text,
)

if TYPE_CHECKING:
    from alpaca_async import AsyncCamera
    from tests.scripted import Reply


def unread(cause: str, reply: Reply, gets: Outcome, seen: str = "") -> Fault:
    """Return the fault of an image that comes as `reply`."""
    return Fault("bytes", cause, gets, HAS_IMAGE, image, {"imagearray": reply}, seen=seen)


def misread(
    cause: str, reply: Reply, gets: Outcome, seen: str = "", call: Call | None = None
) -> Fault:
    """Return the fault of a value that comes as `reply`."""
    members = ("gain", "name", "imageready", "ccdtemperature", "configureddevices", "description")
    replies: dict[str, Reply] = {member: reply for member in members}  # noqa: C420 - typed
    if call is None:
        return Fault("bytes", cause, gets, UNTOUCHED, first={"gain": reply}, seen=seen)
    del replies["gain"]
    return Fault("bytes", cause, gets, UNTOUCHED, call, always=replies, seen=seen)


def bad(says: str) -> Raises:
    return Raises(MalformedResponse, says)


def short(says: str) -> Raises:
    return Raises(IncompleteImage, f"the image ended after {says}".strip())


def head(*numbers: int, payload: bytes = b"") -> bytes:
    return pixels(struct.pack("<iiIIiiiiiii", *numbers) + payload)


def json_image(**fields: Any) -> bytes:  # noqa: ANN401 - whatever JSON holds
    return text(json.dumps({"Type": 2, "Rank": 2, "Value": [[1, 2]], **fields}).encode())


async def bool_of(camera: AsyncCamera) -> bool:
    return await camera.get_image_ready()


async def float_of(camera: AsyncCamera) -> float:
    return await camera.get_ccd_temperature()


async def text_of(camera: AsyncCamera) -> str:
    return await camera.get_name()


async def devices_of(camera: AsyncCamera) -> list[ConfiguredDevice]:
    return await camera._session.get_configured_devices(camera.server)  # type: ignore[attr-defined,no-any-return]


async def description_of(camera: AsyncCamera) -> ServerDescription:
    return await camera._session.get_server_description(camera.server)  # type: ignore[attr-defined,no-any-return]


INT32 = np.array([[1, 2]], np.int32)
COLOUR = np.arange(2 * 3 * 3, dtype="u1").reshape(2, 3, 3)
WIDE = np.array([[4_000_000_000, 1]], "<u4")
DEVICE = ConfiguredDevice("Cam", "Camera", 1, "id")
BIG_ENDIAN = struct.pack(">iiIIiiiiiii", 1, 0, 1, 2, 44, 2, 8, 2, 3, 7, 0) + bytes(42)

IMAGES = [
    unread("an image that is one byte short", pixels(PAYLOAD[:-1]), short("85 of 86 bytes")),
    unread("an image that ends within its header", pixels(PAYLOAD[:20]), short("20 of 44 bytes")),
    unread("an image of no bytes at all", pixels(b""), short("0 of 44 bytes")),
    unread("a byte behind the image", pixels(PAYLOAD + b"x"), bad("describes 86 bytes, but 87")),
    unread(
        "a header that describes a smaller frame than follows",
        pixels(imagebytes(bytes(2000), 40, 10)),
        bad("describes 844 bytes, but 2044"),
        "alpaca-simulators",
    ),
    unread(
        "a header that describes a larger frame than follows",
        pixels(imagebytes(bytes(800), 100, 10)),
        short("844 of 2044 bytes"),
        "alpaca-simulators",
    ),
    unread("an unknown version of the metadata", head(2, *[0] * 10), bad("version 2 is unknown")),
    unread("a header in big-endian order", pixels(BIG_ENDIAN), bad("version 16777216 is unknown")),
    unread("pixels of type 0", pixels(imagebytes(b"", 3, 7, kind=0)), bad("type 0 are unknown")),
    unread("pixels of type 10", pixels(imagebytes(b"", 3, 7, kind=10)), bad("type 10 are unknown")),
    unread(
        "a negative type of the source",
        head(1, 0, 1, 2, 44, -2, 8, 2, 3, 7, 0),
        bad("element type -2 is negative"),
    ),
    unread("rank 1", pixels(imagebytes(b"", 3, 7, rank=1)), bad("rank 1 is neither 2 nor 3")),
    unread("rank 4", pixels(imagebytes(b"", 3, 7, rank=4)), bad("rank 4 is neither 2 nor 3")),
    unread(
        "rank 3 without planes", pixels(imagebytes(b"", 3, 7, rank=3)), bad("do not fit rank 3")
    ),
    unread(
        "rank 2 with planes", pixels(imagebytes(b"", 3, 7, 3, rank=2)), bad("do not fit rank 2")
    ),
    unread("a width of 0", pixels(imagebytes(b"", 0, 7)), bad("(0, 7, 0) do not fit rank 2")),
    unread("a negative height", pixels(imagebytes(b"", 3, -7)), bad("(3, -7, 0) do not fit")),
    unread(
        "pixels that begin within the header",
        pixels(imagebytes(b"", 3, 7, data_start=43)),
        bad("cannot start at byte 43"),
    ),
    unread(
        "pixels that begin at a negative place",
        pixels(imagebytes(b"", 3, 7, data_start=-44)),
        bad("cannot start at byte -44"),
    ),
    unread(
        "pixels that begin two gigabytes away",
        head(1, 0, 1, 2, 2**31 - 1, 2, 8, 2, 3, 7, 0),
        bad("cannot start at byte 2147483647"),
    ),
    unread(
        "dimensions whose product exceeds 64 bits",
        pixels(imagebytes(b"", 2**31 - 1, 2**31 - 1, 1024)),
        bad("exceeds the limit of 2147483648"),
    ),
    unread(
        "two thousand million planes",
        pixels(imagebytes(b"", 3, 7, 2**31 - 1)),
        bad("an image of 2147483647 planes exceeds 1024"),
    ),
    unread(
        "the device's error in place of pixels",
        pixels(imagebytes(b"no image", error=0x40B, rank=0)),
        Raises(InvalidOperationException, "no image (error 0x40B)"),
        "ascom-alpaca-rs",
    ),
    unread(
        "an error text in no known encoding",
        pixels(imagebytes(b"\xff\xfe!", error=0x500, rank=0)),
        Raises(DriverException, "! (error 0x500)"),
    ),
    unread(
        "an error text without an end",
        pixels(imagebytes(b"x" * 70_000, error=0x500, rank=0)),
        bad("the error text is longer than 65536 bytes"),
    ),
    unread(
        "pixels of UInt32, the type that others forget",
        pixels(imagebytes(WIDE.tobytes(), 1, 2, kind=9)),
        Gives(WIDE, "the image, of `uint32`"),
    ),
    unread(
        "pixels of eight bytes that began as Int32",
        pixels(
            imagebytes(np.array([[1, 2]], "<i8").tobytes(), 1, 2, kind=ImageArrayElementTypes.INT64)
        ),
        Gives(np.array([[1, 2]], "<i8"), "the image, of `int64`"),
        "drivers on alpyca",
    ),
    unread(
        "pixels that begin at an odd place",
        pixels(imagebytes(PIXELS.tobytes(), 3, 7, data_start=47)),
        THE_IMAGE,
    ),
    unread(
        "a colour image, whose axes others mix up",
        pixels(imagebytes(COLOUR.tobytes(), 2, 3, 3, kind=6)),
        Gives(COLOUR, "the image as `[x, y, plane]`: a wrong order in the driver cannot be seen"),
        "AlpacaPi, ASCOM's simulators",
    ),
]

JSON_IMAGES = [
    unread(
        "an image in JSON that ends early",
        json_image()[:-30].replace(b"HTTP/1.1", b"HTTP/1.0").replace(b"Content-Length", b"X-Was"),
        short(""),
        "AlpacaPi",
    ),
    unread(
        "a pixel that is not a number", json_image(Value=[[1, float("nan")]]), bad("not a number")
    ),
    unread("a pixel that is text", json_image(Value=[[1, "2"]]), bad("not a number")),
    unread("rows of different lengths", json_image(Value=[[1, 2], [3]]), bad("differ in length")),
    unread("a Rank that is not that of the array", json_image(Rank=3), bad("Rank 3 is nested 2")),
    unread("a Type that JSON images cannot have", json_image(Type=8), bad("cannot be of Type 8")),
    unread(
        "a pixel that the announced type does not hold",
        json_image(Value=[[1, 2**40]]),
        bad("pixels that are not int32 values"),
    ),
    unread(
        "a pixel of five thousand digits",
        json_image(Value=[[1, 10**4000]]),
        bad("more than 1024 characters"),
    ),
    unread("an image nested without end", text(b'{"Value":' + b"[" * 99_999), bad("nested")),
    unread("null in place of the image", json_image(Value=None), bad("holds no image")),
    unread("several images in one reply", json_image(value=[[3]]), bad("more than one `Value`")),
    unread(
        "the device's error in JSON, though ImageBytes were asked for",
        ascom_error(0x40B, "no image"),
        Raises(InvalidOperationException, "no image (error 0x40B)"),
        "ASCOM Remote, INDI",
    ),
    unread(
        "an ErrorNumber of 0, which others take for an error",
        json_image(ErrorNumber=0, ErrorMessage=""),
        Gives(INT32, "the image"),
    ),
    unread(
        "whole numbers written as floats", json_image(Value=[[1.0, 2.0]]), Gives(INT32, "the image")
    ),
]

VALUES = [
    misread("an empty reply", text(b""), bad("the reply is empty")),
    misread(
        "a login page",
        text(b"<html><h1>Hotel</h1><form>Log in</form></html>", "text/html"),
        bad("not JSON: Hotel Log in"),
    ),
    misread("JSON that ends early", text(b'{"Value": 5, "Err'), bad("not JSON")),
    misread("a comma too many", text(b'{"Value": 5,}'), bad("not JSON"), "INDIGO"),
    misread("NaN", text(b'{"Value": NaN}'), bad("not JSON")),
    misread(
        "a number beyond all doubles",
        text(b'{"Value": 1e999}'),
        bad("not of type float"),
        call=float_of,
    ),
    misread("an integer of more than 64 bits", value(2**63), bad("not of type int")),
    misread(
        "an integer of five thousand digits",
        text(b'{"Value": ' + b"9" * 5000 + b"}"),
        bad("not JSON"),
    ),
    misread("a hundred thousand brackets", text(b"[" * 100_000), bad("not JSON")),
    misread("JSON that is no object", text(b"[5]"), bad("not a JSON object")),
    misread(
        "null in place of a number",
        value(None),
        bad("None is not of type int"),
        "seen by MountWizzard",
    ),
    misread(
        "a fraction in place of an integer",
        value("0.9"),
        bad("'0.9' is not of type int"),
        "an ESP8266",
    ),
    misread("a list in place of a number", value([5]), bad("[5] is not of type int")),
    misread("an integer as text", value("5"), Gives(5), "an ESP8266"),
    misread("an integer as a float", value(100.0), Gives(100), "INDI"),
    misread("1 in place of true", value(1), Gives(True), call=bool_of),
    misread('"true" in place of true', value("true"), Gives(True), call=bool_of),
    misread("text that is not UTF-8", text(b'{"Value": "\xb0C"}'), bad("not JSON"), call=text_of),
    misread("JSON in UTF-16", text('{"Value": 5}'.encode("utf-16")), Gives(5)),
    misread("JSON behind a byte order mark", text(b'\xef\xbb\xbf{"Value": 5}'), Gives(5)),
    misread(
        "names in another case",
        text(b'{"value": 5, "errorNumber": 0}'),
        Gives(5),
        "ASP.NET's default",
    ),
    misread(
        "an error in another case",
        text(b'{"errorNumber": 1025, "errorMessage": "no"}'),
        Raises(InvalidValueException, "no (error 0x401)"),
    ),
    misread(
        "fields that nobody defined, in any order, and twice",
        text(b'{"Device":"cam","Value":4,"DriverException":null,"ErrorNumber":0,"Value":5}'),
        Gives(5),
        "ASCOM Remote, AlpacaPi",
    ),
    misread(
        "no error fields", text(b'{"Value": 5}'), Gives(5), "python-alpaca-server, TinyAlpacaServer"
    ),
    misread(
        "ids that are wrong or missing",
        value(5, ServerTransactionID="x"),
        Gives(5),
        "alpaca-simulators",
    ),
    misread(
        "an unknown error number",
        ascom_error(1, "odd"),
        Raises(DriverException, "odd (error 0x1)"),
        "INDI",
    ),
    misread(
        "a negative error number",
        ascom_error(-2147024882, "out of memory"),
        Raises(DriverException, "out of memory (error 0x8007000E)"),
        "ascom-alpaca-rs",
    ),
    misread(
        "an error number as COM has it",
        ascom_error(-2147220473, "not connected"),
        Raises(NotConnectedException, "not connected (error 0x80040407)"),
    ),
    misread(
        "an error text without a number",
        ascom_error(0, "odd"),
        Raises(DriverException, "odd (error 0x0)"),
    ),
    misread(
        "an error beside a value of the wrong type",
        value("?", ErrorNumber=1024, ErrorMessage="no gain"),
        Raises(NotImplementedException, "no gain (error 0x400)"),
    ),
    misread("an error number that is none", value(5, ErrorNumber="many"), bad("not of type int")),
    misread(
        "half a character in an error text",
        text(b'{"ErrorNumber":1280,"ErrorMessage":"bad \\ud83d"}'),
        Raises(DriverException, "bad ? (error 0x500)"),
    ),
    misread(
        "half a megabyte and more for a value", text(b" " * (2**19 + 1)), bad("longer than 524288")
    ),
    misread("an image in place of a value", pixels(PAYLOAD), bad("not JSON")),
    misread(
        "a DeviceNumber as text, and a reply without error fields",
        text(
            b'{"Value":[{"DeviceName":"Cam","DeviceType":"Camera","DeviceNumber":"1","UniqueID":"id"}]}'
        ),
        Gives([DEVICE], "the devices"),
        "INDIGO",
        devices_of,
    ),
    misread(
        "a device without a type",
        value([{"DeviceNumber": 1}]),
        bad("not of type str"),
        call=devices_of,
    ),
    misread(
        "a server's description that is text",
        value("INDI"),
        Gives(ServerDescription("INDI"), "the description, with that name"),
        "INDI",
        description_of,
    ),
]

FAULTS = [*IMAGES, *JSON_IMAGES, *VALUES]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
async def test_bytes(
    fault: Fault, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fault.check(caplog, monkeypatch)


def test_no_fault_of_bytes_is_taken_for_the_networks() -> None:
    raised = [fault.gets.kind for fault in FAULTS if isinstance(fault.gets, Raises)]
    assert all(issubclass(kind, AlpacaError) for kind in raised)
    assert not any(kind.__name__.startswith("Transport") for kind in raised)

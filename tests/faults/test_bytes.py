"""Replies that violate the Alpaca protocol, or follow it in an unusual way."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
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
    Outcome,
    Raises,
    Returns,
    image,
    pixels,
    text,
)

if TYPE_CHECKING:
    from alpaca_async import AsyncCamera
    from tests.scripted import Reply


def image_fault(cause: str, reply: Reply, outcome: Outcome, seen: str = "") -> Fault:
    """Return a fault in which `reply` answers the request for an image."""
    return Fault("bytes", cause, outcome, HAS_IMAGE, image, {"imagearray": reply}, seen=seen)


def value_fault(
    cause: str, reply: Reply, outcome: Outcome, seen: str = "", call: Call | None = None
) -> Fault:
    """Return a fault in which `reply` answers the request for a value."""
    members = (
        *("gain", "name", "imageready", "ccdtemperature", "percentcompleted"),
        *("configureddevices", "description"),
    )
    replies: dict[str, Reply] = {member: reply for member in members}  # noqa: C420 - typed
    if call is None:
        return Fault("bytes", cause, outcome, UNTOUCHED, first={"gain": reply}, seen=seen)
    del replies["gain"]
    return Fault("bytes", cause, outcome, UNTOUCHED, call, always=replies, seen=seen)


def malformed(says: str) -> Raises:
    return Raises(MalformedResponse, says)


def incomplete(says: str) -> Raises:
    return Raises(IncompleteImage, f"the image ended after {says}".strip())


def head(*numbers: int, payload: bytes = b"") -> bytes:
    return pixels(struct.pack("<iiIIiiiiiii", *numbers) + payload)


def json_image(**fields: Any) -> bytes:  # noqa: ANN401 - whatever JSON holds
    return text(json.dumps({"Type": 2, "Rank": 2, "Value": [[1, 2]], **fields}).encode())


async def bool_of(camera: AsyncCamera) -> bool:
    return await camera.get_image_ready()


async def float_of(camera: AsyncCamera) -> float:
    return await camera.get_ccd_temperature()


async def percent_of(camera: AsyncCamera) -> int:
    return await camera.get_percent_completed()


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
DEVICES = b'{"Value":[{"DeviceName":"Cam","DeviceType":"Camera","DeviceNumber":1,"UniqueID":"id"}]}'
BIG_ENDIAN = struct.pack(">iiIIiiiiiii", 1, 0, 1, 2, 44, 2, 8, 2, 3, 7, 0) + bytes(42)

IMAGES = [
    image_fault(
        "an image that is one byte short", pixels(PAYLOAD[:-1]), incomplete("85 of 86 bytes")
    ),
    image_fault(
        "an image that ends within its header", pixels(PAYLOAD[:20]), incomplete("20 of 44 bytes")
    ),
    image_fault("an image of zero bytes", pixels(b""), incomplete("0 of 44 bytes")),
    image_fault(
        "an extra byte after the image",
        pixels(PAYLOAD + b"x"),
        malformed("describes 86 bytes, but 87"),
    ),
    image_fault(
        "a header with a smaller size than the pixels",
        pixels(imagebytes(bytes(2000), 40, 10)),
        malformed("describes 844 bytes, but 2044"),
        "alpaca-simulators",
    ),
    image_fault(
        "a header with a larger size than the pixels",
        pixels(imagebytes(bytes(800), 100, 10)),
        incomplete("844 of 2044 bytes"),
        "alpaca-simulators",
    ),
    image_fault(
        "a header of an unknown version", head(2, *[0] * 10), malformed("version 2 is unknown")
    ),
    image_fault(
        "a header in big-endian order", pixels(BIG_ENDIAN), malformed("version 16777216 is unknown")
    ),
    image_fault(
        "pixels of type 0", pixels(imagebytes(b"", 3, 7, kind=0)), malformed("type 0 are unknown")
    ),
    image_fault(
        "pixels of type 10",
        pixels(imagebytes(b"", 3, 7, kind=10)),
        malformed("type 10 are unknown"),
    ),
    image_fault(
        "a negative image element type",
        head(1, 0, 1, 2, 44, -2, 8, 2, 3, 7, 0),
        malformed("element type -2 is negative"),
    ),
    image_fault(
        "rank 1", pixels(imagebytes(b"", 3, 7, rank=1)), malformed("rank 1 is neither 2 nor 3")
    ),
    image_fault(
        "rank 4", pixels(imagebytes(b"", 3, 7, rank=4)), malformed("rank 4 is neither 2 nor 3")
    ),
    image_fault(
        "rank 3 without planes",
        pixels(imagebytes(b"", 3, 7, rank=3)),
        malformed("do not fit rank 3"),
    ),
    image_fault(
        "rank 2 with planes",
        pixels(imagebytes(b"", 3, 7, 3, rank=2)),
        malformed("do not fit rank 2"),
    ),
    image_fault(
        "a width of 0", pixels(imagebytes(b"", 0, 7)), malformed("(0, 7, 0) do not fit rank 2")
    ),
    image_fault(
        "a negative height", pixels(imagebytes(b"", 3, -7)), malformed("(3, -7, 0) do not fit")
    ),
    image_fault(
        "a data start within the header",
        pixels(imagebytes(b"", 3, 7, data_start=43)),
        malformed("cannot start at byte 43"),
    ),
    image_fault(
        "a negative data start",
        pixels(imagebytes(b"", 3, 7, data_start=-44)),
        malformed("cannot start at byte -44"),
    ),
    image_fault(
        "a data start of two gigabytes",
        head(1, 0, 1, 2, 2**31 - 1, 2, 8, 2, 3, 7, 0),
        malformed("cannot start at byte 2147483647"),
    ),
    image_fault(
        "dimensions whose product exceeds 64 bits",
        pixels(imagebytes(b"", 2**31 - 1, 2**31 - 1, 1024)),
        malformed("exceeds the limit of 2147483648"),
    ),
    image_fault(
        "two billion planes",
        pixels(imagebytes(b"", 3, 7, 2**31 - 1)),
        malformed("an image of 2147483647 planes exceeds 1024"),
    ),
    image_fault(
        "a device error instead of pixels",
        pixels(imagebytes(b"no image", error=0x40B, rank=0)),
        Raises(InvalidOperationException, "no image (error 0x40B)"),
        "ascom-alpaca-rs",
    ),
    image_fault(
        "an error text that is not UTF-8",
        pixels(imagebytes(b"\xff\xfe!", error=0x500, rank=0)),
        Raises(DriverException, "! (error 0x500)"),
    ),
    image_fault(
        "an error text of 70,000 bytes",
        pixels(imagebytes(b"x" * 70_000, error=0x500, rank=0)),
        Raises(DriverException, "xxx (error 0x500)"),
    ),
    image_fault(
        "an error number, and pixels nevertheless",
        pixels(imagebytes(PIXELS.tobytes(), 3, 7, error=0x40B)),
        Raises(InvalidOperationException, "InvalidOperationException (error 0x40B)"),
    ),
    image_fault(
        "pixels of type UInt32, which some clients do not support",
        pixels(imagebytes(WIDE.tobytes(), 1, 2, kind=9)),
        Returns(WIDE, "the image, of `uint32`"),
    ),
    image_fault(
        "pixels sent as Int64, though their element type is Int32",
        pixels(
            imagebytes(np.array([[1, 2]], "<i8").tobytes(), 1, 2, kind=ImageArrayElementTypes.INT64)
        ),
        Returns(np.array([[1, 2]], "<i8"), "the image, of `int64`"),
        "drivers on alpyca",
    ),
    image_fault(
        "pixels that start at an unaligned byte",
        pixels(imagebytes(PIXELS.tobytes(), 3, 7, data_start=47)),
        THE_IMAGE,
    ),
    image_fault(
        "a colour image",
        pixels(imagebytes(COLOUR.tobytes(), 2, 3, 3, kind=6)),
        Returns(
            COLOUR,
            "the image as `[x, y, plane]`; a wrong axis order of the driver cannot be detected",
        ),
        "AlpacaPi, ASCOM's simulators",
    ),
]

JSON_IMAGES = [
    image_fault(
        "an image in JSON that ends early",
        json_image()[:-30].replace(b"HTTP/1.1", b"HTTP/1.0").replace(b"Content-Length", b"X-Was"),
        incomplete(""),
        "AlpacaPi",
    ),
    image_fault(
        "a pixel that is not a number",
        json_image(Value=[[1, float("nan")]]),
        malformed("not a number"),
    ),
    image_fault("a pixel that is text", json_image(Value=[[1, "2"]]), malformed("not a number")),
    image_fault(
        "rows of different lengths", json_image(Value=[[1, 2], [3]]), malformed("differ in length")
    ),
    image_fault(
        "a Rank that differs from that of the array",
        json_image(Rank=3),
        malformed("Rank 3 is nested 2"),
    ),
    image_fault(
        "a Type that JSON images cannot have", json_image(Type=8), malformed("cannot be of Type 8")
    ),
    image_fault(
        "a pixel outside the range of the announced type",
        json_image(Value=[[1, 2**40]]),
        malformed("pixels that are not int32 values"),
    ),
    image_fault(
        "a pixel of four thousand digits",
        json_image(Value=[[1, 10**4000]]),
        malformed("more than 1024 characters"),
    ),
    image_fault(
        "an image nested 99,999 levels deep",
        text(b'{"Value":' + b"[" * 99_999),
        malformed("nested"),
    ),
    image_fault(
        "an image that begins with a comma",
        text(b'{ "Type": 2, "Rank": 2, "Value": [[, 1514, 1470],[1520, 1463]] }'),
        malformed("misplaced brackets or commas"),
        "INDIGO",
    ),
    image_fault("null instead of the image", json_image(Value=None), malformed("holds no image")),
    image_fault(
        "two images in one reply", json_image(value=[[3]]), malformed("more than one `Value`")
    ),
    image_fault(
        "a device error in JSON, though ImageBytes were requested",
        ascom_error(0x40B, "no image"),
        Raises(InvalidOperationException, "no image (error 0x40B)"),
        "ASCOM Remote, INDI",
    ),
    image_fault(
        "an ErrorNumber of 0 in an image, which some clients take for an error",
        json_image(ErrorNumber=0, ErrorMessage=""),
        Returns(INT32, "the image"),
    ),
    image_fault(
        "whole numbers written as floats",
        json_image(Value=[[1.0, 2.0]]),
        Returns(INT32, "the image"),
    ),
]

VALUES = [
    value_fault("an empty reply", text(b""), malformed("the reply is empty")),
    value_fault(
        "a login page",
        text(b"<html><h1>Hotel</h1><form>Log in</form></html>", "text/html"),
        malformed("not JSON: Hotel Log in"),
    ),
    value_fault("JSON that ends early", text(b'{"Value": 5, "Err'), malformed("not JSON")),
    value_fault("a trailing comma", text(b'{"Value": 5,}'), malformed("not JSON"), "INDIGO"),
    value_fault("NaN", text(b'{"Value": NaN}'), malformed("not JSON")),
    value_fault(
        "a number too large for a double",
        text(b'{"Value": 1e999}'),
        malformed("not of type float"),
        call=float_of,
    ),
    value_fault("an integer of more than 64 bits", value(2**63), malformed("not of type int")),
    value_fault(
        "an integer of five thousand digits",
        text(b'{"Value": ' + b"9" * 5000 + b"}"),
        malformed("not JSON"),
    ),
    value_fault("a hundred thousand brackets", text(b"[" * 100_000), malformed("not JSON")),
    value_fault("JSON that is not an object", text(b"[5]"), malformed("not a JSON object")),
    value_fault(
        "null instead of a number",
        value(None),
        malformed("None is not of type int"),
        "reported by MountWizzard",
    ),
    value_fault(
        "a fraction instead of an integer",
        value("0.9"),
        malformed("'0.9' is not of type int"),
        "an ESP8266",
    ),
    value_fault("a list instead of a number", value([5]), malformed("[5] is not of type int")),
    value_fault("an integer as text", value("5"), Returns(5), "an ESP8266"),
    value_fault("an integer as a float", value(100.0), Returns(100), "INDI"),
    value_fault(
        "a fraction of a percent for PercentCompleted",
        value(66.7),
        Returns(67),
        "INDI",
        percent_of,
    ),
    value_fault("1 instead of true", value(1), Returns(True), call=bool_of),
    value_fault('"true" instead of true', value("true"), Returns(True), call=bool_of),
    value_fault(
        "text that is not UTF-8", text(b'{"Value": "\xb0C"}'), malformed("not JSON"), call=text_of
    ),
    value_fault("JSON in UTF-16", text('{"Value": 5}'.encode("utf-16")), Returns(5)),
    value_fault("JSON with a byte order mark", text(b'\xef\xbb\xbf{"Value": 5}'), Returns(5)),
    value_fault(
        "field names in another case",
        text(b'{"value": 5, "errorNumber": 0}'),
        Returns(5),
        "ASP.NET's default",
    ),
    value_fault(
        "error fields in another case",
        text(b'{"errorNumber": 1025, "errorMessage": "no"}'),
        Raises(InvalidValueException, "no (error 0x401)"),
    ),
    value_fault(
        "unknown fields, fields in another order, and repeated fields",
        text(b'{"Device":"cam","Value":4,"DriverException":null,"ErrorNumber":0,"Value":5}'),
        Returns(5),
        "ASCOM Remote, AlpacaPi",
    ),
    value_fault(
        "no error fields",
        text(b'{"Value": 5}'),
        Returns(5),
        "python-alpaca-server, TinyAlpacaServer",
    ),
    value_fault(
        "transaction ids that are wrong or missing",
        value(5, ServerTransactionID="x"),
        Returns(5),
        "alpaca-simulators",
    ),
    value_fault(
        "an unknown error number",
        ascom_error(1, "odd"),
        Raises(DriverException, "odd (error 0x1)"),
        "INDI",
    ),
    value_fault(
        "a negative error number",
        ascom_error(-2147024882, "out of memory"),
        Raises(DriverException, "out of memory (error 0x8007000E)"),
        "ascom-alpaca-rs",
    ),
    value_fault(
        "a COM error number",
        ascom_error(-2147220473, "not connected"),
        Raises(NotConnectedException, "not connected (error 0x80040407)"),
    ),
    value_fault(
        "an error text without a number",
        ascom_error(0, "odd"),
        Raises(DriverException, "odd (error 0x0)"),
    ),
    value_fault(
        "an error with a value of the wrong type",
        value("?", ErrorNumber=1024, ErrorMessage="no gain"),
        Raises(NotImplementedException, "no gain (error 0x400)"),
    ),
    value_fault(
        "an error number that is not a number",
        value(5, ErrorNumber="many"),
        malformed("not of type int"),
    ),
    value_fault(
        "half a surrogate pair in an error text",
        text(b'{"ErrorNumber":1280,"ErrorMessage":"bad \\ud83d"}'),
        Raises(DriverException, "bad ? (error 0x500)"),
    ),
    value_fault(
        "a reply of more than 512 KiB for a value",
        text(b" " * (2**19 + 1)),
        malformed("longer than 524288"),
    ),
    value_fault("an image instead of a value", pixels(PAYLOAD), malformed("not JSON")),
    value_fault(
        "a DeviceNumber as text, and a reply without error fields",
        text(
            b'{"Value":[{"DeviceName":"Cam","DeviceType":"Camera","DeviceNumber":"1","UniqueID":"id"}]}'
        ),
        Returns([DEVICE], "the devices"),
        "INDIGO",
        devices_of,
    ),
    value_fault(
        "a list of devices with a trailing comma",
        text(DEVICES.replace(b"}]", b"},]")),
        Returns([DEVICE], "the devices"),
        "INDIGO",
        devices_of,
    ),
    value_fault(
        "the name of a device in Latin-1",
        text(DEVICES.replace(b'"Cam"', '"Ger\u00e4t"'.encode("latin-1"))),
        Returns([replace(DEVICE, device_name="Ger\u00e4t")], "the devices"),
        "",
        devices_of,
    ),
    value_fault(
        "a device without a type",
        value([{"DeviceNumber": 1}]),
        malformed("not of type str"),
        call=devices_of,
    ),
    value_fault(
        "a server description that is text",
        value("INDI"),
        Returns(ServerDescription("INDI"), "the description, with the text as its name"),
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


def test_no_protocol_fault_raises_a_transport_error() -> None:
    raised = [fault.outcome.kind for fault in FAULTS if isinstance(fault.outcome, Raises)]
    assert all(issubclass(kind, AlpacaError) for kind in raised)
    assert not any(kind.__name__.startswith("Transport") for kind in raised)

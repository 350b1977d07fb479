"""Error statuses, and HTTP replies that are invalid or unusual."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from alpaca_async import (
    IncompleteImage,
    MalformedResponse,
    NotImplementedException,
    RequestRejected,
    TransportError,
)
from tests.scripted import ascom_error, http, imagebytes

from .catalogue import (
    COMMANDED,
    GAIN,
    HAS_IMAGE,
    PAYLOAD,
    PIXELS,
    THE_IMAGE,
    UNKNOWN,
    UNTOUCHED,
    Fault,
    Outcome,
    Raises,
    Returns,
    broken,
    command,
    image,
    pixels,
    text,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from alpaca_async import AsyncCamera
    from tests.scripted import Reply, Request


def value_fault(cause: str, reply: Reply, outcome: Outcome, seen: str = "") -> Fault:
    return Fault("HTTP", cause, outcome, UNTOUCHED, first={"gain": reply}, seen=seen)


def image_fault(cause: str, reply: Reply, outcome: Outcome, seen: str = "") -> Fault:
    return Fault("HTTP", cause, outcome, HAS_IMAGE, image, {"imagearray": reply}, seen=seen)


def rejected(says: str) -> Raises:
    return Raises(RequestRejected, f"HTTP status {says}")


def transport_error(says: str) -> Raises:
    return Raises(TransportError, says)


def raw(*lines: str, body: bytes = b"") -> bytes:
    return "\r\n".join((*lines, "", "")).encode() + body


def chunked(
    *chunks: bytes, end: bytes = b"0\r\n\r\n", kind: str = "application/imagebytes"
) -> bytes:
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return raw(
        "HTTP/1.1 200 OK", f"Content-Type: {kind}", "Transfer-Encoding: chunked", body=body + end
    )


def apart(*parts: bytes) -> Reply:
    async def pieces(_: Request) -> AsyncIterator[bytes]:
        for part in parts:
            yield part
            await asyncio.sleep(0.01)

    return pieces


def only_pixels_counted(missing: int = 0) -> Reply:
    payload = imagebytes(LARGER.tobytes(), *LARGER.shape)
    counted = f"Content-Length: {LARGER.nbytes}"
    body = payload[: len(payload) - missing]
    lines = ("HTTP/1.1 200 OK", "Content-Type: application/imagebytes", counted)
    return broken(raw(*lines, body=body))


async def variant(camera: AsyncCamera) -> object:
    return await camera.get_image_array_variant()


BODY = b'{"Value": 5}'
LENGTH = f"Content-Length: {len(BODY)}"
NUMBERS = np.array([[1, 2]], np.int32)
LARGER = np.arange(64, dtype="<u2").reshape(8, 8)
TEXT = json.dumps({"Type": 2, "Rank": 2, "Value": [[1, 2]]}).encode()
PAGE = b"<html><head><style>b {}</style></head><h1>404</h1>No such page</html>"
ZIPPED = gzip.compress(TEXT * 9, mtime=0)
GZIP = "Content-Encoding: gzip\r\n"

STATUSES = [
    value_fault(
        "status 400 with a text",
        text(b"Camera 4?", "text/plain", status="400 Bad Request"),
        rejected("400: Camera 4?"),
    ),
    value_fault(
        "status 404 with a page",
        text(PAGE, "text/html", status="404 Not Found"),
        rejected("404: 404 No such page"),
        "AlpacaPi",
    ),
    value_fault(
        "status 404 without a body", text(b"", status="404 Not Found"), rejected("404"), "INDI"
    ),
    value_fault(
        "status 404 with a detail in JSON",
        text(b'{"detail":"Not Found"}', status="404 Not Found"),
        rejected("404: {"),
        "python-alpaca-server",
    ),
    value_fault(
        "status 422 for a wrong parameter",
        text(b'{"detail":[]}', status="422 Odd"),
        rejected("422: {"),
        "alpaca-simulators",
    ),
    value_fault(
        "status 405 for an unknown member",
        text(b"", status="405 Method Not Allowed"),
        rejected("405"),
        "alpaca-simulators",
    ),
    value_fault(
        "an Alpaca error in a reply of status 400",
        text(b'{"ErrorNumber":1002,"ErrorMessage":"No device x"}', status="400 Bad Request"),
        rejected("400: No device x"),
        "INDI, AlpacaPi",
    ),
    value_fault("status 500 without a body", text(b"", status="500 Oops"), rejected("500"), "INDI"),
    value_fault(
        "status 500 with a stack trace",
        text(b"at X()\n" * 999, "text/plain", status="500 Oops"),
        rejected("500: at X() at X()"),
    ),
    value_fault("status 401", text(b"", status="401 Unauthorized"), rejected("401")),
    value_fault("status 403", text(b"", status="403 Forbidden"), rejected("403")),
    value_fault("status 204", b"HTTP/1.1 204 No Content\r\n\r\n", rejected("204")),
    image_fault(
        "status 204 in reply to the request for an image",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        Raises(MalformedResponse, "HTTP status 204 instead of an image"),
    ),
    value_fault(
        "a nonexistent device, reported as error 0x400 with status 200",
        ascom_error(0x400, "not found"),
        Raises(NotImplementedException, "not found (error 0x400)"),
        "alpaca-simulators",
    ),
    value_fault(
        "a redirect in reply to a read",
        text(b"", status="302 Found", extra="Location: /x\r\n"),
        rejected("302: redirected to /x"),
    ),
    Fault(
        "HTTP",
        "a redirect in reply to a command",
        rejected("307: redirected to /x"),
        COMMANDED,
        command,
        {"gain": text(b"", status="307 Temporary Redirect", extra="Location: /x\r\n")},
    ),
    value_fault(
        "a redirect to https",
        text(b"", status="301 Moved Permanently", extra="Location: https://pi/gain\r\n"),
        rejected("301: redirected to https://pi/gain, which is not followed"),
    ),
    Fault(
        "HTTP",
        "a command that is rejected",
        rejected("400: no"),
        COMMANDED,
        command,
        {"gain": text(b"no", status="400 No")},
    ),
    Fault(
        "HTTP",
        "an image that is rejected",
        rejected("500"),
        HAS_IMAGE,
        image,
        {"imagearray": text(b"", status="500 Oops")},
    ),
]

TYPES = [
    image_fault(
        "an image with the media type text/html",
        text(b"<html>Log in", "text/html"),
        Raises(MalformedResponse, "text/html is neither"),
        "access points",
    ),
    image_fault(
        "ImageBytes with the media type application/octet-stream",
        text(PAYLOAD, "application/octet-stream"),
        Raises(MalformedResponse, "octet-stream is neither"),
    ),
    image_fault(
        "JSON with the media type of ImageBytes",
        pixels(TEXT * 3),
        Raises(MalformedResponse, "version"),
    ),
    image_fault(
        "ImageBytes with the media type of JSON",
        text(PAYLOAD),
        Raises(MalformedResponse, "not JSON"),
        "a NINA plug-in",
    ),
    image_fault(
        "ImageBytes without a media type",
        http(PAYLOAD, ""),
        Returns(PIXELS, "the image", "without a Content-Type"),
    ),
    image_fault(
        "JSON without a media type",
        http(TEXT, ""),
        Returns(NUMBERS, "the image", "without a Content-Type"),
    ),
    image_fault(
        "a media type with capitals and parameters",
        text(PAYLOAD, "Application/ImageBytes; charset=utf-8"),
        THE_IMAGE,
        "AlpacaPi",
    ),
    image_fault(
        "JSON, though ImageBytes were requested", text(TEXT), Returns(NUMBERS, "the image"), "INDI"
    ),
    Fault(
        "HTTP",
        "ImageBytes for the deprecated ImageArrayVariant",
        THE_IMAGE,
        HAS_IMAGE,
        variant,
        seen="alpaca-simulators",
    ),
    value_fault(
        "JSON with the media type text/html",
        text(BODY, "text/html"),
        Returns(5),
        "Arduino sketches",
    ),
    value_fault("a value without a media type", http(BODY, ""), Returns(5)),
    value_fault(
        "a reply compressed with gzip",
        text(gzip.compress(BODY, mtime=0), extra=GZIP),
        Raises(MalformedResponse, "compressed (gzip)"),
    ),
    value_fault(
        "a reply compressed with gzip that ends early",
        text(gzip.compress(BODY, mtime=0)[:-6], extra=GZIP),
        Raises(MalformedResponse, "compressed (gzip)"),
    ),
    image_fault(
        "an image compressed with gzip",
        text(ZIPPED, extra=GZIP),
        Raises(MalformedResponse, "compressed (gzip)"),
        "ASCOM Remote",
    ),
    image_fault(
        "an image compressed with gzip that ends early",
        text(ZIPPED[:-6], extra=GZIP),
        Raises(MalformedResponse, "compressed (gzip)"),
    ),
    image_fault(
        "gzip data with the media type of ImageBytes",
        pixels(ZIPPED),
        Raises(MalformedResponse, "version"),
    ),
]

FRAMES = [
    value_fault(
        "HTTP/1.0, closed after the reply",
        raw("HTTP/1.0 200 OK", body=BODY),
        Returns(5),
        "AlpacaPi",
    ),
    value_fault(
        "a status line without a reason phrase",
        raw("HTTP/1.0 200 ", body=BODY),
        Returns(5),
        "AlpacaPi",
    ),
    value_fault(
        "lines that end with a bare line feed",
        f"HTTP/1.1 200 OK\n{LENGTH}\n\n".encode() + BODY,
        Returns(5),
    ),
    value_fault(
        "100 Continue before the reply", b"HTTP/1.1 100 Continue\r\n\r\n" + GAIN, Returns(5)
    ),
    value_fault(
        "a head and a body that are written apart",
        apart(raw("HTTP/1.1 200 OK", LENGTH), BODY),
        Returns(5, "`5`; on Linux without the delay of an acknowledgement"),
        "INDI",
    ),
    value_fault(
        "chunk sizes padded with spaces",
        raw("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", body=b"c  \r\n%b\r\n0\r\n\r\n" % BODY),
        Returns(5),
    ),
    value_fault(
        "Content-Length twice, with the same value",
        raw("HTTP/1.1 200 OK", LENGTH, "Server: X", LENGTH, body=BODY),
        Returns(5),
    ),
    value_fault(
        "two different values of Content-Length",
        raw("HTTP/1.1 200 OK", LENGTH, "Content-Length: 3", body=BODY),
        transport_error(""),
    ),
    value_fault(
        "a negative Content-Length",
        raw("HTTP/1.1 200 OK", "Content-Length: -1", body=BODY),
        transport_error(""),
    ),
    value_fault(
        "a Content-Length of 31 digits",
        raw("HTTP/1.1 200 OK", f"Content-Length: {10**30}", body=BODY),
        transport_error(""),
    ),
    value_fault(
        "a Content-Length in a chunked reply",
        raw("HTTP/1.1 200 OK", LENGTH, "Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
        transport_error(""),
    ),
    value_fault(
        "a Content-Length that is too small",
        raw("HTTP/1.1 200 OK", "Content-Length: 4", body=BODY),
        Raises(MalformedResponse, "not JSON"),
    ),
    value_fault(
        "a Content-Length that is too large",
        broken(raw("HTTP/1.1 200 OK", "Content-Length: 99", body=BODY)),
        transport_error("the body ended 87 bytes early"),
    ),
    value_fault(
        "the transfer coding gzip",
        raw("HTTP/1.1 200 OK", "Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"),
        transport_error(""),
    ),
    value_fault(
        "a chunk size that is not a number",
        chunked(end=b"xyz\r\n", kind="application/json"),
        transport_error("illegal chunk"),
    ),
    image_fault(
        "a chunked image", chunked(PAYLOAD[:50], PAYLOAD[50:]), THE_IMAGE, "alpaca-simulators"
    ),
    image_fault(
        "a chunked image that is one byte short",
        chunked(PAYLOAD[:-1]),
        Raises(IncompleteImage, "after 85 of 86 bytes"),
    ),
    image_fault(
        "a chunked image with an extra byte",
        chunked(PAYLOAD, b"x"),
        Raises(MalformedResponse, "more bytes follow"),
    ),
    image_fault(
        "a chunked image that ends after its first chunk",
        broken(chunked(PAYLOAD[:50], end=b"")),
        Raises(IncompleteImage, "after 50 of 86 bytes"),
    ),
    image_fault(
        "an image without Content-Length",
        raw("HTTP/1.0 200 OK", "Content-Type: application/imagebytes", body=PAYLOAD),
        THE_IMAGE,
    ),
    image_fault(
        "an image without Content-Length that ends early",
        raw("HTTP/1.0 200 OK", "Content-Type: application/imagebytes", body=PAYLOAD[:60]),
        Raises(IncompleteImage, "after 60 of 86 bytes"),
    ),
    image_fault(
        "an image with a Content-Length that is too small",
        raw(
            "HTTP/1.1 200 OK",
            "Content-Type: application/imagebytes",
            "Content-Length: 80",
            body=PAYLOAD,
        ),
        Raises(IncompleteImage, "after 80 of 86 bytes"),
    ),
    image_fault(
        "a Content-Length that counts only the pixels of an image, not its header",
        only_pixels_counted(),
        Returns(LARGER, "the image", "counts only the pixels"),
        "INDIGO",
    ),
    image_fault(
        "the same, but the connection closes where Content-Length says",
        only_pixels_counted(missing=44),
        Raises(IncompleteImage, "after 128 of 172 bytes"),
    ),
    value_fault(
        "a head of more than 64 KiB",
        raw("HTTP/1.1 200 OK", *["X: " + "x" * 9000] * 9),
        transport_error("exceeds"),
    ),
    value_fault(
        "three hundred headers",
        raw("HTTP/1.1 200 OK", LENGTH, *["X: y"] * 300, body=BODY),
        transport_error("301 headers"),
    ),
    value_fault(
        "a space before a colon",
        raw("HTTP/1.1 200 OK", "Content-Length : 12", body=BODY),
        transport_error("illegal head"),
    ),
    value_fault(
        "a server that does not speak HTTP",
        b"220 smtp.example ready\r\n",
        transport_error("not HTTP/1"),
    ),
    image_fault(
        "an error in JSON without an HTTP head",
        b'{\r\n\t"ErrorNumber":1035,\r\n\t"ErrorMessage":"AlpacaPi:No image available"\r\n}\r\n',
        transport_error('"ErrorMessage":"AlpacaPi:No image available"'),
        "AlpacaPi",
    ),
    image_fault(
        "ImageBytes without an HTTP head",
        PAYLOAD,
        transport_error("the reply is not HTTP/1"),
        "INDIGO",
    ),
    value_fault(
        "a reply in HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", transport_error("not HTTP/1")
    ),
    Fault(
        "HTTP",
        "a reply to a command that is not HTTP",
        transport_error("not HTTP/1"),
        UNKNOWN,
        command,
        {"gain": b"\0" * 99},
    ),
    Fault(
        "HTTP",
        "a reply to a command that is not JSON",
        Raises(MalformedResponse, "may have executed"),
        UNKNOWN,
        command,
        {"gain": text(b"OK", "text/plain")},
    ),
]

FAULTS = [*STATUSES, *TYPES, *FRAMES]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
async def test_http(
    fault: Fault, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fault.check(caplog, monkeypatch)

"""Replies that HTTP, or what the protocol says of it, does not allow, or allows in odd forms."""

from __future__ import annotations

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
from tests.scripted import ascom_error, http

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
    Gives,
    Outcome,
    Raises,
    broken,
    command,
    image,
    pixels,
    text,
)

if TYPE_CHECKING:
    from alpaca_async import AsyncCamera
    from tests.scripted import Reply


def misread(cause: str, reply: Reply, gets: Outcome, seen: str = "") -> Fault:
    return Fault("HTTP", cause, gets, UNTOUCHED, first={"gain": reply}, seen=seen)


def unread(cause: str, reply: Reply, gets: Outcome, seen: str = "") -> Fault:
    return Fault("HTTP", cause, gets, HAS_IMAGE, image, {"imagearray": reply}, seen=seen)


def rejected(says: str) -> Raises:
    return Raises(RequestRejected, f"HTTP status {says}")


def lost(says: str) -> Raises:
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


async def variant(camera: AsyncCamera) -> object:
    return await camera.get_image_array_variant()


BODY = b'{"Value": 5}'
LENGTH = f"Content-Length: {len(BODY)}"
NUMBERS = np.array([[1, 2]], np.int32)
TEXT = json.dumps({"Type": 2, "Rank": 2, "Value": [[1, 2]]}).encode()
PAGE = b"<html><head><style>b {}</style></head><h1>404</h1>No such page</html>"
ZIPPED = gzip.compress(TEXT * 9, mtime=0)
GZIP = "Content-Encoding: gzip\r\n"

STATUSES = [
    misread(
        "status 400 with a text",
        text(b"Camera 4?", "text/plain", status="400 Bad Request"),
        rejected("400: Camera 4?"),
    ),
    misread(
        "status 404 with a page",
        text(PAGE, "text/html", status="404 Not Found"),
        rejected("404: 404 No such page"),
        "AlpacaPi",
    ),
    misread(
        "status 404 and nothing else", text(b"", status="404 Not Found"), rejected("404"), "INDI"
    ),
    misread(
        "status 404 with a detail in JSON",
        text(b'{"detail":"Not Found"}', status="404 Not Found"),
        rejected("404: {"),
        "python-alpaca-server",
    ),
    misread(
        "status 422 for a wrong parameter",
        text(b'{"detail":[]}', status="422 Odd"),
        rejected("422: {"),
        "alpaca-simulators",
    ),
    misread(
        "status 405 for an unknown member",
        text(b"", status="405 Method Not Allowed"),
        rejected("405"),
        "alpaca-simulators",
    ),
    misread(
        "an Alpaca error within status 400",
        text(b'{"ErrorNumber":1002,"ErrorMessage":"No device x"}', status="400 Bad Request"),
        rejected("400: No device x"),
        "INDI, AlpacaPi",
    ),
    misread("status 500 and nothing else", text(b"", status="500 Oops"), rejected("500"), "INDI"),
    misread(
        "status 500 with a stack trace",
        text(b"at X()\n" * 999, "text/plain", status="500 Oops"),
        rejected("500: at X() at X()"),
    ),
    misread("status 401", text(b"", status="401 Unauthorized"), rejected("401")),
    misread("status 403", text(b"", status="403 Forbidden"), rejected("403")),
    misread("status 204", b"HTTP/1.1 204 No Content\r\n\r\n", rejected("204")),
    misread(
        "a device that does not exist, as 0x400 in status 200",
        ascom_error(0x400, "not found"),
        Raises(NotImplementedException, "not found (error 0x400)"),
        "alpaca-simulators",
    ),
    misread(
        "a redirect of a read",
        text(b"", status="302 Found", extra="Location: /x\r\n"),
        rejected("302"),
    ),
    Fault(
        "HTTP",
        "a redirect of a command",
        rejected("307"),
        COMMANDED,
        command,
        {"gain": text(b"", status="307 Temporary Redirect", extra="Location: /x\r\n")},
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
    unread(
        "an image called text/html",
        text(b"<html>Log in", "text/html"),
        Raises(MalformedResponse, "text/html is neither"),
        "access points",
    ),
    unread(
        "ImageBytes called application/octet-stream",
        text(PAYLOAD, "application/octet-stream"),
        Raises(MalformedResponse, "octet-stream is neither"),
    ),
    unread(
        "JSON where ImageBytes are promised", pixels(TEXT * 3), Raises(MalformedResponse, "version")
    ),
    unread(
        "ImageBytes where JSON is promised",
        text(PAYLOAD),
        Raises(MalformedResponse, "not JSON"),
        "a plug-in of NINA",
    ),
    unread(
        "ImageBytes without a media type",
        http(PAYLOAD, ""),
        Gives(PIXELS, "the image", "without a media type"),
    ),
    unread(
        "JSON without a media type",
        http(TEXT, ""),
        Gives(NUMBERS, "the image", "without a media type"),
    ),
    unread(
        "a media type with parameters, in capitals",
        text(PAYLOAD, "Application/ImageBytes; charset=utf-8"),
        THE_IMAGE,
        "AlpacaPi",
    ),
    unread(
        "JSON, though ImageBytes were asked for", text(TEXT), Gives(NUMBERS, "the image"), "INDI"
    ),
    Fault(
        "HTTP",
        "ImageBytes for the deprecated ImageArrayVariant",
        THE_IMAGE,
        HAS_IMAGE,
        variant,
        seen="alpaca-simulators",
    ),
    misread("JSON called text/html", text(BODY, "text/html"), Gives(5), "Arduino sketches"),
    misread("a value without a media type", http(BODY, ""), Gives(5)),
    misread(
        "a reply in gzip",
        text(gzip.compress(BODY, mtime=0), extra=GZIP),
        Raises(MalformedResponse, "compressed (gzip)"),
    ),
    misread(
        "a reply in gzip that ends early",
        text(gzip.compress(BODY, mtime=0)[:-6], extra=GZIP),
        Raises(MalformedResponse, "compressed (gzip)"),
    ),
    unread(
        "an image in gzip",
        text(ZIPPED, extra=GZIP),
        Raises(MalformedResponse, "compressed (gzip)"),
        "ASCOM Remote",
    ),
    unread(
        "an image in gzip that ends early",
        text(ZIPPED[:-6], extra=GZIP),
        Raises(MalformedResponse, "compressed (gzip)"),
    ),
    unread("gzip that is called ImageBytes", pixels(ZIPPED), Raises(MalformedResponse, "version")),
]

FRAMES = [
    misread(
        "HTTP/1.0, closed after the reply", raw("HTTP/1.0 200 OK", body=BODY), Gives(5), "AlpacaPi"
    ),
    misread(
        "a status line without a reason", raw("HTTP/1.0 200 ", body=BODY), Gives(5), "AlpacaPi"
    ),
    misread(
        "lines that end with a bare line feed",
        f"HTTP/1.1 200 OK\n{LENGTH}\n\n".encode() + BODY,
        Gives(5),
    ),
    misread("100 Continue before the reply", b"HTTP/1.1 100 Continue\r\n\r\n" + GAIN, Gives(5)),
    misread(
        "chunks with padded sizes",
        raw("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", body=b"c  \r\n%b\r\n0\r\n\r\n" % BODY),
        Gives(5),
    ),
    misread(
        "two lengths that differ",
        raw("HTTP/1.1 200 OK", LENGTH, "Content-Length: 3", body=BODY),
        lost(""),
    ),
    misread("a negative length", raw("HTTP/1.1 200 OK", "Content-Length: -1", body=BODY), lost("")),
    misread(
        "a length of thirty digits",
        raw("HTTP/1.1 200 OK", f"Content-Length: {10**30}", body=BODY),
        lost(""),
    ),
    misread(
        "a length beside chunks",
        raw("HTTP/1.1 200 OK", LENGTH, "Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
        lost(""),
    ),
    misread(
        "a length that is too small",
        raw("HTTP/1.1 200 OK", "Content-Length: 4", body=BODY),
        Raises(MalformedResponse, "not JSON"),
    ),
    misread(
        "a length that is too large",
        broken(raw("HTTP/1.1 200 OK", "Content-Length: 99", body=BODY)),
        lost("the body ended 87 bytes early"),
    ),
    misread(
        "a transfer coding of gzip",
        raw("HTTP/1.1 200 OK", "Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"),
        lost(""),
    ),
    misread(
        "a chunk whose size is no number",
        chunked(end=b"xyz\r\n", kind="application/json"),
        lost("illegal chunk"),
    ),
    unread(
        "an image in chunks", chunked(PAYLOAD[:50], PAYLOAD[50:]), THE_IMAGE, "alpaca-simulators"
    ),
    unread(
        "an image in chunks that is too short",
        chunked(PAYLOAD[:-1]),
        Raises(IncompleteImage, "after 85 of 86 bytes"),
    ),
    unread(
        "an image in chunks that is too long",
        chunked(PAYLOAD, b"x"),
        Raises(MalformedResponse, "more bytes follow"),
    ),
    unread(
        "an image in chunks without the last",
        broken(chunked(PAYLOAD[:50], end=b"")),
        Raises(IncompleteImage, "after 50 of 86 bytes"),
    ),
    unread(
        "an image of no stated length",
        raw("HTTP/1.0 200 OK", "Content-Type: application/imagebytes", body=PAYLOAD),
        THE_IMAGE,
    ),
    unread(
        "an image of no stated length that ends early",
        raw("HTTP/1.0 200 OK", "Content-Type: application/imagebytes", body=PAYLOAD[:60]),
        Raises(IncompleteImage, "after 60 of 86 bytes"),
    ),
    unread(
        "an image whose length is that of another",
        raw(
            "HTTP/1.1 200 OK",
            "Content-Type: application/imagebytes",
            "Content-Length: 80",
            body=PAYLOAD,
        ),
        Raises(IncompleteImage, "after 80 of 86 bytes"),
    ),
    misread(
        "a head of more than 64 KiB",
        raw("HTTP/1.1 200 OK", *["X: " + "x" * 9000] * 9),
        lost("exceeds"),
    ),
    misread(
        "three hundred headers",
        raw("HTTP/1.1 200 OK", LENGTH, *["X: y"] * 300, body=BODY),
        lost("301 headers"),
    ),
    misread(
        "a space before a colon",
        raw("HTTP/1.1 200 OK", "Content-Length : 12", body=BODY),
        lost("illegal head"),
    ),
    misread("a server that does not speak HTTP", b"220 smtp.example ready\r\n", lost("not HTTP/1")),
    misread("a reply in HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", lost("not HTTP/1")),
    Fault(
        "HTTP",
        "nonsense in reply to a command",
        lost("not HTTP/1"),
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

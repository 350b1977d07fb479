"""The known servers, and what each of them does differently."""

from __future__ import annotations

from typing import Final

from .deviations import Server, listed
from .replies import (
    ERROR_WITHOUT_HEAD,
    HEADER_WITHOUT_HEAD,
    IMAGE_READ_ONCE,
    INVALID_JSON_IMAGE,
    PADDED_IMAGE,
    READOUT_MODE_AS_TEXT,
    UNKNOWN_NUMBER,
    WHOLE_SECONDS,
)
from .simulated import (
    CHANGING_TYPES,
    DIVIDED_FRAME,
    IGNORED_BINNING,
    LAGGING_FRAME,
    LOWER_CASE_TRUE,
    SHARED_IDS,
    SLOW_CONNECT,
    STALE_IMAGE_READY,
)

_MEASURED: Final = "(November 2026)"
"""The date of the source, where a server has no numbered version."""

SERVERS: Final = (
    Server(
        "ASCOM Remote",
        "",
        "Serves ASCOM drivers of Windows.",
        (
            CHANGING_TYPES,
            listed(
                "a device error in JSON, though ImageBytes were requested",
                "Errors of ImageArray are sent as JSON",
            ),
            listed("an image compressed with gzip", "Images in JSON may be compressed with gzip"),
            listed(
                "unknown fields, fields in another order, and repeated fields",
                "Replies have the additional field DriverException",
            ),
            listed(
                "a shared camera that stays connected",
                "A camera that other clients use stays connected after Disconnect",
            ),
            listed("the connection closes before the image", "It may crash in ImageArray"),
        ),
    ),
    Server(
        "ASCOM OmniSim",
        "",
        "ASCOM's simulators of all devices.",
        (
            CHANGING_TYPES,
            listed(
                "a DeviceState without some members",
                "DeviceState leaves members out that cannot be read at present",
            ),
            listed("a colour image", "Colour images have the axis order of their driver"),
        ),
    ),
    Server(
        "INDI",
        "2.2.4",
        "The Alpaca bridge of INDI serves INDI devices.",
        (
            STALE_IMAGE_READY,
            LAGGING_FRAME,
            LOWER_CASE_TRUE,
            SLOW_CONNECT,
            SHARED_IDS,
            listed("JSON, though ImageBytes were requested", "Images are sent as JSON only"),
            listed("ImageReady is true while the state is Reading"),
            listed("Connected that stays false", "Connected may stay false after it was set"),
            listed("Connect is not implemented (status 400)", "Connect gets status 400"),
            listed("a negative duration", "Negative durations are accepted"),
            listed("a duration that is not a number", "NaN is accepted as a duration"),
            listed("an integer as a float", "Integers are sent as floats, such as `100.0`"),
            listed("an unknown error number", "Error numbers are not those of ASCOM"),
            listed("a server description that is text", "The server's description is a text"),
            listed(
                "a head and a body that are written apart",
                "The head and the body of a reply are written apart",
            ),
            listed(
                "a fraction of a percent for PercentCompleted",
                "PercentCompleted has fractions",
            ),
            listed(
                "an empty start time of the last exposure",
                "LastExposureStartTime is empty after an exposure",
            ),
            listed(
                "a server with four sockets, and nine concurrent reads",
                "Each connection occupies one of eight threads",
            ),
        ),
    ),
    Server(
        "INDIGO",
        "2.0-330",
        "The Alpaca agent of INDIGO serves INDIGO devices.",
        (
            SHARED_IDS,
            listed(
                "a Content-Length that counts only the pixels of an image, not its header",
                "The Content-Length of images counts only the pixels, not the header",
            ),
            INVALID_JSON_IMAGE,
            HEADER_WITHOUT_HEAD,
            listed(
                "an image that begins long after its request",
                "Images are converted before the first byte is sent, which takes long",
            ),
            listed(
                "a DeviceNumber as text, and a reply without error fields",
                "DeviceNumber is a text, and management replies have no error fields",
            ),
            listed("an image that never becomes ready"),
            listed("an image that arrives slowly but steadily", "Images take long to arrive"),
        ),
    ),
    Server(
        "AlpacaPi",
        "b183",
        "A server in C++ for the Raspberry Pi.",
        (
            listed("HTTP/1.0, closed after the reply", "It speaks HTTP/1.0"),
            listed("a status line without a reason phrase"),
            ERROR_WITHOUT_HEAD,
            listed(
                "the connection closes before the reply",
                "One connection in a hundred closes without a reply",
            ),
            listed(
                "a camera that is idle for a while before the image is ready",
                "The camera is idle for seconds before an image is ready",
            ),
            listed("a camera that is idle but has no image", "Most exposures yield no image"),
            listed("a camera without AbortExposure"),
            listed("an image of another size than was set", "NumX and NumY are ignored"),
            listed("a PercentCompleted of -99"),
            listed(
                "unknown fields, fields in another order, and repeated fields",
                "Replies have additional fields, some of them twice",
            ),
            listed("status 404 with a page", "Errors are pages with status 404"),
            listed("an image in JSON that ends early"),
        ),
    ),
    Server(
        "nebulosa",
        _MEASURED,
        "A server in TypeScript for INDI devices.",
        (
            DIVIDED_FRAME,
            UNKNOWN_NUMBER,
            READOUT_MODE_AS_TEXT,
            IMAGE_READ_ONCE,
            listed("a camera that is idle but has no image", "StopExposure drops the image"),
        ),
    ),
    Server(
        "goalpaca",
        _MEASURED,
        "A library in Go for servers.",
        (IGNORED_BINNING, WHOLE_SECONDS),
    ),
    Server(
        "AlpycaDevice",
        _MEASURED,
        "A template in Python for servers, such as rpicam-ascom-alpaca.",
        (
            SHARED_IDS,
            PADDED_IMAGE,
            listed(
                "pixels sent as Int64, though their element type is Int32",
                "Integers have eight bytes on some systems",
            ),
        ),
    ),
    Server(
        "alpaca-simulators",
        "1.3.2",
        "Simulated cameras, mounts and more in Python.",
        (
            listed(
                "a header with a smaller size than the pixels",
                "The header has the present NumX and NumY, which may be smaller than the image",
            ),
            listed(
                "a header with a larger size than the pixels",
                "The header has the present NumX and NumY, which may be larger than the image",
            ),
            listed("a chunked image", "Images are chunked"),
            listed("transaction ids that are wrong or missing"),
            listed(
                "a nonexistent device, reported as error 0x400 with status 200",
                "A device that does not exist is reported as error 0x400 with status 200",
            ),
            listed("status 422 for a wrong parameter"),
            listed("status 405 for an unknown member"),
            listed(
                "a camera in state Error, without an error message",
                "After a failed exposure the state is Error, but no error is reported",
            ),
            listed(
                "ImageBytes for the deprecated ImageArrayVariant",
                "ImageArrayVariant is still implemented, and sends ImageBytes",
            ),
        ),
    ),
    Server(
        "python-alpaca-server",
        "",
        "A library in Python for servers.",
        (
            listed("no error fields", "Replies have no ErrorNumber and no ErrorMessage"),
            listed("status 404 with a detail in JSON"),
        ),
    ),
    Server(
        "ascom-alpaca-rs",
        "",
        "A library in Rust for servers and clients.",
        (
            listed("a device error instead of pixels", "Errors are sent as ImageBytes"),
            listed("a negative error number", "Error numbers may be those of Windows"),
        ),
    ),
    Server(
        "ESP8266, ESP32",
        "",
        "Small servers on boards, such as TinyAlpacaServer.",
        (
            listed(
                "a keep-alive connection that was closed before a read",
                "Connections close after each reply, without a word",
            ),
            listed("an integer as text", "Integers are sent as texts"),
            listed("an InterfaceVersion that is not an integer", "InterfaceVersion is `0.9`"),
            listed("JSON with the media type text/html"),
            listed("no error fields", "Replies have no ErrorNumber and no ErrorMessage"),
        ),
    ),
)

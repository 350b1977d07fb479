"""Cameras whose replies are valid, but whose behaviour is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from alpaca_async import (
    CameraStates,
    CameraStatus,
    DriverException,
    IncompleteImage,
    InvalidOperationException,
    InvalidValueException,
    MalformedResponse,
    NotConnectedException,
    OperationFailed,
    OperationTimeout,
    ParkedException,
    TransportError,
)
from tests.scripted import ascom_error, imagebytes, value

from .catalogue import (
    ABORTED,
    COMMANDED,
    EXPOSED,
    IMAGE,
    NOT_REACHED,
    PIXELS,
    SUCCESS,
    THE_IMAGE,
    UNTOUCHED,
    After,
    Bench,
    Fault,
    Outcome,
    Raises,
    Returns,
    broken,
    command,
    expose,
    once,
    pixels,
    text,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from alpaca_async import AsyncCamera
    from tests.scripted import Reply

BUSY: dict[str, Any] = {
    "imageready": value(False),
    "camerastate": value(2),
}
SHORT_DELAYS = {
    "_workflows.waiting._STATE_INTERVAL": 0.02,
    "_workflows.waiting._IDLE_GRACE": 0.05,
    "_device.patience.LOSS_GRACE": 0.1,
}
IDLE = {"Name": "CameraState", "Value": 0}
BROKEN = b"HTTP/1.0 2"
SWAPPED = pixels(imagebytes(PIXELS.tobytes(), 7, 3))
WRAPPED = PIXELS.astype("<i2") - 10
OTHER = pixels(imagebytes(PIXELS.tobytes()[:24], 3, 4))


async def _was_undone(bench: Bench) -> None:
    sent = [r.parameters.get("Connected") for r in bench.requests if r.verb == "PUT"]
    assert sent == ["True", "False"]


async def _was_disconnected(bench: Bench) -> None:
    assert bench.sent("PUT") == ["connect", "disconnect"]


async def _was_stopped(bench: Bench) -> None:
    assert bench.sent("PUT") == ["startexposure", "abortexposure", "stopexposure"]


async def _refused_to_abort(bench: Bench) -> None:
    assert bench.sent("PUT")[:2] == ["startexposure", "abortexposure"]


async def _keeps_image(bench: Bench) -> None:
    assert bench.sent("PUT") == ["startexposure"]
    assert (await bench.camera.get_image_array()).shape == (3, 7)


async def _is_connected_by_property(bench: Bench) -> None:
    sent = [r.parameters.get("Connected") for r in bench.requests if r.verb == "PUT"]
    assert [each for each in sent if each is not None] == ["True"]


async def _stays_connected(bench: Bench) -> None:
    assert bench.sent("PUT") == ["connected"]
    assert await bench.camera.get_connected()


IMAGE_LEFT = After("idle, not aborted; `get_image` returns the image", _keeps_image)
BY_PROPERTY = After("connected: `Connected = True` was sent", _is_connected_by_property)
SHARED = After("still connected, for other clients", _stays_connected)
UNDONE = After("disconnected: `Connected = False` was sent", _was_undone)
DISCONNECTED = After("disconnected: Disconnect was sent", _was_disconnected)
STOPPED = After("idle: StopExposure was sent, as AbortExposure is not implemented", _was_stopped)
STILL_EXPOSING = After(
    "exposing: AbortExposure was sent and refused; this is logged", _refused_to_abort
)


async def connect(camera: AsyncCamera) -> None:
    await camera.connect(timeout=3)


async def connect_with_short_timeout(camera: AsyncCamera) -> None:
    await camera.connect(timeout=0.1)


async def expose_with_short_timeout(camera: AsyncCamera) -> None:
    await camera.expose(0.01, ready_timeout=0.1)


async def disconnect(camera: AsyncCamera) -> None:
    await camera.disconnect(timeout=1)


async def status(camera: AsyncCamera) -> CameraStatus:
    return await camera.get_status()


async def start_of(camera: AsyncCamera) -> str:
    return await camera.get_last_exposure_start_time()


async def expose_nan(camera: AsyncCamera) -> None:
    await camera.start_exposure(float("nan"))


async def expose_negative(camera: AsyncCamera) -> None:
    await camera.expose(-1)


async def gain_too_high(camera: AsyncCamera) -> None:
    await camera.set_gain(2**31)


def times_out(outcome: Outcome) -> bool:
    return isinstance(outcome, Raises) and outcome.kind is OperationTimeout


def exposure_fault(
    cause: str,
    outcome: Outcome,
    after: After,
    seen: str = "",
    **always: Any,  # noqa: ANN401 - replies
) -> Fault:
    call = expose_with_short_timeout if times_out(outcome) else expose
    return Fault(
        "device", cause, outcome, after, call, always=always, seen=seen, patches=SHORT_DELAYS
    )


def connect_fault(
    cause: str, outcome: Outcome, after: After, seen: str = "", **always: Reply
) -> Fault:
    call = connect_with_short_timeout if times_out(outcome) else connect
    return Fault("device", cause, outcome, after, call, always=always, seen=seen)


def state_fault(
    cause: str, records: object, outcome: CameraStatus, says: str, seen: str = ""
) -> Fault:
    replies: Mapping[str, Reply] = {"interfaceversion": value(4), "devicestate": value(records)}
    return Fault(
        "device", cause, Returns(outcome, says), UNTOUCHED, status, always=replies, seen=seen
    )


def refused_command(cause: str, number: int, error: type[Any]) -> Fault:
    reply = ascom_error(number, "no")
    return Fault("device", cause, Raises(error, "no"), COMMANDED, command, {"gain": reply})


EXPOSURES = [
    exposure_fault(
        "an image that never becomes ready",
        Raises(OperationTimeout, "no image within 0.1 s"),
        ABORTED,
        "INDIGO, AlpacaPi",
        **BUSY,
    ),
    exposure_fault(
        "a camera in state Error, without an error message",
        Raises(OperationFailed, "the camera reports an error"),
        ABORTED,
        "alpaca-simulators",
        imageready=value(False),
        camerastate=value(5),
    ),
    exposure_fault(
        "a camera that is idle but has no image",
        Raises(OperationFailed, "idle, but has no image"),
        ABORTED,
        "AlpacaPi",
        imageready=value(False),
    ),
    exposure_fault(
        "a failed exposure, reported by ImageReady",
        Raises(InvalidOperationException, "shutter stuck"),
        ABORTED,
        imageready=ascom_error(0x40B, "shutter stuck"),
    ),
    exposure_fault(
        "ImageReady is true while the state is Reading",
        THE_IMAGE,
        EXPOSED,
        "INDI, AlpacaPi",
        camerastate=value(3),
    ),
    exposure_fault(
        "a camera that is idle for a while before the image is ready",
        THE_IMAGE,
        EXPOSED,
        "AlpacaPi",
        imageready=once(value(False), value(True)),
    ),
    exposure_fault(
        "a StartExposure that is refused",
        Raises(InvalidValueException, "too long"),
        EXPOSED,
        startexposure=ascom_error(0x401, "too long"),
    ),
    exposure_fault(
        "an invalid reply to StartExposure",
        Raises(MalformedResponse, "not JSON"),
        ABORTED,
        startexposure=text(b"OK", "text/plain"),
    ),
    exposure_fault(
        "polls of ImageReady that fail for a while",
        THE_IMAGE,
        EXPOSED,
        imageready=once(BROKEN, once(BROKEN, value(True))),
    ),
    exposure_fault(
        "a DeviceState that fails during an exposure",
        THE_IMAGE,
        EXPOSED,
        interfaceversion=value(4),
        devicestate=ascom_error(0x500, "cable off"),
    ),
    exposure_fault(
        "a camera that becomes unreachable",
        Raises(TransportError, "camera/0/imageready"),
        ABORTED,
        imageready=BROKEN,
    ),
    exposure_fault(
        "a camera without AbortExposure",
        Raises(OperationTimeout, "no image within"),
        STOPPED,
        "AlpacaPi",
        **BUSY,
        abortexposure=ascom_error(0x400, "none"),
        stopexposure=value(None),
    ),
    exposure_fault(
        "a camera that refuses to abort",
        Raises(OperationTimeout, "no image within"),
        STILL_EXPOSING,
        **BUSY,
        abortexposure=ascom_error(0x500, "cable off"),
    ),
    exposure_fault(
        "a camera that implements only what an exposure needs",
        THE_IMAGE,
        EXPOSED,
        numx=ascom_error(0x400, ""),
        numy=ascom_error(0x400, ""),
    ),
    exposure_fault(
        "an image with swapped axes",
        Returns(PIXELS.reshape(7, 3), "the image", "the axes are swapped"),
        EXPOSED,
        imagearray=SWAPPED,
    ),
    exposure_fault(
        "an image of another size than was set",
        Returns(PIXELS.reshape(-1)[:12].reshape(3, 4), "the image", "delivered 3 x 4 pixels"),
        EXPOSED,
        "AlpacaPi",
        imagearray=OTHER,
    ),
    exposure_fault(
        "unsigned pixels of 16 bits that are sent as signed ones",
        Returns(WRAPPED, "the image, as it was sent", "delivers negative pixels in 16 bits"),
        EXPOSED,
        imagearray=pixels(imagebytes(WRAPPED.tobytes(), 3, 7, kind=1)),
        maxadu=value(65535),
    ),
    exposure_fault(
        "a LastExposureDuration that counts down",
        Returns(PIXELS, "the image", "LastExposureDuration 0.003 s is not plausible"),
        EXPOSED,
        "INDI",
        lastexposureduration=value(0.003),
    ),
    exposure_fault(
        "a LastExposureStartTime by a clock that was never set",
        Returns(PIXELS, "the image", "behind this computer's clock"),
        EXPOSED,
        lastexposurestarttime=value("1970-01-01T00:05:00.250"),
    ),
    exposure_fault(
        "an image whose download fails, and that is still in the camera",
        Raises(IncompleteImage, "after 76 of 86"),
        IMAGE_LEFT,
        imagearray=once(broken(IMAGE[:-10]), IMAGE),
    ),
]
CONNECTIONS = [
    connect_fault(
        "Connected that stays false",
        Raises(OperationTimeout, "not connected within 0.1 s"),
        UNDONE,
        "INDI",
        connected=lambda r: value(None if r.verb == "PUT" else False),
    ),
    connect_fault(
        "Connecting that never ends",
        Raises(OperationTimeout, "not connected within 0.1 s"),
        DISCONNECTED,
        connected=value(False),
        interfaceversion=value(4),
        connect=value(None),
        disconnect=value(None),
        connecting=value(True),
    ),
    connect_fault(
        "Connect is not implemented (error 0x400)", SUCCESS, BY_PROPERTY, interfaceversion=value(4)
    ),
    connect_fault(
        "Connect is not implemented (status 404)",
        SUCCESS,
        BY_PROPERTY,
        interfaceversion=value(4),
        connect=text(b"", status="404 Not Found"),
        connecting=text(b"", status="404 Not Found"),
    ),
    connect_fault(
        "Connect is not implemented (status 400)",
        SUCCESS,
        BY_PROPERTY,
        "INDI",
        connect=text(b"", status="400 Bad"),
        interfaceversion=value(4),
        connecting=text(b"", status="400 Bad"),
    ),
    connect_fault(
        "an InterfaceVersion that is not an integer",
        SUCCESS,
        BY_PROPERTY,
        "an ESP8266",
        interfaceversion=value("0.9"),
    ),
    Fault(
        "device",
        "a shared camera that stays connected",
        SUCCESS,
        SHARED,
        disconnect,
        seen="ASCOM Remote, OmniSim",
    ),
]
REFUSALS = [
    refused_command("a command while the camera is not connected", 0x407, NotConnectedException),
    refused_command("a command while the device is parked", 0x408, ParkedException),
    refused_command("a value out of range", 0x401, InvalidValueException),
    refused_command("a driver-specific error", 0x5A5, DriverException),
    Fault(
        "device",
        "a duration that is not a number",
        Raises(ValueError, "must be finite"),
        NOT_REACHED,
        expose_nan,
        seen="INDI and alpaca-simulators accept it",
    ),
    Fault(
        "device",
        "a negative duration",
        Raises(ValueError, "must not be negative"),
        NOT_REACHED,
        expose_negative,
        seen="INDI accepts it",
    ),
    Fault(
        "device",
        "a gain that exceeds 32 bits",
        Raises(ValueError, "must fit 32 bits"),
        NOT_REACHED,
        gain_too_high,
    ),
    Fault(
        "device",
        "an empty start time of the last exposure",
        Returns("", "`''`, as received"),
        UNTOUCHED,
        start_of,
        always={"lastexposurestarttime": value("")},
        seen="INDI",
    ),
]
STATES = [
    state_fault(
        "a PercentCompleted of -99",
        [IDLE, {"Name": "PercentCompleted", "Value": -99}],
        CameraStatus(camera_state=CameraStates.IDLE),
        "the status, with `None` for it",
        "AlpacaPi",
    ),
    state_fault(
        "a DeviceState without some members",
        [IDLE],
        CameraStatus(camera_state=CameraStates.IDLE),
        "the status, with `None` for them",
        "OmniSim",
    ),
    state_fault(
        "a DeviceState with an invalid value",
        [IDLE, {"Name": "CCDTemperature", "Value": "cold"}, {"Name": "TimeStamp", "Value": "now"}],
        CameraStatus(camera_state=CameraStates.IDLE),
        "the status, with `None` for it",
    ),
    state_fault(
        "a CameraState that ASCOM does not define",
        [{"Name": "CameraState", "Value": 17}],
        CameraStatus(camera_state=CameraStates(17)),
        "the status, with `UNKNOWN_17`",
    ),
]
FAULTS = [*EXPOSURES, *CONNECTIONS, *REFUSALS, *STATES]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
async def test_device(
    fault: Fault, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fault.check(caplog, monkeypatch)

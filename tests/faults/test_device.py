"""Cameras that answer well, and behave badly."""

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
    NOTHING,
    PIXELS,
    THE_IMAGE,
    UNTOUCHED,
    After,
    Bench,
    Fault,
    Gives,
    Outcome,
    Raises,
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
SOON = {
    "_workflows.waiting._STATE_INTERVAL": 0.02,
    "_workflows.waiting._IDLE_GRACE": 0.05,
    "_workflows.waiting._LOSS_GRACE": 0.1,
}
IDLE = {"Name": "CameraState", "Value": 0}
BROKEN = b"HTTP/1.0 2"
SWAPPED = pixels(imagebytes(PIXELS.tobytes(), 7, 3))
OTHER = pixels(imagebytes(PIXELS.tobytes()[:24], 3, 4))


async def _is_taken_back(bench: Bench) -> None:
    sent = [r.parameters.get("Connected") for r in bench.requests if r.verb == "PUT"]
    assert sent == ["True", "False"]


async def _is_disconnected_again(bench: Bench) -> None:
    assert bench.sent("PUT") == ["connect", "disconnect"]


async def _is_stopped(bench: Bench) -> None:
    assert bench.sent("PUT") == ["startexposure", "abortexposure", "stopexposure"]


async def _is_unabortable(bench: Bench) -> None:
    assert bench.sent("PUT")[:2] == ["startexposure", "abortexposure"]


async def _keeps_image(bench: Bench) -> None:
    assert bench.sent("PUT") == ["startexposure"]
    assert (await bench.camera.get_image_array()).shape == (3, 7)


async def _is_connected_by_property(bench: Bench) -> None:
    sent = [r.parameters.get("Connected") for r in bench.requests if r.verb == "PUT"]
    assert [each for each in sent if each is not None] == ["True"]


async def _is_shared(bench: Bench) -> None:
    assert bench.sent("PUT") == ["connected"]
    assert await bench.camera.get_connected()


IMAGE_LEFT = After("idle, with its image: not aborted, `get_image` gets it", _keeps_image)
BY_PROPERTY = After("connected, by `Connected = True`", _is_connected_by_property)
SHARED = After("connected still, for others", _is_shared)
TAKEN_BACK = After("disconnected: the attempt was taken back", _is_taken_back)
DISCONNECTED = After("disconnected: Disconnect was sent", _is_disconnected_again)
STOPPED = After("idle: StopExposure was sent, as it has no AbortExposure", _is_stopped)
BUSY_STILL = After("exposing: AbortExposure was sent, and refused; this is logged", _is_unabortable)


async def connect(camera: AsyncCamera) -> None:
    await camera.connect(timeout=3)


async def connect_in_haste(camera: AsyncCamera) -> None:
    await camera.connect(timeout=0.1)


async def expose_in_haste(camera: AsyncCamera) -> None:
    await camera.expose(0.01, ready_timeout=0.1)


async def disconnect(camera: AsyncCamera) -> None:
    await camera.disconnect(timeout=1)


async def status(camera: AsyncCamera) -> CameraStatus:
    return await camera.get_status()


async def start_of(camera: AsyncCamera) -> str:
    return await camera.get_last_exposure_start_time()


async def expose_nan(camera: AsyncCamera) -> None:
    await camera.start_exposure(float("nan"))


async def expose_backwards(camera: AsyncCamera) -> None:
    await camera.expose(-1)


async def gain_too_high(camera: AsyncCamera) -> None:
    await camera.set_gain(2**31)


def ends_late(gets: Outcome) -> bool:
    return isinstance(gets, Raises) and gets.kind is OperationTimeout


def exposed(cause: str, gets: Outcome, after: After, seen: str = "", **always: Any) -> Fault:  # noqa: ANN401 - replies
    call = expose_in_haste if ends_late(gets) else expose
    return Fault("device", cause, gets, after, call, always=always, seen=seen, patches=SOON)


def connected(cause: str, gets: Outcome, after: After, seen: str = "", **always: Reply) -> Fault:
    patches = {"_device.device._CONNECTED_GRACE": 0.05}
    call = connect_in_haste if ends_late(gets) else connect
    return Fault("device", cause, gets, after, call, always=always, seen=seen, patches=patches)


def told(cause: str, records: object, gets: CameraStatus, says: str, seen: str = "") -> Fault:
    replies: Mapping[str, Reply] = {"interfaceversion": value(4), "devicestate": value(records)}
    return Fault("device", cause, Gives(gets, says), UNTOUCHED, status, always=replies, seen=seen)


def refused(cause: str, number: int, error: type[Any]) -> Fault:
    reply = ascom_error(number, "no")
    return Fault("device", cause, Raises(error, "no"), COMMANDED, command, {"gain": reply})


EXPOSURES = [
    exposed(
        "an image that never comes",
        Raises(OperationTimeout, "no image within 0.1 s"),
        ABORTED,
        "INDIGO, AlpacaPi",
        **BUSY,
    ),
    exposed(
        "a camera in its error state, without a word",
        Raises(OperationFailed, "the camera reports an error"),
        ABORTED,
        "alpaca-simulators",
        imageready=value(False),
        camerastate=value(5),
    ),
    exposed(
        "a camera that is idle, and has no image",
        Raises(OperationFailed, "idle, but has no image"),
        ABORTED,
        "AlpacaPi",
        imageready=value(False),
    ),
    exposed(
        "an exposure whose failure ImageReady tells",
        Raises(InvalidOperationException, "shutter stuck"),
        ABORTED,
        imageready=ascom_error(0x40B, "shutter stuck"),
    ),
    exposed(
        "ImageReady while the state says that it reads out",
        THE_IMAGE,
        EXPOSED,
        "INDI, AlpacaPi",
        camerastate=value(3),
    ),
    exposed(
        "idle for a while, before the image comes",
        THE_IMAGE,
        EXPOSED,
        "AlpacaPi",
        imageready=once(value(False), value(True)),
    ),
    exposed(
        "a StartExposure that is refused",
        Raises(InvalidValueException, "too long"),
        EXPOSED,
        startexposure=ascom_error(0x401, "too long"),
    ),
    exposed(
        "nonsense in reply to StartExposure",
        Raises(MalformedResponse, "not JSON"),
        ABORTED,
        startexposure=text(b"OK", "text/plain"),
    ),
    exposed(
        "polls that get lost for a while",
        THE_IMAGE,
        EXPOSED,
        imageready=once(BROKEN, once(BROKEN, value(True))),
    ),
    exposed(
        "a camera that cannot be reached any more",
        Raises(TransportError, "camera/0/imageready"),
        ABORTED,
        imageready=BROKEN,
    ),
    exposed(
        "a camera without AbortExposure",
        Raises(OperationTimeout, "no image within"),
        STOPPED,
        "AlpacaPi",
        **BUSY,
        abortexposure=ascom_error(0x400, "none"),
        stopexposure=value(None),
    ),
    exposed(
        "a camera that refuses to abort",
        Raises(OperationTimeout, "no image within"),
        BUSY_STILL,
        **BUSY,
        abortexposure=ascom_error(0x500, "cable off"),
    ),
    exposed(
        "a camera that tells no fact but its image",
        THE_IMAGE,
        EXPOSED,
        numx=ascom_error(0x400, ""),
        numy=ascom_error(0x400, ""),
    ),
    exposed(
        "an image whose axes are swapped",
        Gives(PIXELS.reshape(7, 3), "the image", "the axes are swapped"),
        EXPOSED,
        imagearray=SWAPPED,
    ),
    exposed(
        "a frame of another size than was set",
        Gives(PIXELS.reshape(-1)[:12].reshape(3, 4), "the image", "delivered 3 x 4 pixels"),
        EXPOSED,
        "AlpacaPi",
        imagearray=OTHER,
    ),
    exposed(
        "an image that was lost, and is still in the camera",
        Raises(IncompleteImage, "after 76 of 86"),
        IMAGE_LEFT,
        imagearray=once(broken(IMAGE[:-10]), IMAGE),
    ),
]
CONNECTIONS = [
    connected(
        "Connected that stays false",
        Raises(OperationFailed, "not connected"),
        TAKEN_BACK,
        "INDI",
        connected=lambda r: value(None if r.verb == "PUT" else False),
    ),
    connected(
        "Connecting that never ends",
        Raises(OperationTimeout, "not connected within 0.1 s"),
        DISCONNECTED,
        connected=value(False),
        interfaceversion=value(4),
        connect=value(None),
        disconnect=value(None),
        connecting=value(True),
    ),
    connected("Connect that is missing, as 0x400", NOTHING, BY_PROPERTY, interfaceversion=value(4)),
    connected(
        "Connect that is missing, as status 404",
        NOTHING,
        BY_PROPERTY,
        interfaceversion=value(4),
        connect=text(b"", status="404 Not Found"),
        connecting=text(b"", status="404 Not Found"),
    ),
    connected(
        "Connect that is missing, as status 400",
        NOTHING,
        BY_PROPERTY,
        "INDI",
        connect=text(b"", status="400 Bad"),
        interfaceversion=value(4),
        connecting=text(b"", status="400 Bad"),
    ),
    connected(
        "an InterfaceVersion that makes no sense",
        NOTHING,
        BY_PROPERTY,
        "an ESP8266",
        interfaceversion=value("0.9"),
    ),
    Fault(
        "device",
        "a shared camera that stays connected",
        NOTHING,
        SHARED,
        disconnect,
        seen="ASCOM Remote, OmniSim",
    ),
]
REFUSALS = [
    refused("a command while the camera is not connected", 0x407, NotConnectedException),
    refused("a command while the device is parked", 0x408, ParkedException),
    refused("a value out of range", 0x401, InvalidValueException),
    refused("a failure of the driver's own", 0x5A5, DriverException),
    Fault(
        "device",
        "a duration that is not a number",
        Raises(ValueError, "must be finite"),
        NOT_REACHED,
        expose_nan,
        seen="INDI and alpaca-simulators would take it",
    ),
    Fault(
        "device",
        "a negative duration",
        Raises(ValueError, "must not be negative"),
        NOT_REACHED,
        expose_backwards,
        seen="INDI would take it",
    ),
    Fault(
        "device",
        "a gain of more than 32 bits",
        Raises(ValueError, "must fit 32 bits"),
        NOT_REACHED,
        gain_too_high,
    ),
    Fault(
        "device",
        "a start time that is empty",
        Gives("", "`''`, as it came"),
        UNTOUCHED,
        start_of,
        always={"lastexposurestarttime": value("")},
        seen="INDI",
    ),
]
STATES = [
    told(
        "a percentage of -99",
        [IDLE, {"Name": "PercentCompleted", "Value": -99}],
        CameraStatus(camera_state=CameraStates.IDLE),
        "the status, with `None` for it",
        "AlpacaPi",
    ),
    told(
        "a DeviceState that leaves members out",
        [IDLE],
        CameraStatus(camera_state=CameraStates.IDLE),
        "the status, with `None` for them",
        "OmniSim",
    ),
    told(
        "a DeviceState with nonsense among its members",
        [IDLE, {"Name": "CCDTemperature", "Value": "cold"}, {"Name": "TimeStamp", "Value": "now"}],
        CameraStatus(camera_state=CameraStates.IDLE),
        "the status, with `None` for it",
    ),
    told(
        "a state that ASCOM has not named",
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

"""An asyncio client for ASCOM Alpaca cameras that downloads images directly into numpy arrays."""

from __future__ import annotations

from ._accessories.cover_calibrator import AsyncCoverCalibrator
from ._accessories.filter_wheel import AsyncFilterWheel
from ._accessories.focuser import AsyncFocuser
from ._accessories.safety_monitor import AsyncSafetyMonitor
from ._autofocus import FocusPoint, FocusResult, autofocus
from ._camera import AlpacaClient, AsyncCamera
from ._device.device import AsyncDevice
from ._discovery.discovery import DiscoveredServer, discover
from ._discovery.finding import (
    FoundCamera,
    FoundDevice,
    find_camera,
    find_cameras,
    find_devices,
)
from ._download.delivery import DeliveryStatistics
from ._enums import (
    CalibratorStatus,
    CameraStates,
    CoverStatus,
    GuideDirections,
    ImageArrayElementTypes,
    SensorType,
)
from ._errors import (
    ActionNotImplementedException,
    AlpacaError,
    AscomError,
    DriverException,
    ExposureAborted,
    HostLost,
    IncompleteImage,
    InvalidOperationException,
    InvalidValueException,
    MalformedResponse,
    NotConnectedException,
    NotImplementedException,
    OperationCancelledException,
    OperationFailed,
    OperationTimeout,
    ParkedException,
    PixelTypeError,
    RequestRejected,
    SlavedException,
    TransportError,
    TransportTimeout,
    UnexpectedError,
    ValueNotSetException,
)
from ._facts import CameraInfo, CameraSettings, CameraStatus, Exposure
from ._group.group import CameraGroup
from ._group.member import CameraAddress
from ._group.outcome import Outcome, StatusOutcome
from ._http.tls import pinned
from ._http.transport import DirectTransport
from ._http_status import http_status
from ._image import Image
from ._loops import AsyncioRequired
from ._pixels.statistics import Histogram, ImageStatistics
from ._progress import Progress
from ._protocol.imagebytes import ImageMetadata, decode_imagebytes
from ._protocol.pixeltype import PixelType
from ._session.management import ConfiguredDevice, ServerDescription
from ._session.session import Timeouts
from ._stream import Stream
from ._version import __version__
from ._workflows.cooling import CoolingPace, CoolingProgress
from ._workflows.gain_offset import NamedValue, ValueNames, ValueRange
from ._workflows.recovery import Reconnect
from ._workflows.sequence import ExposureRequest

__all__ = [
    "ActionNotImplementedException",
    "AlpacaClient",
    "AlpacaError",
    "AscomError",
    "AsyncCamera",
    "AsyncCoverCalibrator",
    "AsyncDevice",
    "AsyncFilterWheel",
    "AsyncFocuser",
    "AsyncSafetyMonitor",
    "AsyncioRequired",
    "CalibratorStatus",
    "CameraAddress",
    "CameraGroup",
    "CameraInfo",
    "CameraSettings",
    "CameraStates",
    "CameraStatus",
    "ConfiguredDevice",
    "CoolingPace",
    "CoolingProgress",
    "CoverStatus",
    "DeliveryStatistics",
    "DirectTransport",
    "DiscoveredServer",
    "DriverException",
    "Exposure",
    "ExposureAborted",
    "ExposureRequest",
    "FocusPoint",
    "FocusResult",
    "FoundCamera",
    "FoundDevice",
    "GuideDirections",
    "Histogram",
    "HostLost",
    "Image",
    "ImageArrayElementTypes",
    "ImageMetadata",
    "ImageStatistics",
    "IncompleteImage",
    "InvalidOperationException",
    "InvalidValueException",
    "MalformedResponse",
    "NamedValue",
    "NotConnectedException",
    "NotImplementedException",
    "OperationCancelledException",
    "OperationFailed",
    "OperationTimeout",
    "Outcome",
    "ParkedException",
    "PixelType",
    "PixelTypeError",
    "Progress",
    "Reconnect",
    "RequestRejected",
    "SensorType",
    "ServerDescription",
    "SlavedException",
    "StatusOutcome",
    "Stream",
    "Timeouts",
    "TransportError",
    "TransportTimeout",
    "UnexpectedError",
    "ValueNames",
    "ValueNotSetException",
    "ValueRange",
    "__version__",
    "autofocus",
    "decode_imagebytes",
    "discover",
    "find_camera",
    "find_cameras",
    "find_devices",
    "http_status",
    "pinned",
]

# Tracebacks, reprs and pickles show the path that callers import from.
for _public in map(globals().get, __all__):
    if hasattr(_public, "__module__"):
        _public.__module__ = __name__

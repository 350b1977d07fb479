"""An asyncio client for ASCOM Alpaca cameras: frames go from the socket into numpy, once."""

from __future__ import annotations

from ._camera import AsyncCamera
from ._client import AlpacaClient
from ._cooling import CoolingPace, CoolingProgress
from ._delivery import DeliveryStatistics
from ._device import AsyncDevice
from ._discovery import DiscoveredServer, discover
from ._enums import CameraStates, GuideDirections, ImageArrayElementTypes, SensorType
from ._errors import (
    ActionNotImplementedException,
    AlpacaError,
    AscomError,
    DriverException,
    ExposureAborted,
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
    RequestRejected,
    SlavedException,
    TransportError,
    TransportTimeout,
    ValueNotSetException,
)
from ._facts import CameraInfo, CameraSettings, CameraStatus, Exposure
from ._finding import FoundCamera, find_camera, find_cameras
from ._group import CameraAddress, CameraGroup, Outcome
from ._http_status import http_status
from ._image import Image
from ._imagebytes import ImageMetadata, decode_imagebytes
from ._levels import Level, LevelNames, LevelRange
from ._management import ConfiguredDevice, ServerDescription
from ._progress import Progress
from ._recovery import Reconnect
from ._sequence import ExposureRequest
from ._session import Timeouts
from ._statistics import Histogram, ImageStatistics
from ._stream import Stream
from ._tls import pinned
from ._transport import DirectTransport
from ._version import __version__

__all__ = [
    "ActionNotImplementedException",
    "AlpacaClient",
    "AlpacaError",
    "AscomError",
    "AsyncCamera",
    "AsyncDevice",
    "CameraAddress",
    "CameraGroup",
    "CameraInfo",
    "CameraSettings",
    "CameraStates",
    "CameraStatus",
    "ConfiguredDevice",
    "CoolingPace",
    "CoolingProgress",
    "DeliveryStatistics",
    "DirectTransport",
    "DiscoveredServer",
    "DriverException",
    "Exposure",
    "ExposureAborted",
    "ExposureRequest",
    "FoundCamera",
    "GuideDirections",
    "Histogram",
    "Image",
    "ImageArrayElementTypes",
    "ImageMetadata",
    "ImageStatistics",
    "IncompleteImage",
    "InvalidOperationException",
    "InvalidValueException",
    "Level",
    "LevelNames",
    "LevelRange",
    "MalformedResponse",
    "NotConnectedException",
    "NotImplementedException",
    "OperationCancelledException",
    "OperationFailed",
    "OperationTimeout",
    "Outcome",
    "ParkedException",
    "Progress",
    "Reconnect",
    "RequestRejected",
    "SensorType",
    "ServerDescription",
    "SlavedException",
    "Stream",
    "Timeouts",
    "TransportError",
    "TransportTimeout",
    "ValueNotSetException",
    "__version__",
    "decode_imagebytes",
    "discover",
    "find_camera",
    "find_cameras",
    "http_status",
    "pinned",
]

# Tracebacks, reprs and pickles show the path that callers import from.
for _public in map(globals().get, __all__):
    if hasattr(_public, "__module__"):
        _public.__module__ = __name__

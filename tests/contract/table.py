"""The contract: every operation of five types of devices, distilled from ASCOM's OpenAPI files.

One row for each member of ICameraV4, of the interfaces of four other types of devices, and of the
interface that all devices share. What follows a rule without exception is not written out:

* the member in the path is the ASCOM name in lower case;
* a property is read with GET and, where it is writable, written with PUT, in one form field
  that has the member's ASCOM name and type;
* a method is a PUT;
* the coroutines are `get_` and `set_` and the name in the row, and the bare name of a method.

88 operations below `/api/v1/camera/` (16 common, 72 of the camera) and 3 of the management API;
besides the common ones 4 of a filter wheel, 12 of a focuser, 11 of a cover calibrator, 1 of a
safety monitor.
74 of the 75 rows with a counterpart in ASCOM's own synchronous client: all but ImageArrayVariant.

Where the OpenAPI files and the rest of the specification disagree, or say less:

* The names of parameters are not case-sensitive, say the OpenAPI files; those of a PUT are, says
  the API reference, and servers check it. Exact case it is, everywhere.
* The management file allows 0 as ClientID and ClientTransactionID; the device file and the
  reference reserve 0.
* The management file's text promises error fields in every reply, and its schemas have none.
* The management file's text answers bad requests with 400, two of its three calls list only 403.
* An error number is 0 or within 0x400-0xFFF, says the device file; devices send any 32-bit number.
  The file names none of them. 0x40E and 0x4FF are missing in the reference too: the .NET
  library defines them.
* SetCCDTemperature, SubExposureDuration and Duration of StartExposure are `number` without a
  format in a PUT; as replies the first two are `double`, and so is the interface's parameter.
* DriverInfo is one string here and a list of strings in ASCOM's synchronous client.
* ImageArray has the extra reply fields Type and Rank, or is ImageBytes, which the file only links.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Final, Literal, TypeAlias

Verb: TypeAlias = Literal["GET", "PUT"]
Kind: TypeAlias = Literal["property", "method"]
Scope: TypeAlias = Literal[
    "common", "camera", "filterwheel", "focuser", "covercalibrator", "safetymonitor"
]
ValueType: TypeAlias = Literal[
    "none",
    "bool",
    "int",
    "double",
    "string",
    "object",
    "list[int]",
    "list[str]",
    "list[object]",
    "image",
    "ImageMetadata",
    "CameraStates",
    "SensorType",
    "GuideDirections",
    "CoverStatus",
    "CalibratorStatus",
]


@dataclass(frozen=True, slots=True)
class Field:
    """One form field of a PUT."""

    name: str
    """Exact case."""
    type: ValueType
    parameter: str
    """The coroutine's parameter."""
    unit: str = ""
    default: object = None
    """What is sent when a caller leaves the parameter out; None where he must not."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One verb on one path."""

    verb: Verb
    path: str
    """With `{number}` for the number of the device, if it has one."""
    coroutine: str
    value: ValueType
    fields: tuple[Field, ...] = ()
    waits: bool = False
    """The coroutine waits until the device is done, unless it is told `wait=False`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One member of the interface."""

    ascom: str
    kind: Kind
    scope: Scope
    name: str
    """In Python, without `get_` and `set_`."""
    value: ValueType
    unit: str = ""
    writable: bool = False
    fields: tuple[Field, ...] = ()
    """Of a method."""
    local: bool = False
    """A property that the client answers by itself."""
    waits: bool = False
    """Of a method, as in `Operation`."""

    @property
    def wire(self) -> str | None:
        """The member in the path; None if no request is sent."""
        return None if self.local else self.ascom.lower()

    @property
    def get_name(self) -> str:
        """The coroutine that reads or calls; a plain property if the member is local."""
        return self.name if self.kind == "method" or self.local else f"get_{self.name}"

    @property
    def set_name(self) -> str | None:
        """The coroutine that writes."""
        return f"set_{self.name}" if self.writable else None

    def operations(self, device_type: str) -> tuple[Operation, ...]:
        """What the member is on the wire."""
        if self.wire is None:
            return ()
        path = f"/api/v1/{device_type}/{{number}}/{self.wire}"
        if self.kind == "method":
            return (Operation("PUT", path, self.get_name, self.value, self.fields, self.waits),)
        read = Operation("GET", path, self.get_name, self.value)
        if self.set_name is None:
            return (read,)
        field = Field(self.ascom, self.value, self.name, self.unit)
        return (read, Operation("PUT", path, self.set_name, "none", (field,)))


def _property(
    ascom: str,
    name: str,
    value: ValueType,
    unit: str = "",
    *,
    scope: Scope = "camera",
    writable: bool = False,
    local: bool = False,
) -> Member:
    return Member(
        ascom=ascom,
        kind="property",
        scope=scope,
        name=name,
        value=value,
        unit=unit,
        writable=writable,
        local=local,
    )


def _method(
    ascom: str,
    name: str,
    *fields: Field,
    value: ValueType = "none",
    scope: Scope = "camera",
    waits: bool = False,
) -> Member:
    return Member(
        ascom=ascom,
        kind="method",
        scope=scope,
        name=name,
        value=value,
        fields=fields,
        waits=waits,
    )


_common = partial(_property, scope="common")
_common_method = partial(_method, scope="common")
_COMMAND: Final = (
    Field("Command", "string", "command"),
    Field("Raw", "bool", "raw", default=False),
)

COMMON: Final = (
    _common_method(
        "Action",
        "action",
        Field("Action", "string", "name"),
        Field("Parameters", "string", "parameters", default=""),
        value="string",
    ),
    _common_method("CommandBlind", "command_blind", *_COMMAND),
    _common_method("CommandBool", "command_bool", *_COMMAND, value="bool"),
    _common_method("CommandString", "command_string", *_COMMAND, value="string"),
    _common_method("Connect", "connect"),
    _common("Connected", "connected", "bool", writable=True),
    _common("Connecting", "connecting", "bool"),
    _common("Description", "description", "string"),
    _common("DeviceState", "device_state", "list[object]"),
    _common_method("Disconnect", "disconnect"),
    _common("DriverInfo", "driver_info", "string"),
    _common("DriverVersion", "driver_version", "string"),
    _common("InterfaceVersion", "interface_version", "int"),
    _common("Name", "name", "string"),
    _common("SupportedActions", "supported_actions", "list[str]"),
)

CAMERA: Final = (
    _method("AbortExposure", "abort_exposure"),
    _property("BayerOffsetX", "bayer_offset_x", "int", "pixels"),
    _property("BayerOffsetY", "bayer_offset_y", "int", "pixels"),
    _property("BinX", "bin_x", "int", "pixels", writable=True),
    _property("BinY", "bin_y", "int", "pixels", writable=True),
    _property("CameraState", "camera_state", "CameraStates"),
    _property("CameraXSize", "camera_x_size", "int", "unbinned pixels"),
    _property("CameraYSize", "camera_y_size", "int", "unbinned pixels"),
    _property("CanAbortExposure", "can_abort_exposure", "bool"),
    _property("CanAsymmetricBin", "can_asymmetric_bin", "bool"),
    _property("CanFastReadout", "can_fast_readout", "bool"),
    _property("CanGetCoolerPower", "can_get_cooler_power", "bool"),
    _property("CanPulseGuide", "can_pulse_guide", "bool"),
    _property("CanSetCCDTemperature", "can_set_ccd_temperature", "bool"),
    _property("CanStopExposure", "can_stop_exposure", "bool"),
    _property("CCDTemperature", "ccd_temperature", "double", "°C"),
    _property("CoolerOn", "cooler_on", "bool", writable=True),
    _property("CoolerPower", "cooler_power", "double", "%"),
    _property("ElectronsPerADU", "electrons_per_adu", "double", "e-/ADU"),
    _property("ExposureMax", "exposure_max", "double", "s"),
    _property("ExposureMin", "exposure_min", "double", "s"),
    _property("ExposureResolution", "exposure_resolution", "double", "s"),
    _property("FastReadout", "fast_readout", "bool", writable=True),
    _property("FullWellCapacity", "full_well_capacity", "double", "e-"),
    _property("Gain", "gain", "int", "value or index", writable=True),
    _property("GainMax", "gain_max", "int"),
    _property("GainMin", "gain_min", "int"),
    _property("Gains", "gains", "list[str]"),
    _property("HasShutter", "has_shutter", "bool"),
    _property("HeatSinkTemperature", "heat_sink_temperature", "double", "°C"),
    _property("ImageArray", "image_array", "image", "ADU"),
    _property("ImageArrayInfo", "image_array_info", "ImageMetadata", local=True),
    _property("ImageArrayVariant", "image_array_variant", "image", "ADU"),
    _property("ImageReady", "image_ready", "bool"),
    _property("IsPulseGuiding", "is_pulse_guiding", "bool"),
    _property("LastExposureDuration", "last_exposure_duration", "double", "s"),
    _property("LastExposureStartTime", "last_exposure_start_time", "string", "UTC"),
    _property("MaxADU", "max_adu", "int", "ADU"),
    _property("MaxBinX", "max_bin_x", "int", "pixels"),
    _property("MaxBinY", "max_bin_y", "int", "pixels"),
    _property("NumX", "num_x", "int", "binned pixels", writable=True),
    _property("NumY", "num_y", "int", "binned pixels", writable=True),
    _property("Offset", "offset", "int", "value or index", writable=True),
    _property("OffsetMax", "offset_max", "int"),
    _property("OffsetMin", "offset_min", "int"),
    _property("Offsets", "offsets", "list[str]"),
    _property("PercentCompleted", "percent_completed", "int", "%"),
    _property("PixelSizeX", "pixel_size_x", "double", "micrometres"),
    _property("PixelSizeY", "pixel_size_y", "double", "micrometres"),
    _method(
        "PulseGuide",
        "pulse_guide",
        Field("Direction", "GuideDirections", "direction"),
        Field("Duration", "int", "duration", "ms"),
    ),
    _property("ReadoutMode", "readout_mode", "int", "index", writable=True),
    _property("ReadoutModes", "readout_modes", "list[str]"),
    _property("SensorName", "sensor_name", "string"),
    _property("SensorType", "sensor_type", "SensorType"),
    _property("SetCCDTemperature", "ccd_temperature_setpoint", "double", "°C", writable=True),
    _method(
        "StartExposure",
        "start_exposure",
        Field("Duration", "double", "duration", "s"),
        Field("Light", "bool", "light", default=True),
    ),
    _property("StartX", "start_x", "int", "binned pixels", writable=True),
    _property("StartY", "start_y", "int", "binned pixels", writable=True),
    _method("StopExposure", "stop_exposure"),
    _property("SubExposureDuration", "sub_exposure_duration", "double", "s", writable=True),
)

_wheel = partial(_property, scope="filterwheel")
_focuser = partial(_property, scope="focuser")
_focuser_method = partial(_method, scope="focuser")
_cover = partial(_property, scope="covercalibrator")
_cover_method = partial(_method, scope="covercalibrator")

FILTER_WHEEL: Final = (
    _wheel("FocusOffsets", "focus_offsets", "list[int]", "steps"),
    _wheel("Names", "names", "list[str]"),
    _wheel("Position", "position", "int", "index", writable=True),
)

FOCUSER: Final = (
    _focuser("Absolute", "absolute", "bool"),
    _focuser_method("Halt", "halt"),
    _focuser("IsMoving", "is_moving", "bool"),
    _focuser("MaxIncrement", "max_increment", "int", "steps"),
    _focuser("MaxStep", "max_step", "int", "steps"),
    _focuser_method("Move", "move", Field("Position", "int", "position", "steps")),
    _focuser("Position", "position", "int", "steps"),
    _focuser("StepSize", "step_size", "double", "micrometres"),
    _focuser("TempComp", "temp_comp", "bool", writable=True),
    _focuser("TempCompAvailable", "temp_comp_available", "bool"),
    _focuser("Temperature", "temperature", "double", "°C"),
)

COVER_CALIBRATOR: Final = (
    _cover("Brightness", "brightness", "int"),
    _cover("CalibratorChanging", "calibrator_changing", "bool"),
    _cover_method("CalibratorOff", "calibrator_off", waits=True),
    _cover_method(
        "CalibratorOn", "calibrator_on", Field("Brightness", "int", "brightness"), waits=True
    ),
    _cover("CalibratorState", "calibrator_state", "CalibratorStatus"),
    _cover_method("CloseCover", "close_cover", waits=True),
    _cover("CoverMoving", "cover_moving", "bool"),
    _cover("CoverState", "cover_state", "CoverStatus"),
    _cover_method("HaltCover", "halt_cover"),
    _cover("MaxBrightness", "max_brightness", "int"),
    _cover_method("OpenCover", "open_cover", waits=True),
)

SAFETY_MONITOR: Final = (_property("IsSafe", "is_safe", "bool", scope="safetymonitor"),)

MEMBERS: Final = (*COMMON, *CAMERA)
"""Of a camera."""

ACCESSORIES: Final[dict[str, tuple[Member, ...]]] = {
    "filterwheel": (*COMMON, *FILTER_WHEEL),
    "focuser": (*COMMON, *FOCUSER),
    "covercalibrator": (*COMMON, *COVER_CALIBRATOR),
    "safetymonitor": (*COMMON, *SAFETY_MONITOR),
}
"""The members of each other type of device."""

MANAGEMENT: Final = (
    Operation("GET", "/management/apiversions", "get_api_versions", "list[int]"),
    Operation("GET", "/management/v1/description", "get_server_description", "object"),
    Operation("GET", "/management/v1/configureddevices", "get_configured_devices", "list[object]"),
)

OPERATIONS: Final = tuple(
    operation for member in MEMBERS for operation in member.operations("camera")
)
"""Of a camera."""

ACCESSORY_OPERATIONS: Final[dict[str, tuple[Operation, ...]]] = {
    kind: tuple(operation for member in members for operation in member.operations(kind))
    for kind, members in ACCESSORIES.items()
}
"""Of each other type of device."""

IMAGE_METADATA: Final[dict[str, tuple[str, str]]] = {
    "MetadataVersion": ("metadata_version", "int"),
    "ImageElementType": ("image_element_type", "ImageArrayElementTypes"),
    "TransmissionElementType": ("transmission_element_type", "ImageArrayElementTypes"),
    "Rank": ("rank", "int"),
    "Dimension1": ("dimension1", "int"),
    "Dimension2": ("dimension2", "int"),
    "Dimension3": ("dimension3", "int"),
}
"""ASCOM's name of each field of ImageMetadata: ours, and its type."""

ENVELOPE: Final = (
    "ClientTransactionID",
    "ServerTransactionID",
    "ErrorNumber",
    "ErrorMessage",
    "Value",
)
"""The fields of a reply."""

ERRORS: Final[dict[int, tuple[str, str]]] = {
    0x400: ("NotImplemented", "NotImplementedException"),
    0x401: ("InvalidValue", "InvalidValueException"),
    0x402: ("ValueNotSet", "ValueNotSetException"),
    0x407: ("NotConnected", "NotConnectedException"),
    0x408: ("InvalidWhileParked", "ParkedException"),
    0x409: ("InvalidWhileSlaved", "SlavedException"),
    0x40A: ("SettingsProviderError", "DriverException"),
    0x40B: ("InvalidOperation", "InvalidOperationException"),
    0x40C: ("ActionNotImplemented", "ActionNotImplementedException"),
    0x40D: ("NotInCache", "DriverException"),
    0x40E: ("OperationCancelled", "OperationCancelledException"),
    0x4FF: ("UnspecifiedError", "DriverException"),
    0x500: ("the first of the driver's own", "DriverException"),
    0xFFF: ("the last of the driver's own", "DriverException"),
}
"""ASCOM's name of each error number, and our class."""

ENUMS: Final[dict[str, dict[str, int]]] = {
    "CameraStates": {
        "IDLE": 0,
        "WAITING": 1,
        "EXPOSING": 2,
        "READING": 3,
        "DOWNLOAD": 4,
        "ERROR": 5,
    },
    "SensorType": {"MONOCHROME": 0, "COLOR": 1, "RGGB": 2, "CMYG": 3, "CMYG2": 4, "LRGB": 5},
    "GuideDirections": {"NORTH": 0, "SOUTH": 1, "EAST": 2, "WEST": 3},
    "CoverStatus": {
        "NOT_PRESENT": 0,
        "CLOSED": 1,
        "MOVING": 2,
        "OPEN": 3,
        "UNKNOWN": 4,
        "ERROR": 5,
    },
    "CalibratorStatus": {
        "NOT_PRESENT": 0,
        "OFF": 1,
        "NOT_READY": 2,
        "READY": 3,
        "UNKNOWN": 4,
        "ERROR": 5,
    },
    "ImageArrayElementTypes": {
        "UNKNOWN": 0,
        "INT16": 1,
        "INT32": 2,
        "DOUBLE": 3,
        "SINGLE": 4,
        "UINT64": 5,
        "BYTE": 6,
        "INT64": 7,
        "UINT16": 8,
        "UINT32": 9,
        "OBJECT": 10,
    },
}
"""The numbers that ASCOM gave names to."""

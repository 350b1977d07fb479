"""The members of ICameraV4: what each GET reads and what each PUT does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NoReturn, TypeAlias

from alpaca_async._errors import NotImplementedException

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._camera import SimulatedCamera
    from ._protocol import Parameters

    Read: TypeAlias = Callable[[SimulatedCamera], object]
    Write: TypeAlias = Callable[[SimulatedCamera, Parameters], object]

_DRIVER_INFO: Final = "alpaca_async's simulated camera: no hardware, simulated physics"


def _start_time(camera: SimulatedCamera) -> str:
    started = camera.get_last_exposure().started_at
    return started.replace(tzinfo=None).isoformat(timespec="milliseconds")


def _boolean(camera: SimulatedCamera, parameters: Parameters, name: str) -> bool:
    if camera.true_word:
        return parameters.text(name) == camera.true_word
    return parameters.boolean(name)


def _command(camera: SimulatedCamera, parameters: Parameters) -> NoReturn:
    parameters.text("Command")
    parameters.boolean("Raw")
    raise NotImplementedException(0x400, f"{camera.name} does not implement commands")


def _no_variant(camera: SimulatedCamera) -> NoReturn:
    raise NotImplementedException(0x400, f"{camera.name} does not implement ImageArrayVariant")


READS_WITHOUT_CONNECTION: Final[dict[str, Read]] = {
    "connected": lambda c: c.connected,
    "connecting": lambda c: c.connecting,
    "description": lambda c: c.description,
    "devicestate": lambda c: c.get_device_state(),
    "driverinfo": lambda _: _DRIVER_INFO,
    "driverversion": lambda _: "1.0",
    "interfaceversion": lambda c: c.interface_version,
    "name": lambda c: c.name,
    "supportedactions": lambda c: c.supported_actions,
}
"""Members that can be read before the camera is connected."""

READS_WITH_CONNECTION: Final[dict[str, Read]] = {
    "bayeroffsetx": lambda c: c.bayer_offset(c.bayer_offset_x),
    "bayeroffsety": lambda c: c.bayer_offset(c.bayer_offset_y),
    "binx": lambda c: c.reported_frame.bin_x,
    "biny": lambda c: c.reported_frame.bin_y,
    "camerastate": lambda c: c.get_state(),
    "cameraxsize": lambda c: c.width,
    "cameraysize": lambda c: c.height,
    "canabortexposure": lambda c: c.can_abort_exposure,
    "canasymmetricbin": lambda c: c.can_asymmetric_bin,
    "canfastreadout": lambda c: c.can_fast_readout,
    "cangetcoolerpower": lambda c: c.has_cooler and c.can_get_cooler_power,
    "canpulseguide": lambda c: c.can_pulse_guide,
    "cansetccdtemperature": lambda c: c.has_cooler and c.can_set_ccd_temperature,
    "canstopexposure": lambda c: c.can_stop_exposure,
    "ccdtemperature": lambda c: c.get_ccd_temperature(),
    "cooleron": lambda c: c.get_cooler_on(),
    "coolerpower": lambda c: c.get_cooler_power(),
    "electronsperadu": lambda c: c.electrons_per_adu,
    "exposuremax": lambda c: c.exposure_max,
    "exposuremin": lambda c: c.exposure_min,
    "exposureresolution": lambda c: c.exposure_resolution,
    "fastreadout": lambda c: c.get_fast_readout(),
    "fullwellcapacity": lambda c: c.full_well_capacity,
    "gain": lambda c: c.get_gain(),
    "gainmax": lambda c: c.get_gain_range()[1],
    "gainmin": lambda c: c.get_gain_range()[0],
    "gains": lambda c: c.get_gains(),
    "hasshutter": lambda c: c.has_shutter,
    "heatsinktemperature": lambda c: c.get_heat_sink_temperature(),
    "imagearrayvariant": _no_variant,
    "imageready": lambda c: c.get_image_ready(),
    "ispulseguiding": lambda c: c.get_is_pulse_guiding(),
    "lastexposureduration": lambda c: c.get_last_exposure().shot.duration,
    "lastexposurestarttime": _start_time,
    "maxadu": lambda c: c.max_adu,
    "maxbinx": lambda c: c.max_bin,
    "maxbiny": lambda c: c.max_bin,
    "numx": lambda c: c.reported_frame.num_x,
    "numy": lambda c: c.reported_frame.num_y,
    "offset": lambda c: c.get_offset(),
    "offsetmax": lambda c: c.get_offset_range()[1],
    "offsetmin": lambda c: c.get_offset_range()[0],
    "offsets": lambda c: c.get_offsets(),
    "percentcompleted": lambda c: c.get_percent_completed(),
    "pixelsizex": lambda c: c.pixel_size,
    "pixelsizey": lambda c: c.pixel_size,
    "readoutmode": lambda c: c.get_readout_mode(),
    "readoutmodes": lambda c: c.get_readout_modes(),
    "sensorname": lambda c: c.sensor_name,
    "sensortype": lambda c: c.sensor,
    "setccdtemperature": lambda c: c.get_set_point(),
    "startx": lambda c: c.reported_frame.start_x,
    "starty": lambda c: c.reported_frame.start_y,
    "subexposureduration": lambda c: c.get_sub_exposure_duration(),
}
"""Members that raise NotConnected before the camera is connected, except imagearray."""

WRITES: Final[dict[str, Write]] = {
    "abortexposure": lambda c, _: c.abort_exposure(),
    "action": lambda c, p: c.action(p.text("Action"), p.text("Parameters")),
    "binx": lambda c, p: c.set_bin_x(p.integer("BinX")),
    "biny": lambda c, p: c.set_bin_y(p.integer("BinY")),
    "commandblind": _command,
    "commandbool": _command,
    "commandstring": _command,
    "connect": lambda c, _: c.connect(),
    "connected": lambda c, p: c.set_connected(_boolean(c, p, "Connected")),
    "cooleron": lambda c, p: c.set_cooler_on(_boolean(c, p, "CoolerOn")),
    "disconnect": lambda c, _: c.disconnect(),
    "fastreadout": lambda c, p: c.set_fast_readout(_boolean(c, p, "FastReadout")),
    "gain": lambda c, p: c.set_gain(p.integer("Gain")),
    "numx": lambda c, p: c.set_num_x(p.integer("NumX")),
    "numy": lambda c, p: c.set_num_y(p.integer("NumY")),
    "offset": lambda c, p: c.set_offset(p.integer("Offset")),
    "pulseguide": lambda c, p: c.pulse_guide(p.integer("Direction"), p.integer("Duration")),
    "readoutmode": lambda c, p: c.set_readout_mode(p.integer("ReadoutMode")),
    "setccdtemperature": lambda c, p: c.set_set_point(p.number("SetCCDTemperature")),
    "startexposure": lambda c, p: c.start_exposure(p.number("Duration"), _boolean(c, p, "Light")),
    "startx": lambda c, p: c.set_start_x(p.integer("StartX")),
    "starty": lambda c, p: c.set_start_y(p.integer("StartY")),
    "stopexposure": lambda c, _: c.stop_exposure(),
    "subexposureduration": lambda c, p: c.set_sub_exposure_duration(
        p.number("SubExposureDuration")
    ),
}
"""Members that can be written or called; each parses its parameters before it acts."""

READS: Final = frozenset({*READS_WITHOUT_CONNECTION, *READS_WITH_CONNECTION, "imagearray"})
"""Every member that can be read."""

INTRODUCED_IN: Final = {
    **dict.fromkeys(("offset", "offsetmax", "offsetmin", "offsets", "subexposureduration"), 3),
    **dict.fromkeys(("connect", "connecting", "devicestate", "disconnect"), 4),
}
"""The interface version that introduced a member, where it is not version 2."""


def read(camera: SimulatedCamera, member: str) -> object:
    """Return the value of a member."""
    if member in READS_WITHOUT_CONNECTION:
        return READS_WITHOUT_CONNECTION[member](camera)
    camera.require_connected()
    return READS_WITH_CONNECTION[member](camera)


def is_known(camera: SimulatedCamera, verb: str, member: str) -> bool:
    """Return whether the camera's interface version has `member` for `verb`."""
    known = member in WRITES if verb == "PUT" else member in READS
    return known and camera.interface_version >= INTRODUCED_IN.get(member, 2)

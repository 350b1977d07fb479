"""ICameraV4 as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NoReturn

from alpaca_async._errors import NotImplementedException

from ._interface import Interface, boolean

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._camera import SimulatedCamera
    from ._protocol import Parameters


def _start_time(camera: SimulatedCamera) -> str:
    started = camera.get_last_exposure().started_at
    return started.replace(tzinfo=None).isoformat(timespec="milliseconds")


def _no_variant(camera: SimulatedCamera) -> NoReturn:
    raise NotImplementedException(0x400, f"{camera.name} does not implement ImageArrayVariant")


_READS: Final[dict[str, Callable[[SimulatedCamera], object]]] = {
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
    "imagearray": lambda c: c.image(),
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

_WRITES: Final[dict[str, Callable[[SimulatedCamera, Parameters], object]]] = {
    "abortexposure": lambda c, _: c.abort_exposure(),
    "binx": lambda c, p: c.set_bin_x(p.integer("BinX")),
    "biny": lambda c, p: c.set_bin_y(p.integer("BinY")),
    "cooleron": lambda c, p: c.set_cooler_on(boolean(c, p, "CoolerOn")),
    "fastreadout": lambda c, p: c.set_fast_readout(boolean(c, p, "FastReadout")),
    "gain": lambda c, p: c.set_gain(p.integer("Gain")),
    "numx": lambda c, p: c.set_num_x(p.integer("NumX")),
    "numy": lambda c, p: c.set_num_y(p.integer("NumY")),
    "offset": lambda c, p: c.set_offset(p.integer("Offset")),
    "pulseguide": lambda c, p: c.pulse_guide(p.integer("Direction"), p.integer("Duration")),
    "readoutmode": lambda c, p: c.set_readout_mode(p.integer("ReadoutMode")),
    "setccdtemperature": lambda c, p: c.set_set_point(p.number("SetCCDTemperature")),
    "startexposure": lambda c, p: c.start_exposure(p.number("Duration"), boolean(c, p, "Light")),
    "startx": lambda c, p: c.set_start_x(p.integer("StartX")),
    "starty": lambda c, p: c.set_start_y(p.integer("StartY")),
    "stopexposure": lambda c, _: c.stop_exposure(),
    "subexposureduration": lambda c, p: c.set_sub_exposure_duration(
        p.number("SubExposureDuration")
    ),
}

CAMERA: Final = Interface(
    name="Camera",
    reads=_READS,
    writes=_WRITES,
    platform_7=4,
    introduced_in=dict.fromkeys(
        ("offset", "offsetmax", "offsetmin", "offsets", "subexposureduration"), 3
    ),
)

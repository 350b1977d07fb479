"""The facts of an image and its exposure as FITS cards. Pure, without astropy."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from alpaca_async._pixels.mosaic import mosaic_of
from alpaca_async._version import __version__

from .card import Card, ascii_text, fits_integer
from .duration import duration_of
from .start import camera_start, computer_start, iso_text, rounded, start_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alpaca_async._facts import CameraInfo, CameraSettings, Exposure
    from alpaca_async._pixels.image_like import ImageLike

    from .card import CardValue
    from .start import Start

_MJD_EPOCH: Final = datetime(1858, 11, 17, tzinfo=UTC)


def image_cards(image: ImageLike) -> Iterator[Card]:
    """Yield a card for every known fact of the image; unknown facts are left out."""
    for keyword, value, comment in _all_cards(image):
        storable = _storable(value)
        if storable is not None:
            yield Card(keyword, storable, comment)


def _all_cards(image: ImageLike) -> Iterator[Card]:
    yield Card("BUNIT", "adu", "unit of the pixels")
    yield Card("ROWORDER", "TOP-DOWN", "the first row is the top row")
    if image.exposure is not None:
        yield from _exposure_cards(image.exposure)
        yield from _info_cards(image.exposure.info)
        yield from _settings_cards(image.exposure.settings, image.exposure.info)
        yield from _mosaic_cards(image)
    yield Card("SBSTDVER", "SBFITSEXT Version 1.0", "standard of the keywords")
    yield Card("SWCREATE", f"alpaca_async {__version__}", "program that wrote this file")


def _exposure_cards(exposure: Exposure) -> Iterator[Card]:
    yield Card("IMAGETYP", _image_type(exposure), "type of the exposure")
    yield Card("SNAPSHOT", 1, "number of exposures in this image")
    yield from _time_cards(exposure)
    yield Card("CCD-TEMP", exposure.ccd_temperature, "[degC] sensor, during the exposure")
    yield Card("COOL-POW", exposure.cooler_power, "[%] cooler power, during the exposure")


def _time_cards(exposure: Exposure) -> Iterator[Card]:
    """Yield the times by the clock that `start_of` selects, then what each clock reports."""
    seconds, source = duration_of(exposure)
    start, request = start_of(exposure), computer_start(exposure)
    begin, middle, end = (_after(start, part * seconds) for part in (0, 0.5, 1))
    yield Card("EXPTIME", seconds, f"[s] exposure time, {source}")
    yield Card("EXPOSURE", seconds, f"[s] exposure time, {source}")
    yield Card("TIMESYS", "UTC", "time scale of all dates")
    yield Card("DATE-OBS", _iso(begin, start), f"[UTC] start, {_clock(start)}")
    yield Card("TIMSYER", round(start.uncertainty, 6), "[s] uncertainty of the dates")
    yield Card("DATE-AVG", _iso(middle, start), "[UTC] middle of the exposure")
    yield Card("DATE-END", _iso(end, start), "[UTC] end of the exposure")
    yield Card("MJD-OBS", _mjd(begin), "[d] start as Modified Julian Date")
    yield Card("MJD-AVG", _mjd(middle), "[d] middle as Modified Julian Date")
    yield Card("DATE-REQ", _iso(_after(request, 0), request), "[UTC] request, computer clock")
    yield Card("CAM-TIME", camera_start(exposure), "start as the camera reports it")
    yield Card("CAM-EXPT", exposure.last_exposure_duration, "[s] duration as the camera reports it")


def _info_cards(info: CameraInfo) -> Iterator[Card]:
    yield Card("INSTRUME", info.name, "camera")
    yield Card("CAMERAID", info.unique_id, "unique id of the camera")
    yield Card("CAM-SNAM", info.sensor_name, "sensor")
    yield Card("CAM-DVER", info.driver_version, "version of the camera's driver")
    yield Card("DATAMAX", info.max_adu, "[adu] largest value the camera can deliver")


def _settings_cards(settings: CameraSettings, info: CameraInfo) -> Iterator[Card]:
    yield Card("XBINNING", settings.bin_x, "sensor columns in a pixel")
    yield Card("YBINNING", settings.bin_y, "sensor rows in a pixel")
    yield Card("XPIXSZ", _pixel_size(info.pixel_size_x, settings.bin_x), "[um] width, with binning")
    yield Card(
        "YPIXSZ", _pixel_size(info.pixel_size_y, settings.bin_y), "[um] height, with binning"
    )
    yield Card("XORGSUBF", settings.start_x, "[pix] first column of the subframe, binned")
    yield Card("YORGSUBF", settings.start_y, "[pix] first row of the subframe, binned")
    yield Card("SET-TEMP", settings.ccd_temperature_setpoint, "[degC] cooler setpoint")
    yield Card("GAIN", settings.gain, "gain setting of the driver, or its index")
    yield Card("OFFSET", settings.offset, "offset setting of the driver, or its index")
    yield Card("EGAIN", settings.electrons_per_adu, "[e-/adu] electrons per ADU")
    yield Card("READOUTM", _readout_mode(settings, info), "readout mode")


def _mosaic_cards(image: ImageLike) -> Iterator[Card]:
    mosaic = mosaic_of(image)
    if mosaic is not None:
        yield Card("BAYERPAT", mosaic.name, "colour filters of the sensor")
        yield Card("COLORTYP", mosaic.name, "colour filters of the sensor")
        yield Card("XBAYROFF", mosaic.x, "[pix] column of the pattern at the first pixel")
        yield Card("YBAYROFF", mosaic.y, "[pix] row of the pattern at the first pixel")


def _clock(start: Start) -> str:
    return f"{start.clock} clock +/- {start.uncertainty:.3g} s"


def _after(start: Start, seconds: float) -> datetime | None:
    """Return the time so many seconds after the start, as exactly as the clock knows it."""
    try:
        return rounded(start.time + timedelta(seconds=seconds), start.decimals)
    except (ValueError, OverflowError):
        return None


def _iso(time: datetime | None, start: Start) -> str | None:
    return None if time is None else iso_text(time, start.decimals)


def _mjd(time: datetime | None) -> float | None:
    return None if time is None else (time - _MJD_EPOCH) / timedelta(days=1)


def _image_type(exposure: Exposure) -> str:
    if exposure.light:
        return "Light Frame"
    return "Dark Frame" if exposure.duration else "Bias Frame"


def _pixel_size(micrometres: float | None, binning: int | None) -> float | None:
    """Return the size of a binned pixel; drivers report 0 if they do not know the size."""
    return micrometres * binning if micrometres and binning else None


def _readout_mode(settings: CameraSettings, info: CameraInfo) -> str | None:
    index = settings.readout_mode
    if index is None or not 0 <= index < len(info.readout_modes):
        return None
    return info.readout_modes[index]


def _storable(value: CardValue | None) -> CardValue | None:
    """Return the value if FITS can store it, text as ASCII; else None."""
    if isinstance(value, str):
        return ascii_text(value) or None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or fits_integer(value) else None

from __future__ import annotations

import asyncio
import io
import re
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from importlib import import_module
from shutil import which
from typing import TYPE_CHECKING, Any

import anyio
import numpy as np
import pytest
from anyio.from_thread import check_cancelled
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from alpaca_async import AlpacaClient, __version__, fits
from alpaca_async._enums import ImageArrayElementTypes, SensorType
from alpaca_async._facts import CameraInfo, CameraSettings, Exposure
from alpaca_async._fits.keywords import all_cards
from alpaca_async._image import Image
from alpaca_async._protocol.imagebytes import ImageMetadata
from alpaca_async.testing import SimulatedCamera, SimulatorServer

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

astropy_fits: Any = import_module("astropy.io.fits")  # has no complete types

DTYPES = ("u1", "<u2", "<i2", "<i4", "<u4", "<i8", "<u8", "<f4", "<f8")
STARTED = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
INFO = CameraInfo(
    name="Kamera Süd",
    unique_id="1f-2",
    driver_version="6.7",
    sensor_name="IMX455",
    sensor_type=SensorType.RGGB,
    bayer_offset_x=0,
    bayer_offset_y=1,
    pixel_size_x=3.76,
    pixel_size_y=4.0,
    max_adu=65535,
    readout_modes=("Fast", "Low noise"),
)
SETTINGS = CameraSettings(
    bin_x=1,
    bin_y=1,
    start_x=3,
    start_y=5,
    gain=100,
    offset=8,
    electrons_per_adu=0.25,
    readout_mode=1,
    ccd_temperature_setpoint=-10.0,
)
EXPOSURE = Exposure(
    duration=2.0,
    light=True,
    started=STARTED,
    started_uncertainty=0.0042,
    last_exposure_start_time="2026-01-02T03:04:05.500",
    last_exposure_duration=2.125,
    ccd_temperature=-9.98,
    cooler_power=47.5,
    info=INFO,
    settings=SETTINGS,
)


def image_of(data: NDArray[Any], exposure: Exposure | None = EXPOSURE) -> Image:
    metadata = ImageMetadata(
        1, ImageArrayElementTypes.INT32, ImageArrayElementTypes.INT32, 2, *data.shape[1::-1]
    )
    return Image(data, metadata, exposure)


def frame(exposure: Exposure | None = EXPOSURE) -> Image:
    return image_of(np.arange(12, dtype="<u2").reshape(3, 4), exposure)


def header_with(**changes: Any) -> Any:  # noqa: ANN401 - astropy's Header has no types
    return fits.header(frame(replace(EXPOSURE, **changes)))


def random_pixels(dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    generator = np.random.default_rng(1)
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return generator.normal(size=shape).astype(kind)
    limits = np.iinfo(kind)
    pixels = generator.integers(limits.min, limits.max, shape, dtype=kind, endpoint=True)
    pixels.flat[0], pixels.flat[-1] = limits.min, limits.max
    return pixels


def read(path: Path) -> tuple[NDArray[Any], Any]:
    with astropy_fits.open(path, memmap=False) as file:
        file.verify("exception")
        return file[0].data, file[0].header


def written_by_astropy(image: Image, extra: dict[str, Any] | None = None) -> bytes:
    hdu: Any = fits.to_hdu(image, extra)
    file = io.BytesIO()
    hdu.writeto(file, output_verify="exception")
    return file.getvalue()


def written(image: Image, extra: dict[str, Any] | None = None) -> bytes:
    """Return a file with a few pixels, all zero."""
    shape = fits._shape_cards(image.data.shape, image.data.dtype)
    return fits._header_bytes([*shape, *all_cards(image, extra)]) + bytes(2880)


def cards_in(file: bytes) -> set[tuple[str, Any]]:
    header = astropy_fits.Header.fromstring(file)
    return {(card.keyword, card.value) for card in header.cards}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def transposed(data: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(data.swapaxes(0, 1)).swapaxes(0, 1)


@pytest.mark.parametrize("shape", [(1, 1), (5, 7), (131, 150), (5, 7, 3), (70, 67, 3)])
@pytest.mark.parametrize("dtype", DTYPES)
async def test_pixels_are_read_back_exactly_in_every_type_and_layout(
    tmp_path: Path, dtype: str, shape: tuple[int, ...]
) -> None:
    data = random_pixels(dtype, shape)
    expected = np.moveaxis(data, 2, 0) if data.ndim == 3 else data
    for layout in (data, transposed(data), transposed(data)[::-1]):
        path = await fits.save(image_of(layout), tmp_path / "a.fits", overwrite=True)
        back, _ = read(path)
        np.testing.assert_array_equal(
            back, expected[..., ::-1, :] if layout.strides[0] < 0 else expected
        )


@pytest.mark.parametrize("dtype", DTYPES)
async def test_astropy_writes_the_same_keywords_and_pixels_from_the_hdu(
    tmp_path: Path, dtype: str
) -> None:
    image = image_of(random_pixels(dtype, (40, 30, 3)))
    path = await fits.save(image, tmp_path / "a.fits", extra={"OBJECT": "M 42"})
    ours, theirs = path.read_bytes(), written_by_astropy(image, {"OBJECT": "M 42"})
    assert len(ours) == len(theirs)
    assert cards_in(ours) - {("EXTEND", True)} == cards_in(theirs)
    start = len(ours) - -(-image.data.nbytes // 2880) * 2880
    assert ours[start:] == theirs[start:]


@pytest.mark.parametrize("dtype", ["u1", "<u2", "<i2", "<i4", "<u4", "<i8", "<u8", "<f4", "<f8"])
async def test_a_name_that_ends_in_fz_gives_a_losslessly_compressed_file(
    tmp_path: Path, dtype: str
) -> None:
    data = random_pixels(dtype, (70, 50, 3))
    path = await fits.save(image_of(data), tmp_path / "a.fits.fz", extra={"OBJECT": "M 42"})
    with astropy_fits.open(path) as file:
        file.verify("exception")
        np.testing.assert_array_equal(file[1].data, np.moveaxis(data, 2, 0))
        assert (file[1].header["OBJECT"], file[1].header["GAIN"]) == ("M 42", 100)
    assert names(tmp_path) == ["a.fits.fz"]


async def test_a_compressed_file_is_smaller(tmp_path: Path) -> None:
    data = np.random.default_rng(1).normal(1000, 20, (300, 400)).astype("<u2")
    plain = await image_of(data).save_fits(tmp_path / "a.fits")
    packed = await image_of(data).save_fits(tmp_path / "a.fits.fz")
    assert packed.stat().st_size < 0.6 * plain.stat().st_size


LONG: dict[str, Any] = {
    "OBJECT": ("it's long " * 20, "with a comment that has no room"),
    "NOTE": "x" * 68,
    "EMPTY": "",
    "PRECISE": -1.2345678901234567e-100,
    "SMALL": (5e-324, "the smallest number there is"),
    "WHOLE": 1e22,
    "HISTORY": "y" * 100,
    "COMMENT": "z",
}


@pytest.mark.skipif(which("fitsverify") is None, reason="fitsverify is not installed")
async def test_fitsverify_reports_nothing(tmp_path: Path) -> None:
    for number, dtype in enumerate(DTYPES):
        for shape in ((5, 7), (70, 67, 3)):
            for suffix in ("fits", "fits.fz"):
                name = f"{number}-{len(shape)}.{suffix}"
                await fits.save(image_of(random_pixels(dtype, shape)), tmp_path / name, extra=LONG)
    await fits.save(frame(None), tmp_path / "bare.fits", extra={"QUOTES": "'" * 150})
    bare = replace(EXPOSURE, info=CameraInfo(), settings=CameraSettings())
    await fits.save(frame(bare), tmp_path / "poor.fits")
    assert names(tmp_path) == verified_by_cfitsio(tmp_path)


@pytest.mark.skipif(which("fitsverify") is None, reason="fitsverify is not installed")
async def test_fitsverify_reports_a_fault(tmp_path: Path) -> None:
    path = await fits.save(frame(), tmp_path / "a.fits")
    path.write_bytes(
        path.read_bytes().replace(b"                   16 /", b" 16                   /")
    )
    assert verified_by_cfitsio(tmp_path) == []


def verified_by_cfitsio(folder: Path) -> list[str]:
    """Return the files of `folder` for which fitsverify reports neither errors nor warnings."""
    finished = subprocess.run(  # noqa: S603 - our own files
        ["fitsverify", "-q", *names(folder)],  # noqa: S607 - wherever the system has it
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    return sorted(re.findall(r"^verification OK: (\S+)", finished.stdout, re.MULTILINE))


@pytest.mark.skipif(which("funpack") is None, reason="funpack is not installed")
@pytest.mark.parametrize("dtype", ["u1", "<u2", "<i4", "<f4"])
async def test_cfitsio_unpacks_compressed_files(tmp_path: Path, dtype: str) -> None:
    data = random_pixels(dtype, (70, 50))
    await fits.save(image_of(data), tmp_path / "a.fits.fz")
    unpack = ["funpack", str(tmp_path / "a.fits.fz")]
    await asyncio.to_thread(subprocess.run, unpack, check=True, timeout=30)
    with astropy_fits.open(tmp_path / "a.fits") as file:
        np.testing.assert_array_equal(file[1].data, data)


async def test_a_plain_file_does_not_import_astropy(tmp_path: Path) -> None:
    code = """if True:
    import anyio, sys
    import numpy as np
    from alpaca_async import Image, ImageMetadata
    data = np.zeros((2, 3), "<u2")
    anyio.run(Image(data, ImageMetadata(1, 2, 8, 2, 3, 2)).save_fits, sys.argv[1])
    assert "astropy" not in sys.modules
    """
    path = tmp_path / "a.fits"
    await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", code, str(path)], check=True, timeout=30
    )
    assert read(path)[0].shape == (2, 3)


@pytest.mark.parametrize(
    ("dtype", "values", "bits", "zero"),
    [
        ("u1", [0, 255], 8, None),
        ("<u2", [0, 65535], 16, 32768),
        ("<i2", [0, 5], 16, None),
        ("<i4", [0, 65535], 16, 32768),
        ("<i4", [-1, 32767], 16, None),
        ("<i4", [-1, 32768], 32, None),
        ("<i4", [0, 65536], 32, None),
        ("<u4", [0, 2**32 - 1], 32, 2**31),
        ("<i8", [7, 65535], 16, 32768),
        ("<i8", [-1, 2**40], 64, None),
        ("<u8", [0, 2**32 - 1], 32, 2**31),
        ("<u8", [0, 2**63], 64, 2**63),
        ("<f4", [0, 1], -32, None),
        ("<f8", [0, 1], -64, None),
    ],
)
async def test_integers_are_stored_in_the_narrowest_type_that_holds_them(
    tmp_path: Path, dtype: str, values: list[int], bits: int, zero: int | None
) -> None:
    data = np.array([values], dtype)
    path = await fits.save(image_of(data, exposure=None), tmp_path / "a.fits")
    with astropy_fits.open(path, do_not_scale_image_data=True) as file:
        assert file[0].header["BITPIX"] == bits
        assert file[0].header.get("BZERO") == zero
    assert read(path)[0].tolist() == [values]


@pytest.mark.parametrize(
    ("max_adu", "value", "bits"),
    [(65535, 7, 16), (65536, 7, 32), (-1, 7, 16), (None, 7, 16), (65535, 65536, 32)],
)
async def test_a_dark_image_is_stored_in_the_type_that_max_adu_needs(
    tmp_path: Path, max_adu: int | None, value: int, bits: int
) -> None:
    exposure = replace(EXPOSURE, info=replace(EXPOSURE.info, max_adu=max_adu))
    path = await fits.save(image_of(np.full((2, 2), value, "<i4"), exposure), tmp_path / "a.fits")
    with astropy_fits.open(path, do_not_scale_image_data=True) as file:
        assert file[0].header["BITPIX"] == bits
    assert read(path)[0].tolist() == [[value] * 2] * 2


async def test_the_first_row_of_the_array_is_the_first_of_the_file(tmp_path: Path) -> None:
    data = np.array([[1, 2], [3, 4]], ">i2")
    path = await fits.save(image_of(data), tmp_path / "a.fits")
    assert path.read_bytes()[-2880:][:8] == bytes([0, 1, 0, 2, 0, 3, 0, 4])
    assert read(path)[1]["ROWORDER"] == "TOP-DOWN"


@pytest.mark.parametrize("dtype", ["?", "i1", "<f2", "<c8", "O"])
async def test_pixel_types_that_fits_cannot_store_are_rejected(tmp_path: Path, dtype: str) -> None:
    with pytest.raises(TypeError, match="cannot store pixels of type"):
        await fits.save(image_of(np.zeros((2, 2), dtype)), tmp_path / "a.fits")
    assert names(tmp_path) == []


def test_the_header_contains_the_facts_of_the_camera() -> None:
    header: Any = fits.header(frame())
    values = {card.keyword: card.value for card in header.cards}
    assert values == {
        "BUNIT": "adu",
        "ROWORDER": "TOP-DOWN",
        "IMAGETYP": "Light Frame",
        "SNAPSHOT": 1,
        "EXPTIME": 2.125,
        "EXPOSURE": 2.125,
        "TIMESYS": "UTC",
        "DATE-OBS": "2026-01-02T03:04:05.500",
        "TIMSYER": 0.183101,
        "DATE-AVG": "2026-01-02T03:04:06.563",
        "DATE-END": "2026-01-02T03:04:07.625",
        "MJD-OBS": pytest.approx(61042.127841435, abs=1e-8),
        "MJD-AVG": pytest.approx(61042.127853738, abs=1e-8),
        "DATE-REQ": "2026-01-02T03:04:05.679",
        "CAM-TIME": "2026-01-02T03:04:05.500",
        "CAM-EXPT": 2.125,
        "CCD-TEMP": -9.98,
        "COOL-POW": 47.5,
        "INSTRUME": "Kamera Sud",
        "CAMERAID": "1f-2",
        "CAM-SNAM": "IMX455",
        "CAM-DVER": "6.7",
        "DATAMAX": 65535,
        "XBINNING": 1,
        "YBINNING": 1,
        "XPIXSZ": 3.76,
        "YPIXSZ": 4.0,
        "XORGSUBF": 3,
        "YORGSUBF": 5,
        "SET-TEMP": -10.0,
        "GAIN": 100,
        "OFFSET": 8,
        "EGAIN": 0.25,
        "READOUTM": "Low noise",
        "BAYERPAT": "RGGB",
        "COLORTYP": "RGGB",
        "XBAYROFF": 1,
        "YBAYROFF": 0,
        "SBSTDVER": "SBFITSEXT Version 1.0",
        "SWCREATE": values["SWCREATE"],
    }
    assert str(values["SWCREATE"]).startswith("alpaca_async")
    assert header.comments["XPIXSZ"] == "[um] width, with binning"
    assert header.comments["EGAIN"] == "[e-/adu] electrons per ADU"


def test_the_program_is_named_with_its_version() -> None:
    assert header_with()["SWCREATE"] == f"alpaca_async {__version__}"


def test_a_frame_without_exposure_has_a_minimal_header() -> None:
    header: Any = fits.header(frame(None))
    assert list(header) == ["BUNIT", "ROWORDER", "SBSTDVER", "SWCREATE"]


def test_facts_that_the_camera_does_not_implement_are_left_out() -> None:
    bare = header_with(
        info=CameraInfo(), settings=CameraSettings(), ccd_temperature=None, cooler_power=None
    )
    assert set(bare) == {
        *(
            "BUNIT",
            "ROWORDER",
            "SBSTDVER",
            "SWCREATE",
            "IMAGETYP",
            "SNAPSHOT",
            "EXPTIME",
            "EXPOSURE",
        ),
        *("TIMESYS", "DATE-OBS", "TIMSYER", "DATE-AVG", "DATE-END", "MJD-OBS", "MJD-AVG"),
        *("DATE-REQ", "CAM-TIME", "CAM-EXPT"),
    }


@pytest.mark.parametrize(
    ("light", "duration", "expected"),
    [
        (True, 0.0, "Light Frame"),
        (False, 1.0, "Dark Frame"),
        (False, 0.0, "Bias Frame"),
    ],
)
def test_the_frame_type_depends_on_light_and_duration(
    light: bool, duration: float, expected: str
) -> None:
    assert header_with(light=light, duration=duration)["IMAGETYP"] == expected


def test_binned_pixels_are_larger_and_have_no_mosaic() -> None:
    header: Any = header_with(settings=replace(SETTINGS, bin_x=2, bin_y=3))
    assert (header["XPIXSZ"], header["YPIXSZ"]) == (7.52, 12.0)
    assert not {"BAYERPAT", "COLORTYP", "XBAYROFF", "YBAYROFF"} & set(header)


@pytest.mark.parametrize(
    ("sensor", "start", "expected"),
    [
        (SensorType.RGGB, (0, 0), ("RGGB", 0, 1)),
        (SensorType.RGGB, (1, 1), ("RGGB", 1, 0)),
        (SensorType.CMYG, (5, 2), ("CMYG", 1, 1)),
        (SensorType.CMYG2, (3, 2), ("CMYG2", 1, 3)),
        (SensorType.LRGB, (6, 3), ("LRGB", 2, 0)),
    ],
)
def test_the_start_of_the_subframe_shifts_the_mosaic(
    sensor: SensorType, start: tuple[int, int], expected: tuple[str, int, int]
) -> None:
    shifted = replace(SETTINGS, start_x=start[0], start_y=start[1])
    header: Any = header_with(info=replace(INFO, sensor_type=sensor), settings=shifted)
    assert (header["BAYERPAT"], header["XBAYROFF"], header["YBAYROFF"]) == expected


@pytest.mark.parametrize(
    ("info", "settings"),
    [
        ({"sensor_type": SensorType.MONOCHROME}, {}),
        ({"sensor_type": SensorType.COLOR}, {}),
        ({"sensor_type": SensorType(9)}, {}),
        ({"sensor_type": None}, {}),
        ({"bayer_offset_x": None}, {}),
        ({"bayer_offset_y": None}, {}),
        ({}, {"start_x": None}),
        ({}, {"bin_y": None}),
    ],
)
def test_a_mosaic_is_left_out_unless_all_of_it_is_known(
    info: dict[str, Any], settings: dict[str, Any]
) -> None:
    header: Any = header_with(info=replace(INFO, **info), settings=replace(SETTINGS, **settings))
    assert "BAYERPAT" not in header
    assert "XBAYROFF" not in header


@pytest.mark.parametrize(
    ("offset", "start", "corner", "keywords"),
    [  # worked out by hand: the colours of the four pixels at the top left of the subframe
        ((0, 0), (0, 0), ("RG", "GB"), (0, 0)),
        ((0, 0), (1, 0), ("GR", "BG"), (1, 0)),
        ((0, 0), (0, 1), ("GB", "RG"), (0, 1)),
        ((0, 0), (3, 5), ("BG", "GR"), (1, 1)),
        ((1, 0), (0, 0), ("GR", "BG"), (1, 0)),
        ((1, 0), (7, 2), ("RG", "GB"), (0, 0)),
        ((0, 1), (2, 3), ("RG", "GB"), (0, 0)),
        ((1, 1), (1, 2), ("GB", "RG"), (0, 1)),
    ],
)
async def test_the_bayer_keywords_match_the_colours_of_the_simulated_pixels(
    offset: tuple[int, int],
    start: tuple[int, int],
    corner: tuple[str, str],
    keywords: tuple[int, int],
) -> None:
    simulated = SimulatedCamera(
        width=32,
        height=24,
        sensor=SensorType.RGGB,
        bayer_offset_x=offset[0],
        bayer_offset_y=offset[1],
        stars=0,
        noise=False,
        hot_pixel_fraction=0,
        readout_time=0,
        sky_brightness=1e5,
        initially_connected=True,
    )
    async with SimulatorServer([simulated]) as server, AlpacaClient() as client:
        camera = client.camera(server.address)
        await camera.set_frame(start_x=start[0], start_y=start[1], num_x=8, num_y=6)
        image = await camera.expose(0.01)
    levels = dict(zip(np.unique(image.data[:2, :2]), "RGB", strict=True))
    assert tuple("".join(levels[pixel] for pixel in row) for row in image.data[:2, :2]) == corner
    header: Any = fits.header(image)
    assert header["BAYERPAT"] == "RGGB"
    assert (header["XBAYROFF"], header["YBAYROFF"]) == keywords
    assert (header["XORGSUBF"], header["YORGSUBF"]) == start


def test_colour_planes_have_no_mosaic() -> None:
    header: Any = fits.header(image_of(np.zeros((2, 4, 3), "<u2")))
    assert "BAYERPAT" not in header


@pytest.mark.parametrize("index", [None, -1, 2])
def test_a_readout_mode_without_a_name_is_left_out(index: int | None) -> None:
    assert "READOUTM" not in header_with(settings=replace(SETTINGS, readout_mode=index))


def test_extra_keywords_are_added_and_override() -> None:
    extra = {
        "object": "M 42",
        "FILTER": ("H\N{GREEK SMALL LETTER ALPHA}", "°C und µm"),
        "RA": (np.float32(1.5), "[deg]"),
        "FOCUSPOS": np.int64(7),
        "DEC": np.longdouble(1.5),
        "GUIDING": np.bool_(True),
        "DOME": False,
        "IMAGETYP": "Flat Frame",
        "EGAIN": None,
        "HISTORY": "line\none " + "x" * 90,
    }
    header: Any = fits.header(frame(), extra)
    assert header["OBJECT"] == "M 42"
    assert (header["FILTER"], header.comments["FILTER"]) == ("Ha", "degC und um")
    assert (header["RA"], header["FOCUSPOS"], header["IMAGETYP"]) == (1.5, 7, "Flat Frame")
    assert header["DEC"] == 1.5
    assert header["GUIDING"] is True
    assert header["DOME"] is False
    assert "EGAIN" not in header
    assert "".join(header["HISTORY"]) == "line one " + "x" * 90


def test_the_exposures_header_overrides_our_keywords_and_extra_overrides_it() -> None:
    given = {"object": "M 42", "FILTER": ("Ha", "7 nm"), "EGAIN": None, "IMAGETYP": "Flat Frame"}
    image = frame(replace(EXPOSURE, header=given))
    header: Any = fits.header(image, {"OBJECT": "M 43"})
    assert (header["OBJECT"], header["FILTER"]) == ("M 43", "Ha")
    assert header["IMAGETYP"] == "Flat Frame"
    assert "EGAIN" not in header


@pytest.mark.parametrize(
    "extra",
    [
        *({"": 1}, {"NINELETTE": 1}, {"A B": 1}, {"Ä": 1}, {"A=": 1}),
        *({"NAXIS1": 1}, {"bzero": 1}, {"END": 1}, {"SIMPLE": True}, {"HIERARCH": 1}),
        *({"A": float("nan")}, {"A": float("inf")}, {"A": 2**63}, {"A": 1j}, {"A": [1]}),
        *({"A": (1, "b", "c")}, {"A": (1, 2)}, {"A": b"x"}, {"A": datetime.now(UTC)}),
        *({"A": np.float64("nan")}, {"A": np.longdouble("inf")}, {"A": Fraction(10**400)}),
        *({"A": np.datetime64("2026-01-01", "ns")}, {"A": np.timedelta64(5, "ns")}),
    ],
)
async def test_invalid_extra_is_rejected_before_anything_is_written(
    tmp_path: Path, extra: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match="FITS"):
        await fits.save(frame(), tmp_path / "a.fits", extra=extra)
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("extra", "advice"),
    [
        ({"HIERARCH": 1}, r"longer names, .* alpaca_async.fits.to_hdu\(image\)"),
        ({"HIERARCH ESO DET GAIN": 1}, r"hdu.header\['HIERARCH long name'\] = value"),
        ({"hierarch x": 1}, r"hdu.writeto\(path\)"),
        ({"TEMPERATURE": 1}, "1 to 8 of A-Z 0-9 _ -. For HIERARCH and longer names"),
        ({7: 1}, "7 is not a FITS keyword"),
        ({"NAXIS3": 1}, "leave it out, it is derived from the pixels"),
        ({"CONTINUE": "x"}, "the whole text under one keyword"),
        ({"checksum": "x"}, r"writeto\(path, checksum=True\)"),
        ({"DATASUM": "x"}, r"writeto\(path, checksum=True\)"),
        ({"A": float("nan")}, "None to leave the keyword out"),
        ({"A": STARTED}, "ISO 8601 for a date"),
        ({"A": 2**70}, "an integer of 64 bits"),
        ({"A": read}, "A is a function, .* in the `header` of `expose` or `ExposureRequest`"),
    ],
)
def test_an_invalid_keyword_or_value_is_rejected_with_advice(
    extra: dict[Any, Any], advice: str
) -> None:
    with pytest.raises(ValueError, match=advice):
        fits.header(frame(), extra)


def test_the_advice_for_a_long_keyword_works(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    hdu: Any = fits.to_hdu(frame())
    hdu.header["HIERARCH long name"] = 5
    hdu.writeto(path)
    assert read(path)[1]["LONG NAME"] == 5


unusual_floats = st.none() | st.floats()
unusual_integers = st.none() | st.integers()
unusual_texts = st.none() | st.text(max_size=200)
infos = st.builds(
    CameraInfo,
    name=unusual_texts,
    unique_id=unusual_texts,
    sensor_type=st.none() | st.integers(0, 9).map(SensorType),
    pixel_size_x=unusual_floats,
    bayer_offset_x=unusual_integers,
    bayer_offset_y=unusual_integers,
    max_adu=unusual_integers,
    readout_modes=st.lists(st.text(), max_size=3).map(tuple),
)
unusual_settings = st.builds(
    CameraSettings,
    bin_x=unusual_integers | st.just(1),
    bin_y=unusual_integers | st.just(1),
    start_x=unusual_integers,
    start_y=unusual_integers,
    gain=unusual_integers,
    electrons_per_adu=unusual_floats,
    readout_mode=unusual_integers,
)
exposures = st.builds(
    Exposure,
    duration=st.floats(),
    light=st.booleans(),
    started=st.datetimes(timezones=st.just(UTC)),
    started_uncertainty=st.floats(),
    last_exposure_start_time=unusual_texts,
    last_exposure_duration=unusual_floats,
    stopped_after=unusual_floats,
    ccd_temperature=unusual_floats,
    info=infos,
    settings=unusual_settings,
)


@given(exposures)
@settings(max_examples=50)
def test_unusual_facts_give_a_valid_header(exposure: Exposure) -> None:
    image = frame(exposure)
    ours, theirs = written(image), written_by_astropy(image)
    assert len(ours) % 2880 == len(theirs) % 2880 == 0
    with astropy_fits.open(io.BytesIO(ours)) as file:
        file.verify("exception")
        assert set(file[0].header) == {key for key, _ in cards_in(theirs)} | {"EXTEND"}


@given(
    st.from_regex(r"X[A-Z0-9_-]{0,7}", fullmatch=True).filter("XTENSION".__ne__),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=200)
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(-1e300, 1e300).map(lambda value: float(f"{value:.10g}"))
    | st.booleans(),
    st.text(max_size=100),
)
@settings(max_examples=100)
def test_extra_values_are_read_back(keyword: str, value: str | float, comment: str) -> None:
    assume(not (isinstance(value, str) and "' /" in value))  # astropy takes it for the end
    assume(value != "" or "'" not in comment)  # astropy takes both for one quoted text
    image = image_of(np.zeros((1, 1), "u1"), None)
    for write in (written, written_by_astropy):
        file = io.BytesIO(write(image, {keyword: (value, comment)}))
        with astropy_fits.open(file) as hdus:
            hdus.verify("exception")
            back = hdus[0].header[keyword]
        assert back == (value.strip() if isinstance(value, str) else value)


async def test_an_existing_file_is_kept_unless_overwrite_is_true(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    path.write_bytes(b"old")
    with pytest.raises(FileExistsError):
        await fits.save(frame(), path)
    assert path.read_bytes() == b"old"
    assert await fits.save(frame(), str(path), overwrite=True) == path
    assert read(path)[0].shape == (3, 4)
    assert names(tmp_path) == ["a.fits"]


async def test_a_failure_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "no space left")

    monkeypatch.setattr(fits, "check_cancelled", full)
    with pytest.raises(OSError, match="no space left"):
        await fits.save(frame(), tmp_path / "a.fits")
    assert names(tmp_path) == []


async def test_a_missing_folder_raises_file_not_found(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await fits.save(frame(), tmp_path / "none" / "a.fits")


class Gate:
    """Blocks the writing thread at its first chunk until the test has cancelled it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached, self.open = threading.Event(), threading.Event()
        monkeypatch.setattr(fits, "check_cancelled", self)

    def __call__(self) -> None:
        self.reached.set()
        assert self.open.wait(10)
        check_cancelled()

    async def wait_reached(self) -> None:
        assert await asyncio.get_running_loop().run_in_executor(None, self.reached.wait, 10)


async def test_a_cancelled_save_waits_for_its_thread_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    task = asyncio.create_task(fits.save(frame(), tmp_path / "a.fits"))
    await gate.wait_reached()
    assert [name[-5:] for name in names(tmp_path)] == [".part"]
    task.cancel()
    await asyncio.sleep(0.01)
    task.cancel()  # a second cancellation waits for the thread too
    await asyncio.sleep(0.01)
    assert not task.done()
    gate.open.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert names(tmp_path) == []


async def test_a_timeout_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(monkeypatch)
    threading.Timer(0.1, gate.open.set).start()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await fits.save(frame(), tmp_path / "a.fits")
    assert names(tmp_path) == []


async def test_cancelling_an_anyio_scope_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    threading.Timer(0.1, gate.open.set).start()
    with anyio.move_on_after(0.05) as scope:
        await fits.save(frame(), tmp_path / "a.fits")
    assert scope.cancelled_caught
    assert names(tmp_path) == []


async def test_the_event_loop_runs_while_a_large_frame_is_written(tmp_path: Path) -> None:
    image = image_of(transposed(np.zeros((3000, 4000), "<u2")))
    fits.header(image)  # import astropy before the measurement
    saving = asyncio.create_task(fits.save(image, tmp_path / "a.fits"))
    iterations = 0
    started = time.perf_counter()
    while not saving.done() and time.perf_counter() - started < 20:
        await asyncio.sleep(0.001)
        iterations += 1
    await saving
    assert iterations >= 5


async def test_save_fits_writes_the_file(tmp_path: Path) -> None:
    path = await frame().save_fits(tmp_path / "a.fits", extra={"OBJECT": "M 42"})
    assert read(path)[1]["OBJECT"] == "M 42"


def test_an_image_is_converted_to_ccddata_without_a_copy() -> None:
    image = image_of(random_pixels("<u2", (5, 7)))
    found: Any = image.to_ccddata({"OBJECT": "M 42"})
    assert np.shares_memory(found.data, image.data)
    assert str(found.unit) == "adu"
    assert (found.meta["EGAIN"], found.meta["OBJECT"]) == (0.25, "M 42")
    colour: Any = image_of(np.zeros((5, 7, 3), "<u2")).to_ccddata()
    assert colour.data.shape == (3, 5, 7)


async def test_ccddata_agrees_with_the_file(tmp_path: Path) -> None:
    image = image_of(random_pixels("<u2", (5, 7)))
    ccddata: Any = import_module("astropy.nddata").CCDData
    read_back = ccddata.read(await image.save_fits(tmp_path / "a.fits"))
    made: Any = image.to_ccddata()
    np.testing.assert_array_equal(read_back.data, made.data)
    assert read_back.unit == made.unit
    assert read_back.meta["GAIN"] == made.meta["GAIN"]

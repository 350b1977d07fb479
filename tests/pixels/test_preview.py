from __future__ import annotations

import asyncio
import io
import sys
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

import anyio
import numpy as np
import PIL.Image
import pytest
from anyio.from_thread import check_cancelled
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from alpaca_async import preview
from alpaca_async._enums import ImageArrayElementTypes, SensorType
from alpaca_async._facts import CameraInfo, CameraSettings, Exposure
from alpaca_async._image import Image
from alpaca_async._pixels.block_means import block_means
from alpaca_async._pixels.png import png
from alpaca_async._protocol.imagebytes import ImageMetadata

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

METADATA = ImageMetadata(1, ImageArrayElementTypes.INT32, ImageArrayElementTypes.UINT16, 2, 1, 1)
MOSAIC = Exposure(
    duration=1.0,
    light=True,
    started=datetime(2026, 1, 2, tzinfo=UTC),
    started_uncertainty=0.001,
    info=CameraInfo(sensor_type=SensorType.RGGB, bayer_offset_x=0, bayer_offset_y=0),
    settings=CameraSettings(bin_x=1, bin_y=1, start_x=0, start_y=0),
)


def picture_of(
    data: NDArray[Any], exposure: Exposure | None = None, max_size: int | None = 2048
) -> NDArray[np.uint8]:
    return np.asarray(preview.render(Image(data, METADATA, exposure), max_size=max_size))


def mosaic(
    sensor: SensorType, *, start: tuple[int, int] = (0, 0), max_adu: int = 65535
) -> Exposure:
    info = replace(MOSAIC.info, sensor_type=sensor, max_adu=max_adu)
    shifted = replace(MOSAIC.settings, start_x=start[0], start_y=start[1])
    return replace(MOSAIC, info=info, settings=shifted)


def noisy_sky(
    shape: tuple[int, ...], sky: float = 1000.0, noise: float = 20.0
) -> NDArray[np.float64]:
    return np.random.default_rng(1).normal(sky, noise, shape)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def transposed(data: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(data.swapaxes(0, 1)).swapaxes(0, 1)


def add_star(data: NDArray[np.float64], row: int, column: int, peak: float) -> None:
    y, x = np.mgrid[-8:9, -8:9]
    data[row - 8 : row + 9, column - 8 : column + 9] += peak * np.exp(-(x**2 + y**2) / 8)


def test_faint_and_bright_stars_are_visible_on_a_dark_grey_sky() -> None:
    data = noisy_sky((200, 300))
    add_star(data, 50, 60, 200)
    add_star(data, 150, 200, 60000)
    picture = picture_of(data.astype("<u2"))
    sky = np.median(picture)
    assert picture.shape == (200, 300)
    assert 30 <= sky <= 60
    assert picture[150, 200] >= 250
    assert sky + 30 <= picture[50, 60] < 250
    assert picture.min() < sky - 20


def test_the_background_does_not_depend_on_the_units() -> None:
    counts = noisy_sky((100, 100))
    for data in (counts.astype("<i4"), counts.astype("<f4"), counts * 1e-9, -1e5 + counts):
        assert 30 <= np.median(picture_of(data)) <= 60


def test_the_memory_layout_does_not_change_the_picture() -> None:
    for shape in ((90, 130), (90, 130, 3)):
        data = noisy_sky(shape).astype("<u2")
        for max_size in (None, 40):
            np.testing.assert_array_equal(
                picture_of(data, max_size=max_size),
                picture_of(transposed(data), max_size=max_size),
            )
    data = noisy_sky((90, 130)).astype("<u2")
    exposure = mosaic(SensorType.LRGB, start=(1, 2))
    np.testing.assert_array_equal(
        picture_of(data, exposure), picture_of(transposed(data), exposure)
    )


@pytest.mark.parametrize("planes", [(), (3,)])
@pytest.mark.parametrize("dtype", ["u1", "<u2", "<i2", "<i4", "<u4", "<i8", "<u8", "<f4", "<f8"])
def test_pixels_are_means_over_blocks_for_each_position_in_a_cell(
    dtype: str, planes: tuple[int, ...]
) -> None:
    data = (
        noisy_sky((53, 47, *planes), 100, 30) - (100 if np.dtype(dtype).kind == "i" else 0)
    ).astype(dtype)
    for cell, factor in (((1, 1), (5, 5)), ((2, 2), (1, 3)), ((4, 2), (3, 1))):
        height, width = (cell[0] * factor[0], cell[1] * factor[1])
        down, across = 53 // height, 47 // width
        whole = data[: down * height, : across * width].astype(float)
        split = whole.reshape(down, factor[0], cell[0], across, factor[1], cell[1], -1)
        expected = split.mean(axis=(1, 4)).transpose(1, 3, 4, 0, 2)
        for layout in (data, transposed(data)):
            np.testing.assert_allclose(block_means(layout, cell, factor), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("shape", "max_size", "expected"),
    [
        ((30, 50), None, (30, 50)),
        ((30, 50), 50, (30, 50)),
        ((30, 50), 49, (15, 25)),
        ((50, 30), 17, (16, 10)),
        ((3, 1000), 10, (1, 10)),
        ((1, 1), 1, (1, 1)),
        ((70000, 2), 1, (1, 1)),
    ],
)
def test_no_side_is_longer_than_max_size(
    shape: tuple[int, int], max_size: int | None, expected: tuple[int, int]
) -> None:
    assert picture_of(np.zeros(shape, "<u2"), max_size=max_size).shape == expected


def test_sums_of_the_largest_pixels_do_not_overflow() -> None:
    data = np.full((300, 300), 65535, "<u2")
    data[:, 200:] = 0
    picture = picture_of(data, max_size=3)
    assert (picture[:, :2] == 255).all()
    assert (picture[:, 2] < 100).all()


@pytest.mark.parametrize(
    ("value", "dtype", "expected"),
    [(0, "<u2", 0), (65535, "<u2", 255), (255, "u1", 255), (700, "<u2", 41), (9e9, "<f8", 41)],
)
def test_a_constant_frame_is_black_grey_or_white(value: float, dtype: str, expected: int) -> None:
    assert np.unique(picture_of(np.full((20, 20), value, dtype))).tolist() == [expected]


def test_a_frame_at_the_cameras_full_scale_is_white() -> None:
    exposure = mosaic(SensorType.MONOCHROME, max_adu=4095)
    assert picture_of(np.full((9, 9), 4095, "<i4"), exposure).min() == 255


def test_a_frame_that_is_mostly_saturated_stays_bright() -> None:
    data = np.full((100, 100), 65535, "<u2")
    data[:20] = 1000
    picture = picture_of(data)
    assert picture[50, 50] == 255
    assert picture[5, 5] == 0


def test_single_stars_on_a_noiseless_sky_are_visible() -> None:
    data = np.full((500, 500), 100, "<u2")
    data[250, 251] = 60000
    data[100, 101] = 3000
    picture = picture_of(data)
    assert np.median(picture) == 41
    assert picture[250, 251] == 255
    assert picture[100, 101] > 100


def test_nan_is_darkest_and_infinity_brightest() -> None:
    data = noisy_sky((50, 50)).astype("<f4")
    data[3, 4], data[5, 6], data[7, 8], data[0, 0] = np.nan, np.inf, -np.inf, 0
    picture = picture_of(data)
    assert picture[3, 4] == picture[7, 8] == picture.min() == 0
    assert picture[5, 6] == picture.max()
    assert 30 <= np.median(picture) <= 60
    assert not picture_of(np.full((5, 5), np.nan)).any()


@pytest.mark.parametrize("start", [(0, 0), (1, 0), (0, 1), (1, 1), (7, 4)])
def test_a_mosaic_is_coloured_with_the_offset_of_its_subframe(start: tuple[int, int]) -> None:
    sensor = noisy_sky((108, 108), noise=5)
    sensor[40:60:2, 40:60:2] += 3000  # R of RGGB
    sensor[41:60:2, 71:90:2] += 3000  # B
    left, top = start
    frame = sensor[top : top + 100, left : left + 100].astype("<u2")
    picture = picture_of(frame, mosaic(SensorType.RGGB, start=start)).astype(int)
    assert picture.shape == (50, 50, 3)
    red = picture[(50 - top) // 2, (50 - left) // 2]
    blue = picture[(50 - top) // 2, (80 - left) // 2]
    assert red[0] > 200
    assert max(red[1:]) < 80
    assert blue[2] > 200
    assert max(blue[:2]) < 80


def test_the_colour_of_the_sky_is_neutral() -> None:
    data = noisy_sky((200, 200), noise=10)
    data[0::2, 1::2] += 900
    data[1::2, 0::2] += 900
    data[1::2, 1::2] += 300
    picture = picture_of(data.astype("<u2"), mosaic(SensorType.RGGB))
    assert np.ptp(np.median(picture, axis=(0, 1))) <= 1
    planes = noisy_sky((100, 100, 3), noise=10) + np.array([0, 900, 300])
    assert np.ptp(np.median(picture_of(planes.astype("<u2")), axis=(0, 1))) <= 1


def test_a_mosaic_with_a_clear_filter_is_coloured() -> None:
    rows = ("LRLG", "RLGL", "LGLB", "GLBL")
    values = np.array([[{"L": 900, "R": 100, "G": 200, "B": 300}[c] for c in row] for row in rows])
    data = np.tile(values, (20, 20)) + noisy_sky((80, 80), 0, 3)
    data[np.tile(values == 300, (20, 20)) & (np.arange(80) >= 40)] += 2000
    picture = picture_of(data.astype("<u2"), mosaic(SensorType.LRGB)).astype(int)
    assert picture.shape == (20, 20, 3)
    assert picture[10, 15, 2] > 200
    assert picture[10, 15, :2].max() < 80


@pytest.mark.parametrize("sensor", [SensorType.CMYG, SensorType.CMYG2])
def test_other_filters_are_averaged_to_grey(sensor: SensorType) -> None:
    data = noisy_sky((40, 40)).astype("<u2")
    data[::2] += 500
    rows = 2 if sensor is SensorType.CMYG else 4
    picture = picture_of(data, mosaic(sensor))
    assert picture.shape == (40 // rows, 20)
    assert np.ptp(picture[::2].mean(axis=1) - picture[1::2].mean(axis=1)) < 60


def test_a_mosaic_smaller_than_its_pattern_is_grey() -> None:
    assert picture_of(np.zeros((1, 5), "<u2"), mosaic(SensorType.RGGB)).shape == (1, 5)


def test_two_planes_are_averaged() -> None:
    assert picture_of(noisy_sky((10, 12, 2)).astype("<u2")).shape == (10, 12)


@given(
    st_numpy.arrays(
        st.sampled_from(["u1", "<u2", "<i2", "<i4", "<u4", "<u8", "<f4", "<f8"]),
        st.lists(st.integers(1, 9), min_size=2, max_size=3).map(tuple),
    ),
    st.none() | st.integers(1, 10),
    st.sampled_from(SensorType).map(mosaic) | st.none(),
)
@settings(max_examples=80)
def test_every_frame_has_a_picture(
    data: NDArray[Any], max_size: int | None, exposure: Exposure | None
) -> None:
    picture = picture_of(data, exposure, max_size)
    assert picture.dtype == np.uint8
    assert 1 <= max(picture.shape[:2]) <= (max_size or 9)


@pytest.mark.parametrize("max_size", [0, -1])
def test_a_max_size_below_one_pixel_is_rejected(max_size: int) -> None:
    with pytest.raises(ValueError, match="at least 1 pixel"):
        picture_of(np.zeros((2, 2), "<u2"), max_size=max_size)


@pytest.mark.parametrize(
    ("suffix", "expected"),
    [(".png", "PNG"), (".JPG", "JPEG"), (".jpeg", "JPEG"), (".webp", "WEBP")],
)
async def test_the_suffix_selects_the_format_and_an_existing_picture_is_replaced(
    tmp_path: Path, suffix: str, expected: str
) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"old")
    image = Image(noisy_sky((30, 50)).astype("<u2"), METADATA)
    assert await image.save_preview(str(path), max_size=25) == path
    with PIL.Image.open(path) as picture:
        assert (picture.format, picture.size) == (expected, (25, 15))
    assert names(tmp_path) == [path.name]


@pytest.mark.parametrize("form", ["png", "jpeg", "webp"])
async def test_a_picture_is_returned_as_bytes(form: preview.Format) -> None:
    image = Image(noisy_sky((30, 50)).astype("<u2"), METADATA)
    found = await image.preview(format=form, max_size=25)
    with PIL.Image.open(io.BytesIO(found)) as picture:
        picture.load()
        assert (picture.format, picture.size) == (form.upper(), (25, 15))


async def test_an_unknown_format_is_rejected() -> None:
    with pytest.raises(ValueError, match=r"png, jpeg, webp, not 'tiff'"):
        await Image(np.zeros((2, 2), "<u2"), METADATA).preview(format="tiff")  # type: ignore[arg-type]


@given(
    st_numpy.arrays("u1", st.tuples(st.integers(1, 9), st.integers(1, 9)))
    | st_numpy.arrays("u1", st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3)))
)
@settings(max_examples=50)
def test_a_png_keeps_the_pixels_exactly(pixels: NDArray[np.uint8]) -> None:
    with PIL.Image.open(io.BytesIO(png(pixels))) as picture:
        picture.load()
        assert picture.mode == ("L" if pixels.ndim == 2 else "RGB")
        np.testing.assert_array_equal(np.asarray(picture), pixels)


def test_a_png_of_noise_is_smaller_than_its_pixels() -> None:
    pixels = noisy_sky((300, 400), 41, 12).astype("u1")
    assert len(png(pixels)) < 0.85 * pixels.nbytes


def test_a_png_does_not_need_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    image = Image(np.zeros((2, 2), "<u2"), METADATA)
    assert anyio.run(image.preview).startswith(b"\x89PNG")
    with pytest.raises(ImportError):
        anyio.run(partial(image.preview, format="jpeg"))


@pytest.mark.parametrize("kind", ["auto", "asinh", "percentile", "zscale"])
def test_with_every_stretch_a_faint_star_is_visible(kind: preview.Stretch) -> None:
    data = noisy_sky((200, 300))
    add_star(data, 50, 60, 200)
    add_star(data, 150, 200, 60000)
    picture = np.asarray(preview.render(Image(data.astype("<u2"), METADATA), stretch=kind))
    sky = np.median(picture)
    assert 20 <= sky <= 140
    assert picture[50, 60] >= sky + 30
    assert picture[150, 200] == 255


@pytest.mark.parametrize("kind", ["auto", "asinh"])
def test_the_sky_is_dark_grey_however_bright_the_stars(kind: preview.Stretch) -> None:
    for stars in (0, 3, 60):
        data = noisy_sky((200, 300))
        for number in range(stars):
            add_star(data, 20 + 18 * (number // 6), 20 + 45 * (number % 6), 30000)
        picture = np.asarray(preview.render(Image(data.astype("<u2"), METADATA), stretch=kind))
        assert 30 <= np.median(picture) <= 60


def test_percentile_is_linear_between_its_limits() -> None:
    data = np.arange(10000, dtype="<u2").reshape(100, 100)
    picture = np.asarray(preview.render(Image(data, METADATA), stretch="percentile"))
    expected = np.interp(data, [25, 9974], [0, 255])
    assert np.abs(picture - expected).max() <= 1


def test_zscale_uses_the_limits_of_astropy() -> None:
    visualization: Any = import_module("astropy.visualization")
    data = noisy_sky((200, 300)).astype("<f4")
    low, high = visualization.ZScaleInterval().get_limits(data)
    picture = np.asarray(preview.render(Image(data, METADATA), stretch="zscale"))
    expected = np.interp(data, [low, high], [0, 255])
    assert np.abs(picture - expected).max() <= 5


def test_an_unknown_stretch_is_rejected() -> None:
    with pytest.raises(ValueError, match=r"one of auto, asinh, .* not 'sqrt'"):
        preview.render(Image(np.zeros((2, 2), "<u2"), METADATA), stretch="sqrt")  # type: ignore[arg-type]


def test_a_nebula_in_one_colour_does_not_tint_the_sky() -> None:
    planes = noisy_sky((100, 100, 3), noise=10)
    planes[:, :35, 0] += 60
    picture = picture_of(planes.astype("<u2"))
    assert np.ptp(np.median(picture[:, 50:], axis=(0, 1))) <= 2


def test_a_flat_is_grey_although_its_colours_differ_in_brightness() -> None:
    y, x = np.mgrid[-1:1:200j, -1:1:200j]
    light = 30000 * (1 - 0.2 * (x**2 + y**2))
    flat = light[..., np.newaxis] * np.array([0.8, 1.0, 0.6])
    picture = picture_of(flat.astype("<u2")).astype(int)
    assert np.ptp(picture, axis=2).max() <= 3
    assert picture[100, 100, 0] > picture[0, 0, 0] + 30


@pytest.mark.parametrize("name", ["a.tiff", "a", "png"])
async def test_an_unknown_suffix_is_rejected(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=r"\.png, \.jpg"):
        await preview.save(Image(np.zeros((2, 2), "<u2"), METADATA), tmp_path / name)


async def test_a_picture_too_large_for_its_format_leaves_no_file(tmp_path: Path) -> None:
    wide = Image(np.zeros((1, 70000), "<u2"), METADATA)
    with pytest.raises((OSError, ValueError)):
        await preview.save(wide, tmp_path / "a.webp", max_size=None)
    assert names(tmp_path) == []


async def test_a_cancelled_save_keeps_the_existing_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, opened = threading.Event(), threading.Event()

    def gate() -> None:
        reached.set()
        assert opened.wait(10)
        check_cancelled()

    monkeypatch.setattr(preview, "check_cancelled", gate)
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    task = asyncio.create_task(preview.save(Image(np.zeros((2, 2), "<u2"), METADATA), path))
    assert await asyncio.to_thread(reached.wait, 10)
    task.cancel()
    await asyncio.sleep(0.01)
    assert not task.done()
    opened.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.png"]


async def test_the_event_loop_runs_while_a_picture_is_made(tmp_path: Path) -> None:
    image = Image(noisy_sky((2000, 3000)).astype("<u2"), METADATA)
    saving = asyncio.create_task(preview.save(image, tmp_path / "a.png"))
    iterations = 0
    started = time.perf_counter()
    while not saving.done() and time.perf_counter() - started < 20:
        await asyncio.sleep(0.001)
        iterations += 1
    await saving
    assert iterations >= 5


def test_a_notebook_gets_a_small_picture() -> None:
    found = Image(np.zeros((2000, 3000), "<u2"), METADATA)._repr_png_()
    picture = PIL.Image.open(io.BytesIO(found))
    assert picture.format == "PNG"
    assert picture.size == (600, 400)  # blocks of whole pixels, at most 640


def test_a_notebook_gets_the_picture_with_its_facts() -> None:
    exposure = replace(MOSAIC, info=CameraInfo(name="<C>"), ccd_temperature=0.0)
    found = Image(np.zeros((2000, 3000), "<u2"), METADATA, exposure)._repr_html_()
    assert found.startswith('<img alt="the image" src="data:image/png;base64,')
    for fact in ("&lt;C&gt;", "0.0 °C", "uint16"):
        assert f"<td>{fact}</td>" in found
    assert "gain" not in found
    assert Image(np.zeros((4, 4), "<u2"), METADATA)._repr_html_().count("<tr>") == 2

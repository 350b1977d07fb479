from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from anyio.from_thread import check_cancelled
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from alpaca_async import Exposure, Image
from alpaca_async import _image as image_module
from alpaca_async._enums import ImageArrayElementTypes, SensorType
from alpaca_async._facts import CameraInfo, CameraSettings
from alpaca_async._pixels import statistics
from alpaca_async._protocol.imagebytes import ImageMetadata

if TYPE_CHECKING:
    from numpy.typing import NDArray

METADATA = ImageMetadata(1, ImageArrayElementTypes.INT32, ImageArrayElementTypes.UINT16, 2, 1, 1)
EXPOSURE = Exposure(
    duration=1.0,
    light=True,
    started=datetime(2026, 1, 2, tzinfo=UTC),
    started_uncertainty=0.001,
    info=CameraInfo(sensor_type=SensorType.MONOCHROME, bayer_offset_x=0, bayer_offset_y=0),
    settings=CameraSettings(bin_x=1, bin_y=1, start_x=0, start_y=0),
)


def image_of(data: NDArray[Any], sensor: SensorType | None = None) -> Image:
    exposure = replace(EXPOSURE, info=replace(EXPOSURE.info, sensor_type=sensor))
    return Image(data, METADATA, exposure if sensor is not None else None)


def sky(shape: tuple[int, ...], sigma: float, noise: float = 10.0) -> NDArray[np.float64]:
    """Return Gaussian stars of different brightness, at subpixel positions, on a noisy sky."""
    rng = np.random.default_rng(1)
    data = rng.normal(1000, noise, shape)
    y, x = np.mgrid[: shape[0], : shape[1]]
    for row, column in (
        (r, c) for r in range(40, shape[0] - 40, 70) for c in range(40, shape[1] - 40, 70)
    ):
        dy, dx, peak = rng.uniform(-0.5, 0.5), rng.uniform(-0.5, 0.5), rng.uniform(3000, 40000)
        star = peak * np.exp(-((y - row - dy) ** 2 + (x - column - dx) ** 2) / (2 * sigma**2))
        data += star[..., np.newaxis] if data.ndim > 2 else star
    return data


def transposed(data: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(data.swapaxes(0, 1)).swapaxes(0, 1)


shapes = st.lists(st.integers(1, 9), min_size=2, max_size=3).map(tuple)
integer_arrays = st_numpy.arrays(st.sampled_from(["u1", "<u2", "<i2", "<i4", "<u4", "<i8"]), shapes)
float_arrays = st_numpy.arrays(
    st.sampled_from(["<f4", "<f8"]), shapes, elements={"min_value": -(2**20), "max_value": 2**20}
)


@given(integer_arrays | float_arrays)
@settings(max_examples=60)
def test_statistics_agree_with_numpy(data: NDArray[Any]) -> None:
    for layout in (data, transposed(data)):
        found = statistics.statistics(image_of(layout), lambda: None)
        plain = data.astype(float)
        assert (found.minimum, found.maximum) == (plain.min(), plain.max())
        assert found.mean == pytest.approx(plain.mean(), abs=1e-6 * np.abs(plain).max())
        assert found.median == pytest.approx(np.median(plain))
        assert found.mad == pytest.approx(np.median(np.abs(plain - np.median(plain))))
        counts, edges = np.histogram(plain, 7)
        histogram = statistics.histogram(image_of(layout), 7, lambda: None)
        np.testing.assert_array_equal(histogram.counts, counts)
        np.testing.assert_array_equal(histogram.edges, edges)


@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [("<i2", -1, 32767), ("<i2", -32768, 32767), ("<u8", 2**63, 2**63 + 4096)],
)
def test_differences_that_overflow_the_type_are_counted(dtype: str, low: int, high: int) -> None:
    found = statistics.statistics(image_of(np.array([[low, high, high]], dtype)), lambda: None)
    assert (found.minimum, found.maximum, found.median) == (low, high, high)


async def test_nan_and_infinity_are_ignored() -> None:
    data = np.array([[1, 2, np.nan], [3, np.inf, -np.inf]], "<f4")
    found = await image_of(data).statistics()
    assert (found.minimum, found.maximum, found.median, found.mean) == (1, 3, 2, 2)
    nothing = await image_of(np.full((2, 2), np.nan)).statistics()
    assert np.isnan(nothing.median)
    assert (nothing.saturated, nothing.stars, nothing.hfd) == (0, 0, None)


@pytest.mark.parametrize(
    ("dtype", "max_adu", "expected"),
    [
        *(("<u2", None, 2), ("u1", None, 0), ("<u2", 4095, 3), ("<i4", None, 0), ("<i4", 65535, 2)),
        *(("<u2", -1, 2), ("<u2", 0, 2)),
    ],
)
async def test_saturated_pixels_are_counted(dtype: str, max_adu: int | None, expected: int) -> None:
    values = [0, 4094, 4095, 65535, 65535] if dtype != "u1" else [0, 1, 2, 3, 254]
    info = replace(EXPOSURE.info, max_adu=max_adu)
    image = Image(np.array([values], dtype), METADATA, replace(EXPOSURE, info=info))
    assert (await image.statistics()).saturated == expected


@pytest.mark.parametrize(
    ("sensor", "sigma"),
    [
        *((None, 1.0), (None, 1.5), (None, 3.5)),
        *((SensorType.RGGB, 1.7), (SensorType.RGGB, 3.5), (SensorType.COLOR, 2.5)),
    ],
)
async def test_the_diameter_contains_half_the_flux(sensor: SensorType | None, sigma: float) -> None:
    shape = (400, 500, 3) if sensor is SensorType.COLOR else (400, 500)
    found = await image_of(sky(shape, sigma).clip(0, 65535).astype("<u2"), sensor).statistics()
    assert 20 <= found.stars <= 30
    # Half of a Gaussian's flux is within 1.1774 sigma; pixels widen it, filter periods even more.
    assert found.hfd == pytest.approx(2 * 1.1774 * sigma, rel=0.12)


async def test_blurred_stars_are_larger() -> None:
    diameters = [
        (await image_of(sky((300, 300), sigma).astype("<u2")).statistics()).hfd or 0.0
        for sigma in (1.5, 1.7, 2.0)
    ]
    assert diameters == sorted(diameters)
    assert diameters[0] < 0.95 * diameters[1] < 0.9 * diameters[2]


async def test_hot_pixels_saturated_stars_and_stars_at_the_border_are_ignored() -> None:
    data = np.random.default_rng(1).normal(1000, 10, (200, 300))
    data[50, 60] = data[120, 200] = 30000
    y, x = np.mgrid[:200, :300]
    for row, column, peak in ((100, 100, 90000), (2, 150, 20000), (150, 297, 20000)):
        data += peak * np.exp(-((y - row) ** 2 + (x - column) ** 2) / 8)
    found = await image_of(data.clip(0, 65535).astype("<u2")).statistics()
    assert (found.stars, found.hfd) == (0, None)


@pytest.mark.parametrize("value", [0, 700])
async def test_a_uniform_frame_has_no_stars(value: int) -> None:
    found = await image_of(np.full((100, 100), value, "<u2")).statistics()
    assert (found.median, found.mad, found.stars) == (value, 0, 0)


async def test_a_noiseless_star_is_measured() -> None:
    found = await image_of(sky((120, 120), 2.0, 0).astype("<u2")).statistics()
    assert found.stars == 1
    assert found.hfd == pytest.approx(4.7, rel=0.05)


async def test_a_histogram_counts_every_pixel() -> None:
    data = np.random.default_rng(1).normal(1000, 10, (200, 300)).astype("<u2")
    found = await image_of(data).histogram()
    assert len(found.counts) == 256
    assert len(found.edges) == 257
    assert found.counts.sum() == data.size
    assert found.edges[[0, -1]].tolist() == [data.min(), data.max()]
    assert len((await image_of(data).histogram(bins=10)).counts) == 10


async def test_cancelled_statistics_end_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    reached, opened = threading.Event(), threading.Event()
    calls: list[None] = []

    def gate() -> None:
        calls.append(None)
        reached.set()
        assert opened.wait(10)
        check_cancelled()

    monkeypatch.setattr(image_module, "check_cancelled", gate)
    monkeypatch.setattr(statistics, "_CHUNK_PIXELS", 1)
    task = asyncio.create_task(image_of(np.zeros((50, 50), "<u2")).statistics())
    assert await asyncio.to_thread(reached.wait, 10)
    task.cancel()
    await asyncio.sleep(0.01)
    opened.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(calls) == 1

"""Rows about FITS files, previews and statistics."""

from __future__ import annotations

import asyncio
import os
import tempfile
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from alpaca_async import CameraInfo, CameraSettings, Exposure, Image, ImageMetadata, SensorType
from alpaca_async._enums import ImageArrayElementTypes

from .measure import Bound, Row, blocking, costs, cpus, interleave, largest_gap, walls

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .measure import Cost, Scale, Work
    from .wire import Frame

MS = 1e3
_IDLE = "array.sum(), in a thread"
_PLAIN = "file.write(array), fsync"
_WRITE_FACTOR, _WRITE_EXTRA = 1.5, 100.0
_STALL = Bound("ours", "<=", 20.0)


async def files(scale: Scale) -> list[Row]:
    """save_fits() beside a plain write to the disk, preview(), statistics(), event loop stalls."""
    rows = _sky(scale.frame)
    columns = np.ascontiguousarray(rows.T).T
    mono, mosaic = (SensorType.MONOCHROME, SensorType.RGGB)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        variants: dict[str, Work] = {
            _PLAIN: blocking(partial(_write, folder / "plain", rows)),
            "save_fits()": _saving(_image(rows, mono), folder),
            "save_fits(), transposed": _saving(_image(columns, mono), folder),
            "preview()": _image(rows, mono).preview,
            "preview(), RGGB": _image(rows, mosaic).preview,
            "preview(), RGGB, transposed": _image(columns, mosaic).preview,
            "statistics()": _image(rows, mono).statistics,
        }
        found = await costs(scale.few_runs, variants)
        variants[_PLAIN] = partial(asyncio.to_thread, rows.sum)
        gaps = await interleave(
            scale.few_runs, {what: partial(largest_gap, work) for what, work in variants.items()}
        )
    plain, idle = found.pop(_PLAIN), gaps.pop(_PLAIN)
    return [
        row for what, some in found.items() for row in _rows(what, some, plain, gaps[what], idle)
    ]


def _rows(
    what: str, ours: list[Cost], plain: list[Cost], gaps: list[float], idle: list[float]
) -> list[Row]:
    theirs = walls(plain, MS)
    stall = Row(f"event loop stall, {what}", "ms", gaps, _IDLE, idle, _STALL)
    if what.startswith("save"):
        allowed = [_WRITE_FACTOR * each + _WRITE_EXTRA for each in theirs]
        limit = Bound("ratio", "<=", 1.0)
        return [
            Row(what, "ms", walls(ours, MS), _PLAIN, theirs),
            Row(what, "ms", walls(ours, MS), f"1.5 {_PLAIN} + 100 ms", allowed, limit),
            stall,
        ]
    most = Bound("ours", "<=", 250.0) if what.startswith("preview") else None
    return [
        Row(what, "ms", walls(ours, MS), _PLAIN, theirs, most),
        Row(f"{what}, CPU", "ms", cpus(ours, MS), _PLAIN, cpus(plain, MS)),
        stall,
    ]


def _sky(frame: Frame) -> NDArray[Any]:
    """Return a noisy sky in row-major order."""
    width, height = frame
    strip = np.random.default_rng(1).normal(1000, 20, (min(height, 512), width)).astype("<u2")
    return np.ascontiguousarray(np.resize(strip, (height, width)))


def _image(pixels: NDArray[Any], sensor: SensorType) -> Image:
    wide, narrow = ImageArrayElementTypes.INT32, ImageArrayElementTypes.UINT16
    exposure = Exposure(
        duration=1.0,
        light=True,
        started=datetime.now(UTC),
        started_uncertainty=0.001,
        info=CameraInfo(sensor_type=sensor, bayer_offset_x=0, bayer_offset_y=0),
        settings=CameraSettings(bin_x=1, bin_y=1, start_x=0, start_y=0),
    )
    return Image(pixels, ImageMetadata(1, wide, narrow, 2, *pixels.T.shape), exposure)


def _write(path: Path, pixels: NDArray[Any]) -> None:
    with path.open("wb") as file:
        file.write(pixels.data)
        file.flush()
        os.fsync(file.fileno())
    path.unlink()


def _saving(image: Image, folder: Path) -> Work:
    async def save() -> None:
        path = await image.save_fits(folder / "a.fits")
        await asyncio.to_thread(path.unlink)

    return save

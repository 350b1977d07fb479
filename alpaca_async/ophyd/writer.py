"""Frames as a stream resource: one HDF5 file for each stage, FITS files beside it on request."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from ophyd_async.core import (
    DetectorDataLogic,
    StreamableDataProvider,
    StreamResourceDataProvider,
    StreamResourceInfo,
    soft_signal_r_and_setter,
)

from alpaca_async._enums import SensorType
from alpaca_async._errors import OperationFailed

from .frames_file import COLUMN_CHUNK, COLUMNS, FRAMES, FramesFile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ophyd_async.core import PathProvider

    from alpaca_async._camera import AsyncCamera
    from alpaca_async._image import Image
    from alpaca_async._protocol.pixeltype import PixelType

_POLL_PERIOD: Final = 3.0
"""Seconds. A `StandardDetector` that was not prepared fails 10 s after the last update."""


class _Target(NamedTuple):
    file: FramesFile
    path: Path


class FrameWriter(DetectorDataLogic):
    """Writes frames to a file of its own for each stage, and counts them."""

    def __init__(
        self, camera: AsyncCamera, pixels: PixelType, paths: PathProvider, *, fits: bool
    ) -> None:
        self._camera = camera
        self._pixels = pixels
        self._paths = paths
        self._fits = fits
        self._target: _Target | None = None
        self._written, self._set_written = soft_signal_r_and_setter(
            int, getter=self._count, poll_period=_POLL_PERIOD
        )

    async def prepare_unbounded(self, datakey_name: str) -> StreamableDataProvider:
        """Create the file, for frames of the size that is set now."""
        place = self._paths(datakey_name)
        path = Path(place.directory_path) / f"{place.filename}.h5"
        shape, dtype = await _frame_shape(self._camera), await _dtype(self._camera, self._pixels)
        self._target = _Target(await asyncio.to_thread(FramesFile, path, shape, dtype), path)
        self._set_written(0)
        return StreamResourceDataProvider(
            uri=f"{place.directory_uri}{path.name}",
            resources=_resources(datakey_name, shape, dtype),
            mimetype="application/x-hdf5",
            collections_written_signal=self._written,
        )

    async def add(self, image: Image) -> None:
        """Write a frame; return when it can be read."""
        if self._target is None:
            raise RuntimeError("the detector is not staged")
        file, path = self._target
        if self._fits:
            await image.save_fits(path.with_name(f"{path.stem}_{file.written:05d}.fits"))
        self._set_written(await asyncio.to_thread(file.append, image))

    async def stop(self) -> None:
        """Close the file."""
        target, self._target = self._target, None
        if target is not None:
            await asyncio.to_thread(target.file.close)

    def get_hinted_fields(self, datakey_name: str) -> Sequence[str]:
        """Return the name of the frames."""
        return [datakey_name]

    def _count(self) -> int:
        return self._target.file.written if self._target else 0


async def _frame_shape(camera: AsyncCamera) -> tuple[int, ...]:
    """Return the shape of the frames that the camera will deliver."""
    settings, info = await camera.get_settings(), await camera.get_info()
    if settings.num_x is None or settings.num_y is None:
        raise OperationFailed("the camera does not report NumX and NumY")
    planes = (3,) if info.sensor_type is SensorType.COLOR else ()
    return (settings.num_y, settings.num_x, *planes)


async def _dtype(camera: AsyncCamera, pixels: PixelType) -> np.dtype[Any]:
    """Return the dtype of all frames."""
    if pixels.follows_camera:
        pixels = pixels.for_camera(await camera.get_max_adu())
    return np.dtype(pixels.dtype)


def _resources(name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> list[StreamResourceInfo]:
    frames = StreamResourceInfo(
        data_key=name,
        shape=shape,
        chunk_shape=(1, *shape),
        dtype_numpy=dtype.str,
        parameters={"dataset": FRAMES},
    )
    columns = [
        StreamResourceInfo(
            data_key=f"{name}-{column}",
            shape=(),
            chunk_shape=(COLUMN_CHUNK,),
            dtype_numpy="<f8",
            parameters={"dataset": place},
        )
        for column, place in COLUMNS.items()
    ]
    return [frames, *columns]

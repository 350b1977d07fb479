"""A downloaded image: its pixels, metadata and exposure."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic, Literal

import numpy as np
from anyio import to_thread
from anyio.from_thread import check_cancelled

from ._files import in_thread
from ._pixels.statistics import histogram, statistics
from ._tables import html_table

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping
    from pathlib import Path

    from astropy.nddata import CCDData  # type: ignore[import-untyped]  # it has no stubs
    from numpy.typing import NDArray
    from typing_extensions import TypeVar  # with `default`, which Python has since 3.13

    from ._facts import Exposure
    from ._pixels.statistics import Histogram, ImageStatistics
    from ._protocol.imagebytes import ImageMetadata
    from .preview import Format, Stretch

    ExposureT_co = TypeVar(
        "ExposureT_co", bound=Exposure | None, default=Exposure | None, covariant=True
    )
else:
    from typing import TypeVar

    ExposureT_co = TypeVar("ExposureT_co", covariant=True)


@dataclass(frozen=True, slots=True, eq=False)
class Image(Generic[ExposureT_co]):
    """An image with the row axis first, as in numpy, FITS and on screens; row 0 is the top row.

    `data` has the shape `(height, width)` or `(height, width, planes)`. Its dtype is little-endian:
    the one that was requested, else the one in which the pixels were transmitted, which is
    `metadata.dtype` in any case. `exposure` is None for an image that was only downloaded. The
    images of `expose` have one: for type checkers they are `Image[Exposure]`.
    """

    data: NDArray[Any]
    metadata: ImageMetadata
    exposure: ExposureT_co = None  # type: ignore[assignment]  # None is in the default type

    @property
    def array(self) -> NDArray[Any]:
        """The same pixels in ASCOM's axis order `[x, y(, plane)]`; always a view, never a copy."""
        return self.data.swapaxes(0, 1)

    @property
    def frame_mismatch(self) -> Literal["swapped", "size"] | None:
        """How width and height differ from NumX and NumY of the exposure's settings.

        `swapped`: the camera swapped its axes; `size`: the frame has another size than the one
        that was set. None if they agree, or if the settings are unknown.
        """
        delivered = self.metadata.shape[:2]
        if self.exposure is None:
            return None
        settings = self.exposure.settings
        if delivered == (settings.num_x, settings.num_y):
            return None
        if settings.num_x is None or settings.num_y is None:
            return None
        return "swapped" if delivered == (settings.num_y, settings.num_x) else "size"

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:  # noqa: ANN401
        """Return `data`, for `np.asarray(image)`; a copy only if `dtype` or `copy` require one."""
        if copy is None:  # numpy 1 does not accept None
            return np.asarray(self.data, dtype)
        return np.array(self.data, dtype, copy=copy)

    def __repr__(self) -> str:
        facts = (f"{name} {value!s:.80}" for name, value in _facts(self).items())
        return f"<Image: {', '.join(facts)}>"

    def _repr_png_(self) -> bytes:
        """Return a picture for the output of a notebook's cell."""
        from . import preview  # noqa: PLC0415 - not needed by all

        return preview.cell_output(self)

    def _repr_html_(self) -> str:
        """Return the picture and a table of facts for the output of a notebook's cell."""
        picture = b64encode(self._repr_png_()).decode()
        table = html_table("Image", _facts(self))
        return f'<img alt="the image" src="data:image/png;base64,{picture}">{table}'

    async def save_fits(
        self,
        path: str | os.PathLike[str],
        *,
        extra: Mapping[str, Any] | None = None,
        overwrite: bool = False,
    ) -> Path:
        """Write a FITS file, with `alpaca_async.fits.save`."""
        await to_thread.run_sync(import_module, "alpaca_async.fits")
        from . import fits  # noqa: PLC0415 - not needed by all

        return await fits.save(self, path, extra=extra, overwrite=overwrite)

    def to_ccddata(self, extra: Mapping[str, Any] | None = None) -> CCDData:
        """Return the result of `alpaca_async.fits.to_ccddata`; needs the extra `fits`.

        The first call imports astropy, which takes a second: use `asyncio.to_thread`.
        """
        from . import fits  # noqa: PLC0415 - not needed by all

        return fits.to_ccddata(self, extra)

    async def statistics(self) -> ImageStatistics:
        """Return median, noise, saturation and star sharpness, computed in a thread.

        A frame of 61 megapixels takes half a second. Floating point, or integers in a range wider
        than 16 bits, take some seconds and five times the memory of the frame.
        """
        return await in_thread(partial(statistics, self, check_cancelled))

    async def histogram(self, bins: int = 256) -> Histogram:
        """Return the histogram of the pixel values, computed in a thread, as `statistics` is."""
        return await in_thread(partial(histogram, self, bins, check_cancelled))

    async def preview(
        self,
        *,
        format: Format = "png",  # noqa: A002 - as in alpaca_async.preview
        max_size: int | None = 2048,
        stretch: Stretch = "auto",
    ) -> bytes:
        """Return a picture from `alpaca_async.preview.encode`.

        JPEG and WebP need the extra `preview`.
        """
        await to_thread.run_sync(import_module, "alpaca_async.preview")
        from . import preview  # noqa: PLC0415 - not needed by all

        return await preview.encode(self, format=format, max_size=max_size, stretch=stretch)

    async def save_preview(
        self,
        path: str | os.PathLike[str],
        *,
        max_size: int | None = 2048,
        stretch: Stretch = "auto",
    ) -> Path:
        """Write a picture with `alpaca_async.preview.save`.

        JPEG and WebP need the extra `preview`.
        """
        await to_thread.run_sync(import_module, "alpaca_async.preview")
        from . import preview  # noqa: PLC0415 - not needed by all

        return await preview.save(self, path, max_size=max_size, stretch=stretch)


def _facts(image: Image) -> dict[str, Any]:
    """Return what identifies an image, for people."""
    facts: dict[str, Any] = {
        "size": " x ".join(map(str, image.metadata.shape)),
        "dtype": image.data.dtype,
    }
    if (exposure := image.exposure) is None:
        return facts
    settings = exposure.settings
    facts |= {
        "camera": exposure.info.name,
        "started": f"{exposure.started:%Y-%m-%d %H:%M:%S} UTC",
        "duration": f"{exposure.duration:g} s" + ("" if exposure.light else ", dark"),
        "binning": settings.bin_x and f"{settings.bin_x} x {settings.bin_y}",
        "gain": settings.gain,
        "offset": settings.offset,
        "temperature": _celsius(exposure.ccd_temperature),
    }
    return {
        name: value for name, value in {**facts, **exposure.header}.items() if value is not None
    }


def _celsius(temperature: float | None) -> str | None:
    return None if temperature is None else f"{temperature:.1f} °C"

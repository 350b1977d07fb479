"""An image in a console."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from alpaca_async import CameraInfo, CameraSettings, Exposure, Image, ImageMetadata
from alpaca_async._enums import ImageArrayElementTypes

METADATA = ImageMetadata(1, ImageArrayElementTypes.INT32, ImageArrayElementTypes.UINT16, 2, 4, 3)
STARTED = datetime(2026, 3, 1, 22, 5, 1, tzinfo=UTC)


def test_an_image_is_described_in_one_line() -> None:
    image = Image(np.zeros((3, 4), "<u2"), METADATA)
    assert repr(image) == "<Image: size 4 x 3, dtype uint16>"


def test_the_exposure_is_described_by_what_identifies_it() -> None:
    exposure = Exposure(
        duration=2.0,
        light=False,
        started=STARTED,
        started_uncertainty=0.001,
        info=CameraInfo(name="N" * 1000),
        settings=CameraSettings(gain=100),
    )
    shown = repr(Image(np.zeros((3, 4), "<u2"), METADATA, exposure))
    assert "started 2026-03-01 22:05:01 UTC, duration 2 s, dark, gain 100" in shown
    assert len(shown) < 250

"""Facts that are not known, or that FITS cannot store, have no card."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from alpaca_async import (
    CameraInfo,
    CameraSettings,
    Exposure,
    Image,
    ImageArrayElementTypes,
    ImageMetadata,
)
from alpaca_async._fits.header import image_cards

METADATA = ImageMetadata(
    1, ImageArrayElementTypes.INT32, ImageArrayElementTypes.UINT16, 2, dimension1=3, dimension2=2
)
EXPOSURE = Exposure(
    duration=1.0,
    light=True,
    started=datetime(2026, 3, 1, 12, tzinfo=UTC),
    started_uncertainty=0.1,
    info=CameraInfo(name="ours", sensor_name="IMX455", max_adu=65535),
    settings=CameraSettings(gain=100, electrons_per_adu=0.8),
)


def keywords(exposure: Exposure) -> set[str]:
    image = Image(np.zeros((2, 3), "<u2"), METADATA, exposure)
    return {card.keyword for card in image_cards(image)}


def test_known_facts_have_cards() -> None:
    assert {"INSTRUME", "CAM-SNAM", "GAIN", "EGAIN", "DATAMAX"} <= keywords(EXPOSURE)


@pytest.mark.parametrize("text", ["", "  ", "\n", None])
def test_a_text_that_says_nothing_has_no_card(text: str | None) -> None:
    assert EXPOSURE.info is not None
    info = replace(EXPOSURE.info, sensor_name=text)
    assert keywords(replace(EXPOSURE, info=info)) == keywords(EXPOSURE) - {"CAM-SNAM"}


@pytest.mark.parametrize("number", [float("nan"), float("inf"), None])
def test_a_number_that_is_none_has_no_card(number: float | None) -> None:
    settings = replace(EXPOSURE.settings, electrons_per_adu=number)
    assert keywords(replace(EXPOSURE, settings=settings)) == keywords(EXPOSURE) - {"EGAIN"}

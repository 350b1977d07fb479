"""Faults of a camera or its driver, as arguments of `SimulatedCamera`."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class CameraFault:
    """One way in which a camera can deviate from the ASCOM standard."""

    name: str
    description: str
    model: Mapping[str, Any]
    """The arguments of `SimulatedCamera` that cause it."""


def _fault(name: str, description: str, **model: object) -> tuple[str, CameraFault]:
    return name, CameraFault(name, description, MappingProxyType(model))


CAMERA_FAULTS: Final[Mapping[str, CameraFault]] = MappingProxyType(
    dict(
        [
            _fault(
                "stale_image_ready",
                "ImageReady stays true for 0.1 s after StartExposure, with the former image.",
                start_lag=0.1,
            ),
            _fault(
                "stale_image_dropped",
                "ImageReady stays true for 0.1 s after StartExposure, but there is no image.",
                start_lag=0.1,
                drops_image_at_start=True,
            ),
            _fault(
                "late_image",
                "The camera is idle for a second before the image is ready.",
                image_delay=1.0,
            ),
            _fault(
                "no_image",
                "The camera becomes idle, but the image is never ready.",
                image_delay=float("inf"),
            ),
            _fault(
                "lagging_frame",
                "A change of the frame is reported 0.2 s later; changes until then are lost.",
                frame_lag=0.2,
            ),
            _fault(
                "divided_frame", "NumX and NumY are divided by the binning.", divides_frame=True
            ),
            _fault("ignored_binning", "BinX and BinY have no effect.", ignores_binning=True),
            _fault("ignored_subframe", "The full frame is delivered.", ignores_subframes=True),
            _fault("lower_case_true", "Only `true` means true.", true_word="true"),
            _fault("title_case_true", "Only `True` means true.", true_word="True"),
            _fault(
                "slow_connect",
                "Connected becomes true five seconds after it was set.",
                connected_time=5.0,
            ),
            _fault(
                "shared_unique_id",
                "The UniqueID is the same for every camera.",
                unique_id="0584a99f-0c46-4e27-a312-5c3b1d8f0001",
            ),
            _fault(
                "changing_type",
                "Each image has the narrowest pixel type that holds it.",
                narrowest_type=True,
            ),
            _fault("swapped_axes", "Images are sent row by row.", swaps_axes=True),
        ]
    )
)
"""All faults that a `SimulatedCamera` can be given, by name."""

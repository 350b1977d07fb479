"""The enumerations of ASCOM."""

from __future__ import annotations

from enum import IntEnum
from typing import Self


class AscomEnum(IntEnum):
    """An `IntEnum` that accepts numbers unknown to ASCOM, as members `UNKNOWN_<number>`."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, int):
            return None
        member = int.__new__(cls, value)
        member._name_ = f"UNKNOWN_{int(value)}"
        member._value_ = int(value)
        return member


class CameraStates(AscomEnum):
    """What a camera is doing."""

    IDLE = 0
    WAITING = 1
    EXPOSING = 2
    READING = 3
    DOWNLOAD = 4
    ERROR = 5


class SensorType(AscomEnum):
    """The colour filters of a sensor; `COLOR` delivers three colour planes without a mosaic."""

    MONOCHROME = 0
    COLOR = 1
    RGGB = 2
    CMYG = 3
    CMYG2 = 4
    LRGB = 5


class GuideDirections(AscomEnum):
    """The direction of a guiding pulse."""

    NORTH = 0
    SOUTH = 1
    EAST = 2
    WEST = 3


class CoverStatus(AscomEnum):
    """The state of a cover."""

    NOT_PRESENT = 0
    CLOSED = 1
    MOVING = 2
    OPEN = 3
    UNKNOWN = 4
    ERROR = 5


class CalibratorStatus(AscomEnum):
    """The state of a calibrator, a light for flat fields."""

    NOT_PRESENT = 0
    OFF = 1
    NOT_READY = 2
    READY = 3
    UNKNOWN = 4
    ERROR = 5


class ImageArrayElementTypes(AscomEnum):
    """The types of pixels, in the camera (also `OBJECT`) and in transmission."""

    UNKNOWN = 0
    INT16 = 1
    INT32 = 2
    DOUBLE = 3
    SINGLE = 4
    UINT64 = 5
    BYTE = 6
    INT64 = 7
    UINT16 = 8
    UINT32 = 9
    OBJECT = 10

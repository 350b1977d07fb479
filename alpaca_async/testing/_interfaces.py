"""The interfaces that are simulated, by device type."""

from __future__ import annotations

from typing import Any, Final

from ._accessory_interfaces import COVER_CALIBRATOR, FILTER_WHEEL, FOCUSER, SAFETY_MONITOR
from ._camera_interface import CAMERA
from ._interface import COMMON_READS, COMMON_WRITES, Interface

INTERFACES: Final[dict[str, Interface[Any]]] = {
    interface.name.lower(): interface
    for interface in (CAMERA, FILTER_WHEEL, FOCUSER, COVER_CALIBRATOR, SAFETY_MONITOR)
}
"""By device type, as in the path."""

MEMBERS: Final = frozenset(COMMON_READS.keys() | COMMON_WRITES.keys()).union(
    *(interface.reads.keys() | interface.writes.keys() for interface in INTERFACES.values())
)
"""All members of all devices, in lower case."""

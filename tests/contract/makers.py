"""The classes of the devices beside the camera, and the methods of a client that make them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from alpaca_async import (
    AlpacaClient,
    AsyncCoverCalibrator,
    AsyncDevice,
    AsyncFilterWheel,
    AsyncFocuser,
    AsyncSafetyMonitor,
)

if TYPE_CHECKING:
    from collections.abc import Callable

MAKERS: Final[dict[str, Callable[[AlpacaClient, str, int], AsyncDevice]]] = {
    "filterwheel": AlpacaClient.filter_wheel,
    "focuser": AlpacaClient.focuser,
    "covercalibrator": AlpacaClient.cover_calibrator,
    "safetymonitor": AlpacaClient.safety_monitor,
}

CLASSES: Final[dict[str, type[AsyncDevice]]] = {
    "filterwheel": AsyncFilterWheel,
    "focuser": AsyncFocuser,
    "covercalibrator": AsyncCoverCalibrator,
    "safetymonitor": AsyncSafetyMonitor,
}

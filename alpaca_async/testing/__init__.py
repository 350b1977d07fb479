"""Simulated cameras and simulated network faults on real sockets, for testing Alpaca clients.

Names are imported on first use. A pytest run that does not need the plugin therefore pays no
import time, and works without the extra `testing`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._camera import SimulatedCamera
    from ._camera_faults import CAMERA_FAULTS, CameraFault
    from ._core import ReceivedRequest
    from ._exposure import SimulatedExposure
    from ._faults import FAULTS, Fault
    from ._model import CameraModel, ControlMode
    from ._proxy import FaultProxy
    from ._rules import FaultEvent, FaultRule
    from ._server import SimulatorServer, run_in_thread

__all__ = [
    "CAMERA_FAULTS",
    "FAULTS",
    "CameraFault",
    "CameraModel",
    "ControlMode",
    "Fault",
    "FaultEvent",
    "FaultProxy",
    "FaultRule",
    "ReceivedRequest",
    "SimulatedCamera",
    "SimulatedExposure",
    "SimulatorServer",
    "run_in_thread",
]

_MODULES = {
    "CAMERA_FAULTS": "_camera_faults",
    "CameraFault": "_camera_faults",
    "CameraModel": "_model",
    "ControlMode": "_model",
    "FAULTS": "_faults",
    "Fault": "_faults",
    "FaultEvent": "_rules",
    "FaultProxy": "_proxy",
    "FaultRule": "_rules",
    "ReceivedRequest": "_core",
    "SimulatedCamera": "_camera",
    "SimulatedExposure": "_exposure",
    "SimulatorServer": "_server",
    "run_in_thread": "_server",
}


if not TYPE_CHECKING:  # pragma: no branch - else type checkers would accept any name

    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)

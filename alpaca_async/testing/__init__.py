"""Simulated devices and simulated network faults on real sockets, for testing Alpaca clients.

Names are imported on first use. A pytest run that does not need the plugin therefore pays no
import time, and works without the extra `testing`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._camera import SimulatedCamera
    from ._camera_faults import CAMERA_FAULTS, CameraFault
    from ._core import ReceivedRequest, SimulatedDevice
    from ._cover_calibrator import SimulatedCoverCalibrator
    from ._exposure import SimulatedExposure
    from ._faults import FAULTS, Fault
    from ._filter_wheel import SimulatedFilter, SimulatedFilterWheel
    from ._focuser import SimulatedFocuser
    from ._model import CameraModel, ControlMode, DeviceModel
    from ._proxy import FaultProxy
    from ._recorder import RecordingProxy
    from ._recording import SessionFileError
    from ._replay import ReplayServer
    from ._rig import SimulatedRig
    from ._rules import FaultEvent, FaultRule
    from ._safety_monitor import SimulatedSafetyMonitor
    from ._server import SimulatorServer, run_in_thread

__all__ = [
    "CAMERA_FAULTS",
    "FAULTS",
    "CameraFault",
    "CameraModel",
    "ControlMode",
    "DeviceModel",
    "Fault",
    "FaultEvent",
    "FaultProxy",
    "FaultRule",
    "ReceivedRequest",
    "RecordingProxy",
    "ReplayServer",
    "SessionFileError",
    "SimulatedCamera",
    "SimulatedCoverCalibrator",
    "SimulatedDevice",
    "SimulatedExposure",
    "SimulatedFilter",
    "SimulatedFilterWheel",
    "SimulatedFocuser",
    "SimulatedRig",
    "SimulatedSafetyMonitor",
    "SimulatorServer",
    "run_in_thread",
]

_MODULES = {
    "CAMERA_FAULTS": "_camera_faults",
    "CameraFault": "_camera_faults",
    "CameraModel": "_model",
    "ControlMode": "_model",
    "DeviceModel": "_model",
    "FAULTS": "_faults",
    "Fault": "_faults",
    "FaultEvent": "_rules",
    "FaultProxy": "_proxy",
    "FaultRule": "_rules",
    "ReceivedRequest": "_core",
    "RecordingProxy": "_recorder",
    "ReplayServer": "_replay",
    "SessionFileError": "_recording",
    "SimulatedCamera": "_camera",
    "SimulatedCoverCalibrator": "_cover_calibrator",
    "SimulatedDevice": "_core",
    "SimulatedExposure": "_exposure",
    "SimulatedFilter": "_filter_wheel",
    "SimulatedFilterWheel": "_filter_wheel",
    "SimulatedFocuser": "_focuser",
    "SimulatedRig": "_rig",
    "SimulatedSafetyMonitor": "_safety_monitor",
    "SimulatorServer": "_server",
    "run_in_thread": "_server",
}


if not TYPE_CHECKING:  # pragma: no branch - else type checkers would accept any name

    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)

"""Simulated cameras on real sockets, for tests of whatever talks to a camera."""

from __future__ import annotations

from ._camera import SimulatedCamera
from ._core import ReceivedRequest
from ._exposure import SimulatedExposure
from ._model import CameraModel, ControlMode
from ._server import SimulatorServer, run_in_thread

__all__ = [
    "CameraModel",
    "ControlMode",
    "ReceivedRequest",
    "SimulatedCamera",
    "SimulatedExposure",
    "SimulatorServer",
    "run_in_thread",
]

"""A simulated rig: devices that work together."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from ._camera import SimulatedCamera
from ._core import SimulatedDevice
from ._cover_calibrator import SimulatedCoverCalibrator
from ._filter_wheel import SimulatedFilterWheel
from ._focuser import SimulatedFocuser
from ._optics import Optics
from ._safety_monitor import SimulatedSafetyMonitor

if TYPE_CHECKING:
    from collections.abc import Iterable

D = TypeVar("D", bound=SimulatedDevice)


class SimulatedRig:
    """Cameras behind a cover, a filter wheel and a focuser, and a safety monitor.

    All `cameras`, by default one, look through the same optics. An exposure depends on their state
    at its start: the filter dims the sky and shifts the focus, a focuser that is not in focus
    widens the stars, and a closed cover makes darks, or flats if its calibrator is on. A guide
    pulse of one camera moves the sky of all. Devices that are not given are as fast as the first
    camera, and share its clock. `SimulatorServer(rig.devices)` serves them.
    """

    def __init__(
        self,
        cameras: Iterable[SimulatedCamera] = (),
        *,
        filter_wheel: SimulatedFilterWheel | None = None,
        focuser: SimulatedFocuser | None = None,
        cover_calibrator: SimulatedCoverCalibrator | None = None,
        safety_monitor: SimulatedSafetyMonitor | None = None,
    ) -> None:
        self.cameras: tuple[SimulatedCamera, ...] = tuple(cameras) or (SimulatedCamera(),)
        self.filter_wheel = filter_wheel or self._like_the_camera(SimulatedFilterWheel)
        self.focuser = focuser or self._like_the_camera(SimulatedFocuser)
        self.cover_calibrator = cover_calibrator or self._like_the_camera(SimulatedCoverCalibrator)
        self.safety_monitor = safety_monitor or self._like_the_camera(SimulatedSafetyMonitor)
        for camera in self.cameras:
            camera.optics = Optics(self.cover_calibrator, self.filter_wheel, self.focuser)
            camera.mount = self.camera.mount

    @property
    def camera(self) -> SimulatedCamera:
        """The first camera."""
        return self.cameras[0]

    @property
    def devices(self) -> tuple[SimulatedDevice, ...]:
        """All devices, the cameras first."""
        return (
            *self.cameras,
            self.filter_wheel,
            self.focuser,
            self.cover_calibrator,
            self.safety_monitor,
        )

    def _like_the_camera(self, kind: type[D]) -> D:
        return kind(
            initially_connected=self.camera.initially_connected,
            connect_time=self.camera.connect_time,
            speed_up=self.camera.speed_up,
            clock=self.camera.clock,
        )

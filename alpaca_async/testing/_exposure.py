"""One exposure of a simulated camera: its state follows from the clock."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from alpaca_async._enums import CameraStates

from ._images import narrowed

if TYPE_CHECKING:
    from datetime import datetime

    from numpy.typing import NDArray

    from alpaca_async._errors import AscomError

    from ._sensor import Sensor, Shot


@dataclass(kw_only=True, eq=False)
class SimulatedExposure:
    """An exposure from its start until its image is replaced by that of the next."""

    shot: Shot
    started: float
    """By the camera's simulated clock."""
    started_at: datetime
    readout_time: float
    image_delay: float
    failure: AscomError | None = None
    """What the camera reports at the end instead of an image."""
    _pixels: NDArray[Any] | None = None
    _rendering: threading.Lock = field(default_factory=threading.Lock)

    @property
    def exposed(self) -> float:
        """When the light was over."""
        return self.started + self.shot.duration

    @property
    def read(self) -> float:
        """When the readout was over."""
        return self.exposed + self.readout_time

    def state(self, now: float) -> CameraStates:
        """Return what the camera is doing with this exposure."""
        if now < self.exposed:
            return CameraStates.EXPOSING
        if self.failure is not None:
            return CameraStates.ERROR
        return CameraStates.READING if now < self.read else CameraStates.IDLE

    def is_ready(self, now: float) -> bool:
        """Tell whether the image can be downloaded."""
        return self.failure is None and now >= self.read + self.image_delay

    def percent(self, now: float) -> int:
        """Return how much of exposure and readout is over, 0 to 100."""
        total = self.read - self.started
        return min(int(100 * (now - self.started) / total), 100) if total else 100

    def stop(self, now: float) -> None:
        """End the exposure now and keep what was collected; too late during the readout."""
        if now < self.exposed:
            self.shot = replace(self.shot, duration=now - self.started)

    def pixels(self, sensor: Sensor) -> NDArray[Any]:
        """Return the frame, rendered at the first call, in its transmission type. Slow."""
        with self._rendering:
            if self._pixels is None:
                self._pixels = narrowed(sensor.frame(self.shot))
            return self._pixels

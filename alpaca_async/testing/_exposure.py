"""One exposure of a simulated camera; its state is computed from the clock."""

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
    """An exposure and, when it has been rendered, its image."""

    shot: Shot
    started: float
    """In seconds of the camera's simulated clock."""
    started_at: datetime
    readout_time: float
    image_delay: float
    narrowest_type: bool = False
    failure: AscomError | None = None
    """The error that the camera reports at the end instead of an image."""
    _pixels: NDArray[Any] | None = field(default=None, repr=False)
    _rendering: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def exposed(self) -> float:
        """When the exposure to light ends, on the simulated clock."""
        return self.started + self.shot.duration

    @property
    def read(self) -> float:
        """When the readout ends, on the simulated clock."""
        return self.exposed + self.readout_time

    def state(self, now: float) -> CameraStates:
        """Return the state of the camera during this exposure."""
        if now < self.exposed:
            return CameraStates.EXPOSING
        if self.failure is not None:
            return CameraStates.ERROR
        return CameraStates.READING if now < self.read else CameraStates.IDLE

    def is_ready(self, now: float) -> bool:
        """Return whether the image can be downloaded."""
        return self.failure is None and now >= self.read + self.image_delay

    def percent(self, now: float) -> int:
        """Return the progress of exposure and readout, 0 to 100."""
        total = self.read - self.started
        return min(int(100 * (now - self.started) / total), 100) if total else 100

    def stop(self, now: float) -> None:
        """End the exposure now and keep its charge; during the readout, do nothing."""
        if now < self.exposed:
            self.shot = replace(self.shot, duration=now - self.started)

    def pixels(self, sensor: Sensor) -> NDArray[Any]:
        """Return the frame in its transmission type; the first call renders it, which is slow."""
        with self._rendering:
            if self._pixels is None:
                frame = sensor.frame(self.shot)
                self._pixels = narrowed(frame) if self.narrowest_type else frame
            return self._pixels

"""Shares one periodic poll of a camera's status among any number of listeners."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alpaca_async._device.poller import Poller, listen
from alpaca_async._device.status import Reporting
from alpaca_async._protocol.values import check_duration
from alpaca_async._stream import Stream

if TYPE_CHECKING:
    from alpaca_async._facts import CameraStatus


class Watching(Reporting):
    """A camera whose status can be watched."""

    def watch(self, interval: float = 1.0) -> Stream[CameraStatus]:
        """Yield the status, read every `interval` seconds.

        All listeners of a camera with the same interval share one poll; a slow listener gets only
        the latest status. An error of `get_status` is raised in every listener, and ends the
        stream. Use the stream with `async with`; polling ends with the last listener.
        """
        if check_duration("interval", interval) == 0:
            raise ValueError("interval must be positive")

        def make() -> Poller[CameraStatus]:
            return Poller(self.get_status, interval, self._operation("devicestate"))

        return Stream(listen(self._record.pollers, interval, make))

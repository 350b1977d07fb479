"""What a client remembers about one device, shared by all objects for that device. No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from alpaca_async._download.delivery import DeliveryRecord
from alpaca_async._loops import PerLoop, Turns
from alpaca_async._tasks import SingleFlight

from .exposure_log import ExposureLog

if TYPE_CHECKING:
    from alpaca_async._facts import CameraInfo, CameraSettings

    from .poller import Poller

_CHANGES_NO_SETTING: Final = frozenset(
    {"StartExposure", "StopExposure", "AbortExposure", "PulseGuide"}
)
_CHANGES_THE_CONNECTION: Final = frozenset({"Connect", "Disconnect", "Connected"})


class DeviceRecord:
    """The facts, settings and running operations of one device, as far as this client knows them.

    A client has one record for each device, shared by all objects and event loops.
    """

    def __init__(self) -> None:
        self.info: CameraInfo | None = None
        self.settings: CameraSettings | None = None
        self.version = 0
        """Increases whenever the settings may have changed."""
        self.restarts = 0
        """How many restarts of the server were detected."""
        self.has_device_state: bool | None = None
        self.missing_members: frozenset[str] = frozenset()
        self.set_values: dict[str, object] = {}
        """The value that was set last, by member."""
        self.lowercase_booleans: bool | None = None
        """Whether the server understands `true` but not `True`; None until that is known."""
        self.warnings: frozenset[str] = frozenset()
        """The topics of the warnings that were logged: each is logged once."""
        self.exposures = ExposureLog()
        self.deliveries = DeliveryRecord()
        self.pollers: PerLoop[dict[float, Poller]] = PerLoop(dict[float, Any])
        self.connecting: SingleFlight[None] = SingleFlight()
        self.disconnecting: SingleFlight[None] = SingleFlight()
        self.frame_turns = Turns()
        self._last_number = 0

    def adopt(self, former: DeviceRecord) -> None:
        """Take over what is still valid after the device has moved to a new address."""
        self.set_values = {**self.set_values, **former.set_values}
        self.warnings |= former.warnings
        self.exposures = former.exposures
        self.deliveries = former.deliveries
        self.forget()

    def command_sent(self, member: str) -> None:
        """Forget what the command may have changed."""
        if member in _CHANGES_THE_CONNECTION:
            self.forget()
        elif member not in _CHANGES_NO_SETTING:
            self.forget_settings()

    def answered(self, number: int) -> None:
        """Detect a restart by `number`, the server's transaction id, which then starts anew.

        Replies may overtake each other, so the number must fall below half of the last one. It is
        0 if the server sends none.
        """
        if 0 < number < self._last_number // 2:
            self.restarts += 1
            self.forget()
        self._last_number = number

    def is_first_warning(self, topic: str) -> bool:
        """Record a warning; return whether it is the first one about the topic."""
        first = topic not in self.warnings
        self.warnings |= {topic}
        return first

    def forget(self) -> None:
        """Forget everything that was read: it may be another device now."""
        self.info = None
        self.has_device_state = None
        self.missing_members = frozenset()
        self.forget_settings()

    def forget_settings(self) -> None:
        """Forget the settings."""
        self.settings = None
        self.version += 1

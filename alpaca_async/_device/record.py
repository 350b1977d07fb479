"""What a client remembers about one device, shared by all objects for that device. No I/O."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any, Final

from alpaca_async._download.delivery import DeliveryRecord
from alpaca_async._download.frame_memory import NextFrame
from alpaca_async._errors import TransportTimeout
from alpaca_async._facts import CameraInfo, CameraSettings
from alpaca_async._loops import PerLoop, Turns
from alpaca_async._tasks import SingleFlight

from .boolean_spelling import BooleanSpelling
from .exposure_log import ExposureLog
from .fact_reader import FactReader
from .known_facts import KnownFacts, RetryPauses
from .readout import ReadoutRecord, ReadoutTimes
from .start_replies import StartReplies

if TYPE_CHECKING:
    from alpaca_async._errors import AlpacaError

    from .poller import Poller

_CHANGES_NO_SETTING: Final = frozenset(
    {"StartExposure", "StopExposure", "AbortExposure", "PulseGuide"}
)
_CHANGES_THE_CONNECTION: Final = frozenset({"Connect", "Disconnect", "Connected"})
_CHANGES_THE_READOUT: Final = ("BinX", "BinY", "NumX", "NumY", "ReadoutMode", "FastReadout")


class DeviceRecord:
    """The facts, settings and running operations of one device, as far as this client knows them.

    A client has one record for each device, shared by all objects and event loops.
    """

    def __init__(self) -> None:
        self.info = KnownFacts(CameraInfo)
        self.settings = KnownFacts(CameraSettings)
        self.retry_pauses = RetryPauses()
        self.restarts = 0
        """How many restarts of the server were detected."""
        self.movements: dict[str, int] = {}
        """By part of the device, what identifies the command that moved it last."""
        self.has_device_state: bool | None = None
        self.missing_members: frozenset[str] = frozenset()
        self.not_in_device_state: frozenset[str] = frozenset()
        """The fields of `CameraStatus` that an exposure needed and DeviceState did not have."""
        self.set_values: dict[str, object] = {}
        """The value that was set last, by member."""
        self.settings_at_end: dict[str, object] = {}
        """Gain and offset as they were read last, by the fields of `CameraSettings`."""
        self.spelling = BooleanSpelling()
        self.warnings: frozenset[str] = frozenset()
        """The topics of the warnings that were logged: each is logged once."""
        self.odd_frames: frozenset[tuple[int, int, int | None, int | None]] = frozenset()
        """Sizes of images, each with what the camera said meanwhile, that did not agree."""
        self.has_wrong_signs = False
        """Whether the camera delivered unsigned pixels as signed ones."""
        self.start_decimals = 0
        """The most decimals of a second that a start time of the camera has shown."""
        self.exposures = ExposureLog()
        self.start_replies = StartReplies()
        self.is_silent = False
        """Whether the device did not answer a request in time, and none since."""
        self.deliveries = DeliveryRecord()
        self.readouts = ReadoutRecord()
        self.pollers: PerLoop[dict[Hashable, Poller[Any]]] = PerLoop(dict[Hashable, Any])
        self.next_frame = NextFrame()
        self.fact_readers = PerLoop(FactReader)
        self.connecting: SingleFlight[None] = SingleFlight()
        self.disconnecting: SingleFlight[None] = SingleFlight()
        self.frame_turns = Turns()
        self._last_number = 0

    @property
    def awaited_facts(self) -> set[str]:
        """The unknown facts that exposures wait for: neither late nor failed."""
        late = {*self.info.late, *self.settings.late}
        return {name for name in self._unknown - late if not self.retry_pauses.has_failed(name)}

    @property
    def other_facts(self) -> set[str]:
        """The unknown facts that may be read now, but are not waited for."""
        others = self._unknown - self.awaited_facts
        return {name for name in others if self.retry_pauses.allows(name)}

    @property
    def _unknown(self) -> set[str]:
        return {*self.info.unknown, *self.settings.unknown}

    def readout_times(self) -> ReadoutTimes:
        """Return those with the binning, size and readout mode that this client has set."""
        return self.readouts.of(tuple(map(self.set_values.get, _CHANGES_THE_READOUT)))

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
            self.settings_at_end.clear()
            self.forget_settings()

    def answered(self, number: int) -> None:
        """Record a reply, and detect a restart of the server by its transaction id, `number`.

        A restarted server counts from the start again. Replies may overtake each other, so only a
        number below half of the last one counts. It is 0 if the server sends none.
        """
        self.is_silent = False
        if 0 < number < self._last_number // 2:
            self.restarts += 1
            self.forget()
        self._last_number = number

    def lost(self, error: AlpacaError) -> None:
        """Record a request after which the server may be another one, or the camera silent."""
        self.is_silent = isinstance(error, TransportTimeout)
        self.forget_settings()

    def is_first_warning(self, topic: str) -> bool:
        """Record a warning; return whether it is the first one about the topic."""
        first = topic not in self.warnings
        self.warnings |= {topic}
        return first

    def forget(self) -> None:
        """Forget everything that was read: it may be another device now."""
        self.info.forget()
        self.settings_at_end.clear()
        self.start_decimals = 0
        self.retry_pauses.forget()
        self.has_device_state = None
        self.missing_members = self.not_in_device_state = frozenset()
        self.readouts.forget()
        self.start_replies.forget()
        self.is_silent = False
        self.forget_settings()

    def forget_settings(self) -> None:
        """Forget the settings, and what follows from them."""
        self.settings.forget()
        self.next_frame.forget()

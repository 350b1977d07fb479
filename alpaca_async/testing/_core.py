"""The parts that every simulated device has: clock, connection, record of requests."""

from __future__ import annotations

import itertools
import time
from collections import Counter, deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple, TypeVar

from alpaca_async._errors import (
    ActionNotImplementedException,
    AscomError,
    InvalidOperationException,
    InvalidValueException,
    NotConnectedException,
    NotImplementedException,
)

from ._model import DeviceModel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

N = TypeVar("N", int, float)

_MAX_RECORDED_REQUESTS: Final = 10_000


class ReceivedRequest(NamedTuple):
    """A request that reached the device, whether it succeeded or not."""

    time: float
    """In seconds of `time.monotonic`."""
    verb: str
    """`GET` or `PUT`."""
    member: str
    """In lower case, as in the path."""
    parameters: Mapping[str, str]
    """Include the client and transaction ids; the names of a GET are in lower case."""


@dataclass
class _Refusal:
    """A command to refuse."""

    member: str
    """Empty for any member."""
    countdown: int
    error: AscomError

    def matches(self, member: str) -> bool:
        """Count a command, and return whether it is the one to refuse."""
        self.countdown -= self.member in {"", member}
        return self.countdown == 0


class SimulatedDevice(DeviceModel):
    """A device in software: its clock, connection, and record of requests.

    Nothing runs in the background; the state is computed from the clock.
    """

    device_type: ClassVar[str]
    """As in the path, in lower case."""

    def __post_init__(self) -> None:
        """Start the clock."""
        super().__post_init__()
        self.requests: deque[ReceivedRequest] = deque(maxlen=_MAX_RECORDED_REQUESTS)
        """The most recent requests, oldest first."""
        self.reply_numbers = itertools.count(1)
        """Numbers the replies of its server. Two servers of the same device share them: they are
        one server with two addresses."""
        self._counts: Counter[tuple[str, str]] = Counter()
        self._refusals: list[_Refusal] = []
        self._zero = self.clock()
        self._is_connected = self.initially_connected
        self._connection_changes = 0.0

    @property
    def now(self) -> float:
        """Simulated seconds since the device was created."""
        return (self.clock() - self._zero) * self.speed_up

    def record(self, verb: str, member: str, parameters: Mapping[str, str]) -> None:
        """Record a request; the server calls this."""
        self.requests.append(ReceivedRequest(time.monotonic(), verb, member, parameters))
        self._counts[verb, member] += 1

    def count(self, member: str, verb: str | None = None) -> int:
        """Return how many requests for `member` arrived, of one verb or of both.

        `start_exposure` and `StartExposure` mean the same member.
        """
        verbs = ("GET", "PUT") if verb is None else (verb,)
        return sum(self._counts[verb, member.lower().replace("_", "")] for verb in verbs)

    # Misbehaviour

    def refuse(self, member: str = "", *, nth: int = 1, error: AscomError | None = None) -> None:
        """Refuse one command: the `nth` from now on for `member`, or for any member.

        The command is answered with `error`, by default an `InvalidOperationException`.
        """
        refused = error or InvalidOperationException(0x40B, f"{self.name} refuses this command")
        self._refusals.append(_Refusal(member.lower(), nth, refused))

    def consider(self, member: str) -> None:
        """Raise the error of a command to refuse; the server calls this before each command."""
        met = [refusal for refusal in self._refusals if refusal.matches(member)]
        for refusal in met:
            self._refusals.remove(refusal)
        if met:
            raise met[0].error

    def answer_delay(self, verb: str, member: str) -> float:  # noqa: ARG002 - to be overridden
        """Return how long to delay the answer after executing the request, in real seconds."""
        return 0.0

    # Connection

    @property
    def connected(self) -> bool:
        """Whether the device is connected."""
        return self._is_connected != self.connecting

    @property
    def connecting(self) -> bool:
        """Whether `connect` or `disconnect` is in progress."""
        return self.now < self._connection_changes

    def connect(self) -> None:
        """Start to connect; this takes `connect_time`."""
        self._change_connection(connected=True, after=self.connect_time)

    def disconnect(self) -> None:
        """Start to disconnect; this takes `connect_time`."""
        self._change_connection(connected=False, after=self.connect_time)

    def set_connected(self, connected: bool) -> None:
        """Connect within `connected_time`, or disconnect at once."""
        after = self.connected_time if connected else 0.0
        self._change_connection(connected=connected, after=after)

    def _change_connection(self, *, connected: bool, after: float) -> None:
        if connected == self._is_connected:
            return
        self._is_connected = connected
        self._connection_changes = self.now + after
        self.on_connection_change()

    def require_connected(self) -> None:
        """Raise `NotConnectedException` unless the device is connected."""
        if not self.connected:
            raise NotConnectedException(0x407, f"{self.name} is not connected")

    def on_connection_change(self) -> None:
        """Reset the state that ends with a connection; subclasses override this."""

    # Common members

    def state_readers(self) -> Mapping[str, Callable[[], object]]:
        """Return the members that `DeviceState` contains; subclasses override this."""
        return {}

    def get_device_state(self) -> list[dict[str, Any]]:
        """Return the operational members that can be read now, and the time."""
        states: list[dict[str, Any]] = []
        for name, read in self.state_readers().items():
            try:
                states.append({"Name": name, "Value": read()})
            except AscomError:
                continue
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        return [*states, {"Name": "TimeStamp", "Value": now.replace("+00:00", "Z")}]

    @property
    def supported_actions(self) -> list[str]:
        """The names of the actions that `action` supports."""
        return []

    def action(self, name: str, parameters: str) -> str:  # noqa: ARG002 - to be overridden
        """Run an action; the case of its name does not matter."""
        self.require_connected()
        raise ActionNotImplementedException(0x40C, f"{self.name} has no action {name}")

    # Checks

    def require(self, member: str, available: bool) -> None:
        """Raise `NotConnectedException`, or `NotImplementedException` if not `available`."""
        self.require_connected()
        if not available:
            raise NotImplementedException(0x400, f"{self.name} does not implement {member}")

    def checked(self, member: str, value: N, low: N, high: N) -> N:
        """Return `value` if it is from `low` to `high`, else raise `InvalidValueException`."""
        self.require_connected()
        if not low <= value <= high:
            raise InvalidValueException(0x401, f"{member} must be {low} to {high}, not {value}")
        return value

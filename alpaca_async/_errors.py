"""Everything that can go wrong between a caller and a camera.

    AlpacaError
    ├── TransportError                  no answer: refused, reset, broken off
    │   └── TransportTimeout            (also TimeoutError)
    ├── RequestRejected                 an HTTP status other than 200
    ├── MalformedResponse               an answer that is not what the protocol says
    │   └── IncompleteImage             fewer pixels than promised
    ├── OperationFailed                 the device's state says that it did not work
    │   ├── OperationTimeout            (also TimeoutError) it did not end in time
    │   └── ExposureAborted             somebody aborted it
    └── AscomError                      the device answered with an error number
        ├── NotImplementedException         0x400
        ├── InvalidValueException           0x401
        ├── ValueNotSetException            0x402
        ├── NotConnectedException           0x407
        ├── ParkedException                 0x408
        ├── SlavedException                 0x409
        ├── InvalidOperationException       0x40B
        ├── ActionNotImplementedException   0x40C
        ├── OperationCancelledException     0x40E
        └── DriverException                 every other number

A wrong argument raises `TypeError` or `ValueError` before any request.
"""

from __future__ import annotations

from typing import Self


class AlpacaError(Exception):
    """The root of all errors of this library.

    `server` is the origin of the server (never with credentials), `member` the path of the
    member below it, such as `camera/0/gain`, `reason` what happened. Either may be empty
    where bytes were decoded that came from no server. `outcome_unknown` is true when a command
    had left, and nothing tells that the device did not execute it.
    """

    outcome_unknown = False

    def __init__(self, reason: str = "", *, server: str = "", member: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.server = server
        self.member = member

    def at(self, server: str, member: str) -> Self:
        """Say where the error comes from, and return it."""
        self.server = server
        self.member = member
        return self

    def __str__(self) -> str:
        source = " ".join(part for part in (self.server, self.member) if part)
        text = f"{source}: {self.reason}" if source else self.reason
        suffix = " (the device may have executed the command)" if self.outcome_unknown else ""
        return text + suffix


class TransportError(AlpacaError):
    """The server could not be reached, or the connection broke."""

    def __init__(
        self, reason: str = "", *, server: str = "", member: str = "", outcome_unknown: bool = False
    ) -> None:
        super().__init__(reason, server=server, member=member)
        self.outcome_unknown = outcome_unknown


class TransportTimeout(TransportError, TimeoutError):
    """The server did not connect, answer or go on sending in time."""


class RequestRejected(AlpacaError):
    """The server answered with an HTTP status other than 200.

    `status` is that status, `number` the Alpaca error number if the body held one, else 0.
    """

    def __init__(
        self,
        reason: str = "",
        *,
        status: int = 0,
        number: int = 0,
        server: str = "",
        member: str = "",
    ) -> None:
        super().__init__(reason, server=server, member=member)
        self.status = status
        self.number = number


class MalformedResponse(AlpacaError):
    """The answer is not what the protocol says; no part of it is used."""


class IncompleteImage(MalformedResponse):
    """The image ended after `received` of `expected` bytes; None where nothing said how many."""

    def __init__(
        self,
        received: int = 0,
        expected: int | None = None,
        *,
        server: str = "",
        member: str = "",
    ) -> None:
        super().__init__(server=server, member=member)
        self.args = (received, expected)
        share = f"{received}" if expected is None else f"{received} of {expected}"
        self.reason = f"the image ended after {share} bytes"
        self.received = received
        self.expected = expected


class OperationFailed(AlpacaError):
    """The device accepted a command, and its state says that it failed."""


class OperationTimeout(OperationFailed, TimeoutError):
    """The device goes on answering, but the operation did not end in time."""


class ExposureAborted(OperationFailed):
    """Another task aborted the exposure whose image was waited for."""


class AscomError(AlpacaError):
    """The device answered with error `number` and `message`."""

    def __init__(
        self, number: int = 0, message: str = "", *, server: str = "", member: str = ""
    ) -> None:
        super().__init__(server=server, member=member)
        self.args = (number, message)
        self.reason = f"{message or type(self).__name__} (error 0x{number & 0xFFFFFFFF:X})"
        self.number = number
        self.message = message


class NotImplementedException(AscomError):
    """0x400: the device lacks this member."""


class InvalidValueException(AscomError):
    """0x401: the value is out of the device's range."""


class ValueNotSetException(AscomError):
    """0x402: the value has not been set yet."""


class NotConnectedException(AscomError):
    """0x407: the device is not connected."""


class ParkedException(AscomError):
    """0x408: not while the device is parked."""


class SlavedException(AscomError):
    """0x409: not while the device is slaved."""


class InvalidOperationException(AscomError):
    """0x40B: not in the device's present state."""


class ActionNotImplementedException(AscomError):
    """0x40C: the device has no such action."""


class OperationCancelledException(AscomError):
    """0x40E: somebody cancelled the operation."""


class DriverException(AscomError):
    """Any other number, as the driver gave it."""


_CLASSES: dict[int, type[AscomError]] = {
    0x400: NotImplementedException,
    0x401: InvalidValueException,
    0x402: ValueNotSetException,
    0x407: NotConnectedException,
    0x408: ParkedException,
    0x409: SlavedException,
    0x40B: InvalidOperationException,
    0x40C: ActionNotImplementedException,
    0x40E: OperationCancelledException,
}

# The COM form of an ASCOM number, 0x8004xxxx, which some drivers send as a signed HRESULT.
_COM_FACILITY = 0x80040000


def ascom_error(number: int, message: str) -> AscomError:
    """Return the error that ASCOM's `number` stands for; the number itself is kept as it came."""
    unsigned = number & 0xFFFFFFFF
    code = unsigned & 0xFFF if unsigned & 0xFFFFF000 == _COM_FACILITY else number
    return _CLASSES.get(code, DriverException)(number, message)

"""All errors that the library raises when a server or a device fails.

    AlpacaError
    ├── TransportError                  no reply: connection refused, reset or closed
    │   └── TransportTimeout            (also TimeoutError)
    ├── RequestRejected                 an HTTP status other than 200
    ├── MalformedResponse               a reply that violates the protocol
    │   └── IncompleteImage             fewer bytes than announced
    ├── OperationFailed                 the device's state shows that the operation failed
    │   ├── OperationTimeout            (also TimeoutError) it did not end in time
    │   └── ExposureAborted             another task aborted the exposure
    ├── PixelTypeError                  pixels do not fit into the dtype that was requested
    ├── UnexpectedError                 another exception, as the outcome of one camera of a group
    ├── HostLost                        the process or computer that controlled the camera is gone
    └── AscomError                      the device replied with an error number
        ├── NotImplementedException         0x400
        ├── InvalidValueException           0x401 (also ValueError)
        ├── ValueNotSetException            0x402
        ├── NotConnectedException           0x407
        ├── ParkedException                 0x408
        ├── SlavedException                 0x409
        ├── InvalidOperationException       0x40B
        ├── ActionNotImplementedException   0x40C
        ├── OperationCancelledException     0x40E
        └── DriverException                 every other number

A wrong argument raises `TypeError` or `ValueError` before any request is sent. A call outside of
asyncio raises `AsyncioRequired`.
"""

from __future__ import annotations

from typing import Self


class AlpacaError(Exception):
    """The base class of all errors of this library.

    `server` is the origin of the server, without credentials. `member` is the member's path on
    that server, such as `camera/0/gain`. Both may be empty, for example if the caller decodes bytes
    that did not come from a server. `reason` says what happened. `outcome_unknown` is true if a
    command was sent and the device may have executed it.
    """

    outcome_unknown = False

    def __init__(self, reason: str = "", *, server: str = "", member: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.server = server
        self.member = member

    def at(self, server: str, member: str) -> Self:
        """Set where the error comes from, and return the error."""
        self.server = server
        self.member = member
        return self

    def append(self, hint: str) -> None:
        """Append to the reason what helps."""
        self.reason = f"{self.reason}; {hint}"
        self.args = (self.reason,)

    def __str__(self) -> str:
        source = " ".join(part for part in (self.server, self.member) if part)
        text = f"{source}: {self.reason}" if source else self.reason
        suffix = " (the device may have executed the command)" if self.outcome_unknown else ""
        return text + suffix


class TransportError(AlpacaError):
    """The server could not be reached, or the connection failed."""

    def __init__(
        self, reason: str = "", *, server: str = "", member: str = "", outcome_unknown: bool = False
    ) -> None:
        super().__init__(reason, server=server, member=member)
        self.outcome_unknown = outcome_unknown


class TransportTimeout(TransportError, TimeoutError):
    """Connecting, sending, or waiting for a reply or for its next part took too long."""


class RequestRejected(AlpacaError):
    """The server replied with an HTTP status other than 200.

    `status` is that status. `number` is the Alpaca error number in the body, or 0 without one.
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
    """The reply violates the protocol; no part of it is used."""


class IncompleteImage(MalformedResponse):
    """The image ended after `received` of `expected` bytes.

    `expected` is None if the server did not announce the size.
    """

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
    """The device accepted a command, but its state shows that the operation failed."""


class OperationTimeout(OperationFailed, TimeoutError):
    """The device still replies, but the operation did not end in time."""


class ExposureAborted(OperationFailed):
    """Another task aborted the exposure while this one waited for its image."""


class PixelTypeError(AlpacaError):
    """The pixels of an image do not fit into the dtype that was requested.

    `value` is the first such pixel in the order of transmission, `position` its place `(x, y)` or
    `(x, y, plane)`. Both are None if the MaxADU that `dtype="camera"` needs is unknown. The image
    stays in the camera: `get_image` can download it with another dtype.
    """

    def __init__(
        self,
        reason: str = "",
        *,
        value: float | None = None,
        position: tuple[int, ...] | None = None,
        server: str = "",
        member: str = "",
    ) -> None:
        super().__init__(reason, server=server, member=member)
        self.value = value
        self.position = position


class UnexpectedError(AlpacaError):
    """An exception that is not an `AlpacaError`, as the outcome of one camera of a group.

    The exception is the `__cause__`. It comes from the caller's functions, such as `prepare`, from
    a setting of a wrong type, or from this computer, such as `MemoryError`.
    """


class HostLost(AlpacaError):
    """The process or computer that controlled a camera for `CameraHosts` is gone, or not there yet.

    The camera may still be exposing, until its next host takes it over.
    """

    outcome_unknown = True


class AscomError(AlpacaError):
    """The device replied with the error `number` and `message`."""

    def __init__(
        self, number: int = 0, message: str = "", *, server: str = "", member: str = ""
    ) -> None:
        super().__init__(server=server, member=member)
        self.args = (number, message)
        self.reason = f"{message or type(self).__name__} (error 0x{number & 0xFFFFFFFF:X})"
        self.number = number
        self.message = message

    def append(self, hint: str) -> None:
        """Append to the reason what helps; `message` stays what the device sent."""
        self.reason = f"{self.reason}; {hint}"


class NotImplementedException(AscomError):
    """0x400: the device does not implement this member."""


class InvalidValueException(AscomError, ValueError):
    """0x401: the value is out of the device's range."""


class ValueNotSetException(AscomError):
    """0x402: the value has not been set yet."""


class NotConnectedException(AscomError):
    """0x407: the device is not connected."""


class ParkedException(AscomError):
    """0x408: not allowed while the device is parked."""


class SlavedException(AscomError):
    """0x409: not allowed while the device is slaved."""


class InvalidOperationException(AscomError):
    """0x40B: not allowed in the device's present state."""


class ActionNotImplementedException(AscomError):
    """0x40C: the device has no such action."""


class OperationCancelledException(AscomError):
    """0x40E: the operation was cancelled."""


class DriverException(AscomError):
    """Any other number, as the driver sent it."""


def reason_of(error: BaseException, limit: float) -> str:
    """Return what `error` says; one of `asyncio.timeout`, which says nothing, ended `limit`."""
    return str(error) or f"no reply within {limit:g} s"


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
    """Return an error of the class for `number`; the error keeps the number as it was sent."""
    unsigned = number & 0xFFFFFFFF
    code = unsigned & 0xFFF if unsigned & 0xFFFFF000 == _COM_FACILITY else number
    return _CLASSES.get(code, DriverException)(number, message)

"""Translates the errors of a request into `AlpacaError`, with server and member."""

from __future__ import annotations

import os
import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import httpx

from alpaca_async._address import origin
from alpaca_async._errors import (
    AlpacaError,
    MalformedResponse,
    RequestRejected,
    TransportError,
    TransportTimeout,
)
from alpaca_async._http.tls import tls_failure

from .sending import SENDING_ERRORS, WrappedClientError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .credentials import Credentials

_SERVER_ERROR: Final = 500
_NEVER_SENT: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.InvalidURL,
    httpx.UnsupportedProtocol,
)
_TIMEOUT_REASONS: Final[dict[type[BaseException], str]] = {
    httpx.ConnectTimeout: "no connection within {establish}",
    httpx.PoolTimeout: "all connections to this server stayed in use for {limit}",
    httpx.WriteTimeout: "the server did not read the request in time: {limit}",
    httpx.ReadTimeout: "the server sent no data in time: {limit}",
    TimeoutError: "no complete reply in time: {limit}",
}

_HINTS: Final = {
    origin("sim"): "; the address 'sim' is one of the command alpaca-async only: in Python, use "
    "alpaca_async.testing.SimulatorServer"
}
"""What helps if there is no such name, by server."""


class Limit(NamedTuple):
    """Seconds, and the field of `Timeouts` that they come from."""

    seconds: float
    setting: str

    def __str__(self) -> str:
        return f"{self.seconds:g} s (Timeouts.{self.setting})"


@dataclass(slots=True)
class Attempt:
    """An attempt to send a command. `sent` is true once a byte of it may have been sent."""

    sent: bool = False

    async def trace(self, event: str, _info: Mapping[str, Any]) -> None:
        """Update `sent`. The transport calls this as its `trace` extension.

        A connection event resets `sent`: `ClientSender` sets it before the transport connects.
        """
        if event.endswith("send_request_headers.started"):
            self.sent = True
        elif event.startswith("connection.connect_"):
            self.sent = False


class ErrorMapping:
    """Adds server and member to our errors, and translates foreign exceptions into ours.

    A context manager class instead of a generator function: with a generator, in some versions of
    Python the error forms a reference cycle with its traceback. That would keep the memory of a
    download until the garbage collector runs.
    """

    __slots__ = ("_attempt", "_credentials", "_establish", "_limit", "_path", "_server")

    def __init__(
        self,
        server: str,
        path: str,
        attempt: Attempt,
        *,
        credentials: Credentials,
        establish: float,
        limit: Limit,
    ) -> None:
        self._server = server
        self._path = path
        self._attempt = attempt
        self._credentials = credentials
        self._establish = establish
        self._limit = limit

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, AlpacaError):
            error.outcome_unknown = self._attempt.sent and is_server_failure(error)
            self._credentials.redact_error(error)
            error.at(self._server, member_of(self._path))
        elif isinstance(error, (TimeoutError, *SENDING_ERRORS)):
            self._credentials.redact_error(error)  # it becomes the cause, and may quote a reply
            # Do not assign the new error to a variable: that would create the cycle again.
            raise self._translated(error) from (
                error.__cause__ if isinstance(error, WrappedClientError) else error
            )

    def _translated(self, error: BaseException) -> TransportError:
        timed_out = isinstance(error, TimeoutError | httpx.TimeoutException)
        kind = TransportTimeout if timed_out else TransportError
        sent = self._attempt.sent and not isinstance(error, _NEVER_SENT)
        return kind(self._reason(error), outcome_unknown=sent).at(
            self._server, member_of(self._path)
        )

    def _reason(self, error: BaseException) -> str:
        if (known := _TIMEOUT_REASONS.get(type(error))) is not None:
            establish = Limit(self._establish, "establish")
            return known.format(establish=establish, limit=self._limit)
        cause = error.__cause__
        if isinstance(cause, ssl.SSLError):
            return tls_failure(cause)
        if isinstance(cause, socket.gaierror):  # its numbers are not errno values
            return str(cause.strerror or cause).lower() + _HINTS.get(self._server, "")
        if isinstance(cause, OSError) and cause.errno:
            return os.strerror(cause.errno).lower()
        return str(error) or type(error).__name__


def member_of(path: str) -> str:
    """Return the name of `path` in errors, such as `camera/0/gain`."""
    return path.removeprefix("api/v1/")


def is_server_failure(error: AlpacaError) -> bool:
    """Whether `error` means that the server failed, so that the state of the device is unknown.

    True for HTTP status 5xx without an Alpaca error number, and for malformed replies. A server
    that cannot execute a request reports status 4xx or an error number; that is a valid answer.
    """
    if isinstance(error, RequestRejected):
        return error.status >= _SERVER_ERROR and not error.number
    return isinstance(error, MalformedResponse)

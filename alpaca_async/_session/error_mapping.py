"""What goes wrong with a request becomes an error of ours, with its server and member."""

from __future__ import annotations

import os
import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import httpx

from alpaca_async._errors import (
    AlpacaError,
    MalformedResponse,
    RequestRejected,
    TransportError,
    TransportTimeout,
)
from alpaca_async._http.tls import tls_failure

from .sending import SENDING_ERRORS, ForeignError

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
    httpx.ConnectTimeout: "no connection within {establish:g} s",
    httpx.PoolTimeout: "all connections to this server stayed in use",
    httpx.WriteTimeout: "the server did not take the request in time",
    httpx.ReadTimeout: "the server fell silent",
    TimeoutError: "no complete reply in time",
}


@dataclass(slots=True)
class Attempt:
    """A command on its way: `sent` is true as soon as a byte of it may have left."""

    sent: bool = False

    async def trace(self, event: str, _info: Mapping[str, Any]) -> None:
        """Follow the transport, which calls this as its `trace` extension."""
        if event.endswith("send_request_headers.started"):
            self.sent = True
        elif event.startswith("connection.connect_"):
            self.sent = False


class ErrorMapping:
    """Gives every error its server and member, and turns those of others into ours.

    Not a generator: in some versions of Python the error would form a cycle with its own
    traceback, and keep all memory of a download until that is collected.
    """

    __slots__ = ("_attempt", "_credentials", "_establish", "_member", "_server")

    def __init__(
        self,
        server: str,
        path: str,
        attempt: Attempt,
        *,
        credentials: Credentials,
        establish: float,
    ) -> None:
        self._server = server
        self._member = member_of(path)
        self._attempt = attempt
        self._credentials = credentials
        self._establish = establish

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, AlpacaError):
            error.outcome_unknown = self._attempt.sent and tells_nothing(error)
            self._credentials.blot_out_of(error)
            error.at(self._server, self._member)
        elif isinstance(error, (TimeoutError, *SENDING_ERRORS)):
            # No variable may hold what is raised: it would be the cycle again.
            raise self._ours(error) from (
                error.__cause__ if isinstance(error, ForeignError) else error
            )

    def _ours(self, error: BaseException) -> TransportError:
        timed_out = isinstance(error, TimeoutError | httpx.TimeoutException)
        kind = TransportTimeout if timed_out else TransportError
        sent = self._attempt.sent and not isinstance(error, _NEVER_SENT)
        return kind(self._reason(error), outcome_unknown=sent).at(self._server, self._member)

    def _reason(self, error: BaseException) -> str:
        if (known := _TIMEOUT_REASONS.get(type(error))) is not None:
            return known.format(establish=self._establish)
        cause = error.__cause__
        if isinstance(cause, ssl.SSLError):
            return tls_failure(cause)
        if isinstance(cause, socket.gaierror):  # its numbers are not those of the system
            return str(cause.strerror or cause).lower()
        if isinstance(cause, OSError) and cause.errno:
            return os.strerror(cause.errno).lower()
        return str(error) or type(error).__name__


def member_of(path: str) -> str:
    """Return the name that errors give to `path`, such as `camera/0/gain`."""
    return path.removeprefix("api/v1/")


def tells_nothing(error: AlpacaError) -> bool:
    """Whether a reply that is `error` comes from a server that cannot tell what its device does.

    A server that cannot do what it is asked for says so by 4xx, or by an error number.
    """
    if isinstance(error, RequestRejected):
        return error.status >= _SERVER_ERROR and not error.number
    return isinstance(error, MalformedResponse)

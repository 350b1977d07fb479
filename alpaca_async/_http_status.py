"""Maps errors to the HTTP status that a web service returns to its own clients."""

from __future__ import annotations

from typing import Final

from ._errors import (
    ActionNotImplementedException,
    AlpacaError,
    HostLost,
    InvalidOperationException,
    InvalidValueException,
    NotConnectedException,
    NotImplementedException,
    OperationCancelledException,
    ParkedException,
    SlavedException,
    TransportError,
    UnexpectedError,
    ValueNotSetException,
)

_INTERNAL_SERVER_ERROR: Final = 500
_GATEWAY_TIMEOUT: Final = 504

_STATUSES: Final[dict[type[BaseException], int]] = {
    ValueError: 400,
    InvalidValueException: 400,
    InvalidOperationException: 409,
    OperationCancelledException: 409,
    ParkedException: 409,
    SlavedException: 409,
    ValueNotSetException: 409,
    ActionNotImplementedException: 501,
    NotImplementedException: 501,
    UnexpectedError: _INTERNAL_SERVER_ERROR,
    AlpacaError: 502,
    HostLost: 503,
    NotConnectedException: 503,
    TransportError: 503,
}


def http_status(error: BaseException) -> int:
    """Return the HTTP status with which a web service reports `error` to its own clients.

    400 for a wrong value (also `ValueError`), 409 for what the device does not allow in its
    present state, 501 for what it does not implement, 503 if it, or its host, is not
    connected or not reachable, 504 for any `TimeoutError`, 500 for `UnexpectedError` and for
    anything that is not an `AlpacaError`, 502 for every other one.
    """
    if isinstance(error, TimeoutError):  # first, because AlpacaError precedes it in the MRO
        return _GATEWAY_TIMEOUT
    statuses = (_STATUSES[kind] for kind in type(error).__mro__ if kind in _STATUSES)
    return next(statuses, _INTERNAL_SERVER_ERROR)

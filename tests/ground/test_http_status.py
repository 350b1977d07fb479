from __future__ import annotations

import pytest

import alpaca_async
from alpaca_async import AlpacaError, OperationTimeout, TransportTimeout, http_status
from alpaca_async._errors import ascom_error


@pytest.mark.parametrize(
    ("number", "status"),
    [
        (0x400, 501),
        (0x401, 400),
        (0x402, 409),
        (0x407, 503),
        (0x408, 409),
        (0x409, 409),
        (0x40B, 409),
        (0x40C, 501),
        (0x40E, 409),
        (0x500, 502),
        (-0x7FFBFBF9, 503),  # NotConnected as an HRESULT
    ],
)
def test_each_number_of_ascom_has_a_status(number: int, status: int) -> None:
    assert http_status(ascom_error(number, "")) == status


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (alpaca_async.TransportError(), 503),
        (TransportTimeout(), 504),
        (OperationTimeout(), 504),
        (TimeoutError(), 504),
        (alpaca_async.OperationFailed(), 502),
        (alpaca_async.RequestRejected(status=404), 502),
        (alpaca_async.MalformedResponse(), 502),
        (alpaca_async.IncompleteImage(1, 2), 502),
        (AlpacaError(), 502),
        (alpaca_async.UnexpectedError(), 500),
        (alpaca_async.HostLost(), 503),
        (ValueError("bin_x must be 1 to 4"), 400),
        (TypeError(), 500),
        (KeyError(), 500),
    ],
)
def test_each_other_error_has_a_status(error: Exception, status: int) -> None:
    assert http_status(error) == status


def test_no_error_of_a_device_has_status_500() -> None:
    errors = [getattr(alpaca_async, name) for name in alpaca_async.__all__]
    kinds = [kind for kind in errors if isinstance(kind, type) and issubclass(kind, AlpacaError)]
    assert len(kinds) > 15
    internal = [kind for kind in kinds if http_status(kind()) == 500]
    assert internal == [alpaca_async.UnexpectedError]

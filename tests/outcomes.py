"""The expected outcome of each fault of `FaultProxy` for a value, a command and an image."""

from __future__ import annotations

from typing import Final, NamedTuple, TypeAlias

from alpaca_async import (
    AscomError,
    DriverException,
    IncompleteImage,
    MalformedResponse,
    NotConnectedException,
    RequestRejected,
    TransportError,
    TransportTimeout,
)
from alpaca_async.testing import FAULTS

Result: TypeAlias = type[Exception] | None
"""An error, or None if the fault is harmless."""


class Outcome(NamedTuple):
    value: Result
    command: Result
    image: Result


def for_all(result: Result) -> Outcome:
    return Outcome(result, result, result)


HARMLESS: Final = for_all(None)
BROKEN: Final = for_all(TransportError)
CUT: Final = Outcome(TransportError, TransportError, IncompleteImage)
SILENT: Final = for_all(TransportTimeout)
REJECTED: Final = for_all(RequestRejected)
MALFORMED: Final = for_all(MalformedResponse)
CUT_UNDETECTED: Final = Outcome(MalformedResponse, MalformedResponse, IncompleteImage)
NOT_JSON: Final = Outcome(MalformedResponse, MalformedResponse, None)
MALFORMED_VALUE: Final = Outcome(MalformedResponse, None, None)
MALFORMED_IMAGE: Final = Outcome(None, None, MalformedResponse)
INCOMPLETE_IMAGE: Final = Outcome(None, None, IncompleteImage)


def device_error(error: type[AscomError]) -> Outcome:
    return Outcome(error, error, None)


OUTCOMES: Final[dict[str, Outcome]] = {
    # network
    "refuse": BROKEN,
    "reset_on_connect": BROKEN,
    "close_on_connect": BROKEN,
    "reset_before": BROKEN,
    "close_before": BROKEN,
    "reset_after": BROKEN,
    "close_after": BROKEN,
    "reset_in_head": BROKEN,
    "reset_midway": CUT,
    "close_midway": CUT,
    "close_idle": HARMLESS,
    "silence": SILENT,
    "lose_reply": SILENT,
    "stall_in_head": SILENT,
    "stall": SILENT,
    "delay": HARMLESS,
    "delay_request": HARMLESS,
    # A download has no total time limit, but one below the minimum rate times out.
    "drip": SILENT,
    "slow": HARMLESS,
    "split": HARMLESS,
    "separate_body": HARMLESS,
    "repeat_reply": HARMLESS,
    # HTTP
    **{name: REJECTED for name in FAULTS if name.startswith("http_") and "1_0" not in name},
    "http_204": Outcome(RequestRejected, RequestRejected, MalformedResponse),
    "redirect": REJECTED,
    "login_page": MALFORMED,
    "login_page_as_json": MALFORMED,
    "endless_head": BROKEN,
    "garbage": BROKEN,
    "no_head": BROKEN,
    "terse_head": HARMLESS,
    "bare_newlines": HARMLESS,
    "interim_reply": HARMLESS,
    "wrong_media_type": MALFORMED_IMAGE,
    "empty_body": CUT_UNDETECTED,
    "http_1_0": HARMLESS,
    "http_1_0_cut": CUT_UNDETECTED,
    "bad_chunk_size": CUT,
    "missing_chunk": SILENT,
    "close_between_chunks": CUT,
    "length_too_long": Outcome(TransportError, TransportError, MalformedResponse),
    "length_too_short": CUT_UNDETECTED,
    "two_lengths": BROKEN,
    "repeated_length": HARMLESS,
    "length_and_chunks": BROKEN,
    "huge_length": Outcome(TransportTimeout, TransportTimeout, MalformedResponse),
    "length_in_words": BROKEN,
    "gzip": MALFORMED,
    "truncated_gzip": MALFORMED,
    # content
    "truncated_json": NOT_JSON,
    "trailing_comma": NOT_JSON,
    "trailing_comma_in_list": HARMLESS,
    "latin_1": HARMLESS,
    "utf_16": HARMLESS,
    "byte_order_mark": HARMLESS,
    "broken_utf_8": NOT_JSON,
    "list_for_record": NOT_JSON,
    "oversized_json": NOT_JSON,
    "no_value": MALFORMED_VALUE,
    "lower_case_names": HARMLESS,
    "extra_fields": HARMLESS,
    "bare_value": HARMLESS,
    "wrong_ids": HARMLESS,
    "null_value": MALFORMED_VALUE,
    "mistyped_value": MALFORMED_VALUE,
    "worded_value": MALFORMED_VALUE,
    "nan_value": NOT_JSON,
    "infinite_value": MALFORMED_VALUE,
    "huge_integer": NOT_JSON,
    "deep_nesting": NOT_JSON,
    "fractional_integer": MALFORMED_VALUE,
    "driver_error": device_error(DriverException),
    "not_connected": device_error(NotConnectedException),
    "error_without_number": device_error(DriverException),
    "windows_error": device_error(DriverException),
    # image
    "short_image": INCOMPLETE_IMAGE,
    "long_image": MALFORMED_IMAGE,
    "header_alone": INCOMPLETE_IMAGE,
    "huge_image": MALFORMED_IMAGE,
    "negative_size": MALFORMED_IMAGE,
    "empty_image": MALFORMED_IMAGE,
    "lying_size": INCOMPLETE_IMAGE,
    "wrong_rank": MALFORMED_IMAGE,
    "unknown_pixel_type": MALFORMED_IMAGE,
    "early_data_start": MALFORMED_IMAGE,
    "late_data_start": MALFORMED_IMAGE,
    "future_version": MALFORMED_IMAGE,
    "image_error": Outcome(None, None, DriverException),
    "image_error_with_pixels": Outcome(None, None, DriverException),
    "length_of_pixels": HARMLESS,
    "imagebytes_as_json": MALFORMED_IMAGE,
    "json_as_imagebytes": MALFORMED_IMAGE,
}

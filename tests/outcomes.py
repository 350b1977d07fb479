"""What a caller gets for every fault that the proxy knows: of a value, a command, an image."""

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
"""An error, or None where the fault does no harm."""


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
CUT_UNSEEN: Final = Outcome(MalformedResponse, MalformedResponse, IncompleteImage)
NOT_JSON: Final = Outcome(MalformedResponse, MalformedResponse, None)
NOT_A_NUMBER: Final = Outcome(MalformedResponse, None, None)
NOT_AN_IMAGE: Final = Outcome(None, None, MalformedResponse)
NOT_A_WHOLE_IMAGE: Final = Outcome(None, None, IncompleteImage)


def reported(error: type[AscomError]) -> Outcome:
    return Outcome(error, error, None)


OUTCOMES: Final[dict[str, Outcome]] = {
    # network
    "refuse": BROKEN,
    "reset_on_connect": BROKEN,
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
    # An image has no limit in total, so that the caller's own ends it.
    "drip": SILENT,
    "slow": HARMLESS,
    "split": HARMLESS,
    "repeat_reply": HARMLESS,
    # HTTP
    **{name: REJECTED for name in FAULTS if name.startswith("http_") and "1_0" not in name},
    "redirect": REJECTED,
    "login_page": MALFORMED,
    "login_page_as_json": MALFORMED,
    "endless_head": BROKEN,
    "garbage": BROKEN,
    "terse_head": HARMLESS,
    "bare_newlines": HARMLESS,
    "interim_reply": HARMLESS,
    "wrong_media_type": NOT_AN_IMAGE,
    "empty_body": CUT_UNSEEN,
    "http_1_0": HARMLESS,
    "http_1_0_cut": CUT_UNSEEN,
    "bad_chunk_size": CUT,
    "missing_chunk": SILENT,
    "close_between_chunks": CUT,
    "length_too_long": Outcome(TransportError, TransportError, MalformedResponse),
    "length_too_short": CUT_UNSEEN,
    "two_lengths": BROKEN,
    "length_and_chunks": BROKEN,
    "huge_length": Outcome(TransportTimeout, TransportTimeout, MalformedResponse),
    "length_in_words": BROKEN,
    "gzip": MALFORMED,
    "truncated_gzip": MALFORMED,
    # content
    "truncated_json": NOT_JSON,
    "trailing_comma": NOT_JSON,
    "utf_16": HARMLESS,
    "byte_order_mark": HARMLESS,
    "broken_utf_8": NOT_JSON,
    "list_for_record": NOT_JSON,
    "oversized_json": NOT_JSON,
    "no_value": NOT_A_NUMBER,
    "lower_case_names": HARMLESS,
    "extra_fields": HARMLESS,
    "bare_value": HARMLESS,
    "wrong_ids": HARMLESS,
    "null_value": NOT_A_NUMBER,
    "mistyped_value": NOT_A_NUMBER,
    "worded_value": NOT_A_NUMBER,
    "nan_value": NOT_JSON,
    "infinite_value": NOT_A_NUMBER,
    "huge_integer": NOT_JSON,
    "deep_nesting": NOT_JSON,
    "driver_error": reported(DriverException),
    "not_connected": reported(NotConnectedException),
    "error_without_number": reported(DriverException),
    "windows_error": reported(DriverException),
    # image
    "short_image": NOT_A_WHOLE_IMAGE,
    "long_image": NOT_AN_IMAGE,
    "header_alone": NOT_A_WHOLE_IMAGE,
    "huge_image": NOT_AN_IMAGE,
    "negative_size": NOT_AN_IMAGE,
    "empty_image": NOT_AN_IMAGE,
    "lying_size": NOT_A_WHOLE_IMAGE,
    "wrong_rank": NOT_AN_IMAGE,
    "unknown_pixel_type": NOT_AN_IMAGE,
    "early_data_start": NOT_AN_IMAGE,
    "late_data_start": NOT_AN_IMAGE,
    "future_version": NOT_AN_IMAGE,
    "image_error": Outcome(None, None, DriverException),
    "imagebytes_as_json": NOT_AN_IMAGE,
    "json_as_imagebytes": NOT_AN_IMAGE,
}

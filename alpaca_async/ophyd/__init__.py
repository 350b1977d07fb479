"""Cameras for bluesky, as detectors of ophyd-async. Needs the extra `bluesky`."""

from alpaca_async._optional import load

load("ophyd_async.core", extra="bluesky")

from .detector import AlpacaDetector  # noqa: E402 - the line above says what is missing

__all__ = ["AlpacaDetector"]

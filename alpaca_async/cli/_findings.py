"""Turns measurements into sentences about what is slow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ._units import duration, megabytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._probe import Calls, Frames, Measurements

_SLOW_CALL: Final = 0.05
_SLOW_OPENING: Final = 0.02
_SLOW_FRAME: Final = 0.5
_LARGE_RATIO: Final = 10
_LINKS: Final = ((9e6, 12.5e6, "100 Mbit/s"), (90e6, 125e6, "1 Gbit/s"))
"""Lowest and highest bytes per second of a saturated link, and its nominal rate."""


def findings(measured: Measurements) -> list[str]:
    """Return at least one sentence about what is slow and why."""
    sentences = [*_connections(measured), *_calls(measured)]
    if measured.frames is not None:
        sentences += _frames(measured.frames)
        sentences += _parallel_calls(measured.calls, measured.frames.calls_meanwhile)
    elif measured.busy:
        sentences.append("no frame was taken: the camera is busy with an exposure")
    return sentences or ["nothing is slow"]


def _connections(measured: Measurements) -> Iterator[str]:
    count, calls = measured.openings, measured.calls.count
    if count > max(calls / 2, 1):
        cost = duration(measured.opening)
        yield f"the server closes the connection after each reply: this adds {cost} to each call"
    elif count > max(calls / 20, 2):
        yield f"the server closes connections early: {calls} calls needed {count} connections"


def _calls(measured: Measurements) -> Iterator[str]:
    calls = measured.calls
    if calls.median > _SLOW_CALL:
        if measured.opening > calls.median / 2:
            yield f"the network is slow: a round trip takes {duration(measured.opening)}"
        else:
            yield f"the server is slow: it takes {duration(calls.median)} to answer a small call"
    elif measured.opening > _SLOW_OPENING:
        yield f"connections are slow to open: {duration(measured.opening)}"
    if calls.p99 > max(_SLOW_CALL, _LARGE_RATIO * calls.median):
        yield (
            f"response times vary widely: the median is {duration(calls.median)},"
            f" the 99th percentile is {duration(calls.p99)}"
        )


def _frames(frames: Frames) -> Iterator[str]:
    parts = {
        frames.ready: "the camera's readout, until the image is ready",
        frames.first_byte: "the server's delay before the first byte of the image",
        frames.transfer: _transfer(frames),
    }
    total = sum(parts)
    longest = max(parts)
    if total > _SLOW_FRAME:
        yield (
            f"a frame takes {duration(total)} after its exposure;"
            f" {duration(longest)} of this is {parts[longest]}"
        )
    if frames.media_type.endswith("json"):
        yield "the server sends images as JSON, which is several times larger than ImageBytes"


def _transfer(frames: Frames) -> str:
    rate = frames.bytes_per_second
    for lowest, highest, name in _LINKS:
        if lowest <= rate <= highest:
            return f"the transfer at {megabytes(rate)}/s, the limit of a {name} network"
    return f"the transfer at {megabytes(rate)}/s"


def _parallel_calls(alone: Calls, parallel: Calls | None) -> Iterator[str]:
    if parallel is None:
        return
    if parallel.median > max(_SLOW_CALL, _LARGE_RATIO * alone.median):
        yield (
            "the server answers slowly while it sends an image:"
            f" a small call then takes {duration(parallel.median)}"
        )

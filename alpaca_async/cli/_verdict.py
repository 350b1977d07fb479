"""What measurements mean: which part is slow, in plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ._units import duration, megabytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._probe import Calls, Frames, Measurements

_SLOW_CALL: Final = 0.05
_SLOW_OPENING: Final = 0.02
_SLOW_FRAME: Final = 0.5
_SPREAD: Final = 10
_LINKS: Final = ((9e6, 12.5e6, "100 Mbit/s"), (90e6, 125e6, "1 Gbit/s"))
"""What links of a nominal rate carry in bytes per second, at least and at most."""


def verdict(measured: Measurements) -> list[str]:
    """Return what is slow and why, in sentences; at least one."""
    found = [*_connections(measured), *_calls(measured)]
    if measured.frames is not None:
        found += _frames(measured.frames)
        found += _calls_meanwhile(measured.calls, measured.frames.calls_meanwhile)
    elif measured.busy:
        found.append("the camera is busy with an exposure: no frame was taken")
    return found or ["nothing here is slow"]


def _connections(measured: Measurements) -> Iterator[str]:
    count, calls = measured.openings, measured.calls.count
    if count > max(calls / 2, 1):
        price = duration(measured.opening)
        yield f"the server closes the connection after each reply: {price} more for each call"
    elif count > max(calls / 20, 2):
        yield f"the server closes connections early: {calls} calls needed {count}"


def _calls(measured: Measurements) -> Iterator[str]:
    calls = measured.calls
    if calls.median > _SLOW_CALL:
        if measured.opening > calls.median / 2:
            yield f"the network is slow: {duration(measured.opening)} for a way there and back"
        else:
            yield f"the server is slow: it takes {duration(calls.median)} to answer a small call"
    elif measured.opening > _SLOW_OPENING:
        yield f"connections are slow to open: {duration(measured.opening)}"
    if calls.p99 > max(_SLOW_CALL, _SPREAD * calls.median):
        yield f"calls are uneven: most take {duration(calls.median)}, some {duration(calls.p99)}"


def _frames(frames: Frames) -> Iterator[str]:
    parts = {
        frames.ready: "the camera's readout, from the end of the exposure until the image is ready",
        frames.first_byte: "the server, before it sends the first byte of the image",
        frames.transfer: _transfer(frames),
    }
    total = sum(parts)
    longest = max(parts)
    if total > _SLOW_FRAME:
        yield (
            f"of the {duration(total)} that a frame takes after its exposure,"
            f" {duration(longest)} are {parts[longest]}"
        )
    if frames.media_type.endswith("json"):
        yield "images come as JSON text, which is several times as long as ImageBytes"


def _transfer(frames: Frames) -> str:
    rate = frames.bytes_per_second
    for least, most, name in _LINKS:
        if least <= rate <= most:
            return f"the network: {megabytes(rate)}/s is what a link of {name} carries"
    return f"the transfer, at {megabytes(rate)}/s"


def _calls_meanwhile(alone: Calls, meanwhile: Calls | None) -> Iterator[str]:
    if meanwhile is None:
        return
    if meanwhile.median > max(_SLOW_CALL, _SPREAD * alone.median):
        yield (
            "the server hardly answers while it sends an image:"
            f" calls then take {duration(meanwhile.median)}"
        )

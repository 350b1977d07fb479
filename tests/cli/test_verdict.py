from __future__ import annotations

from dataclasses import replace

import pytest

from alpaca_async.cli._probe import Calls, Frames, Measurements
from alpaca_async.cli._verdict import verdict

_FRAMES = Frames(
    count=3,
    width=6000,
    height=4000,
    nbytes=48_000_000,
    camera_type="INT32",
    wire_type="UINT16",
    media_type="application/imagebytes",
    exposure=0.1,
    ready=0.1,
    first_byte=0.05,
    transfer=0.06,
    calls_meanwhile=Calls(20, 0.001, 0.002),
)
_QUICK = Measurements(
    http_version="HTTP/1.1",
    opening=0.0005,
    openings=1,
    calls=Calls(200, 0.001, 0.005),
    frames=_FRAMES,
    busy=False,
)


def test_nothing_is_slow_where_nothing_is() -> None:
    assert verdict(_QUICK) == ["nothing here is slow"]
    assert verdict(replace(_QUICK, frames=None)) == ["nothing here is slow"]


@pytest.mark.parametrize(
    ("frames", "part"),
    [
        (
            {"ready": 2.5},
            "of the 2.61 s that a frame takes after its exposure, 2.50 s are",
        ),
        ({"first_byte": 1.0}, "1.00 s are the server, before it sends the first byte"),
        ({"transfer": 8.0}, "8.00 s are the transfer, at 6.0 MB/s"),
        ({"transfer": 4.3}, "the network: 11 MB/s is what a link of 100 Mbit/s carries"),
        ({"transfer": 0.41}, "the network: 117 MB/s is what a link of 1 Gbit/s carries"),
        ({"media_type": "application/json"}, "images come as JSON text"),
        ({"calls_meanwhile": Calls(2, 0.4, 0.4)}, "calls then take 400 ms"),
    ],
)
def test_the_slow_part_of_a_frame_is_named(frames: dict[str, object], part: str) -> None:
    (sentence,) = verdict(replace(_QUICK, frames=replace(_FRAMES, **frames)))  # type: ignore[arg-type]
    assert part in sentence


def test_no_call_in_the_time_of_a_download_says_nothing() -> None:
    frames = replace(_FRAMES, calls_meanwhile=None)
    assert verdict(replace(_QUICK, frames=frames)) == ["nothing here is slow"]


@pytest.mark.parametrize(
    ("facts", "part"),
    [
        ({"openings": 200}, "the server closes the connection after each reply: 0.50 ms more"),
        ({"openings": 30}, "the server closes connections early: 200 calls needed 30"),
        ({"opening": 0.2, "calls": Calls(200, 0.2, 0.3)}, "the network is slow: 200 ms"),
        ({"calls": Calls(200, 0.3, 0.4)}, "the server is slow: it takes 300 ms to answer"),
        ({"opening": 0.1}, "connections are slow to open: 100 ms"),
        ({"calls": Calls(200, 0.001, 1.0)}, "calls are uneven: most take 1.0 ms, some 1.00 s"),
        ({"frames": None, "busy": True}, "the camera is busy"),
    ],
)
def test_slow_calls_and_connections_are_named(facts: dict[str, object], part: str) -> None:
    (sentence,) = verdict(replace(_QUICK, **facts))  # type: ignore[arg-type]
    assert part in sentence


def test_one_connection_for_one_call_is_no_sign_of_anything() -> None:
    assert verdict(replace(_QUICK, calls=Calls(1, 0.001, 0.001))) == ["nothing here is slow"]


def test_calls_are_told_by_their_median_and_by_the_slowest_but_one_percent() -> None:
    times = [0.001 * (n + 1) for n in range(200)]
    calls = Calls.of(times)
    assert calls.count == 200
    assert calls.median == pytest.approx(0.1005)
    assert calls.p99 == pytest.approx(0.198)
    assert Calls.of([0.5]) == Calls(1, 0.5, 0.5)

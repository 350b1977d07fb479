from __future__ import annotations

from dataclasses import replace

import pytest

from alpaca_async.cli import _bench
from alpaca_async.cli._findings import findings
from alpaca_async.cli._probe import Calls, Frames, Measurements

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
    transposed_by="extension",
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


def test_fast_measurements_have_one_finding() -> None:
    assert findings(_QUICK) == ["nothing is slow"]
    assert findings(replace(_QUICK, frames=None)) == ["nothing is slow"]


@pytest.mark.parametrize(
    ("frames", "part"),
    [
        (
            {"ready": 2.5},
            "a frame takes 2.61 s after its exposure; 2.50 s of this is the camera's readout",
        ),
        ({"first_byte": 1.0}, "1.00 s of this is the server's delay before the first byte"),
        ({"transfer": 8.0}, "8.00 s of this is the transfer at 6.0 MB/s"),
        ({"transfer": 4.3}, "the transfer at 11 MB/s, the limit of a 100 Mbit/s network"),
        ({"transfer": 0.41}, "the transfer at 117 MB/s, the limit of a 1 Gbit/s network"),
        ({"media_type": "application/json"}, "the server sends images as JSON"),
        ({"calls_meanwhile": Calls(2, 0.4, 0.4)}, "a small call then takes 400 ms"),
    ],
)
def test_the_slowest_part_of_a_frame_is_named(frames: dict[str, object], part: str) -> None:
    (sentence,) = findings(replace(_QUICK, frames=replace(_FRAMES, **frames)))  # type: ignore[arg-type]
    assert part in sentence


def test_a_download_without_parallel_calls_has_no_finding() -> None:
    frames = replace(_FRAMES, calls_meanwhile=None)
    assert findings(replace(_QUICK, frames=frames)) == ["nothing is slow"]
    titles = [title for title, *_ in _bench._frames(frames)]
    assert "frame" in titles
    assert "parallel call" not in titles


@pytest.mark.parametrize(
    ("facts", "part"),
    [
        ({"openings": 200}, "the server closes the connection after each reply: this adds 0.50 ms"),
        ({"openings": 30}, "the server closes connections early: 200 calls needed 30 connections"),
        (
            {"opening": 0.2, "calls": Calls(200, 0.2, 0.3)},
            "the network is slow: a round trip takes 200 ms",
        ),
        ({"calls": Calls(200, 0.3, 0.4)}, "the server is slow: it takes 300 ms to answer"),
        ({"opening": 0.1}, "connections are slow to open: 100 ms"),
        ({"calls": Calls(200, 0.001, 1.0)}, "the median is 1.0 ms, the 99th percentile is 1.00 s"),
        ({"frames": None, "busy": True}, "the camera is busy"),
    ],
)
def test_slow_calls_and_connections_are_named(facts: dict[str, object], part: str) -> None:
    (sentence,) = findings(replace(_QUICK, **facts))  # type: ignore[arg-type]
    assert part in sentence


def test_one_connection_for_one_call_is_no_finding() -> None:
    assert findings(replace(_QUICK, calls=Calls(1, 0.001, 0.001))) == ["nothing is slow"]


def test_calls_have_a_median_and_a_99th_percentile() -> None:
    times = [0.001 * (n + 1) for n in range(200)]
    calls = Calls.of(times)
    assert calls.count == 200
    assert calls.median == pytest.approx(0.1005)
    assert calls.p99 == pytest.approx(0.198)
    assert Calls.of([0.5]) == Calls(1, 0.5, 0.5)

from __future__ import annotations

import json
import socket
import ssl
from typing import TYPE_CHECKING

import numpy as np
import pytest
import trustme

from benchmarks import __main__ as command
from benchmarks import report, wire
from benchmarks.child import MEASURABLE, in_child
from benchmarks.measure import MIB, Bound, Row, Scale, interleave, largest_gap
from benchmarks.peers import BlockingClient
from benchmarks.server import HOST, Content, serving

if TYPE_CHECKING:
    from pathlib import Path

FRAME = (40, 25)
TINY = Scale(
    runs=1,
    few_runs=1,
    many_runs=1,
    frame=(64, 48),
    many_cameras_frame=(64, 48),
    json_frame=(32, 24),
    guider_frame=(32, 24),
    cameras=2,
    frames_each=1,
    calls=50,
    guider_frames=2,
    quiet=0.02,
    group=2,
    memory=0,
)

pytestmark = pytest.mark.skipif(not MEASURABLE, reason="the benchmarks read /proc")


def exchange(connection: socket.socket, *parts: bytes, expected: bytes) -> bytes:
    for part in parts:
        connection.sendall(part)
    reply = b""
    while len(reply) < len(expected):
        part = connection.recv(65536)
        assert part
        reply += part
    return reply


def test_the_server_sends_exactly_the_prepared_bytes() -> None:
    image, text = wire.image_reply(FRAME), wire.json_reply(FRAME)
    ready = wire.ready_reply()
    contents = (Content("image", FRAME), Content("json", FRAME), Content("calls"))
    with serving(*contents) as ports:
        for port, path, expected in (
            (ports[0], wire.IMAGE_PATH, image),
            (ports[0], wire.READY_PATH, ready),
            (ports[1], wire.IMAGE_PATH, text),
            (ports[2], wire.READY_PATH, ready),
        ):
            with socket.create_connection((HOST, port), 10) as connection:
                for _ in range(2):
                    asked = exchange(connection, wire.request(path), expected=expected)
                    assert asked == expected
                connection.shutdown(socket.SHUT_WR)
                assert connection.recv(1) == b""


def test_the_server_waits_for_the_whole_of_a_command() -> None:
    head = b"PUT /api/v1/camera/0/abortexposure HTTP/1.1\r\nContent-Length: 10\r\n"
    ready = wire.ready_reply()
    with (
        serving(Content("image", FRAME)) as (port,),
        socket.create_connection((HOST, port), 10) as connection,
    ):
        assert exchange(connection, head, b"\r\nClientID", b"=1", expected=ready) == ready
        request = wire.request(wire.READY_PATH)
        assert exchange(connection, request, expected=ready) == ready


def test_the_server_speaks_tls(tmp_path: Path) -> None:
    authority = trustme.CA()
    path = tmp_path / "server.pem"
    authority.issue_cert(HOST).private_key_and_cert_chain_pem.write_to_path(path)
    context = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
    with (
        serving(Content("image", FRAME, str(path))) as (port,),
        BlockingClient(port, FRAME, context) as client,
    ):
        assert client.download().tobytes() == wire.pixels(FRAME)


def test_the_baseline_receives_the_image_and_discards_it() -> None:
    expected = np.frombuffer(wire.pixels(FRAME), "<u2").reshape(FRAME)
    with (
        serving(Content("image", FRAME)) as (port,),
        BlockingClient(port, FRAME) as client,
    ):
        client.discard()
        client.ready()
        assert np.array_equal(client.download(), expected)
        assert np.array_equal(client.download_rows(), expected.T)


@pytest.mark.parametrize("group", ["array", "calls", "cancelling"])  # .ci/run runs them all
async def test_each_group_has_rows(group: str) -> None:
    rows = await command.measure([group], TINY)
    assert rows
    for row in rows:
        assert len(row.ours) == len(row.theirs) == 1
        assert min(row.ours) >= 0
        assert row.what
        assert row.other


def test_a_separate_process_measures_the_memory_of_a_frame() -> None:
    frame = (2048, 2048)
    with serving(Content("image", frame)) as (port,):
        footprint = in_child("baseline", port, frame)
    assert 8 * MIB <= footprint.peak <= 9 * MIB
    assert footprint.wall > 0


async def test_variants_alternate_after_a_warm_up() -> None:
    calls: list[str] = []

    async def a() -> int:
        calls.append("a")
        return len(calls)

    async def b() -> int:
        calls.append("b")
        return len(calls)

    assert await interleave(2, {"a": a, "b": b}) == {"a": [3, 5], "b": [4, 6]}
    assert "".join(calls) == "ababab"


async def test_a_blocked_loop_is_detected() -> None:
    async def block() -> None:
        with socket.create_server((HOST, 0)) as listener:
            listener.settimeout(0.05)
            with pytest.raises(TimeoutError):
                listener.accept()

    assert await largest_gap(block) >= 50


@pytest.mark.parametrize(
    ("bound", "met"),
    [
        (None, None),
        (Bound("ratio", "<=", 2.0), True),
        (Bound("ratio", "<=", 1.9), False),
        (Bound("ratio", ">=", 2.1), False),
        (Bound("ours", "<=", 6.0), True),
        (Bound("ours", ">=", 6.1), False),
    ],
)
def test_a_bound_applies_to_the_median(bound: Bound | None, *, met: bool | None) -> None:
    row = Row("this", "ms", [4.0, 6.0, 30.0], "that", [4.0, 3.0, 15.0], bound)
    assert row.ratios == [1.0, 2.0, 2.0]
    assert row.met is met


def test_the_table_shows_medians_spread_and_a_missed_bound() -> None:
    row = Row("this", "ms", [4.0, 6.0, 30.0], "that", [4.0, 3.0, 15.0], Bound("ratio", "<=", 1.0))
    cells = [
        cell.strip()
        for cell in report.as_markdown([row], judged=True, about={}).splitlines()[-1].split("|")
    ]
    assert cells[1:-1] == [
        "this",
        "6.00 ms",
        "that",
        "4.00 ms",
        "2.00",
        "1.00 to 2.00",
        "<= 1.00, missed",
    ]
    assert "missed" not in report.as_text([row], judged=False, about={})


def answer(monkeypatch: pytest.MonkeyPatch, row: Row) -> None:
    async def rows(_: Scale) -> list[Row]:
        return [row]

    monkeypatch.setitem(command.GROUPS, "tls", rows)
    monkeypatch.setattr(command, "FULL", TINY)


def test_check_fails_when_a_bound_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, Row("this", "ms", [2.0], "that", [1.0], Bound("ratio", "<=", 1.0)))
    command.main(["--only", "tls"])
    with pytest.raises(SystemExit) as exit_:
        command.main(["--only", "tls", "--check"])
    assert exit_.value.code == 1


def test_json_has_every_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(monkeypatch, Row("this", "ms", [2.0, 4.0], "that", [1.0, 1.0]))
    command.main(["--only", "tls", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["rows"][0]["ours"] == [2.0, 4.0]
    assert found["rows"][0]["ratio"] == 3.0
    assert found["rows"][0]["met"] is None
    assert "Python" in found["machine"]

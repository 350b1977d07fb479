"""Files of recorded sessions, also those that somebody has tampered with."""

from __future__ import annotations

import base64
import json
import zlib
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alpaca_async.testing import ReplayServer, SessionFileError
from alpaca_async.testing._recording import (
    RecordedExchange,
    encode,
    header_line,
    pack,
    read_session,
)
from alpaca_async.testing._renumbering import renumbered

from .conftest import http_client

if TYPE_CHECKING:
    from pathlib import Path

HEADER = {"format": "alpaca_async session", "version": 1}
EXCHANGE: dict[str, Any] = {
    "time": 0.5,
    "latency": 0.1,
    "duration": 0.2,
    "verb": "GET",
    "target": "/api/v1/camera/0/gain",
    "form": "",
    "closed": False,
    "reply": {"bytes": 2, "text": "ok"},
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "session.jsonl"


def write(path: Path, *records: object) -> None:
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records), encoding="utf-8")


@given(
    data=st.binary(max_size=300) | st.text(max_size=300).map(str.encode),
    form=st.text(max_size=20),
    closed=st.booleans(),
)
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_exchange_is_read_as_it_was_written(
    tmp_path: Path, data: bytes, form: str, closed: bool
) -> None:
    written = RecordedExchange(
        time=1.25,
        latency=0.5,
        duration=0.75,
        verb="PUT",
        target="/api/v1/camera/0/gain?x=1",
        form=form,
        reply=pack(data),
        closed=closed,
    )
    path = tmp_path / "session.jsonl"
    path.write_bytes(header_line() + encode(written))
    (read,) = read_session(path)
    assert read == written
    assert read.reply.unpack() == data


def test_exchanges_are_sorted_by_the_time_of_the_request(path: Path) -> None:
    write(path, HEADER, EXCHANGE | {"time": 9}, EXCHANGE | {"time": 3})
    assert [exchange.time for exchange in read_session(path)] == [3.0, 9.0]


def bomb(announced: int) -> dict[str, Any]:
    packed = base64.b64encode(zlib.compress(bytes(10_000_000))).decode()
    return {"bytes": announced, "zlib": packed}


INVALID: list[tuple[list[object], str]] = [
    ([], "line 1: not a line of JSON"),
    (["text"], "line 1: not an object of JSON"),
    ([{"format": "other"}], "line 1: not a recorded session"),
    ([{"format": "alpaca_async session"}], "'version' is not of type int"),
    ([HEADER | {"version": 2}], "version 2 of the format is not supported, only 1"),
    ([HEADER, []], "line 2: not an object of JSON"),
    ([HEADER, EXCHANGE, EXCHANGE | {"time": -1}], "line 3: 'time' is not a number of seconds"),
    ([HEADER, EXCHANGE | {"time": float("nan")}], "'time' is not a number of seconds"),
    ([HEADER, EXCHANGE | {"latency": True}], "'latency' is not a number of seconds"),
    ([HEADER, EXCHANGE | {"duration": 1e300}], "'duration' is not a number of seconds"),
    ([HEADER, EXCHANGE | {"verb": None}], "'verb' is not of type str"),
    ([HEADER, EXCHANGE | {"form": "x" * 2_100_000}], "'form' is longer than 2097152 charact"),
    ([HEADER, EXCHANGE | {"closed": 1}], "'closed' is not of type bool"),
    ([HEADER, EXCHANGE | {"reply": None}], "'reply' is missing"),
    ([HEADER, EXCHANGE | {"reply": {"bytes": 3, "text": "ok"}}], "not have the 3 bytes"),
    ([HEADER, EXCHANGE | {"reply": {"bytes": 2}}], "'zlib' is not of type str"),
    ([HEADER, EXCHANGE | {"reply": {"bytes": 2, "zlib": "?"}}], "'zlib' is not in base64"),
    ([HEADER, EXCHANGE | {"reply": {"bytes": 1 << 31, "zlib": ""}}], "not between 0 and"),
    (
        [HEADER, EXCHANGE | {"reply": {"bytes": 0, "omitted": 1 << 40, "zlib": ""}}],
        "'omitted' is not between 0 and",
    ),
]


@pytest.mark.parametrize(("records", "message"), INVALID)
def test_a_file_that_is_not_valid_is_refused_with_its_line(
    path: Path, records: list[object], message: str
) -> None:
    write(path, *records)
    with pytest.raises(SessionFileError) as error:
        read_session(path)
    assert message in str(error.value)
    assert str(error.value).startswith(f"{path}, line ")


@pytest.mark.parametrize("content", ['{"format"', "[" * 100_000, "\x00\xff"])
def test_a_file_of_anything_else_is_refused(path: Path, content: str) -> None:
    path.write_text(content + "\n", encoding="latin-1")
    with pytest.raises(SessionFileError, match="line 1: not a line of JSON"):
        read_session(path)


def test_a_file_that_ends_within_a_line_is_refused(path: Path) -> None:
    write(path, HEADER, EXCHANGE)
    path.write_text(path.read_text(encoding="utf-8").rstrip(), encoding="utf-8")
    with pytest.raises(SessionFileError, match="line 1: the file ends within a line"):
        read_session(path)


def test_a_file_beyond_the_limits_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(path, HEADER, EXCHANGE, EXCHANGE)
    monkeypatch.setattr("alpaca_async.testing._recording.MAX_FILE", 300)
    with pytest.raises(SessionFileError, match="the file exceeds 300 bytes"):
        read_session(path)
    monkeypatch.undo()
    monkeypatch.setattr("alpaca_async.testing._recording._MAX_EXCHANGES", 1)
    with pytest.raises(SessionFileError, match="more than 1 exchanges"):
        read_session(path)


@pytest.mark.parametrize("reply", [bomb(10), bomb(20_000_000), {"bytes": 5, "zlib": "AAAA"}])
def test_a_reply_is_not_unpacked_beyond_what_it_announces(path: Path, reply: object) -> None:
    write(path, HEADER, EXCHANGE | {"reply": reply})
    (exchange,) = read_session(path)
    with pytest.raises(ValueError, match="a reply"):
        exchange.reply.unpack()


async def test_a_damaged_file_is_refused_before_the_server_listens(path: Path) -> None:
    write(path, HEADER, {})
    with pytest.raises(SessionFileError):
        async with ReplayServer(path):
            pass


async def test_a_damaged_reply_resets_the_connection(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(path, HEADER, EXCHANGE | {"reply": {"bytes": 5, "zlib": "AAAA"}})
    async with ReplayServer(path) as replay, http_client(replay) as http:
        with pytest.raises(httpx.TransportError):
            await http.get(EXCHANGE["target"])
    assert f"{path}: a reply is damaged" in caplog.text


JSON = b'{"Value": 1, "ClientTransactionID": 5, "ErrorNumber": 0}'


def with_length(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def chunked(*pieces: bytes) -> bytes:
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (*pieces, b""))
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks


@pytest.mark.parametrize("new", [7, 123456])
def test_the_id_of_a_reply_is_replaced_and_its_framing_follows(new: int) -> None:
    expected = JSON.replace(b": 5", b": %d" % new)
    assert renumbered(with_length(JSON), 5, new) == with_length(expected)
    assert renumbered(chunked(JSON), 5, new) == chunked(expected)
    assert renumbered(chunked(b"  ", JSON, b" "), 5, new) == chunked(b"  ", expected, b" ")


def test_a_wrong_length_stays_wrong_by_as_much() -> None:
    wrong = with_length(JSON).replace(b"Content-Length: 5", b"Content-Length: 4")
    assert b"Content-Length: %d" % (len(JSON) - 10 + 2) in renumbered(wrong, 5, 123)


def test_an_id_beyond_the_chunks_is_replaced_and_no_chunk_resized() -> None:
    cut = chunked(b"  ")[: -len(b"0\r\n\r\n")] + b"no chunk " + JSON
    assert renumbered(cut, 5, 123) == cut.replace(b": 5", b": 123")


def test_an_id_that_the_server_did_not_echo_stays() -> None:
    for reply in (with_length(JSON), with_length(b"no JSON"), b"", b"HTTP/1.1 200 OK"):
        assert renumbered(reply, 4, 9) == reply


@given(reply=st.binary(max_size=200), old=st.integers(0, 9), new=st.integers(0, 2**32 - 1))
def test_no_reply_is_too_odd(reply: bytes, old: int, new: int) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: application/imagebytes\r\n\r\n"
    for odd in (reply, head + reply, head[:46] + b"\r\n" + JSON + reply):
        renumbered(odd, old, new)

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import h11
import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alpaca_async._http.http1 import LINE_LIMIT, serialise
from alpaca_async._http.reply import HEAD_LIMIT, READ_LIMIT, Reply

from .support import MemorySink

BODY = bytes(range(256)) * 3
CHUNKS = b"100\r\n" + BODY[:256] + b"\r\n200;a=b\r\n" + BODY[256:] + b"\r\n0\r\n"


def head(*headers: bytes, status: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return b"\r\n".join([status, *headers, b"", b""])


LENGTH = b"Content-Length: 768"
CHUNKED = b"Transfer-Encoding: chunked"

REPLIES = {
    "length": head(LENGTH) + BODY,
    "length 0": head(b"Content-Length: 0"),
    "length with blanks": head(b"content-LENGTH:   768 \t") + BODY,
    "close": head(LENGTH, b"Connection: close") + BODY,
    "close among others": head(LENGTH, b"Connection: x , Close") + BODY,
    "keep-alive 1.0": head(LENGTH, b"Connection: keep-alive", status=b"HTTP/1.0 200 OK") + BODY,
    "1.0": head(LENGTH, status=b"HTTP/1.0 200 OK") + BODY,
    "1.0 until closed": head(b"Server: x", status=b"HTTP/1.0 200 ") + BODY,
    "until closed": head(b"Content-Type: image/tiff") + BODY,
    "until closed, empty": head(),
    "chunked": head(CHUNKED) + CHUNKS + b"\r\n",
    "chunked upper case": head(b"Transfer-Encoding: CHUNKED") + CHUNKS + b"\r\n",
    "chunked, padded sizes": head(CHUNKED) + b"3  \r\nabc\r\n0\r\n\r\n",
    "chunked 1.0": head(CHUNKED, status=b"HTTP/1.0 200 OK") + CHUNKS + b"\r\n",
    "chunked, trailers": head(CHUNKED) + CHUNKS + b"Digest: x\r\nB: c\r\n\r\n",
    "chunked, empty": head(CHUNKED) + b"0\r\n\r\n",
    "chunked, close": head(CHUNKED, b"Connection: close") + CHUNKS + b"\r\n",
    "no reason": head(LENGTH, status=b"HTTP/1.1 200") + BODY,
    "empty reason": head(LENGTH, status=b"HTTP/1.1 200 ") + BODY,
    "long reason": head(LENGTH, status=b"HTTP/1.1 200 All is well") + BODY,
    "404": head(LENGTH, status=b"HTTP/1.1 404 Not Found") + BODY,
    "599": head(LENGTH, status=b"HTTP/1.1 599 X") + BODY,
    "204": head(status=b"HTTP/1.1 204 No Content"),
    "204 with length": head(b"Content-Length: 3", status=b"HTTP/1.1 204 No Content"),
    "304 with length": head(LENGTH, status=b"HTTP/1.1 304 Not Modified"),
    "100 first": head(status=b"HTTP/1.1 100 Continue") + head(LENGTH) + BODY,
    "103 twice": head(b"Link: x", status=b"HTTP/1.1 103 Hints") * 2 + head(LENGTH) + BODY,
    "bare LF": head(LENGTH, b"A: b").replace(b"\r\n", b"\n") + BODY,
    "mixed line ends": b"HTTP/1.1 200 OK\r\nA: b\nContent-Length: 768\r\n\n" + BODY,
    "folded": head(b"A: b\r\n c\r\n\td", LENGTH) + BODY,
    "latin header": head(b"A: \xe9\xff", LENGTH) + BODY,
    "empty header": head(b"A:", LENGTH, b"B: ") + BODY,
    "same header twice": head(b"A: b", b"A: c", LENGTH) + BODY,
    "equal lengths": head(LENGTH, LENGTH) + BODY,
    "equal lengths apart": head(b"A: b", LENGTH, b"B: c", b"content-length:768 ") + BODY,
    "list of equal lengths": head(b"Content-Length: 768, 768") + BODY,
    "equal lengths, bare LF": b"HTTP/1.1 200 OK\nContent-Length: 2\nContent-Length: 2\n\nok",
    "equal lengths, extra bytes": head(LENGTH, LENGTH) + BODY + b"x",
    "equal lengths, short body": head(LENGTH, LENGTH) + BODY[:-1],
    "upgrade offered": head(b"Upgrade: h2c", b"Connection: Upgrade", LENGTH) + BODY,
    "extra bytes": head(LENGTH) + BODY + b"x",
    "extra reply": (head(LENGTH) + BODY) * 2,
    "chunked, extra reply": (head(CHUNKED) + CHUNKS + b"\r\n") * 2,
    "chunked, extra garbage": head(CHUNKED) + CHUNKS + b"\r\nxyz",
    "chunked close, extra": head(CHUNKED, b"Connection: close") + b"0\r\n\r\nxyz",
    # invalid replies
    "nothing": b"",
    "half a head": head(LENGTH)[:30],
    "short body": head(LENGTH) + BODY[:-1],
    "no body": head(LENGTH),
    "chunked, cut in data": head(CHUNKED) + CHUNKS[:100],
    "chunked, cut at end": head(CHUNKED) + CHUNKS,
    "chunked, no size": head(CHUNKED) + b"\r\n",
    "chunked, negative": head(CHUNKED) + b"-5\r\nhello\r\n0\r\n\r\n",
    "chunked, 0x": head(CHUNKED) + b"0x5\r\nhello\r\n0\r\n\r\n",
    "chunked, too long": head(CHUNKED) + b"4\r\nhello\r\n0\r\n\r\n",
    "chunked, huge": head(CHUNKED) + b"f" * 21 + b"\r\n",
    "chunked, bare LF": head(CHUNKED) + b"5\nhello\n0\n\n",
    "garbage": b"\x16\x03\x01 not HTTP at all\r\n\r\n",
    "html": b"<html>\r\n\r\n</html>",
    "SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
    "status 2x0": head(LENGTH, status=b"HTTP/1.1 2x0 OK") + BODY,
    "status 20": head(LENGTH, status=b"HTTP/1.1 20 OK") + BODY,
    "status 099": head(LENGTH, status=b"HTTP/1.1 099 OK") + BODY,
    "status 2000": head(LENGTH, status=b"HTTP/1.1 2000 OK") + BODY,
    "blank line first": b"\r\n" + head(LENGTH) + BODY,
    "blank before colon": head(b"A : b", LENGTH) + BODY,
    "no name": head(b": b", LENGTH) + BODY,
    "no colon": head(b"A", LENGTH) + BODY,
    "NUL": head(b"A: \0", LENGTH) + BODY,
    "lone CR": head(b"A: b\rc", LENGTH) + BODY,
    "conflicting lengths": head(LENGTH, b"Content-Length: 767") + BODY,
    "list of lengths": head(b"Content-Length: 768, 767") + BODY,
    "negative length": head(b"Content-Length: -1") + BODY,
    "negative length twice": head(b"Content-Length: -1", b"Content-Length: -1") + BODY,
    "empty length in a list": head(b"Content-Length: 768,") + BODY,
    "equal lengths and a conflicting one": head(LENGTH, LENGTH, b"Content-Length: 767") + BODY,
    "signed length": head(b"Content-Length: +768") + BODY,
    "fractional length": head(b"Content-Length: 768.0") + BODY,
    "hexadecimal length": head(b"Content-Length: 0x300") + BODY,
    "empty length": head(b"Content-Length:") + BODY,
    "huge length": head(b"Content-Length: " + b"9" * 30) + BODY,
    "gzip": head(b"Transfer-Encoding: gzip") + BODY,
    "gzip, chunked": head(b"Transfer-Encoding: gzip, chunked") + CHUNKS + b"\r\n",
    "chunked twice": head(CHUNKED, CHUNKED) + CHUNKS + b"\r\n",
    "identity": head(b"Transfer-Encoding: identity") + BODY,
}

REJECTED = {
    "length and chunked": head(LENGTH, CHUNKED) + CHUNKS + b"\r\n",
    "equal lengths and chunked": head(LENGTH, CHUNKED, LENGTH) + CHUNKS + b"\r\n",
    "chunked and length": head(CHUNKED, LENGTH) + CHUNKS + b"\r\n",
    "HTTP/2.0": head(LENGTH, status=b"HTTP/2.0 200 OK") + BODY,
    "HTTP/1.7": head(LENGTH, status=b"HTTP/1.7 200 OK") + BODY,
    "101": head(status=b"HTTP/1.1 101 Switching Protocols"),
    "101 with upgrade": head(b"Upgrade: x", b"Connection: upgrade", status=b"HTTP/1.1 101 X"),
}
"""Replies that h11 accepts and we reject."""


class Outcome(NamedTuple):
    status: int
    reason: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes
    reusable: bool


def by_h11(method: str, data: bytes) -> Outcome | None:
    """Parse a reply with h11, then close the connection; return None for an error."""
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
    connection.send(h11.EndOfMessage())
    status, reason, headers, body = 0, b"", list[tuple[bytes, bytes]](), b""
    closed = False
    connection.receive_data(data)
    try:
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(b"")
                closed = True
            elif isinstance(event, h11.Response):
                status, reason = event.status_code, bytes(event.reason)
                headers = list(event.headers)
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                break
            elif not isinstance(event, h11.InformationalResponse):
                return None
    except h11.RemoteProtocolError:
        return None
    reusable = connection.our_state is h11.DONE and not closed and not connection.trailing_data[0]
    return Outcome(status, reason, headers, body, reusable)


def feed(reply: Reply, data: bytes) -> None:
    """Feed bytes in the way a connection does."""
    while data and not reply.complete:
        if reply.direct is None:
            reply.feed(data)
            return
        buffer = reply.direct.get_buffer()[: len(data)]
        buffer[:] = data[: len(buffer)]
        reply.direct.received(len(buffer))
        data = data[len(buffer) :]
    if data:
        reply.feed(data)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in pairwise(edges) if b > a]


def by_reply(
    method: str, data: bytes, places: list[int], sink: MemorySink | None = None
) -> Outcome | None:
    """Parse the same bytes with `Reply`, cut into parts."""
    reply = Reply(method, sink)
    try:
        for part in cut(data, places):
            feed(reply, part)
        if not reply.complete:
            reply.feed_eof()
    except httpx.RemoteProtocolError:
        return None
    assert reply.done
    body = b"" if sink is None else bytes(sink.content)
    while (piece := reply.take()) is not None:
        body += piece
    assert not reply.unread
    headers = [
        (name.lower(), value.lower() if name.lower() == b"transfer-encoding" else value)
        for name, value in httpx.Headers(reply.headers).raw
    ]  # in the form of h11
    reason = reply.extensions["reason_phrase"]
    assert isinstance(reason, bytes)
    return Outcome(reply.status, reason, headers, body, reply.idle_limit > 0)


names = st.sampled_from(sorted(REPLIES))
cuts = st.lists(st.integers(0, 2000), max_size=12)


@settings(max_examples=150)
@given(name=names, places=cuts, method=st.sampled_from(["GET", "PUT"]))
def test_parses_replies_like_h11(name: str, places: list[int], method: str) -> None:
    assert by_reply(method, REPLIES[name], places) == by_h11(method, REPLIES[name])


@pytest.mark.parametrize("name", REPLIES)
def test_parses_replies_like_h11_byte_by_byte(name: str) -> None:
    data = REPLIES[name]
    assert by_reply("GET", data, list(range(len(data)))) == by_h11("GET", data)


@pytest.mark.parametrize("name", ["length", "chunked", "204", "404", "close", "until closed"])
def test_a_reply_to_head_has_no_body(name: str) -> None:
    data = REPLIES[name].partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    outcome = by_reply("HEAD", data, [])
    assert outcome == by_h11("HEAD", data)
    assert outcome is not None


@pytest.mark.parametrize("name", REJECTED)
def test_ambiguous_replies_are_rejected(name: str) -> None:
    assert by_reply("GET", REJECTED[name], []) is None


@settings(max_examples=150)
@given(name=names, places=cuts, size=st.integers(1, 900))
def test_a_sink_gets_the_same_bytes_as_the_stream(name: str, places: list[int], size: int) -> None:
    sink = MemorySink(size)
    assert by_reply("GET", REPLIES[name], places, sink) == by_reply("GET", REPLIES[name], [])


@settings(max_examples=150)
@given(places=cuts, size=st.integers(1, 900), uncounted=st.integers(1, 300))
def test_a_sink_may_know_that_more_follows_than_is_announced(
    places: list[int], size: int, uncounted: int
) -> None:
    body = BODY + bytes(uncounted)
    data = head(b"Content-Length: %d" % len(BODY)) + body
    for beyond in (b"", b"more"):
        outcome = by_reply("GET", data + beyond, places, MemorySink(size, uncounted=uncounted))
        assert outcome is not None
        assert outcome.body == body
        assert not outcome.reusable


@pytest.mark.parametrize("places", [[], [900]])
def test_what_a_sink_waits_for_beyond_the_announced_length_must_come(places: list[int]) -> None:
    data = head(b"Content-Length: %d" % len(BODY)) + BODY
    for received in range(4):
        assert by_reply("GET", data + bytes(received), places, MemorySink(uncounted=4)) is None


@settings(max_examples=100)
@given(
    sizes=st.lists(st.integers(1, 300), max_size=12),
    places=cuts,
    buffer_size=st.integers(1, 400),
    padding=st.sampled_from([b"", b" ", b";name=value", b';a="b"']),
)
def test_chunks_of_any_size_cut_anywhere(
    sizes: list[int], places: list[int], buffer_size: int, padding: bytes
) -> None:
    bodies = [bytes([n % 256]) * size for n, size in enumerate(sizes)]
    chunks = b"".join(b"%X%s\r\n%s\r\n" % (len(body), padding, body) for body in bodies)
    data = head(CHUNKED) + chunks + b"0\r\n\r\n"
    plain = by_reply("GET", data, places)
    with_sink = by_reply("GET", data, places, MemorySink(buffer_size))
    assert plain is not None
    assert plain == with_sink
    assert plain.body == b"".join(bodies)
    assert plain.reusable


@settings(max_examples=120)
@given(data=st.binary(max_size=200), places=cuts)
def test_random_bytes_raise_only_protocol_errors(data: bytes, places: list[int]) -> None:
    for start in (b"", b"HTTP/1.1 200 OK\r\n", head(CHUNKED), head(b"Content-Length: 5")):
        by_reply("GET", start + data, places)


@settings(max_examples=120)
@given(name=names, at=st.integers(0, 3000), byte=st.integers(0, 255))
def test_a_changed_byte_never_gives_a_different_reply_than_h11(
    name: str, at: int, byte: int
) -> None:
    data = bytearray(REPLIES[name])
    if data:
        data[at % len(data)] = byte
    got = by_reply("GET", bytes(data), [at])
    expected = by_h11("GET", bytes(data))
    if got is not None and expected is not None:
        assert (got.status, got.body) == (expected.status, expected.body)


def test_a_sink_that_declines_leaves_the_body_to_the_stream() -> None:
    sink = MemorySink(willing=False)
    outcome = by_reply("GET", REPLIES["length"], [], sink)
    assert outcome is not None
    assert outcome.body == BODY
    assert not sink.content
    assert [status for status, _ in sink.began] == [200]


def test_a_sink_sees_the_final_head_once() -> None:
    sink = MemorySink()
    by_reply("GET", REPLIES["103 twice"], list(range(400)), sink)
    assert [(status, dict(headers)) for status, headers in sink.began] == [
        (200, {"content-length": "768"})
    ]


def test_a_direct_read_stops_at_the_end_of_the_body() -> None:
    sink = MemorySink(1000)
    reply = Reply("GET", sink)
    reply.feed(head(LENGTH) + BODY[:700])
    assert sink.content == BODY[:700]
    assert reply.direct is not None
    assert len(reply.direct.get_buffer()) == 68


def test_one_read_is_limited() -> None:
    reply = Reply("GET", MemorySink(READ_LIMIT * 2))
    reply.feed(head(b"Content-Length: 9999999"))
    assert reply.direct is not None
    assert len(reply.direct.get_buffer()) == READ_LIMIT


def test_an_empty_sink_buffer_is_an_error() -> None:
    with pytest.raises(ValueError, match="empty buffer"):
        Reply("GET", MemorySink(0)).feed(REPLIES["length"])


def feed_repeatedly(reply: Reply, data: bytes, message: str) -> None:
    """Feed the same bytes until an error, at the latest when `HEAD_LIMIT` is exceeded."""

    def feed() -> None:
        for _ in range(HEAD_LIMIT // len(data) + 2):
            reply.feed(data)

    with pytest.raises(httpx.RemoteProtocolError, match=message):
        feed()


def test_the_head_is_limited() -> None:
    reply = Reply("GET")
    reply.feed(head()[:-2])
    feed_repeatedly(reply, b"A: " + b"x" * 1000 + b"\r\n", "exceeds")


def test_interim_heads_are_limited_together() -> None:
    reply = Reply("GET")
    feed_repeatedly(reply, head(status=b"HTTP/1.1 100 Continue"), "exceeds")


def test_a_line_is_limited() -> None:
    fits = head(b"A: " + b"x" * (LINE_LIMIT - 4), b"Content-Length: 0")
    assert by_reply("GET", fits, []) is not None
    longer = head(b"A: " + b"x" * LINE_LIMIT, b"Content-Length: 0")
    assert by_reply("GET", longer, []) is None


def test_headers_are_counted() -> None:
    fits = head(*[b"A: b"] * 255, b"Content-Length: 0")
    assert by_reply("GET", fits, []) is not None
    more = head(*[b"A: b"] * 256, b"Content-Length: 0")
    assert by_reply("GET", more, []) is None


def test_trailers_are_limited() -> None:
    reply = Reply("GET")
    reply.feed(head(CHUNKED) + CHUNKS)
    feed_repeatedly(reply, b"A: " + b"x" * 1000 + b"\r\n", "between two chunks")


def test_a_server_without_http_is_detected_at_the_first_byte() -> None:
    with pytest.raises(httpx.RemoteProtocolError, match="not HTTP"):
        Reply("GET").feed(b"S")


@pytest.mark.parametrize(
    ("data", "quote"),
    [
        (b'{"ErrorMessage":\r\n\t\t"No image"}\r\n', 'HTTP/1: {"ErrorMessage": "No image"}'),
        (b"220 smtp.example ready\r\n", "HTTP/1: 220 smtp.example ready"),
        ('{"Name": "Süd"}'.encode(), 'HTTP/1: {"Name": "Süd"}'),
        (b"\x01\0\0\0" * 99, r"HTTP/1: b'\x01\x00\x00\x00"),
        (b"\x1b[2J rm -rf", r"HTTP/1: b'\x1b[2J rm -rf'"),
    ],
)
def test_a_reply_without_a_head_is_quoted(data: bytes, quote: str) -> None:
    with pytest.raises(httpx.RemoteProtocolError) as caught:
        Reply("GET").feed(data)
    assert quote in str(caught.value)


@given(data=st.binary(max_size=3000))
def test_a_quote_is_short_and_printable(data: bytes) -> None:
    with pytest.raises(httpx.RemoteProtocolError) as caught:
        Reply("GET").feed(b"S" + data)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500


def test_a_connection_is_not_reused_after_status_408() -> None:
    """A server that sends 408 on an idle connection may also answer the next request."""
    reply = Reply("PUT")
    reply.feed(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
    assert reply.complete
    assert reply.idle_limit == 0


@pytest.mark.parametrize(
    ("announced", "expected"),
    [
        (b"timeout=5, max=100", 4.0),
        (b"max=100, TIMEOUT = 2", 1.6),
        (b"timeout=0", 0.0),
        (b"max=3", float("inf")),
    ],
)
def test_the_keep_alive_header_limits_the_idle_time(announced: bytes, expected: float) -> None:
    reply = Reply("GET")
    reply.feed(head(b"Content-Length: 0", b"Keep-Alive: " + announced))
    assert reply.idle_limit == pytest.approx(expected)


def request(method: str = "GET", url: str = "http://h/p", **options: Any) -> httpx.Request:  # noqa: ANN401
    return httpx.Request(method, url, **options)


def test_a_request_is_serialised() -> None:
    written = serialise(
        request("PUT", "http://h:1/p?q=%20", data={"Gain": "5"}, headers={"Accept": "x"}), b"Gain=5"
    )
    assert written == (
        b"PUT /p?q=%20 HTTP/1.1\r\nHost: h:1\r\nAccept: x\r\nContent-Length: 6\r\n"
        b"Content-Type: application/x-www-form-urlencoded\r\n\r\nGain=5"
    )


@settings(max_examples=60)
@given(
    st.sampled_from(["GET", "PUT", "POST", "DELETE"]),
    st.lists(
        st.tuples(st.sampled_from(["X", "x-y"]), st.text("ab \t;=%[", max_size=9)), max_size=4
    ),
    st.binary(max_size=50),
)
def test_h11_parses_serialised_requests(
    method: str, headers: list[tuple[str, str]], body: bytes
) -> None:
    sent = request(method, "http://h/p?q=1", headers=headers, content=body)
    server = h11.Connection(h11.SERVER)
    server.receive_data(serialise(sent, body))
    event = server.next_event()
    assert isinstance(event, h11.Request)
    assert (event.method, event.target) == (method.encode(), b"/p?q=1")
    assert list(event.headers) == [(n.lower(), v.strip()) for n, v in sent.headers.raw]
    got = b""
    while isinstance(data := server.next_event(), h11.Data):
        got += data.data
    assert got == body
    assert isinstance(data, h11.EndOfMessage)


@pytest.mark.parametrize("body", [b"", b"some bytes"])
def test_a_body_of_unknown_length_is_sent_as_one_chunk(body: bytes) -> None:
    sent = request("PUT", headers={"Transfer-Encoding": "chunked"})
    sent.headers.pop("content-length", None)
    server = h11.Connection(h11.SERVER)
    server.receive_data(serialise(sent, body))
    events = [server.next_event() for _ in range(3 if body else 2)]
    assert isinstance(events[-1], h11.EndOfMessage)
    assert b"".join(bytes(e.data) for e in events if isinstance(e, h11.Data)) == body


def test_the_zone_of_an_address_is_not_sent() -> None:
    sent = request(url="http://[fe80::1%25eth0]:11111/p", headers={"A": "[b%c]"})
    written = bytes(serialise(sent, b""))
    assert b"\r\nHost: [fe80::1]:11111\r\n" in written
    assert b"\r\nA: [b%c]\r\n" in written


@pytest.mark.parametrize("raw", [b"a\r\nB: c", b"a\nb", b"a\rb", b"a\0b"])
def test_a_header_cannot_inject_another(raw: bytes) -> None:
    with pytest.raises(httpx.LocalProtocolError):
        serialise(request(headers=[(b"X", raw)]), b"")


@pytest.mark.parametrize("name", [b"", b"a b", b"a:", b"a\n", b"\xe9"])
def test_a_header_needs_a_valid_name(name: bytes) -> None:
    with pytest.raises(httpx.LocalProtocolError):
        serialise(request(headers=[(name, b"x")]), b"")


@pytest.mark.parametrize("target", [b"", b"/a b", b"/a\r\nX: y", b"/\xe9", b"/a\n"])
def test_a_target_cannot_inject_a_header(target: bytes) -> None:
    with pytest.raises(httpx.LocalProtocolError):
        serialise(request(extensions={"target": target}), b"")


@pytest.mark.parametrize("method", ["G T", "GET\n", "", "CONNECT", "G\xe9T"])
def test_a_method_must_be_valid(method: str) -> None:
    with pytest.raises(httpx.LocalProtocolError):
        serialise(request(method), b"")


def test_a_body_must_have_the_announced_length() -> None:
    with pytest.raises(httpx.LocalProtocolError, match="Content-Length"):
        serialise(request("PUT", headers={"Content-Length": "3"}), b"four")
    with pytest.raises(httpx.LocalProtocolError, match="Content-Length"):
        serialise(request("GET"), b"unannounced")


def test_a_request_needs_a_host_header() -> None:
    sent = request()
    del sent.headers["host"]
    with pytest.raises(httpx.LocalProtocolError, match="Host"):
        serialise(sent, b"")


def test_the_target_extension_is_used() -> None:
    assert serialise(request(extensions={"target": b"*"}), b"").startswith(b"GET * HTTP/1.1\r\n")


@pytest.mark.parametrize("rest", [0, 1, READ_LIMIT, READ_LIMIT + 1])
def test_a_reply_is_nearly_complete_if_one_read_gets_the_rest(rest: int) -> None:
    reply = Reply("GET")
    assert not reply.nearly_complete  # the length is not known yet
    reply.feed(head(b"Content-Length: %d" % (1 + rest)) + b"x")
    assert reply.nearly_complete == (rest <= READ_LIMIT)


@pytest.mark.parametrize("header", [CHUNKED, b"Connection: close"])
def test_a_reply_of_unknown_length_is_never_nearly_complete(header: bytes) -> None:
    reply = Reply("GET")
    reply.feed(head(header) + b"3\r\nabc\r\n")
    assert not reply.nearly_complete

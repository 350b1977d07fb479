"""HTTP faults of servers and middleboxes: error statuses, HTML pages, wrong body lengths."""

from __future__ import annotations

import asyncio
import gzip as compression
import json
from typing import TYPE_CHECKING, Final

from alpaca_async.testing._message import encode_lines, make_reply

from ._catalogue import fault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from alpaca_async.testing._message import Reply

    from ._catalogue import Inject
    from ._exchange import Exchange

_HTML: Final = "text/html; charset=utf-8"
_JSON: Final = "application/json"
_LOGIN: Final = (
    "<!DOCTYPE html><html><head><title>Log in</title><style>p{color:red}</style></head>"
    '<body><form action="/login"><p>Please log in.</p></form></body></html>'
)
_FILLER: Final = b"X-Filler: %s\r\n" % (b"0" * 1000)
_MAX_FILLERS: Final = 65536


# Statuses

_STATUSES: Final = {
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


def _bodies(status: int, title: str) -> Mapping[str, tuple[str, str]]:
    """Return the bodies that servers send with a status: a page, a text, an envelope."""
    page = f"<html><body><h1>{status} {title}</h1><p>Nothing to see here.</p></body></html>"
    fields = {"ErrorNumber": 0x500, "ErrorMessage": f"The driver says {title}"}
    return {
        "html": (page, _HTML),
        "text": (f"The server says {title}", "text/plain"),
        "json": (json.dumps(fields), _JSON),
    }


def _answer_with(reply: Reply) -> Inject:
    async def inject(exchange: Exchange) -> None:
        await exchange.client.send(reply.wire)

    return inject


for _status, _title in _STATUSES.items():
    for _form, (_body, _media_type) in _bodies(_status, _title).items():
        fault(
            "HTTP",
            f"Status {_status} with a body of {_form}; the request is not forwarded.",
            name=f"http_{_status}_{_form}",
            passes_on=False,
        )(_answer_with(make_reply(f"{_status} {_title}", _body, _media_type)))


@fault("HTTP", "Status 401: a password is required.", passes_on=False)
async def http_401(exchange: Exchange) -> None:
    reply = make_reply("401 Unauthorized", _LOGIN, _HTML).wire
    await exchange.client.send(
        reply.replace(b"\r\n", b'\r\nWWW-Authenticate: Basic realm="x"\r\n', 1)
    )


@fault("HTTP", "Status 500 without a body, after the command was executed.")
async def http_500_late(exchange: Exchange) -> None:
    await exchange.reply()
    await exchange.client.send(make_reply("500 Internal Server Error").wire)


@fault("HTTP", "Status 204 without a body, after the command was executed.")
async def http_204(exchange: Exchange) -> None:
    await exchange.reply()
    await exchange.client.send(encode_lines("HTTP/1.1 204 No Content", ""))


@fault("HTTP", "Status 307: redirects the client to the same address.", passes_on=False)
async def redirect(exchange: Exchange) -> None:
    location = f"Location: {exchange.target}"
    await exchange.client.send(
        encode_lines("HTTP/1.1 307 Temporary Redirect", location, "Content-Length: 0", "")
    )


@fault("HTTP", "Status 200 with the login page of a captive portal.", passes_on=False)
async def login_page(exchange: Exchange) -> None:
    await exchange.client.send(make_reply("200 OK", _LOGIN, _HTML).wire)


@fault(
    "HTTP", "Status 200 with the login page of a captive portal, labelled as JSON.", passes_on=False
)
async def login_page_as_json(exchange: Exchange) -> None:
    await exchange.client.send(make_reply("200 OK", _LOGIN, _JSON).wire)


# Heads


@fault("HTTP", "The head of the reply never ends.", passes_on=False)
async def endless_head(exchange: Exchange) -> None:
    await exchange.client.send(encode_lines("HTTP/1.1 200 OK"))
    for _ in range(_MAX_FILLERS):
        await exchange.client.send(_FILLER)
        await asyncio.sleep(0)
    await exchange.client.wait_until_gone()


@fault("HTTP", "The reply is of another protocol (SSH).", passes_on=False)
async def garbage(exchange: Exchange) -> None:
    await exchange.client.send(b"SSH-2.0-OpenSSH_9.6\r\n" + bytes(range(256)))
    exchange.client.close()


@fault("HTTP", "The reply consists of its body, without status line and headers.")
async def no_head(exchange: Exchange) -> None:
    await exchange.client.send((await exchange.reply()).body)
    exchange.client.close()


@fault("HTTP", "The status line has no reason phrase; there is no Content-Type.")
async def terse_head(exchange: Exchange) -> None:
    reply = (await exchange.reply()).with_media_type(None)
    _, _, rest = reply.wire.partition(b"\r\n")
    await exchange.client.send(b"HTTP/1.1 200\r\n" + rest)


@fault("HTTP", "The lines of the head end with a line feed, without a carriage return.")
async def bare_newlines(exchange: Exchange) -> None:
    head, _, body = (await exchange.reply()).wire.partition(b"\r\n\r\n")
    await exchange.client.send(head.replace(b"\r\n", b"\n") + b"\n\n" + body)


@fault("HTTP", "An interim reply (status 103) comes before the reply.")
async def interim_reply(exchange: Exchange) -> None:
    wire = (await exchange.reply()).wire
    await exchange.client.send(encode_lines("HTTP/1.1 103 Early Hints", "Link: </x>", "") + wire)


@fault("HTTP", "Content-Type is image/tiff.")
async def wrong_media_type(exchange: Exchange) -> None:
    await exchange.client.send((await exchange.reply()).with_media_type("image/tiff").wire)


@fault("HTTP", "The body is empty.")
async def empty_body(exchange: Exchange) -> None:
    await exchange.client.send((await exchange.reply()).with_body(b"").wire)


# Ends of bodies


@fault("HTTP", "HTTP/1.0 without a length: the body ends when the connection closes.")
async def http_1_0(exchange: Exchange) -> None:
    reply = await exchange.reply()
    head = reply.head("Connection: close").replace(b"HTTP/1.1", b"HTTP/1.0", 1)
    await exchange.client.send(head + reply.body)
    exchange.client.close()


@fault("HTTP", "HTTP/1.0 without a length: the connection closes within the body.")
async def http_1_0_cut(exchange: Exchange) -> None:
    reply = await exchange.reply()
    head = reply.head("Connection: close").replace(b"HTTP/1.1", b"HTTP/1.0", 1)
    await exchange.client.send(head + reply.body[: len(reply.body) // 2])
    exchange.client.close()


@fault("HTTP", "The size of a chunk is not a number.")
async def bad_chunk_size(exchange: Exchange) -> None:
    reply = await exchange.reply()
    await exchange.client.send(_chunked(reply) + b"plenty\r\n" + reply.body)
    await exchange.client.wait_until_gone()


@fault("HTTP", "The body stalls after the first chunk.")
async def missing_chunk(exchange: Exchange) -> None:
    await _send_first_chunk(exchange)
    await exchange.client.wait_until_gone()


@fault("HTTP", "The connection closes between two chunks.")
async def close_between_chunks(exchange: Exchange) -> None:
    await _send_first_chunk(exchange)
    exchange.client.close()


@fault("HTTP", "Content-Length is larger than the body; then the connection closes.")
async def length_too_long(exchange: Exchange) -> None:
    reply = await exchange.reply()
    await exchange.client.send(reply.head(f"Content-Length: {len(reply.body) + 10}") + reply.body)
    exchange.client.close()


@fault("HTTP", "Content-Length is smaller than the body.")
async def length_too_short(exchange: Exchange) -> None:
    reply = await exchange.reply()
    await exchange.client.send(reply.head(f"Content-Length: {len(reply.body) // 2}") + reply.body)


@fault("HTTP", "Two Content-Length headers contradict each other.")
async def two_lengths(exchange: Exchange) -> None:
    reply = await exchange.reply()
    length = len(reply.body)
    contradictory = f"Content-Length: {length}", f"Content-Length: {length + 1}"
    await exchange.client.send(reply.head(*contradictory) + reply.body)


@fault("HTTP", "Content-Length is given twice, with the same value.")
async def repeated_length(exchange: Exchange) -> None:
    reply = await exchange.reply()
    length = f"Content-Length: {len(reply.body)}"
    await exchange.client.send(reply.head(length, length) + reply.body)


@fault("HTTP", "The body has a Content-Length and is chunked as well.")
async def length_and_chunks(exchange: Exchange) -> None:
    reply = await exchange.reply()
    both = f"Content-Length: {len(reply.body)}", "Transfer-Encoding: chunked"
    await exchange.client.send(reply.head(*both) + _chunk(reply.body) + _chunk(b""))


@fault("HTTP", "Content-Length is larger than any memory; the connection stays open.")
async def huge_length(exchange: Exchange) -> None:
    reply = await exchange.reply()
    await exchange.client.send(reply.head(f"Content-Length: {10**17}") + reply.body)
    await exchange.client.wait_until_gone()


@fault("HTTP", "Content-Length is not a number.")
async def length_in_words(exchange: Exchange) -> None:
    reply = await exchange.reply()
    await exchange.client.send(reply.head("Content-Length: many") + reply.body)


# Compression


@fault("HTTP", "The body is compressed with gzip, although the client did not ask for it.")
async def gzip(exchange: Exchange) -> None:
    reply = await exchange.reply()
    body = compression.compress(reply.body)
    await exchange.client.send(_compressed(reply, len(body)) + body)


@fault("HTTP", "The body is compressed with gzip, and cut off.")
async def truncated_gzip(exchange: Exchange) -> None:
    reply = await exchange.reply()
    body = compression.compress(reply.body)[:-12]
    await exchange.client.send(_compressed(reply, len(body)) + body)


def _compressed(reply: Reply, length: int) -> bytes:
    return reply.head("Content-Encoding: gzip", f"Content-Length: {length}")


def _chunked(reply: Reply) -> bytes:
    return reply.head("Transfer-Encoding: chunked")


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


async def _send_first_chunk(exchange: Exchange) -> None:
    reply = await exchange.reply()
    await exchange.client.send(_chunked(reply) + _chunk(reply.body[: len(reply.body) // 2 + 1]))

"""What servers, and boxes between, do with HTTP: statuses, pages, bodies that end wrongly."""

from __future__ import annotations

import asyncio
import gzip as compression
import json
from typing import TYPE_CHECKING, Final

from alpaca_async.testing._message import answer, lines

from ._catalogue import fault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from alpaca_async.testing._message import Reply

    from ._catalogue import Deed
    from ._exchange import Exchange

_HTML: Final = "text/html; charset=utf-8"
_JSON: Final = "application/json"
_LOGIN: Final = (
    "<!DOCTYPE html><html><head><title>Log in</title><style>p{color:red}</style></head>"
    '<body><form action="/login"><p>Please log in.</p></form></body></html>'
)
_FILLER: Final = b"X-Filler: %s\r\n" % (b"0" * 1000)
_MOST_FILLERS: Final = 65536


# Statuses

_STATUSES: Final = {
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


def _bodies(status: int, title: str) -> Mapping[str, tuple[str, str]]:
    """Return what servers send with a status: a page, a sentence, an envelope."""
    page = f"<html><body><h1>{status} {title}</h1><p>Nothing to see here.</p></body></html>"
    fields = {"ErrorNumber": 0x500, "ErrorMessage": f"The driver says {title}"}
    return {
        "html": (page, _HTML),
        "text": (f"The server says {title}", "text/plain"),
        "json": (json.dumps(fields), _JSON),
    }


def _instead(reply: Reply) -> Deed:
    async def deed(exchange: Exchange) -> None:
        await exchange.client.send(reply.wire)

    return deed


for _status, _title in _STATUSES.items():
    for _form, (_body, _media_type) in _bodies(_status, _title).items():
        fault(
            "HTTP",
            f"Status {_status} with {_form}, instead of passing the request on.",
            name=f"http_{_status}_{_form}",
            passes_on=False,
        )(_instead(answer(f"{_status} {_title}", _body, _media_type)))


@fault("HTTP", "Status 401: asks for a password.", passes_on=False)
async def http_401(exchange: Exchange) -> None:
    reply = answer("401 Unauthorized", _LOGIN, _HTML).wire
    await exchange.client.send(
        reply.replace(b"\r\n", b'\r\nWWW-Authenticate: Basic realm="x"\r\n', 1)
    )


@fault("HTTP", "Status 500 without a body, after the command was executed.")
async def http_500_late(exchange: Exchange) -> None:
    await exchange.reply()
    await exchange.client.send(answer("500 Internal Server Error").wire)


@fault("HTTP", "Status 204: executed, and nothing to say.")
async def http_204(exchange: Exchange) -> None:
    await exchange.reply()
    await exchange.client.send(lines("HTTP/1.1 204 No Content", ""))


@fault("HTTP", "Status 307: sends the client elsewhere, which is here again.", passes_on=False)
async def redirect(exchange: Exchange) -> None:
    location = f"Location: {exchange.target}"
    await exchange.client.send(
        lines("HTTP/1.1 307 Temporary Redirect", location, "Content-Length: 0", "")
    )


@fault("HTTP", "Status 200 with the page of a captive portal.", passes_on=False)
async def login_page(exchange: Exchange) -> None:
    await exchange.client.send(answer("200 OK", _LOGIN, _HTML).wire)


@fault("HTTP", "Status 200 with the page of a captive portal, as JSON.", passes_on=False)
async def login_page_as_json(exchange: Exchange) -> None:
    await exchange.client.send(answer("200 OK", _LOGIN, _JSON).wire)


# Heads


@fault("HTTP", "The head of the reply never ends.", passes_on=False)
async def endless_head(exchange: Exchange) -> None:
    await exchange.client.send(lines("HTTP/1.1 200 OK"))
    for _ in range(_MOST_FILLERS):
        await exchange.client.send(_FILLER)
        await asyncio.sleep(0)
    await exchange.client.wait_until_gone()


@fault("HTTP", "Another protocol answers.", passes_on=False)
async def garbage(exchange: Exchange) -> None:
    await exchange.client.send(b"SSH-2.0-OpenSSH_9.6\r\n" + bytes(range(256)))
    exchange.client.close()


@fault("HTTP", "The status line has no reason phrase, the header no media type.")
async def terse_head(exchange: Exchange) -> None:
    reply = (await exchange.reply()).of_type(None)
    _, _, rest = reply.wire.partition(b"\r\n")
    await exchange.client.send(b"HTTP/1.1 200\r\n" + rest)


@fault("HTTP", "The lines of the head end without carriage returns.")
async def bare_newlines(exchange: Exchange) -> None:
    head, _, body = (await exchange.reply()).wire.partition(b"\r\n\r\n")
    await exchange.client.send(head.replace(b"\r\n", b"\n") + b"\n\n" + body)


@fault("HTTP", "An interim reply comes first.")
async def interim_reply(exchange: Exchange) -> None:
    wire = (await exchange.reply()).wire
    await exchange.client.send(lines("HTTP/1.1 103 Early Hints", "Link: </x>", "") + wire)


@fault("HTTP", "The media type is that of something else.")
async def wrong_media_type(exchange: Exchange) -> None:
    await exchange.client.send((await exchange.reply()).of_type("image/tiff").wire)


@fault("HTTP", "There is no body.")
async def empty_body(exchange: Exchange) -> None:
    await exchange.client.send((await exchange.reply()).with_body(b"").wire)


# Ends of bodies


@fault("HTTP", "HTTP/1.0: the body ends where the connection does.")
async def http_1_0(exchange: Exchange) -> None:
    reply = await exchange.reply()
    head = reply.head("Connection: close").replace(b"HTTP/1.1", b"HTTP/1.0", 1)
    await exchange.client.send(head + reply.body)
    exchange.client.close()


@fault("HTTP", "HTTP/1.0: the connection ends before the body does.")
async def http_1_0_cut(exchange: Exchange) -> None:
    reply = await exchange.reply()
    head = reply.head("Connection: close").replace(b"HTTP/1.1", b"HTTP/1.0", 1)
    await exchange.client.send(head + reply.body[: len(reply.body) // 2])
    exchange.client.close()


@fault("HTTP", "The size of a chunk is no number.")
async def bad_chunk_size(exchange: Exchange) -> None:
    reply = await exchange.reply()
    await exchange.client.send(_chunked(reply) + b"plenty\r\n" + reply.body)
    await exchange.client.wait_until_gone()


@fault("HTTP", "After the first chunk no other comes.")
async def missing_chunk(exchange: Exchange) -> None:
    await _send_first_chunk(exchange)
    await exchange.client.wait_until_gone()


@fault("HTTP", "The connection is closed between two chunks.")
async def close_between_chunks(exchange: Exchange) -> None:
    await _send_first_chunk(exchange)
    exchange.client.close()


@fault("HTTP", "Content-Length promises more than comes; then the connection is closed.")
async def length_too_long(exchange: Exchange) -> None:
    reply = await exchange.reply()
    await exchange.client.send(reply.head(f"Content-Length: {len(reply.body) + 10}") + reply.body)
    exchange.client.close()


@fault("HTTP", "Content-Length promises less than comes.")
async def length_too_short(exchange: Exchange) -> None:
    reply = await exchange.reply()
    await exchange.client.send(reply.head(f"Content-Length: {len(reply.body) // 2}") + reply.body)


@fault("HTTP", "Two lengths contradict each other.")
async def two_lengths(exchange: Exchange) -> None:
    reply = await exchange.reply()
    length = len(reply.body)
    contradictory = f"Content-Length: {length}", f"Content-Length: {length + 1}"
    await exchange.client.send(reply.head(*contradictory) + reply.body)


@fault("HTTP", "The body has a length and comes in chunks, too.")
async def length_and_chunks(exchange: Exchange) -> None:
    reply = await exchange.reply()
    both = f"Content-Length: {len(reply.body)}", "Transfer-Encoding: chunked"
    await exchange.client.send(reply.head(*both) + _chunk(reply.body) + _chunk(b""))


@fault("HTTP", "Content-Length is beyond all memory; the connection stays open.")
async def huge_length(exchange: Exchange) -> None:
    reply = await exchange.reply()
    await exchange.client.send(reply.head(f"Content-Length: {10**17}") + reply.body)
    await exchange.client.wait_until_gone()


@fault("HTTP", "Content-Length is no number.")
async def length_in_words(exchange: Exchange) -> None:
    reply = await exchange.reply()
    await exchange.client.send(reply.head("Content-Length: many") + reply.body)


# Compression


@fault("HTTP", "The body is compressed, which nobody asked for.")
async def gzip(exchange: Exchange) -> None:
    reply = await exchange.reply()
    body = compression.compress(reply.body)
    await exchange.client.send(_compressed(reply, len(body)) + body)


@fault("HTTP", "The body is compressed, and ends early.")
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

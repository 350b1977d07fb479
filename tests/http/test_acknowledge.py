"""Servers that write the head and the body of a reply apart get the head acknowledged at once."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest

from alpaca_async._http import connection as connection_module
from alpaca_async._http.response import DirectResponse
from alpaca_async._http.transport import DirectTransport

from .support import OK, MemorySink, Peer, content, fetch, request, serving

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    import httpx

HEAD, BODY = OK[:-2], OK[-2:]


@pytest.fixture
async def transport() -> AsyncGenerator[DirectTransport]:
    async with DirectTransport() as opened:
        yield opened


def acknowledges_at_once(response: httpx.Response) -> bool:
    stream = response.stream
    assert isinstance(stream, DirectResponse)
    sock = stream._connection._transport.get_extra_info("socket")
    return bool(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK))


@pytest.mark.skipif(not hasattr(socket, "TCP_QUICKACK"), reason="only Linux has TCP_QUICKACK")
@pytest.mark.parametrize("use_sink", [False, True])
@pytest.mark.parametrize("method", ["GET", "PUT"])
async def test_the_head_is_acknowledged_before_the_body_comes(
    transport: DirectTransport, method: str, use_sink: bool
) -> None:
    may_continue = asyncio.Event()

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            peer.send(HEAD)
            await may_continue.wait()
            peer.send(BODY)

    async with serving(script) as server:
        for _ in range(3):  # a connection that has sent something delays what it acknowledges
            may_continue.clear()
            sink = MemorySink() if use_sink else None
            response = await transport.handle_async_request(request(server.url, method, sink=sink))
            assert acknowledges_at_once(response)
            may_continue.set()
            received = await content(response)
            assert (received if sink is None else sink.content) == BODY


async def test_a_reply_in_one_piece_costs_no_system_call(
    transport: DirectTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    acknowledged: list[object] = []
    monkeypatch.setattr(connection_module, "_acknowledge", acknowledged.append)
    async with serving(Peer.answer_all) as server:
        for _ in range(3):
            assert await fetch(transport, server.url) == BODY
    assert not acknowledged


async def test_a_system_without_the_option_delays_only(
    transport: DirectTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "_QUICK_ACK", None)

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            peer.send(HEAD)
            await peer.writer.drain()
            await asyncio.sleep(0.005)
            peer.send(BODY)

    async with serving(script) as server:
        for _ in range(2):
            assert await fetch(transport, server.url) == BODY

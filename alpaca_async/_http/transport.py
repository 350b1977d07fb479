"""An httpx transport on asyncio that can receive a body directly into the caller's memory."""

from __future__ import annotations

import asyncio
import logging
import ssl
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio.to_thread
import httpx

from alpaca_async._loops import PerLoop, running_loop

from .call import Call
from .connecting import connect, hand_over
from .connection import Connection, TlsConnection
from .pool import Pool
from .reply import Reply, Sink
from .response import DirectResponse
from .scheduler import ReadScheduler

if TYPE_CHECKING:
    from .call import Origin

__all__ = ["DirectTransport", "Sink"]

logger = logging.getLogger("alpaca_async")

_CLOSE_LIMIT: Final = 1.0
"""Seconds to wait for other event loops, which may stop meanwhile, to close their connections."""


class DirectTransport(httpx.AsyncBaseTransport):
    """HTTP/1.1 with a small connection pool for each server.

    Supports the request extensions `timeout` (`read` is the longest time without data), `target`,
    `trace` (the event `http11.send_request_headers.started`), `sni_hostname` and `sink`. A `Sink`
    provides memory for the body, which the kernel fills without a copy. If the sink took the
    body, the response's extension `sink` is true. The response's stream then yields nothing, and
    ends when the body is complete. Requests with a sink use at most half of a server's
    connections, rounded up. Large bodies that arrive faster than the event loop can read are read
    one at a time, round-robin.

    A GET or HEAD is retried once, over a new connection, when its connection breaks before the
    first byte of the reply. Nothing else is sent twice. The head and body of a request are sent
    together.

    Errors are those of httpx. The response's stream raises the errors of a sink unchanged.
    """

    def __init__(
        self,
        *,
        verify: ssl.SSLContext | bool = True,
        connections_per_server: int = 4,
        keepalive_expiry: float = 3.0,
    ) -> None:
        if connections_per_server < 1:
            raise ValueError("at least one connection per server is needed")
        self._verify = verify
        self._expiry = keepalive_expiry
        self._context: ssl.SSLContext | None = None
        self._by_loop = PerLoop(partial(_Connections, connections_per_server), _Connections.discard)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return the response as soon as its head is there."""
        response = await self.send(await Call.of(request))
        return response.for_httpx()

    async def send(self, call: Call) -> DirectResponse:
        """Send a request that is already serialised: the same without the objects of httpx."""
        pool = self._by_loop.get().pool(call.origin)
        slot = await pool.acquire_slot(
            bulk=call.sink is not None, timeout=call.timeouts.get("pool")
        )
        try:
            connection, reply = await self._converse(pool, call)
        except BaseException:
            slot.release()
            raise
        if reply.done:
            slot.release()
        else:
            reply.on_done = slot.release
        return DirectResponse(connection, reply, call.timeouts.get("read"))

    async def aclose(self) -> None:
        """Close all connections, also those of other event loops; unfinished requests fail."""
        loop = running_loop()
        by_loop = self._by_loop.remove_all()
        own = by_loop.pop(loop, None)
        closing = [_close_elsewhere(loop, others) for loop, others in by_loop.items()]
        if own is not None:
            await own.aclose()
        if running := [each for each in closing if each is not None]:
            await asyncio.wait(running, timeout=_CLOSE_LIMIT)

    async def _converse(self, pool: Pool, call: Call) -> tuple[Connection, Reply]:
        """Get the head of the reply; send a GET again if its connection broke before the reply."""
        reply = self._reply(call)
        try:
            connection = await self._send_over_idle(pool, call, reply)
            if connection is None:
                connection = await self._send_over_new(pool, call, reply)
        except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError) as error:
            if reply.begun or not call.repeatable:
                raise
            logger.info("%s is sent again: %s", call, error)
            reply = self._reply(call)
            connection = await self._send_over_new(pool, call, reply)
        return connection, reply

    async def _send_over_idle(self, pool: Pool, call: Call, reply: Reply) -> Connection | None:
        """Send over an idle connection; return it, or None if there is none."""
        while (connection := pool.take_idle()) is not None:
            await _announce(call, connection)
            if not connection.closed:
                await _exchange(call, connection, reply, pool)
                break
        return connection

    async def _send_over_new(self, pool: Pool, call: Call, reply: Reply) -> Connection:
        connection = await self._connect(pool, call.origin, call.timeouts.get("connect"))
        await _announce(call, connection)
        with pool.first_exchange(connection):
            await _exchange(call, connection, reply, pool)
        return connection

    def _reply(self, call: Call) -> Reply:
        return Reply(call.method, call.sink, idle_limit=0.0 if call.final else self._expiry)

    async def _connect(self, pool: Pool, origin: Origin, timeout: float | None) -> Connection:
        _check_open(pool)  # closing frees slots, and breaks requests that are then sent again
        kind = TlsConnection if origin.tls else Connection
        try:
            async with asyncio.timeout(timeout):
                context = await self._ssl_context() if origin.tls else None
                sock = await connect(origin.host, origin.port)
                connection = await hand_over(
                    partial(kind, pool, self._by_loop.get().scheduler, asyncio.get_running_loop()),
                    sock,
                    context,
                    origin.server_hostname if origin.tls else None,
                )
        except TimeoutError as error:
            raise httpx.ConnectTimeout(f"no connection to {origin.host}") from error
        except Exception as error:  # event loops, ssl and the resolver raise many types
            raise httpx.ConnectError(str(error) or "the server closed the connection") from error
        if pool.closed:
            connection.close()
        _check_open(pool)
        return connection

    async def _ssl_context(self) -> ssl.SSLContext:
        if isinstance(self._verify, ssl.SSLContext):
            return self._verify
        if self._context is None:
            self._context = await anyio.to_thread.run_sync(_default_context, self._verify)
        return self._context


def _close_elsewhere(
    loop: asyncio.AbstractEventLoop, connections: _Connections
) -> asyncio.Future[None] | None:
    """Close the connections of another loop; return a future of the end if that loop runs."""
    if loop.is_running():
        closing = connections.aclose()
        try:
            return asyncio.wrap_future(asyncio.run_coroutine_threadsafe(closing, loop))
        except RuntimeError:  # the loop was closed in the meantime
            closing.close()
    connections.discard()
    return None


def _check_open(pool: Pool) -> None:
    if pool.closed:
        raise httpx.ConnectError("the transport was closed")


def _default_context(verify: bool) -> ssl.SSLContext:
    """Load the certificate bundle, which takes too long for the event loop."""
    context = httpx.create_ssl_context(verify=verify, trust_env=False)
    context.set_alpn_protocols(["http/1.1"])
    return context


async def _announce(call: Call, connection: Connection) -> None:
    """Tell the trace that the first byte is about to be sent."""
    if call.announce is None:
        return
    try:
        await call.announce()
    except BaseException:
        connection.close()
        raise


async def _exchange(call: Call, connection: Connection, reply: Reply, pool: Pool) -> None:
    """Send the request and wait for the head of the reply."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    await connection.exchange(
        call.data, reply, write=call.timeouts.get("write"), read=call.timeouts.get("read")
    )
    pool.replied_after(loop.time() - begun)


class _Connections:
    """The connections of one event loop, by server."""

    def __init__(self, size: int) -> None:
        self.scheduler = ReadScheduler()
        self._size = size
        self._pools: dict[Origin, Pool] = {}

    def pool(self, origin: Origin) -> Pool:
        """Return the pool of a server."""
        pool = self._pools.get(origin)
        if pool is None:
            pool = self._pools[origin] = Pool(self._size)
        return pool

    async def aclose(self) -> None:
        """Close all connections, from within their event loop."""
        for pool in self._pools.values():
            pool.close()
        await asyncio.sleep(0)  # asyncio closes the sockets in the next round of the loop

    def discard(self) -> None:
        """Drop all connections when their event loop does not run any more."""
        for pool in self._pools.values():
            pool.discard()

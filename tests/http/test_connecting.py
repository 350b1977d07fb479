"""Names, their addresses, and connections that are given up while they are being made."""

from __future__ import annotations

import asyncio
import gc
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest

from alpaca_async._http import connecting
from alpaca_async._http.connecting import Address, connect
from alpaca_async._http.connection import Connection
from alpaca_async._http.scheduler import ReadScheduler
from alpaca_async._http.transport import DirectTransport
from tests.loops import on_each_loop, run
from tests.virtual_time import in_virtual_time, now

from .support import fetch, serving
from .test_transport import full_backlog

if TYPE_CHECKING:
    from collections.abc import Sequence

V4: Final = socket.AF_INET
V6: Final = socket.AF_INET6
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="counts descriptors in /dev/fd")


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def open_sockets() -> int:
    gc.collect()
    links = Path("/dev/fd").iterdir()
    return sum(link.is_socket() for link in links if link.exists())


def resolving(monkeypatch: pytest.MonkeyPatch, addresses: Sequence[tuple[Any, ...]]) -> None:
    """Have every name resolved to `addresses`, each a family and the address of a socket."""

    async def resolve(*_: object, **__: object) -> list[tuple[Any, ...]]:
        return [(family, socket.SOCK_STREAM, 6, "", address) for family, address in addresses]

    class Loop:
        def __getattr__(self, name: str) -> object:
            return resolve if name == "getaddrinfo" else getattr(asyncio.get_running_loop(), name)

    class Asyncio:
        def __getattr__(self, name: str) -> object:
            return Loop if name == "get_running_loop" else getattr(asyncio, name)

    monkeypatch.setattr(connecting, "asyncio", Asyncio())


async def test_the_families_of_a_name_alternate(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[tuple[Any, ...]] = [
        (V6, ("2001:db8::1", 80, 0, 0)),
        (V6, ("2001:db8::1", 80, 0, 0)),
        (V6, ("fe80::1", 80, 0, 7)),
        (V4, ("192.0.2.1", 80)),
    ]
    resolving(monkeypatch, found)
    assert await connecting._resolve("pi", 80) == [
        Address(V6, "2001:db8::1", 80),
        Address(V4, "192.0.2.1", 80),
        Address(V6, "fe80::1%7", 80),
    ]


@pytest.mark.parametrize(("host", "family"), [("192.0.2.1", V4), ("::1", V6), ("fe80::1%eth0", V6)])
async def test_an_address_is_not_resolved(
    host: str, family: socket.AddressFamily, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolving(monkeypatch, [])
    assert await connecting._resolve(host, 80) == [Address(family, host, 80)]


async def test_a_name_without_an_address_is_a_connect_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolving(monkeypatch, [])
    async with DirectTransport() as transport:
        with pytest.raises(httpx.ConnectError, match="no address"):
            await fetch(transport, "http://pi")


@on_each_loop
def test_an_address_that_refuses_is_followed_by_the_next(
    loop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with serving(lambda peer: peer.answer_all()) as server:
            port = int(server.url.rpartition(":")[2])
            resolving(monkeypatch, [(V6, ("::1", port, 0, 0)), (V4, ("127.0.0.1", port))])
            async with DirectTransport() as transport:
                assert await fetch(transport, f"http://pi:{port}") == b"ok"
            assert server.connections == 1

    run(main(), loop)


@on_each_loop
def test_an_address_that_does_not_answer_is_overtaken_and_closed(
    loop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main(silent: int) -> None:
        answering = await asyncio.start_server(
            lambda _, writer: writer.close(), "127.0.0.2", silent
        )
        resolving(monkeypatch, [(V4, ("127.0.0.1", silent)), (V4, ("127.0.0.2", silent))])
        async with answering:
            before = open_sockets()
            sock = await connect("pi", silent)
            assert sock.getpeername() == ("127.0.0.2", silent)
            sock.close()
            await asyncio.sleep(0.05)
            assert open_sockets() == before
        assert asyncio.all_tasks() == {asyncio.current_task()}

    with full_backlog() as silent:
        run(main(silent), loop)


@on_each_loop
def test_the_error_has_the_reasons_of_all_addresses(
    loop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        port = closed_port()
        refused = (V4, ("127.0.0.1", port))
        async with DirectTransport() as transport:
            resolving(monkeypatch, [refused, (V4, ("127.0.0.2", port))])
            with pytest.raises(httpx.ConnectError) as same:
                await fetch(transport, f"http://pi:{port}")
            assert isinstance(same.value.__cause__, ConnectionRefusedError)
            resolving(monkeypatch, [refused, (V4, ("255.255.255.255", port))])
            with pytest.raises(httpx.ConnectError, match=r"connection refused, \w+"):
                await fetch(transport, f"http://pi:{port}")

    run(main(), loop)


@on_each_loop
@pytest.mark.parametrize("delay", [0.0, 0.01, 0.3])
def test_cancelling_while_addresses_are_tried_leaves_nothing(
    loop: str, delay: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main(silent: int) -> None:
        await asyncio.sleep(0)
        before = open_sockets()
        resolving(monkeypatch, [(V4, ("127.0.0.1", silent)), (V6, ("::1", silent, 0, 0))])
        async with DirectTransport() as transport:
            task = asyncio.create_task(fetch(transport, f"http://pi:{silent}"))
            await asyncio.sleep(delay)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert asyncio.all_tasks() == {asyncio.current_task()}
            await asyncio.sleep(0.01)
            assert open_sockets() == before

    with full_backlog() as silent:
        run(main(silent), loop)


@on_each_loop
def test_connections_cancelled_while_they_are_made_leave_the_pool(
    loop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Connection.connection_made
    task: asyncio.Task[bytes] | None = None

    def made_and_cancelled(connection: Connection, transport: asyncio.BaseTransport) -> None:
        made(connection, transport)
        if task is not None:
            task.cancel()

    monkeypatch.setattr(Connection, "connection_made", made_and_cancelled)

    async def main() -> None:
        nonlocal task
        async with (
            serving(lambda peer: peer.answer_all()) as server,
            DirectTransport() as transport,
        ):
            for _ in range(10):
                task = asyncio.create_task(fetch(transport, server.url))
                with pytest.raises(asyncio.CancelledError):
                    await task
            task = None
            (pool,) = transport._by_loop.get()._pools.values()
            assert not pool._connections
            assert await fetch(transport, server.url) == b"ok"
            assert len(pool._connections) == 1

    run(main(), loop)


class Owner:
    """Keeps the connections that were made and not removed."""

    def __init__(self) -> None:
        self.connections: set[Connection] = set()

    def add(self, connection: Connection) -> None:
        self.connections.add(connection)

    def put_idle(self, connection: Connection) -> None:
        raise AssertionError(f"{connection} served nothing")

    def remove(self, connection: Connection) -> None:
        self.connections.discard(connection)


async def test_a_connection_that_is_made_after_it_was_given_up_is_closed() -> None:
    """uvloop may make one whose connecting was cancelled before."""
    loop = asyncio.get_running_loop()
    ours, peer = socket.socketpair()
    peer.setblocking(False)
    owner = Owner()
    connection = Connection(owner, ReadScheduler(), loop, ours.dup())
    connection.close()
    await loop.create_connection(lambda: connection, sock=ours)
    assert await asyncio.wait_for(loop.sock_recv(peer, 1), 20) == b""
    assert not owner.connections
    ours.detach()  # its transport has closed it, of which uvloop does not tell the object
    peer.close()


@on_each_loop
def test_connecting_can_be_cancelled_in_every_iteration(loop: str) -> None:
    """Cancel after 0, 1, 2, ... iterations, until a request is done by then."""

    async def main() -> None:
        async with serving(lambda peer: peer.answer_all()) as server:
            await asyncio.sleep(0.01)
            before = open_sockets()
            count = 0
            while not await cancelled_after(count, server.url):
                count += 1
            await server.wait_closed()
            assert open_sockets() == before
            assert count > 3

    async def cancelled_after(count: int, url: str) -> bool:
        async with DirectTransport() as transport:
            task = asyncio.create_task(fetch(transport, url))
            for _ in range(count):
                await asyncio.sleep(0)
            done = task.done()
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            pools = transport._by_loop.get()._pools.values()
            assert all(pool._connections == set(pool._idle) for pool in pools)
            return done

    run(main(), loop)


class Attempts:
    """Stands for the connecting of sockets: each address takes its time, and may then refuse."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *outcomes: tuple[float, bool]) -> None:
        self.sockets = [socket.socket() for _ in outcomes]
        self.cancelled: list[int] = []
        self.takes_to_cancel = 0.0
        self._outcomes = outcomes
        hosts = [(V4, (str(number), 80)) for number in range(len(outcomes))]
        resolving(monkeypatch, hosts)
        monkeypatch.setattr(connecting, "_connect_to", self._connect)

    async def _connect(self, address: Address) -> socket.socket:
        number = int(address.host)
        seconds, connects = self._outcomes[number]
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self.cancelled.append(number)
            await asyncio.sleep(self.takes_to_cancel)
            if not connects:
                raise
        if not connects:
            raise ConnectionRefusedError(111, f"{number} refuses")
        return self.sockets[number]

    def close(self) -> None:
        for each in self.sockets:
            each.close()


@in_virtual_time
async def test_an_address_that_answers_late_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    attempts = Attempts(monkeypatch, (2, False), (3, True), (9, False))
    assert await connect("pi", 80) is attempts.sockets[1]
    assert now() == pytest.approx(3.25)
    assert attempts.cancelled == [2]
    attempts.close()


@in_virtual_time
async def test_a_connection_that_comes_too_late_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    attempts = Attempts(monkeypatch, (0.3, True), (9, True))
    assert await connect("pi", 80) is attempts.sockets[0]
    assert attempts.cancelled == [1]
    assert attempts.sockets[1].fileno() == -1
    attempts.close()


@pytest.mark.parametrize("when", ["before one connects", "after one has connected"])
@in_virtual_time
async def test_cancelled_while_the_others_are_closed_no_connection_is_left(
    when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = Attempts(monkeypatch, (1, True), (9, False))
    attempts.takes_to_cancel = 5
    connection = asyncio.create_task(connect("pi", 80))
    if when == "before one connects":
        await asyncio.sleep(0.5)
        connection.cancel()
    await asyncio.sleep(1.5)
    connection.cancel()
    with pytest.raises(asyncio.CancelledError):
        await connection
    assert attempts.sockets[0].fileno() == -1
    assert asyncio.all_tasks() == {asyncio.current_task()}
    attempts.close()


@pytest.mark.skipif(sys.version_info < (3, 12), reason="there are no eager tasks")
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_eager_tasks_connect(host: str) -> None:
    loop = asyncio.get_running_loop()
    loop.set_task_factory(getattr(asyncio, "eager_task_factory"))  # noqa: B009 - 3.12
    async with serving(lambda peer: peer.answer_all()) as server, DirectTransport() as transport:
        assert await fetch(transport, server.url.replace("127.0.0.1", host)) == b"ok"

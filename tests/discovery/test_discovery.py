from __future__ import annotations

import asyncio
import errno
import logging
import socket
from contextlib import AsyncExitStack
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alpaca_async import DiscoveredServer, TransportError, discover
from alpaca_async._address import origin
from alpaca_async._discovery import discovery
from alpaca_async._discovery.discovery import port_in_reply
from alpaca_async._discovery.interfaces import LOOPBACK, MULTICAST_GROUP, Destination
from tests.conditions import open_files, until
from tests.virtual_time import in_virtual_time, now

from .udp import answering, naming

if TYPE_CHECKING:
    from collections.abc import Iterable

LOCALHOST = ["127.0.0.1"]


async def found(
    port: int, hosts: Iterable[str] | None = LOCALHOST, timeout: float = 0.2
) -> list[DiscoveredServer]:
    async with discover(hosts, timeout=timeout, port=port) as servers:
        return [server async for server in servers]


async def first(port: int, hosts: Iterable[str] | None = LOCALHOST) -> DiscoveredServer:
    """Return the first server, without waiting for more."""
    async with discover(hosts, timeout=10, port=port) as servers:
        return await anext(servers)


async def test_a_server_has_the_host_that_sends_the_reply_and_the_port_in_the_reply() -> None:
    async with answering(naming(11111)) as responder:
        server = await first(responder.port)
    assert server == DiscoveredServer("127.0.0.1", 11111)
    assert server.address == "127.0.0.1:11111"


@in_virtual_time
async def test_the_request_is_sent_three_times_within_the_timeout() -> None:
    async with answering() as responder:
        assert await found(responder.port, timeout=3) == []
        assert now() == pytest.approx(3)
    assert [request.data for request in responder.requests] == [b"alpacadiscovery1"] * 3
    assert [request.time for request in responder.requests] == pytest.approx([0, 0.75, 1.5])


async def test_a_reply_may_come_from_any_port() -> None:
    async with answering(naming(11111)) as responder, answering() as other:
        port, responder.transport = responder.port, other.transport
        assert other.port != port
        assert await first(port) == DiscoveredServer("127.0.0.1", 11111)


@in_virtual_time
async def test_servers_are_yielded_as_soon_as_they_reply() -> None:
    async with (
        answering(naming(1)) as quick,
        answering(naming(2), host="127.0.0.2", port=quick.port, delay=0.4),
    ):
        arrivals: dict[int, float] = {}
        async with discover(["127.0.0.1", "127.0.0.2"], timeout=1.0, port=quick.port) as servers:
            async for server in servers:
                arrivals[server.port] = now()
        assert now() == pytest.approx(1.0)
    assert arrivals == {1: pytest.approx(0.0), 2: pytest.approx(0.4)}


@in_virtual_time
async def test_a_slow_caller_gets_all_servers() -> None:
    async with answering(naming(1), naming(2), naming(3)) as responder:
        ports: list[int] = []
        async with discover(LOCALHOST, timeout=0.1, port=responder.port) as servers:
            async for server in servers:
                ports.append(server.port)
                await asyncio.sleep(0.15)
    assert ports == [1, 2, 3]


INVALID = [
    b"",
    b"\0",
    b"alpacadiscovery1",
    b"11111",
    b"[11111]",
    b"null",
    b'{"AlpacaPort"',
    b'{"Alpaca_Port": 11111}',
    b"\xff\xfe\x00",
    b"[" * 1000,
    b'{"AlpacaPort": ' + b"9" * 900 + b"}",
    b'{"AlpacaPort": 1e999}',
    b'{"AlpacaPort": NaN}',
    naming(11111) + b" " * 1024,
    *map(naming, [0, -1, 65536, True, None, "x", "", 1.5, [11111], {"port": 11111}]),
]


async def test_invalid_and_duplicate_replies_are_ignored_and_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "alpaca_async")
    replies = (
        b"\0",
        *INVALID,
        naming(11111),
        naming(11111),
        b"x" * 60000,
    )  # not every system sends empty datagrams
    async with answering(*replies) as responder:
        assert await found(responder.port) == [DiscoveredServer("127.0.0.1", 11111)]
    (record,) = caplog.records
    assert "127.0.0.1 sent 1 bytes that are not a discovery reply" in record.message


async def test_the_number_of_servers_of_a_host_is_limited(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "alpaca_async")
    async with (
        answering(*map(naming, range(1, 100))) as flooding,
        answering(naming(7), host="127.0.0.2", port=flooding.port, delay=0.05),
    ):
        servers = await found(flooding.port, ["127.0.0.1", "127.0.0.2"])
    assert len(servers) == 33
    assert DiscoveredServer("127.0.0.2", 7) in servers
    assert [r.message for r in caplog.records] == [
        "discovery ignored a reply: 127.0.0.1 sent too many servers"
    ]


@pytest.mark.parametrize("reply", INVALID)
def test_invalid_replies_have_no_port(reply: bytes) -> None:
    assert port_in_reply(reply) is None


@pytest.mark.parametrize(
    "reply",
    [
        b'{"AlpacaPort":11111}',
        b'{"alpacaport": 11111, "Extra": [1]}',
        b'{"ALPACAPORT": "11111"}\r\n',
        b'{"AlpacaPort": 11111.0}\0',
        b'\xef\xbb\xbf{"AlpacaPort": 11111}',
    ],
)
def test_replies_with_harmless_deviations_are_accepted(reply: bytes) -> None:
    assert port_in_reply(reply) == 11111


@settings(max_examples=40)
@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_bytes_give_a_valid_port_or_none(reply: bytes) -> None:
    port = port_in_reply(reply)
    assert port is None or 0 < port < 65536


# Destinations


async def test_all_destinations_are_used_unless_hosts_are_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(discovery, "all_destinations", lambda: [*LOOPBACK])
    async with (
        answering(naming(1)) as unicast,
        answering(naming(2), host="127.255.255.255", port=unicast.port) as broadcast,
    ):
        servers = await found(unicast.port, None)
        assert {server.port for server in servers} == {1, 2}
        requests = len(broadcast.requests)
        assert [server.port for server in await found(unicast.port)] == [1]
        assert len(broadcast.requests) == requests == 3


async def test_an_ipv6_server_is_found_on_the_host_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "all_destinations", lambda: [*LOOPBACK])
    async with AsyncExitStack() as stack:
        try:
            responder = await stack.enter_async_context(answering(naming(1), host="::1"))
        except OSError as error:
            pytest.skip(f"no IPv6 here: {error}")
        server = await first(responder.port, None)
    assert server.address == "[::1]:1"


async def test_names_are_resolved() -> None:
    async with answering(naming(1)) as responder:
        server = await first(responder.port, ["localhost"])
    assert server.address == "127.0.0.1:1"


async def test_unusable_interfaces_and_unknown_hosts_are_skipped_and_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "alpaca_async")
    dead = Destination(MULTICAST_GROUP, 2**20)
    monkeypatch.setattr(discovery, "all_destinations", lambda: [dead, *LOOPBACK])
    async with answering(naming(1)) as responder:
        server = await first(responder.port, None)
        assert server.port == 1
        assert f"cannot send a discovery request to {MULTICAST_GROUP}" in caplog.text
        assert await found(responder.port, ["a..b", *LOCALHOST]) == [server]
        assert "no discovery request sent: cannot resolve 'a..b'" in caplog.text


async def test_interfaces_that_cannot_be_listed_are_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> list[Destination]:
        raise OSError(errno.EACCES, "not allowed")

    monkeypatch.setattr(discovery, "all_destinations", fail)
    search = asyncio.create_task(found(9, None, timeout=30))
    await until(lambda: "not allowed" in caplog.text)
    search.cancel()
    with pytest.raises(asyncio.CancelledError):
        await search


@pytest.mark.parametrize(
    ("sender", "host"),
    [
        (("192.0.2.1", 5), "192.0.2.1"),
        (("2001:db8::1", 5, 0, 0), "2001:db8::1"),
        (("fe80::1", 5, 0, socket.if_nametoindex("lo")), "fe80::1%lo"),
        (("fe80::1%lo", 5, 0, 1), "fe80::1%lo"),
        (("fe80::1", 5, 0, 2**20), "fe80::1%1048576"),
    ],
)
def test_link_local_addresses_keep_their_zone(sender: tuple[object, ...], host: str) -> None:
    assert discovery._host_of(sender) == host
    server = DiscoveredServer(host, 5)
    assert origin(server.address) == f"http://{server.address}"


def test_an_interface_name_that_is_invalid_in_an_address_becomes_its_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def strange(_: int) -> str:
        return "a/b"

    monkeypatch.setattr(socket, "if_indextoname", strange)
    assert discovery._host_of(("fe80::1", 5, 0, 3)) == "fe80::1%3"


# Sockets


def sockets_without(monkeypatch: pytest.MonkeyPatch, *families: socket.AddressFamily) -> None:
    make = socket.socket

    def limited(family: socket.AddressFamily, *args: int) -> socket.socket:
        if family in families:
            raise OSError(errno.EAFNOSUPPORT, "not supported")
        return make(family, *args)

    monkeypatch.setattr(socket, "socket", limited)


async def test_a_host_without_ipv6_searches_over_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "all_destinations", lambda: [*LOOPBACK])
    async with answering(naming(1)) as responder:
        sockets_without(monkeypatch, socket.AF_INET6)
        assert (await first(responder.port, None)).port == 1


async def test_without_any_socket_one_error_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    sockets_without(monkeypatch, socket.AF_INET, socket.AF_INET6)
    with pytest.raises(TransportError, match=r"cannot open a discovery socket: .*not supported"):
        await found(9)


async def test_a_socket_that_cannot_be_used_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOBUFS, "no room")

    monkeypatch.setattr(asyncio.get_running_loop(), "create_datagram_endpoint", fail)
    before = open_files()
    with pytest.raises(TransportError):
        await found(9)
    assert open_files() == before


async def test_a_search_that_is_cancelled_while_it_opens_sockets_closes_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    open_socket = discovery._open_socket

    async def slow(family: socket.AddressFamily, *rest: Any) -> Any:  # noqa: ANN401 - handed on
        if family == socket.AF_INET6:
            await asyncio.sleep(30)
        return await open_socket(family, *rest)

    monkeypatch.setattr(discovery, "_open_socket", slow)
    before = open_files()
    search = asyncio.create_task(found(9))
    await until(lambda: open_files() > before)
    search.cancel()
    with pytest.raises(asyncio.CancelledError):
        await search
    assert open_files() == before


@in_virtual_time
async def test_leaving_the_block_closes_all_sockets_and_ends_all_tasks() -> None:
    async with answering(naming(1)) as responder:
        tasks, files = len(asyncio.all_tasks()), open_files()
        async with discover(LOCALHOST, timeout=30, port=responder.port) as servers:
            async for _ in servers:
                assert open_files() > files
                break
        assert now() == 0
        assert (len(asyncio.all_tasks()), open_files()) == (tasks, files)


async def test_cancelling_a_search_closes_all_sockets() -> None:
    tasks, files = len(asyncio.all_tasks()), open_files()
    search = asyncio.create_task(found(9, timeout=30))
    await until(lambda: open_files() > files)
    search.cancel()
    with pytest.raises(asyncio.CancelledError):
        await search
    assert (len(asyncio.all_tasks()), open_files()) == (tasks, files)


async def test_cancelling_a_search_again_and_again_closes_all_sockets() -> None:
    tasks, files = len(asyncio.all_tasks()), open_files()
    search = asyncio.create_task(found(9, timeout=30))
    await until(lambda: open_files() > files)
    while not search.done():
        search.cancel()
        await asyncio.sleep(0)
    assert search.cancelled()
    assert (len(asyncio.all_tasks()), open_files()) == (tasks, files)


async def test_no_request_is_sent_before_the_first_step() -> None:
    async with answering() as responder:
        async with discover(LOCALHOST, timeout=1, port=responder.port):
            await asyncio.sleep(0.02)
    assert responder.requests == []


async def test_an_error_on_the_socket_does_not_end_the_search() -> None:
    replies: list[tuple[bytes, str]] = []

    def on_reply(reply: bytes, host: str) -> None:
        replies.append((reply, host))

    sock = await discovery._open_socket(socket.AF_INET, on_reply)
    async with answering(b"yes") as responder:
        sock.error_received(ConnectionResetError())
        sock.send_request(Destination("127.0.0.1"), responder.port)
        await until(lambda: replies)
    await sock.aclose()
    assert replies == [(b"yes", "127.0.0.1")]


@pytest.mark.parametrize("timeout", [0, -1, float("nan")])
def test_an_invalid_timeout_is_rejected(timeout: float) -> None:
    with pytest.raises(ValueError, match="timeout"):
        discover(LOCALHOST, timeout=timeout)


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_an_invalid_port_is_rejected(port: int) -> None:
    with pytest.raises(ValueError, match="port must be"):
        discover(LOCALHOST, port=port)


def test_a_port_that_is_no_integer_is_rejected() -> None:
    with pytest.raises(TypeError, match=r"port must be an int, not 32227\.5"):
        discover(LOCALHOST, port=cast("int", 32227.5))


def test_a_string_is_not_accepted_as_hosts() -> None:
    with pytest.raises(TypeError, match="not a string"):
        discover("localhost")


def test_a_host_that_is_no_string_is_rejected() -> None:
    with pytest.raises(TypeError, match=r"each of hosts must be a string, not IPv4Address\("):
        discover([cast("str", IPv4Address("127.0.0.1"))])


@pytest.mark.parametrize("steps", range(5))
async def test_a_socket_is_closed_if_its_opening_is_cancelled(steps: int) -> None:
    before = open_files()

    def ignore(*_: object) -> None:
        pass

    opening = asyncio.create_task(discovery._open_socket(socket.AF_INET, ignore))
    for _ in range(steps):
        await asyncio.sleep(0)
    opening.cancel()
    (result,) = await asyncio.gather(opening, return_exceptions=True)
    if not isinstance(result, BaseException):
        await result.aclose()
    await asyncio.sleep(0)
    assert open_files() == before


def test_a_socket_that_cannot_be_bound_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[socket.socket] = []

    class Unbindable(socket.socket):
        def bind(self, _: object) -> None:
            made.append(self)
            raise OSError(errno.EADDRINUSE, "no port is free")

    monkeypatch.setattr(socket, "socket", Unbindable)
    with pytest.raises(OSError, match="no port is free"):
        discovery._bound_socket(socket.AF_INET)
    assert [each.fileno() for each in made] == [-1]

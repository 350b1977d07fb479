from __future__ import annotations

import asyncio
import logging
import socket

import pytest

from alpaca_async.testing import SimulatorServer, _responder


async def ask(datagram: bytes, host: str, port: int) -> bytes | None:
    """Return the answer, or None if there is none within 0.1 s."""
    loop = asyncio.get_running_loop()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as asking:
        asking.setblocking(False)
        if family == socket.AF_INET:
            asking.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        asking.sendto(datagram, (host, port))
        try:
            async with asyncio.timeout(0.1):
                return await loop.sock_recv(asking, 100)
        except TimeoutError:
            return None


@pytest.mark.parametrize("host", ["127.0.0.1", "127.255.255.255"])
@pytest.mark.parametrize("rest", [b"", bytes(48)], ids=["16 bytes", "64 bytes"])
async def test_discovery_answers_with_the_port_of_the_server(host: str, rest: bytes) -> None:
    async with SimulatorServer([], discovery_port=0) as server:
        answer = await ask(b"alpacadiscovery1" + rest, host, server.discovery_port)
        assert answer == b'{"AlpacaPort": %d}' % server.port


@pytest.mark.parametrize("datagram", [b"", b"alpacadiscovery", b"alpacadiscovery2", b"\xff" * 100])
async def test_other_datagrams_are_not_answered(datagram: bytes) -> None:
    async with SimulatorServer([], discovery_port=0) as server:
        assert await ask(datagram, "127.0.0.1", server.discovery_port) is None


@pytest.mark.parametrize(("host", "at"), [("0.0.0.0", "127.255.255.255"), ("::", "::1")])  # noqa: S104 - for a moment
async def test_a_server_on_all_addresses_answers_on_all(host: str, at: str) -> None:
    try:
        async with SimulatorServer([], host=host, discovery_port=0) as server:
            answer = await ask(b"alpacadiscovery1", at, server.discovery_port)
            assert answer == b'{"AlpacaPort": %d}' % server.port
    except OSError as error:
        pytest.skip(f"no IPv6 here: {error}")


async def test_two_servers_answer_on_the_same_port() -> None:
    async with SimulatorServer([], discovery_port=0) as one:
        port = one.discovery_port
        async with SimulatorServer([], discovery_port=port) as two:
            assert two.discovery_port == port
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
                asking.setblocking(False)
                asking.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
                asking.sendto(b"alpacadiscovery1", ("127.255.255.255", port))
                loop = asyncio.get_running_loop()
                async with asyncio.timeout(2):
                    answers = {await loop.sock_recv(asking, 100) for _ in range(2)}
            assert answers == {b'{"AlpacaPort": %d}' % server.port for server in (one, two)}


async def test_a_taken_discovery_port_logs_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("0.0.0.0", 0))  # noqa: S104 - for a moment
        port = other.getsockname()[1]
        async with SimulatorServer([], discovery_port=port) as server:
            assert server.port
            with pytest.raises(RuntimeError, match="does not answer discovery"):
                _ = server.discovery_port
    messages = [r.message for r in caplog.records if r.levelno == logging.WARNING]
    assert [message.partition(", port")[0] for message in messages] == [
        "cannot answer discovery at 127.0.0.1",
        "cannot answer discovery at 127.255.255.255",
    ]


async def test_discovery_is_off_by_default() -> None:
    async with SimulatorServer([]) as server:
        with pytest.raises(RuntimeError, match="does not answer discovery"):
            _ = server.discovery_port


async def test_discovery_stops_with_the_server_and_can_be_started_again() -> None:
    server = SimulatorServer([], discovery_port=0)
    async with server:
        port = server.discovery_port
    assert await ask(b"alpacadiscovery1", "127.0.0.1", port) is None
    async with server:
        assert await ask(b"alpacadiscovery1", "127.0.0.1", server.discovery_port)


def test_an_interface_without_multicast_is_logged_and_skipped(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "alpaca_async")
    monkeypatch.setattr(socket, "if_nameindex", lambda: [(2**20, "gone")])
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as listening:
        _responder._join_multicast_group(listening)
    assert "cannot join the multicast group on gone" in caplog.text

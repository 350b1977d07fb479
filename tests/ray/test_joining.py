"""Why a program cannot join a Ray cluster, said in time."""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from alpaca_async.ray import _cluster, _joining
from alpaca_async.ray._joining import joined

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


def sleep_long(_: str) -> None:
    time.sleep(0.5)


@asynccontextmanager
async def listening() -> AsyncGenerator[tuple[str, int]]:
    """A server that closes every connection."""
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()


@pytest.fixture
def port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as place:
        return int(place.getsockname()[1])


async def test_a_port_without_a_cluster_is_refused_at_once(port: int) -> None:
    with pytest.raises(ConnectionError) as caught:
        async with joined("127.0.0.1", port):
            pass
    reason = f"no Ray cluster answers at 127.0.0.1:{port}: connection refused"
    assert str(caught.value) == reason


async def test_what_listens_but_is_no_cluster_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_joining, "_JOIN_TIMEOUT", 0.05)
    monkeypatch.setattr(_cluster, "connect", sleep_long)
    async with listening() as address:
        with pytest.raises(ConnectionError, match="is not the head of a Ray cluster"):
            async with joined(*address):
                pass


async def test_what_ray_says_is_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: str) -> None:
        raise RuntimeError("Version mismatch: 2.60 and 2.61\nand a long text")

    monkeypatch.setattr(_cluster, "connect", fail)
    async with listening() as address:
        with pytest.raises(ConnectionError) as caught:
            async with joined(*address):
                pass
    assert str(caught.value) == "Ray: RuntimeError: Version mismatch: 2.60 and 2.61"


async def test_the_program_is_connected_during_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(_cluster, "connect", said.append)
    monkeypatch.setattr(_cluster, "disconnect", lambda: said.append("disconnected"))
    async with listening() as (host, port), joined(host, port):
        said.append("joined")
    assert said == [f"{host}:{port}", "joined", "disconnected"]

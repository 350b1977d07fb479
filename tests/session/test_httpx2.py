"""A client of httpx2, the successor of httpx, is lent like one of httpx."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Final

import httpx
import pytest

from alpaca_async import AlpacaClient, AlpacaError, TransportError, TransportTimeout
from alpaca_async.testing import SimulatedCamera, SimulatorServer
from tests.scripted import ScriptedServer, value

from .test_foreign_errors import errors_of, make

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

httpx2 = pytest.importorskip("httpx2")

ALIAS: Final = """
import asyncio, sys
import httpx2
sys.modules["httpx"] = httpx2
from alpaca_async import AlpacaClient
from alpaca_async.testing import SimulatedCamera, SimulatorServer

async def main():
    camera = SimulatedCamera(width=64, height=48, initially_connected=True, readout_time=0.0)
    async with SimulatorServer([camera]) as server:
        http = httpx2.AsyncClient()
        async with http, AlpacaClient(http=http) as lent, AlpacaClient() as own:
            for client in (lent, own):
                print((await client.camera(server.address).expose(0.01)).data.shape)

asyncio.run(main())
"""


class Failing(httpx2.AsyncBaseTransport):  # type: ignore[name-defined,misc]
    """Raises an error, or sends a body that ends with it."""

    def __init__(self, error: Exception, data: bytes | None = None) -> None:
        self._error = error
        self._data = data

    async def handle_async_request(self, _: object) -> object:
        if self._data is None:
            raise self._error
        return httpx2.Response(200, stream=FailingBody(self._data, self._error))


class FailingBody(httpx2.AsyncByteStream):  # type: ignore[name-defined,misc]
    def __init__(self, data: bytes, error: Exception) -> None:
        self._data = data
        self._error = error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._data
        raise self._error


async def test_a_camera_exposes_over_a_client_of_httpx2() -> None:
    simulated = SimulatedCamera(width=64, height=48, readout_time=0.0)
    async with SimulatorServer([simulated]) as server, httpx2.AsyncClient() as http:
        async with AlpacaClient(http=http) as client:
            camera = client.camera(server.address)
            await camera.connect()
            assert await camera.get_name() == simulated.name
            assert (await camera.expose(0.01)).data.shape == (48, 64)
        assert not http.is_closed


async def test_headers_and_hooks_of_the_client_are_used() -> None:
    seen: list[object] = []

    async def hook(request: object) -> None:
        seen.append(request)

    async with ScriptedServer({"gain": value(7)}) as server:
        hooks = {"request": [hook]}
        async with httpx2.AsyncClient(headers={"X-Site": "dome"}, event_hooks=hooks) as http:
            camera = AlpacaClient(http=http).camera(server.address)
            assert await camera.get_gain() == 7
            await camera.set_gain(8)
    assert [request.headers["x-site"] for request in server.requests] == ["dome", "dome"]
    assert len(seen) == 2


@pytest.mark.parametrize("data", [None, b"[", b'{"Value": '])
async def test_errors_become_those_that_httpx_would_cause(data: bytes | None) -> None:
    for kind in errors_of(httpx2):
        if issubclass(kind, httpx2.HTTPStatusError):
            continue
        error = make(kind)
        async with httpx2.AsyncClient(transport=Failing(error, data)) as http:
            with pytest.raises(AlpacaError) as caught:
                await AlpacaClient(http=http).camera("pi").get_gain()
        causes = list(chain(caught.value))
        assert error in causes
        if issubclass(kind, httpx2.TransportError):
            assert type(causes[1]) is getattr(httpx, kind.__name__, httpx.TransportError)
        timeout = issubclass(kind, httpx2.TimeoutException)
        assert isinstance(caught.value, TransportTimeout) or not timeout


def chain(error: BaseException | None) -> list[BaseException]:
    return [] if error is None else [error, *chain(error.__cause__)]


@pytest.mark.parametrize(
    ("name", "unknown"), [("ReadError", True), ("ConnectError", False), ("PoolTimeout", False)]
)
async def test_the_outcome_of_a_command_is_known_if_nothing_was_sent(
    name: str, unknown: bool
) -> None:
    error = getattr(httpx2, name)("x")
    async with httpx2.AsyncClient(transport=Failing(error)) as http:
        with pytest.raises(TransportError) as caught:
            await AlpacaClient(http=http).camera("pi").set_gain(5)
    assert caught.value.outcome_unknown is unknown


async def test_nobody_listening_is_a_transport_error(unused_tcp_port: int) -> None:
    async with httpx2.AsyncClient() as http:
        with pytest.raises(TransportError) as caught:
            await AlpacaClient(http=http).camera(f"127.0.0.1:{unused_tcp_port}").get_gain()
    assert not caught.value.outcome_unknown


async def test_a_closed_client_is_a_transport_error() -> None:
    http = httpx2.AsyncClient()
    await http.aclose()
    with pytest.raises(TransportError, match="closed"):
        await AlpacaClient(http=http).camera("127.0.0.1:1").get_gain()


def test_httpx2_can_stand_in_for_httpx() -> None:
    found = subprocess.run(  # noqa: S603 - a program of ours
        [sys.executable, "-c", ALIAS], capture_output=True, text=True, check=False
    )
    assert found.stdout.split() == ["(48,", "64)"] * 2, found.stderr

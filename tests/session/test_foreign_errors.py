"""Every exception of the underlying libraries becomes an `AlpacaError`."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from itertools import product
from typing import TYPE_CHECKING, Any
from unittest.mock import AsyncMock

import anyio
import h11
import httpcore
import httpx
import pytest

from alpaca_async import AlpacaClient, AlpacaError, AsyncCamera, TransportError, TransportTimeout
from alpaca_async._session.sending import DirectSender
from tests.scripted import Request, ScriptedServer, imagebytes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from types import ModuleType

    Call = Callable[[AsyncCamera], Awaitable[Any]]

LIBRARIES = (httpx, httpcore, h11, anyio, ssl, socket, asyncio)
NOT_RAISED = (h11.ProtocolError, StopAsyncIteration)
"""A base class that is not raised itself, and the end of a stream, which is not an error."""

REQUEST = httpx.Request("GET", "http://pi:11111/")


def errors_of(library: ModuleType) -> list[type[Exception]]:
    """Return the exception classes that a library exports and raises."""
    found = {each for each in vars(library).values() if isinstance(each, type)}
    errors = [each for each in found if issubclass(each, Exception)]
    return sorted((each for each in errors if each not in NOT_RAISED), key=repr)


def make(kind: type[Exception]) -> Exception:
    """Return an error of `kind`, whatever arguments it needs."""
    if issubclass(kind, httpx.HTTPStatusError):
        return kind("injected", request=REQUEST, response=httpx.Response(500, request=REQUEST))
    for arguments in (("injected",), (), (b"inj", 9), ("injected", 9), (9,)):
        try:
            return kind(*arguments)
        except TypeError:
            continue
    raise AssertionError(f"{kind} needs other arguments")


by_library = pytest.mark.parametrize("library", LIBRARIES, ids=lambda each: each.__name__)


@by_library
def test_every_library_has_errors(library: ModuleType) -> None:
    assert len(errors_of(library)) >= 2
    assert all(isinstance(make(kind), kind) for kind in errors_of(library))


class Body(httpx.AsyncByteStream):
    """A body whose end, or whose closing, raises an error."""

    def __init__(self, data: bytes, *, ends: Exception | None, closes: Exception | None) -> None:
        self._data = data
        self._ends = ends
        self._closes = closes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._data
        if self._ends is not None:
            raise self._ends

    async def aclose(self) -> None:
        if self._closes is not None:
            raise self._closes


class Transport(httpx.AsyncBaseTransport):
    """A transport that returns a reply or raises an error."""

    def __init__(self, reply: httpx.Response | Exception) -> None:
        self._reply = reply

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if isinstance(self._reply, Exception):
            raise self._reply
        return self._reply


CALLS: dict[str, Call] = {
    "read": lambda camera: camera.get_gain(),
    "command": lambda camera: camera.set_gain(5),
    "image": lambda camera: camera.get_image_array(),
    "connect": lambda camera: camera.connect(timeout=1),
}
GAIN = json.dumps({"Value": 5}).encode()
PIXELS = imagebytes(bytes(12), 2, 3)
TEXT = json.dumps({"Type": 2, "Rank": 2, "Value": [[1, 2]]}).encode()
BODIES = [
    ("read", 200, "application/json", GAIN),
    ("command", 200, "application/json", GAIN),
    ("read", 500, "text/plain", b"Oops"),
    ("image", 200, "application/imagebytes", PIXELS),
    ("image", 200, "application/json", TEXT),
    ("image", 200, "", TEXT),
    ("image", 500, "text/plain", b"Oops"),
]


async def check(
    error: Exception, call: Call, reply: httpx.Response | Exception, *, early: bool
) -> None:
    async with httpx.AsyncClient(transport=Transport(reply), trust_env=False) as http:
        with pytest.raises(AlpacaError) as caught:
            await call(AlpacaClient(http=http).camera("pi"))
    check_error(caught.value, error, early=early)


def check_error(found: AlpacaError, error: Exception, *, early: bool) -> None:
    assert found.server == "http://pi:11111"
    assert found.member.startswith("camera/0/")
    assert found.reason
    assert error in causes(found)
    timeout = isinstance(error, TimeoutError | httpx.TimeoutException)
    assert isinstance(found, TransportTimeout) or not (timeout and early)


def causes(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None:
        found.append(error)
        error = error.__cause__
    return found


@by_library
async def test_no_error_of_a_callers_transport_escapes(library: ModuleType) -> None:
    for kind, call in product(errors_of(library), CALLS.values()):
        error = make(kind)
        await check(error, call, error, early=True)


@by_library
@pytest.mark.parametrize("closing", [False, True], ids=["read", "closed"])
async def test_no_error_of_a_callers_body_escapes(library: ModuleType, closing: bool) -> None:
    for kind, (name, status, content_type, data) in product(errors_of(library), BODIES):
        error = make(kind)
        body = Body(data, ends=None if closing else error, closes=error if closing else None)
        headers = {"Content-Type": content_type} if content_type else {}
        reply = httpx.Response(status, headers=headers, stream=body)
        await check(error, CALLS[name], reply, early=not closing)


@by_library
async def test_no_error_of_connecting_escapes(
    library: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind, call in product(errors_of(library), CALLS.values()):
        error = make(kind)
        fail = AsyncMock(side_effect=error)
        monkeypatch.setattr("alpaca_async._http.transport.connect", fail)
        async with AlpacaClient() as client:
            with pytest.raises(TransportError) as caught:
                await call(client.camera("pi"))
        check_error(caught.value, error, early=False)
        assert not caught.value.outcome_unknown


@by_library
async def test_no_error_of_a_broken_connection_escapes(library: ModuleType) -> None:
    async def break_off(_: Request) -> bytes:
        assert isinstance(client._sender, DirectSender)
        (pool,) = client._sender._transport._by_loop.get()._pools.values()
        for connection in tuple(pool._connections):
            connection._transport.abort()
            connection.connection_lost(error)
        return b""

    replies = dict.fromkeys(("gain", "imagearray", "connected"), break_off)
    async with ScriptedServer({**replies}) as server, AlpacaClient() as client:
        for kind, call in product(errors_of(library), CALLS.values()):
            error = make(kind)
            with pytest.raises(TransportError) as caught:
                await call(client.camera(server.address))
            assert error in causes(caught.value)
            assert caught.value.outcome_unknown == (call is CALLS["command"])


@pytest.mark.parametrize("address", ["xn--a", "a..b", "a" * 70, "_", "pi."])
@pytest.mark.parametrize("injected", [False, True])
async def test_an_invalid_host_name_is_a_transport_error(
    address: str, injected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def find_nothing(host: str | bytes, *_: object, **__: object) -> None:
        if isinstance(host, str):
            host.encode("idna")  # as the resolver does
        raise socket.gaierror(socket.EAI_NONAME, "name not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", find_nothing)
    async with httpx.AsyncClient(trust_env=False, verify=False) as http:  # noqa: S501 - no TLS
        async with AlpacaClient(http=http if injected else None) as client:
            for call in CALLS.values():
                with pytest.raises(TransportError) as caught:
                    await call(client.camera(address))
                assert not caught.value.outcome_unknown

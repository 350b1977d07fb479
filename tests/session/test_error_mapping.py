"""Errors are freed with their last reference: no reference cycle keeps them alive."""

from __future__ import annotations

import asyncio
import gc
import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from alpaca_async import (
    AlpacaClient,
    AlpacaError,
    DriverException,
    IncompleteImage,
    MalformedResponse,
    RequestRejected,
    Timeouts,
    TransportError,
    TransportTimeout,
)
from tests.scripted import Request, ScriptedServer, ascom_error, http, imagebytes
from tests.virtual_time import in_virtual_time

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Generator

IMAGEBYTES = "application/imagebytes"
IMAGE = imagebytes(bytes(200), 10, 10)
QUICK = Timeouts(establish=0.5, reply=0.2, stall=0.2, first_byte=0.2)

REPLIES: dict[type[AlpacaError], bytes] = {
    DriverException: ascom_error(0x500, "no"),
    RequestRejected: http(b"gone", "text/plain", status="404 Not Found"),
    MalformedResponse: http(b"{", "application/json"),
    TransportError: b"",
}


@contextmanager
def no_collector() -> Generator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


async def errors_of(
    call: Callable[[], Awaitable[object]], kind: type[AlpacaError]
) -> list[weakref.ref[Any]]:
    """Return weak references to the error of a call and, if possible, to its cause and context."""
    try:
        await call()
    except kind as error:
        return weak_references(error, error.__cause__, error.__context__)
    raise AssertionError(f"no {kind}")


def weak_references(*errors: BaseException | None) -> list[weakref.ref[Any]]:
    return [weakref.ref(error) for error in errors if hasattr(error, "__weakref__")]


async def assert_freed(call: Callable[[], Awaitable[object]], kind: type[AlpacaError]) -> None:
    with no_collector():
        errors = await errors_of(call, kind)
        await asyncio.sleep(0.01)
        assert [error() for error in errors] == [None] * len(errors)


@pytest.mark.parametrize("injected", [False, True])
@pytest.mark.parametrize("kind", REPLIES)
@in_virtual_time
async def test_an_error_of_a_reply_is_freed_with_its_last_reference(
    kind: type[AlpacaError], injected: bool
) -> None:
    async with (
        httpx.AsyncClient() as own,
        ScriptedServer({"gain": REPLIES[kind]}) as server,
        AlpacaClient(http=own if injected else None, timeouts=QUICK) as client,
    ):
        await assert_freed(client.camera(server.address).get_gain, kind)


@pytest.mark.parametrize(
    "content",
    [(b'{"Type": 2, "Rank": 2, "Value": [[1, 2], [3', "application/json"), (IMAGE, IMAGEBYTES)],
    ids=["JSON", "ImageBytes"],
)
@pytest.mark.parametrize("ending", ["silence", "end"])
@in_virtual_time
async def test_an_error_of_an_image_is_freed_with_its_last_reference(
    content: tuple[bytes, str], ending: str
) -> None:
    body, kind = content

    async def broken(_: Request) -> AsyncIterator[bytes]:
        yield http(body, kind)[:-9]
        if ending == "end":
            raise ConnectionError
        await asyncio.sleep(30)

    async with (
        ScriptedServer({"imagearray": broken}) as server,
        AlpacaClient(timeouts=QUICK) as client,
    ):
        expected = IncompleteImage if ending == "end" else TransportTimeout
        await assert_freed(client.camera(server.address).get_image, expected)


@in_virtual_time
async def test_a_timeout_is_freed_with_its_last_reference() -> None:
    async def silence(_: Request) -> bytes:
        await asyncio.sleep(30)
        return b""

    async with (
        ScriptedServer({"gain": silence}) as server,
        AlpacaClient(timeouts=QUICK) as client,
    ):
        await assert_freed(client.camera(server.address).get_gain, TransportTimeout)

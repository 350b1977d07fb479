"""Stalled downloads: neither silence nor a trickle occupies a download slot for long."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING

import httpx
import numpy as np
import pytest

from alpaca_async import AlpacaClient, Timeouts, TransportTimeout
from alpaca_async._protocol.imagejson import ImageJsonParser
from alpaca_async._session.stall import MIN_BYTES_PER_SECOND, StallGuard
from tests.scripted import Request, ScriptedServer, http, imagebytes
from tests.virtual_time import in_virtual_time, now

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.scripted import Answer, Reply

STALL = 0.1
LIMITS = Timeouts(stall=STALL, first_byte=2 * STALL)
PIXELS = np.arange(2000, dtype="<u2").reshape(50, 40)
IMAGE = http(imagebytes(PIXELS.tobytes(), 50, 40), "application/imagebytes")
TEXT = http(json.dumps({"Type": 2, "Rank": 2, "Value": PIXELS.tolist()}).encode())
HEAD = IMAGE[: -PIXELS.nbytes]


def good(_: Request) -> bytes:
    return IMAGE


def drip(start: bytes, drops: bytes, step: int = 1) -> Callable[[Request], Answer]:
    """Return a reply whose `drops` arrive steadily, `step` bytes at a time."""

    async def pieces(_: Request) -> AsyncIterator[bytes]:
        yield start
        for place in range(0, len(drops), step):
            await asyncio.sleep(STALL / 10)
            yield drops[place : place + step]

    return pieces


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: "
BINARY = CHUNKED + b"application/imagebytes\r\n\r\n"


@pytest.mark.parametrize("injected", [False, True])
@pytest.mark.parametrize(
    "reply",
    [
        drip(HEAD, IMAGE[len(HEAD) :]),
        drip(TEXT[:200], TEXT[200:]),
        drip(b"HTTP/1.1 200 OK\r\n", b"X-Nothing: of interest\r\n" * 99),
        drip(BINARY, b"1;" + b"x" * 999),
        drip(BINARY + b"2c\r\n", HEAD[-44:]),
    ],
    ids=["pixels", "text", "head", "chunk", "image header"],
)
@in_virtual_time
async def test_a_trickle_times_out_and_frees_its_slot(
    reply: Callable[[Request], Answer], injected: bool
) -> None:
    replies = iter([reply, good])

    def answer(request: Request) -> Answer:
        return next(replies)(request)

    async with httpx.AsyncClient() as own, ScriptedServer({"imagearray": answer}) as server:
        async with AlpacaClient(
            http=own if injected else None, timeouts=LIMITS, max_downloads=1
        ) as client:
            camera = client.camera(server.address)
            with pytest.raises(
                TransportTimeout, match=r"imagearray: (the image came more|no byte)"
            ):
                await camera.get_image_array()
            assert now() < 10 * STALL
            np.testing.assert_array_equal(await camera.get_image_array(), PIXELS)


@pytest.mark.parametrize(
    "reply",
    [drip(HEAD, IMAGE[len(HEAD) :], 400), drip(TEXT[:99], TEXT[99:], 1000)],
    ids=["pixels", "text"],
)
@in_virtual_time
async def test_slow_but_steady_is_fast_enough(reply: Reply) -> None:
    async with ScriptedServer({"imagearray": reply}) as server:
        async with AlpacaClient(timeouts=LIMITS) as client:
            array = await client.camera(server.address).get_image_array()
    np.testing.assert_array_equal(array, PIXELS)


# The first byte


def late(reply: bytes, at: int) -> Callable[[Request], Answer]:
    """Return a reply that pauses for longer than a stall before its byte `at`."""

    async def pieces(_: Request) -> AsyncIterator[bytes]:
        yield reply[:at]
        await asyncio.sleep(3 * STALL)
        yield reply[at:]

    return pieces


@pytest.mark.parametrize("injected", [False, True])
@pytest.mark.parametrize("image", [IMAGE, TEXT], ids=["binary", "text"])
@pytest.mark.parametrize("with_head", [False, True])
@in_virtual_time
async def test_the_first_byte_may_take_longer_than_a_silence_afterwards(
    image: bytes, with_head: bool, injected: bool
) -> None:
    reply = late(image, image.index(b"\r\n\r\n") + 4 if with_head else 0)
    async with httpx.AsyncClient() as own, ScriptedServer({"imagearray": reply}) as server:
        http = own if injected else None
        async with AlpacaClient(http=http, timeouts=Timeouts(stall=STALL)) as client:
            found = await client.camera(server.address).get_image_array()
    np.testing.assert_array_equal(found, PIXELS)


@pytest.mark.parametrize("injected", [False, True])
@pytest.mark.parametrize(
    ("at", "setting"), [(0, "0.15 s (Timeouts.first_byte)"), (-9, "0.1 s (Timeouts.stall)")]
)
@in_virtual_time
async def test_the_error_names_the_setting(at: int, setting: str, injected: bool) -> None:
    limits = Timeouts(stall=STALL, first_byte=1.5 * STALL)
    reply = late(IMAGE, at)
    async with httpx.AsyncClient() as own, ScriptedServer({"imagearray": reply}) as server:
        async with AlpacaClient(http=own if injected else None, timeouts=limits) as client:
            with pytest.raises(TransportTimeout) as caught:
                await client.camera(server.address).get_image_array()
    assert setting in str(caught.value)


def test_the_limit_of_the_first_byte_follows_that_of_a_stall() -> None:
    assert Timeouts().first_byte_limit == 100
    assert Timeouts(stall=3).first_byte_limit == 30
    assert Timeouts(stall=3, first_byte=5).first_byte_limit == 5


async def watch(received: Callable[[], int], *, paused: bool = False) -> None:
    async with StallGuard(0.01, 0.01, received) as stall:
        stall.paused = paused
        stall.begin()
        await asyncio.sleep(0.06)


@in_virtual_time
async def test_a_paused_guard_does_not_time_out() -> None:
    await watch(lambda: 0, paused=True)
    with pytest.raises(TransportTimeout):
        await watch(lambda: 0)


async def test_a_slow_last_parsing_step_does_not_time_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    close = ImageJsonParser.close

    def slow_close(self: ImageJsonParser) -> object:
        time.sleep(1.0)
        return close(self)

    monkeypatch.setattr(ImageJsonParser, "close", slow_close)
    async with ScriptedServer({"imagearray": TEXT}) as server:
        async with AlpacaClient(timeouts=Timeouts(stall=0.4)) as client:
            found = await client.camera(server.address).get_image_array()
    np.testing.assert_array_equal(found, PIXELS)


@in_virtual_time
async def test_the_minimum_rate_is_enforced() -> None:
    loop = asyncio.get_running_loop()
    begun = loop.time()
    await watch(lambda: int((loop.time() - begun) * MIN_BYTES_PER_SECOND * 1.5) + 1)
    with pytest.raises(TransportTimeout):
        await watch(lambda: int((loop.time() - begun) * MIN_BYTES_PER_SECOND / 2))


@in_virtual_time
async def test_nothing_is_checked_before_the_request_is_sent() -> None:
    async with StallGuard(0.001, 0.001, lambda: 0):
        await asyncio.sleep(0.02)


async def test_a_cancellation_is_not_turned_into_a_timeout() -> None:
    task = asyncio.create_task(watch(lambda: 0, paused=True))
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

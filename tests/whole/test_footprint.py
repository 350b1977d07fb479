"""Measures memory and event loop blocking of one image."""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import threading
import time
import tracemalloc
import weakref
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest

from alpaca_async import AlpacaClient
from tests.scripted import http, imagebytes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Generator

    from alpaca_async import AsyncCamera

WIDTH, HEIGHT = 3000, 2000
FRAME = WIDTH * HEIGHT * 2
MIB = 2**20
PIXELS = np.random.default_rng(1).integers(0, 65535, (WIDTH, HEIGHT), "<u2")


@contextmanager
def sending(reply: bytes) -> Generator[str]:
    """Answer every request with `reply`, in a thread, so that only the client is measured."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer, args=(listener, reply), daemon=True)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def answer(listener: socket.socket, reply: bytes) -> None:
    with suppress(OSError):
        while True:
            connection, _ = listener.accept()
            with connection:
                while connection.recv(65536).endswith(b"\r\n\r\n"):
                    connection.sendall(reply)


async def columns(camera: AsyncCamera) -> np.ndarray[Any, Any]:
    return await camera.get_image_array()


async def rows(camera: AsyncCamera) -> np.ndarray[Any, Any]:
    return (await camera.get_image()).array


async def view(camera: AsyncCamera) -> np.ndarray[Any, Any]:
    return (await camera.get_image(contiguous=False)).array


@pytest.fixture(params=["bytes", "json"])
async def remote(request: pytest.FixtureRequest) -> AsyncIterator[AsyncCamera]:
    if request.param == "bytes":
        reply = http(imagebytes(PIXELS.tobytes(), WIDTH, HEIGHT), "application/imagebytes")
    else:
        reply = http(json.dumps({"Type": 2, "Rank": 2, "Value": PIXELS.tolist()}).encode())
    with sending(reply) as address:
        async with AlpacaClient() as client:
            yield client.camera(address)


@pytest.mark.parametrize("download", [columns, rows, view])
@pytest.mark.parametrize("remote", ["bytes"], indirect=True)
async def test_a_frame_is_in_memory_once(
    remote: AsyncCamera, download: Callable[[AsyncCamera], Awaitable[Any]]
) -> None:
    await download(remote)
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        array = await download(remote)
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    np.testing.assert_array_equal(array, PIXELS)
    assert FRAME <= peak <= FRAME + 4 * MIB


@pytest.mark.parametrize(
    ("remote", "download"),
    [("bytes", columns), ("bytes", rows), ("json", rows)],
    indirect=["remote"],
)
async def test_pixel_work_does_not_block_the_event_loop(
    remote: AsyncCamera, download: Callable[[AsyncCamera], Awaitable[Any]]
) -> None:
    """Measured in CPU time of the loop's thread, which other processes do not change."""
    steps: list[float] = []

    async def watch() -> None:
        last = time.thread_time()
        while True:
            await asyncio.sleep(0)
            now = time.thread_time()
            steps.append(now - last)
            last = now

    await download(remote)
    watcher = asyncio.create_task(watch())
    array = await download(remote)
    watcher.cancel()
    np.testing.assert_array_equal(array, PIXELS)
    assert len(steps) > 5
    assert max(steps) <= 0.020


@pytest.mark.parametrize("download", [columns, rows])
@pytest.mark.parametrize("remote", ["bytes"], indirect=True)
async def test_a_frame_is_freed_with_its_last_reference(
    remote: AsyncCamera, download: Callable[[AsyncCamera], Awaitable[Any]]
) -> None:
    array: np.ndarray[Any, Any] = await download(remote)
    while isinstance(array.base, np.ndarray):
        array = cast("np.ndarray[Any, Any]", array.base)
    gc.disable()
    try:
        alive = weakref.ref(array)
        del array
        await asyncio.sleep(0)
        assert alive() is None
    finally:
        gc.enable()

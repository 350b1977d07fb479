"""The cost of watching many cameras: `python -m benchmarks.watching [CAMERAS] [SECONDS]`."""

from __future__ import annotations

import asyncio
import multiprocessing
import sys
import time
from typing import TYPE_CHECKING

from alpaca_async import AlpacaClient
from alpaca_async.testing import SimulatedCamera, SimulatorServer, run_in_thread

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

_MAX_SECONDS = 60.0


def serve(count: int, pipe: Connection) -> None:
    """Serve `count` cameras until the other process sends something."""
    cameras = [SimulatedCamera(width=32, height=24, initially_connected=True) for _ in range(count)]
    with run_in_thread(SimulatorServer(cameras)) as server:
        pipe.send(server.address)
        pipe.recv()


async def watch_all(address: str, count: int, seconds: float) -> tuple[int, float]:
    """Return the number of statuses received, and the processor time per second."""
    seen = 0

    async def listen(client: AlpacaClient, number: int) -> None:
        nonlocal seen
        async with client.camera(address, number).watch() as statuses:
            async for _ in statuses:
                seen += 1

    async with AlpacaClient() as client:
        tasks = [asyncio.create_task(listen(client, number)) for number in range(count)]
        await asyncio.sleep(1.5)
        seen, begun, used = 0, time.perf_counter(), time.process_time()
        await asyncio.sleep(seconds)
        share = (time.process_time() - used) / (time.perf_counter() - begun)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return seen, share


def main(count: int = 100, seconds: float = 5.0) -> None:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    server = context.Process(target=serve, args=(count, there))
    server.start()
    try:
        address = here.recv()
        seen, share = asyncio.run(watch_all(address, count, min(seconds, _MAX_SECONDS)))
    finally:
        here.send(None)
        server.join()
    print(f"{count} cameras, {seen / seconds:.0f} statuses a second: {share:.1%} of a core")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))

"""Connects a program that only watches to a Ray cluster, and says in time why it cannot."""

from __future__ import annotations

import asyncio
import os
import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from . import _cluster

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

_CONNECT_TIMEOUT: Final = 5.0
_JOIN_TIMEOUT: Final = 20.0


@asynccontextmanager
async def joined(host: str, port: int) -> AsyncGenerator[None]:
    """Be connected to the Ray cluster whose head is at `host` and `port`, for the block.

    Raises:
        ConnectionError: nothing answers there, or it is not a cluster that this program can join.
        ModuleNotFoundError: Ray is not installed.
    """
    address = f"{host}:{port}"
    await _check_reachable(host, port)
    try:
        async with asyncio.timeout(_JOIN_TIMEOUT):
            await _connect(address)
    except TimeoutError:
        raise ConnectionError(
            f"{address} is not the head of a Ray cluster: no answer within {_JOIN_TIMEOUT:g} s"
        ) from None
    try:
        yield
    finally:
        _cluster.disconnect()


async def _check_reachable(host: str, port: int) -> None:
    """Connect and disconnect: Ray itself tries for more than a minute."""
    try:
        async with asyncio.timeout(_CONNECT_TIMEOUT):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        raise _no_cluster(host, port, f"no answer within {_CONNECT_TIMEOUT:g} s") from None
    except OSError as error:
        raise _no_cluster(host, port, _reason(error)) from None
    writer.transport.abort()


def _reason(error: OSError) -> str:
    """Return what happened; asyncio replaces the usual text, and resolvers use other numbers."""
    number = error.errno or 0
    return (os.strerror(number) if number > 0 else error.strerror or str(error)).lower()


def _no_cluster(host: str, port: int, reason: str) -> ConnectionError:
    return ConnectionError(f"no Ray cluster answers at {host}:{port}: {reason}")


async def _connect(address: str) -> None:
    """Connect in a thread that does not outlive the program: Ray cannot be interrupted."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def connect() -> None:
        error: Exception | None = None
        try:
            _cluster.connect(address)
        except Exception as failure:  # noqa: BLE001 - passed on
            error = failure
        if not loop.is_closed():
            loop.call_soon_threadsafe(_settle, done, error)

    threading.Thread(target=connect, name="connects to Ray", daemon=True).start()
    await done


def _settle(done: asyncio.Future[None], error: Exception | None) -> None:
    if done.done():
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(ConnectionError(f"Ray: {_cluster.first_line(error)}"))

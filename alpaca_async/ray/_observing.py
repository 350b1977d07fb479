"""Watches the cameras of other programs in the Ray cluster; changes nothing there."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from anyio import to_thread

from alpaca_async._errors import HostLost
from alpaca_async._group.statuses import latest
from alpaca_async._protocol.values import check_duration
from alpaca_async._stream import Stream
from alpaca_async._tasks import cancel

from . import _cluster
from ._outcome import HostStatus, failed_status
from ._placement import cameras_in

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from alpaca_async._errors import AlpacaError
    from alpaca_async._group.member import CameraAddress
    from alpaca_async._group.statuses import Post

_SEARCH_INTERVAL: Final = 2.0
"""Seconds between two searches for hosts that have started or ended."""
_SILENCE: Final = 10.0
"""Seconds beyond the interval after which a host without news does not answer."""


def watch_hosts(interval: float = 1.0) -> Stream[HostStatus]:
    """Yield the status of each camera of all `CameraHosts` that run in the Ray cluster.

    For a program beside those that expose, on any node; Ray must be connected (`ray.init`). It
    starts no process, sends no command to a camera, and opens no connection to one: the hosts read
    their cameras every `interval` seconds while somebody watches.

    First yields each camera without a status, so that all are known. While a host is lost, and
    when its program has ended, its cameras yield `HostLost`. The cameras of a program that starts
    later follow. A slow listener gets only the latest of each camera. Use the stream with
    `async with`.

    Raises:
        HostLost: there are no `CameraHosts` in the cluster when the stream starts, or the cluster
            is gone.
    """
    if check_duration("interval", interval) == 0:
        raise ValueError("interval must be positive")
    return Stream(_watch(interval))


async def _watch(interval: float) -> AsyncGenerator[HostStatus]:
    if not await _hosts():
        raise _host_lost("no CameraHosts run in this Ray cluster")
    async with aclosing(latest([partial(_observe_all, interval)])) as statuses:
        async for status in statuses:
            yield status


async def _hosts() -> dict[str, list[CameraAddress]]:
    """Return the cameras of each host, by the name of its actor."""
    try:
        names = await to_thread.run_sync(_cluster.actor_names, abandon_on_cancel=True)
    except Exception as error:
        if not _cluster.is_ray_error(error):
            raise
        raise _host_lost(f"Ray does not answer: {_cluster.first_line(error)}") from error
    return {name: cameras for name in sorted(names) if (cameras := cameras_in(name))}


async def _observe_all(interval: float, post: Post[HostStatus]) -> None:
    """Observe each host until its program ends."""
    tasks: dict[str, asyncio.Task[None]] = {}
    try:
        while True:
            hosts = await _hosts()
            for name in tasks.keys() - hosts:
                await cancel(tasks.pop(name))
                _post_error(cameras_in(name), _host_lost("the program of the host has ended"), post)
            for name in hosts.keys() - tasks:
                for camera in hosts[name]:
                    post(HostStatus(camera.address, camera.device_number))
                observation = _observe(name, hosts[name], interval, post)
                tasks[name] = asyncio.create_task(observation)
            await asyncio.sleep(_SEARCH_INTERVAL)
    finally:
        await cancel(*tasks.values())


async def _observe(
    name: str, cameras: list[CameraAddress], interval: float, post: Post[HostStatus]
) -> None:
    """Post the statuses of one host's cameras; while it is lost, that error."""
    while True:
        try:
            async with aclosing(_statuses(name, interval)) as statuses:
                async for status in statuses:
                    post(status)
        except Exception as error:  # noqa: BLE001 - whatever it is, the next try may succeed
            _post_error(cameras, _error_of(error), post)
            await asyncio.sleep(interval)


async def _statuses(name: str, interval: float) -> AsyncGenerator[HostStatus]:
    """Yield what a host reports, until it ends that; `TimeoutError` if it is silent."""
    actor = await to_thread.run_sync(_cluster.actor_named, name, abandon_on_cancel=True)
    call = _cluster.method(actor, "observe")(interval)
    try:
        while True:
            async with asyncio.timeout(interval + _SILENCE):
                status = await _next_value(call)
            if status is None:
                return
            yield status
    finally:
        _cluster.cancel(call)


async def _next_value(call: Any) -> HostStatus | None:  # noqa: ANN401 - Ray's generator
    """Return the next value of a call that yields values; None at its end."""
    try:
        return await _cluster.future_of(await anext(call))  # type: ignore[no-any-return]
    except StopAsyncIteration:
        return None


def _error_of(error: Exception) -> HostLost:
    cause = _cluster.cause_of(error)
    if isinstance(cause, HostLost):
        return _host_lost(cause.reason)
    if isinstance(cause, TimeoutError):
        return _host_lost("the host does not answer")
    return _host_lost(f"the host is lost: {_cluster.first_line(cause)}")


def _host_lost(reason: str) -> HostLost:
    """Return an error of a program that sends no commands: all outcomes are known."""
    error = HostLost(reason)
    error.outcome_unknown = False
    return error


def _post_error(cameras: list[CameraAddress], error: AlpacaError, post: Post[HostStatus]) -> None:
    for camera in cameras:
        post(failed_status(camera, error))

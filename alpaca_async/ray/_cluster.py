"""All uses of Ray: actors, calls, errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from alpaca_async._optional import load

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from ._placement import CameraHost

Actor: TypeAlias = Any
"""A handle of a Ray actor."""
ObjectRef: TypeAlias = Any
"""A reference to an object in Ray's object store."""

_RESOURCE_SHARE: Final = 0.001
_CONCURRENT_CALLS: Final = 10_000
"""Calls that an actor runs at the same time: each camera has one that waits for its image."""


def ray() -> Any:  # noqa: ANN401 - Ray has no complete types
    """Return Ray, connected to a cluster; `RuntimeError` if it is not."""
    module = load("ray", extra="ray")
    if not module.is_initialized():
        raise RuntimeError("Ray is not connected: call ray.init() first")
    return module


def node_count() -> int:
    """Return the number of nodes that are alive; blocks for one request."""
    return sum(bool(node["Alive"]) for node in ray().nodes())


def start_actor(worker: type, host: CameraHost, *arguments: object) -> Actor:
    """Start an actor on a node that `host` allows; blocks while the class is sent.

    Ray restarts it whenever it dies, but never repeats a call: a call may start an exposure.
    """
    options: dict[str, Any] = {"scheduling_strategy": "SPREAD"}
    if host.resource is not None:
        options = {"resources": {host.resource: _RESOURCE_SHARE}}
    if host.labels:
        options = {**options, "label_selector": dict(host.labels)}
        options.pop("scheduling_strategy", None)
    actor_class = ray().remote(
        num_cpus=0,
        max_restarts=-1,
        max_task_retries=0,
        max_concurrency=_CONCURRENT_CALLS,
        **options,
    )(worker)
    return actor_class.remote(*arguments)


def kill(actor: Actor, *, restart: bool) -> None:
    """Kill the process of an actor; blocks for one request."""
    ray().kill(actor, no_restart=not restart)


def cancel(call: ObjectRef) -> None:
    """Cancel a call that yields results."""
    ray().cancel(call)


def future_of(reference: ObjectRef) -> asyncio.Future[Any]:
    """Return a future of the value; it raises what the call has raised, or a `RayError`."""
    return reference.as_future()  # type: ignore[no-any-return]


def is_ray_error(error: BaseException) -> bool:
    """Whether Ray, not the called method, has failed: the process, its node, or an object."""
    errors = load("ray.exceptions", extra="ray")
    return isinstance(error, errors.RayError) and not isinstance(error, errors.RayTaskError)


def cause_of(error: BaseException) -> BaseException:
    """Return the exception of the called method, which Ray wraps; other errors as they are."""
    return getattr(error, "cause", error)


def first_line(error: BaseException) -> str:
    """Return what happened without the hints that Ray appends."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


Method: TypeAlias = "Callable[..., ObjectRef]"


def method(actor: Actor, name: str, results: int = 1) -> Method:
    """Return the function that calls a method of an actor, and returns its references."""
    bound = getattr(actor, name)
    return bound.remote if results == 1 else bound.options(num_returns=results).remote  # type: ignore[no-any-return]

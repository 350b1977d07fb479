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

_NAMESPACE: Final = "alpaca_async"
"""The namespace of Ray in which other programs find the actors."""
_RESOURCE_SHARE: Final = 0.001
_CONCURRENT_CALLS: Final = 10_000
"""Calls that an actor runs at the same time: each camera has one that waits for its image."""


def connect(address: str) -> None:
    """Connect to the cluster whose head is at `address`; blocks for more than a minute if none is.

    Starts nothing, and prints no logs of other processes.
    """
    module = load("ray", extra="ray")
    module.init(address=address, log_to_driver=False, logging_level="ERROR")


def disconnect() -> None:
    """Disconnect from the cluster; blocks for some tenths of a second."""
    load("ray", extra="ray").shutdown()


def ray() -> Any:  # noqa: ANN401 - Ray has no complete types
    """Return Ray, connected to a cluster; `RuntimeError` if it is not."""
    module = load("ray", extra="ray")
    if not module.is_initialized():
        raise RuntimeError("Ray is not connected: call ray.init() first")
    return module


def node_count() -> int:
    """Return the number of nodes that are alive; blocks for one request."""
    return sum(bool(node["Alive"]) for node in ray().nodes())


def start_actor(worker: type, host: CameraHost, name: str, *arguments: object) -> Actor:
    """Start an actor on a node that `host` allows; blocks while the class is sent.

    Other programs find it by its `name`. Ray restarts it whenever it dies, but never repeats a
    call: a call may start an exposure.
    """
    options: dict[str, Any] = {"scheduling_strategy": "SPREAD"}
    if host.resource is not None:
        options = {"resources": {host.resource: _RESOURCE_SHARE}}
    if host.labels:
        options = {**options, "label_selector": dict(host.labels)}
        options.pop("scheduling_strategy", None)
    actor_class = ray().remote(
        name=name,
        namespace=_NAMESPACE,
        num_cpus=0,
        max_restarts=-1,
        max_task_retries=0,
        max_concurrency=_CONCURRENT_CALLS,
        **options,
    )(worker)
    return actor_class.remote(*arguments)


def actor_names() -> set[str]:
    """Return the names of the actors of all programs that have not ended; blocks for one request.

    An actor that is being restarted is among them.
    """
    ray()
    named = load("ray.util", extra="ray").list_named_actors(all_namespaces=True)
    return {each["name"] for each in named if each["namespace"] == _NAMESPACE}


def actor_named(name: str) -> Actor:
    """Return an actor, also one of another program; blocks for one request.

    Raises:
        ValueError: it has ended.
    """
    return ray().get_actor(name, namespace=_NAMESPACE)


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

"""The part of Ray's interface that the package uses, in this process: actors without a cluster.

Workers run in the event loop of the test, so that a plain run of the tests reaches all code of the
driver and of the workers. What only processes and nodes can show is in `test_hosts`.
"""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine

    import pytest


_END: Final = object()


class RayError(Exception):
    """An error of Ray itself."""


class ActorDiedError(RayError):
    """The process of an actor has died."""


class RayTaskError(RayError):
    """What a called method has raised, as its `cause`."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__(str(cause))
        self.cause = cause


class Reference:
    """A reference to the value of `future`."""

    def __init__(self, future: asyncio.Future[Any]) -> None:
        self._future = future

    def as_future(self) -> asyncio.Future[Any]:
        """Return a future whose cancellation does not cancel the call."""
        return asyncio.ensure_future(self._value())

    async def _value(self) -> Any:  # noqa: ANN401 - anything
        await asyncio.wait([self._future])
        return self._future.result()


class Results:
    """The results of a method that yields them; the last one may be an error."""

    def __init__(self, actor: Actor, generator: AsyncGenerator[Any]) -> None:
        self._actor = actor
        self._generator = generator

    async def __aiter__(self) -> AsyncIterator[Reference]:
        ended = False
        while not ended:
            value = self._actor.run(_next(self._generator))
            await asyncio.wait([value])
            ended = value.exception() is not None
            if ended or value.result() is not _END:
                yield Reference(value)
            else:
                return

    def cancel(self) -> None:
        """End the generator."""
        self._actor.run(self._generator.aclose())


class Method:
    """A method of an actor."""

    def __init__(self, actor: Actor, name: str, results: int = 1) -> None:
        self._actor = actor
        self._name = name
        self._results = results

    def options(self, *, num_returns: int) -> Method:
        """Return the method with a reference to each of its results."""
        return Method(self._actor, self._name, num_returns)

    def remote(self, *arguments: object) -> Any:  # noqa: ANN401 - one reference, or several
        """Call the method."""
        call = getattr(self._actor.process, self._name)(*arguments)
        if hasattr(call, "__anext__"):
            return Results(self._actor, call)
        value = self._actor.run(call)
        if self._results == 1:
            return Reference(value)
        return [Reference(self._actor.run(_part(value, n))) for n in range(self._results)]


class Actor:
    """A handle of an actor; `process` is an instance of its class."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.process = make()
        self.hangs = False
        """Whether calls have no results any more."""
        self.restarts = True
        self._make = make
        self._calls: set[asyncio.Task[Any]] = set()

    def __getattr__(self, name: str) -> Method:
        return Method(self, name)

    def run(self, call: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run a call, which ends with an error when the process dies."""
        if self.hangs:
            call.close()
            call = asyncio.Event().wait()
        work = asyncio.create_task(call)
        self._calls.add(work)
        work.add_done_callback(self._calls.discard)
        value = asyncio.create_task(_value_of(work))
        value.add_done_callback(_mark_as_retrieved)
        return value

    def die(self, *, restart: bool = True) -> None:
        """Let all calls fail, end what the process does, and start a new one."""
        self.hangs, self.restarts = False, restart
        for call in self._calls:
            call.cancel()
        self._ending = asyncio.create_task(self.process.close())
        if restart:
            self.process = self._make()


class InProcessRay(ModuleType):
    """A module in place of `ray`, connected to a cluster of two nodes."""

    def __init__(self) -> None:
        super().__init__("ray")
        self.actors: list[Actor] = []
        self.options: list[dict[str, object]] = []
        """Those of each actor."""
        self._loop = asyncio.get_running_loop()

    def is_initialized(self) -> bool:
        """Return True."""
        return True

    def nodes(self) -> list[dict[str, bool]]:
        """Return two nodes, and one that is lost."""
        return [{"Alive": True}, {"Alive": False}, {"Alive": True}]

    def remote(self, **options: object) -> Callable[[type], Any]:
        """Return a decorator that makes actors of a class; called in a thread."""
        self.options.append(options)
        return lambda worker: _ActorClass(self, worker)

    def kill(self, actor: Actor, *, no_restart: bool) -> None:
        """Kill the process of an actor; called in a thread."""
        self._loop.call_soon_threadsafe(partial(actor.die, restart=not no_restart))

    def cancel(self, call: Results) -> None:
        """Cancel a call that yields results."""
        call.cancel()


class _ActorClass:
    def __init__(self, ray: InProcessRay, worker: type) -> None:
        self._ray = ray
        self._worker = worker

    def remote(self, *arguments: object) -> Actor:
        """Start an actor."""
        actor = Actor(partial(self._worker, *arguments))
        self._ray.actors.append(actor)
        return actor


def install(monkeypatch: pytest.MonkeyPatch) -> InProcessRay:
    """Let the package use this instead of Ray."""
    ray = InProcessRay()
    errors = ModuleType("ray.exceptions")
    vars(errors).update(RayError=RayError, RayTaskError=RayTaskError)
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setitem(sys.modules, "ray.exceptions", errors)
    return ray


async def _value_of(work: asyncio.Task[Any]) -> Any:  # noqa: ANN401 - the method's
    await asyncio.wait([work])
    if work.cancelled():
        raise ActorDiedError("The actor died.\n\nSee the logs.")
    error = work.exception()
    if error is not None and not isinstance(error, RayError):
        raise RayTaskError(error)
    return work.result()


def _mark_as_retrieved(value: asyncio.Task[Any]) -> None:
    if not value.cancelled():
        value.exception()


async def _next(generator: AsyncGenerator[Any]) -> Any:  # noqa: ANN401 - anything
    return await anext(generator, _END)


async def _part(value: asyncio.Task[Any], number: int) -> Any:  # noqa: ANN401 - the method's
    await asyncio.wait([value])
    return value.result()[number]

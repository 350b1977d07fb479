"""A proxy that forwards requests to a server, and injects faults on demand."""

from __future__ import annotations

import asyncio
import logging
import random
import threading
import time
from collections import Counter, deque
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from ._camera_faults import CAMERA_FAULTS
from ._connections import ConnectionServer
from ._faults import FAULTS, Exchange, Upstream
from ._interfaces import MEMBERS
from ._message import NO_REQUEST, read_request
from ._rules import FaultEvent, FaultRule

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ._faults import Fault, Peer
    from ._message import Request

logger = logging.getLogger("alpaca_async.testing")

_MAX_EVENTS: Final = 10_000
_DEFAULT_MEMBERS: Final = {"image": "imagearray"}
_SIMILARITY_CUTOFF: Final = 0.9
"""High enough that no member of another device type is taken for a misspelt one of these."""
_LOOP_TIMEOUT: Final = 10.0
"""How long a call from another thread waits for the proxy's event loop, in seconds."""


class FaultProxy(ConnectionServer):
    """A proxy between Alpaca clients and the server at `target` that injects faults.

    It is an async context manager on the running loop; synchronous callers use `run_in_thread`.
    Clients connect to `address` instead of the server's. Port 0 chooses a free port. Without
    faults every byte is forwarded unchanged. `add`, `clear`, `count` and `events` can be used
    from any thread while it runs. The same `seed` and the same requests give the same faults: in
    every run, a rule makes the same decision for the n-th request that matches it.
    """

    def __init__(
        self, target: str, *, host: str = "127.0.0.1", port: int = 0, seed: int = 0
    ) -> None:
        super().__init__(host, port)
        self._target = _parse_target(target)
        self._seed = seed
        self._rules: tuple[FaultRule, ...] = ()
        self._rules_made = 0
        self._events: deque[FaultEvent] = deque(maxlen=_MAX_EVENTS)
        self._counts: Counter[tuple[str, str]] = Counter()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0

    # Faults

    def add(
        self,
        fault: str,
        *,
        member: str | None = None,
        verb: str | None = None,
        device: int | None = None,
        times: int | None = None,
        after: int = 0,
        probability: float = 1.0,
        **options: float,
    ) -> FaultRule:
        """Inject `fault`, one of `FAULTS`, into matching requests from now on.

        A request matches if it is for `member`, with `verb`, to camera `device`; an argument that
        is not given matches everything. Image faults match only `imagearray` by default. The
        rule skips the first `after` matches, applies to at most `times` of the others, and to
        each with `probability`. `options` are specific to the fault, such as `seconds`. If
        several rules would apply to a request, the first one does. If a fault does not fit a
        reply, such as a changed value in a reply without JSON, the reply is forwarded unchanged
        and the fault is not counted.

        Raises:
            ValueError: there is no such fault; it cannot be limited to some requests; `member` is
                a misspelt member of a camera.
            TypeError: the fault has no such option.
        """
        what = _fault_named(fault)
        if unknown := options.keys() - what.options.keys():
            raise TypeError(_no_option(what, sorted(unknown)))
        _check_scope(
            what,
            selects_requests=bool(member or verb or device is not None),
            is_limited=times is not None or after > 0 or probability < 1.0,
        )
        member = _normalized_member(member) if member else _DEFAULT_MEMBERS.get(what.kind)
        self._rules_made += 1
        rule = FaultRule(
            fault=what,
            member=member,
            verb=verb and verb.upper(),
            device=device,
            times=times,
            after=after,
            probability=probability,
            options={**what.options, **options},
            random=random.Random(f"{self._seed}/{self._rules_made}"),  # noqa: S311 - not for secrets
            on_remove=self._remove,
        )
        self._rules += (rule,)
        self._update_listener()
        return rule

    def clear(self) -> None:
        """Remove all rules; faults in progress continue."""
        self._rules = ()
        self._update_listener()

    def _remove(self, rule: FaultRule) -> None:
        self._rules = tuple(other for other in self._rules if other is not rule)
        self._update_listener()

    # What it did

    @property
    def events(self) -> tuple[FaultEvent, ...]:
        """The most recent injected faults, oldest first."""
        return tuple(self._events)

    def count(self, fault: str | None = None, member: str | None = None) -> int:
        """Return how many faults were injected: of one kind or all, for one member or all."""
        member = member and _normalized_member(member)
        counts = list(self._counts.items())  # copied: the thread of the proxy may add to them
        return sum(
            count
            for (name, counted_member), count in counts
            if fault in {None, name} and member in {None, counted_member}
        )

    # Running

    async def _start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        await super()._start()

    def _update_listener(self) -> None:
        """Start or stop listening, as the rules demand."""
        listen = not any(rule.fault.scope == "port" for rule in self._rules)
        if self._listener is None or self._listener.is_listening == listen:
            return
        change = self._listener.start if listen else self._stop_listening
        if threading.get_ident() == self._thread:
            change()
        elif self._loop is not None:
            asyncio.run_coroutine_threadsafe(_run(change), self._loop).result(_LOOP_TIMEOUT)

    def _stop_listening(self) -> None:
        if self._listener is not None:
            self._listener.stop()
        for client in self._clients.values():
            client.reset()

    async def _serve(self, client: Peer) -> None:
        upstream = Upstream(*self._target)
        try:
            await self._answer_requests(client, upstream)
        finally:
            upstream.close()

    async def _answer_requests(self, client: Peer, upstream: Upstream) -> None:
        request: Request | None = NO_REQUEST
        while request is not None and not client.gone:
            rule = next((rule for rule in self._rules if rule.chooses(request)), None)
            if rule is not None:
                await self._inject(rule, request, client, upstream)
            elif request is not NO_REQUEST:
                await Exchange(request, client, upstream).pass_on()
            if not client.gone:
                request = await read_request(client.reader, client.writer)

    async def _inject(
        self, rule: FaultRule, request: Request, client: Peer, upstream: Upstream
    ) -> None:
        event = FaultEvent(
            time.monotonic(),
            rule.fault.name,
            request.verb,
            request.member.lower(),
            request.device,
            request.parameters,
        )
        self._record(event, 1)
        target = f"{event.verb} {event.member}" if event.verb else "a connection"
        logger.info("injecting %s into %s", event.fault, target)
        exchange = Exchange(request, client, upstream, rule.options)
        await rule.fault.inject(exchange)
        if not exchange.applied:
            rule.hits -= 1
            self._record(event, -1)

    def _record(self, event: FaultEvent, change: int) -> None:
        """Count an event, or uncount it if the fault did not fit the reply."""
        self._counts[event.fault, event.member] += change
        if change > 0:
            self._events.append(event)
        else:
            self._events.remove(event)


def _fault_named(name: str) -> Fault:
    if name in CAMERA_FAULTS:
        raise ValueError(
            f"{name!r} is a fault of the camera, not of the proxy: "
            f"SimulatedCamera(**CAMERA_FAULTS[{name!r}].model)"
        )
    if name not in FAULTS:
        similar = get_close_matches(name, FAULTS, 1)
        hint = f"; did you mean {similar[0]!r}?" if similar else ""
        raise ValueError(f"there is no fault {name!r}{hint}")
    return FAULTS[name]


def _no_option(fault: Fault, unknown: Sequence[str]) -> str:
    existing = ", ".join(fault.options) or "none"
    return f"{fault.name} has no option {', '.join(unknown)}; its options: {existing}"


def _check_scope(fault: Fault, *, selects_requests: bool, is_limited: bool) -> None:
    """Raise `ValueError` if a fault of this scope cannot select requests, or be limited."""
    if selects_requests and fault.scope != "request":
        raise ValueError(
            f"{fault.name} happens before any request: it takes no member, verb or device"
        )
    if is_limited and fault.scope == "port":
        raise ValueError(
            f"{fault.name} lasts until it is removed: it takes no times, after or probability"
        )


def _normalized_member(member: str) -> str:
    """Return `member` as in paths; accept members of other device types, which are not known."""
    name = member.lower().replace("_", "")
    for similar in get_close_matches(name, MEMBERS, 1, _SIMILARITY_CUTOFF):
        if similar != name:
            raise ValueError(f"there is no member {member!r}; did you mean {similar!r}?")
    return name


def _parse_target(target: str) -> tuple[str, int]:
    """Return host and port of `target`, an address or an http URL."""
    url = urlsplit(target if "//" in target else f"//{target}")
    if url.scheme not in {"", "http"} or url.hostname is None or url.port is None:
        raise ValueError(f"the target must be host:port, not {target!r}")
    return url.hostname, url.port


async def _run(change: Callable[[], None]) -> None:
    change()

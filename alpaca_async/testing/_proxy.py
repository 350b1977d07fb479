"""A proxy that lets through what a server says, and does what networks do to it."""

from __future__ import annotations

import asyncio
import logging
import random
import threading
import time
from collections import Counter, deque
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlsplit

from ._faults import FAULTS, Exchange, Peer, Upstream
from ._gate import Gate
from ._interface import READS, WRITES
from ._message import HEAD_LIMIT, NO_REQUEST, BrokenMessage, read_request
from ._rules import FaultEvent, FaultRule

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from ._faults import Fault
    from ._message import Request

logger = logging.getLogger("alpaca_async.testing")

_REMEMBERED_EVENTS: Final = 10_000
_DEFAULT_MEMBERS: Final = {"image": "imagearray"}
_MEMBERS: Final = READS | WRITES.keys()
_NEARLY: Final = 0.9
"""No member of another kind of device is so similar to one of a camera."""
_PATIENCE: Final = 10.0
"""Seconds that a call from another thread waits for the proxy's loop."""


class FaultProxy:
    """Stands between Alpaca clients and the server at `target`, and does harm where told to.

    An async context manager on the running loop; `run_in_thread` is the one for synchronous
    callers. Clients take `address` in place of the server's. Port 0 takes a free one. Without
    faults every byte passes as it is. `add`, `clear` and what tells of them can be called while
    it runs, from any thread. The same `seed` and the same requests give the same faults: the
    n-th request that a rule could befall has the same fate in every run.
    """

    def __init__(
        self, target: str, *, host: str = "127.0.0.1", port: int = 0, seed: int = 0
    ) -> None:
        self._target = _place(target)
        self._host = host
        self._port = port
        self._seed = seed
        self._rules: tuple[FaultRule, ...] = ()
        self._rules_made = 0
        self._events: deque[FaultEvent] = deque(maxlen=_REMEMBERED_EVENTS)
        self._counts: Counter[tuple[str, str]] = Counter()
        self._clients: dict[asyncio.Task[None], Peer] = {}
        self._gate: Gate | None = None
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
        """Let `fault`, one of `FAULTS`, befall requests from now on.

        Only those for `member`, by `verb`, to camera `device`; only `times` of them, not the
        first `after`, each with `probability`. What is not given excludes nothing, but that
        faults of images befall `imagearray` unless a member is given. `options` are the fault's
        own, such as `seconds`. If several rules could befall a request, the first does. A fault
        that cannot be done to a reply, such as another value to one without JSON, lets it pass
        and is not counted.

        Raises:
            ValueError: there is no such fault, or it befalls no single requests; `member` is
                nearly, but not quite, the name of a member of a camera.
            TypeError: the fault has no such option.
        """
        what = _known(fault)
        if unknown := options.keys() - what.options.keys():
            raise TypeError(f"{fault} has no option {', '.join(sorted(unknown))}")
        if what.scope != "request" and (member or verb or device is not None):
            raise ValueError(f"{fault} comes before any request, and cannot choose among them")
        if what.scope == "port" and (times is not None or after or probability < 1.0):
            raise ValueError(f"{fault} holds until it is removed")
        member = _spelt(member) if member else _DEFAULT_MEMBERS.get(what.kind)
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
            random=random.Random(f"{self._seed}/{self._rules_made}"),  # noqa: S311 - dice
            on_remove=self._remove,
        )
        self._rules += (rule,)
        self._move_gate()
        return rule

    def clear(self) -> None:
        """Let everything pass from now on; what was begun goes on."""
        self._rules = ()
        self._move_gate()

    def _remove(self, rule: FaultRule) -> None:
        self._rules = tuple(other for other in self._rules if other is not rule)
        self._move_gate()

    # What it did

    @property
    def events(self) -> tuple[FaultEvent, ...]:
        """The most recent faults that befell something, oldest first."""
        return tuple(self._events)

    def count(self, fault: str | None = None, member: str | None = None) -> int:
        """Return how often faults befell something: one of them or all, one member or all."""
        member = member and _spelt(member)
        return sum(
            count
            for (name, of), count in self._counts.items()
            if fault in {None, name} and member in {None, of}
        )

    @property
    def connections(self) -> int:
        """How many clients are connected now."""
        return len(self._clients)

    # Running

    @property
    def port(self) -> int:
        """The port; `RuntimeError` while the proxy does not run."""
        if self._gate is None:
            raise RuntimeError("The proxy does not run")
        return self._gate.port

    @property
    def address(self) -> str:
        """`host:port`, as clients take it; `RuntimeError` while the proxy does not run."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{host}:{self.port}"

    async def __aenter__(self) -> Self:
        """Listen; `OSError` if the address is taken."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._gate = Gate((self._host, self._port), self._accept, limit=HEAD_LIMIT)
        self._move_gate()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Break off every connection."""
        gate, self._gate = self._gate, None
        if gate is None:
            return
        gate.close()
        tasks = list(self._clients)
        for task, client in self._clients.items():
            client.reset()
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # asyncio closes the sockets in the next round of the loop

    def _move_gate(self) -> None:
        """Open the port, or close it, as the rules have it."""
        wanted = not any(rule.fault.scope == "port" for rule in self._rules)
        if self._gate is None or self._gate.is_open == wanted:
            return
        change = self._gate.open if wanted else self._shut
        if threading.get_ident() == self._thread:
            change()
        elif self._loop is not None:
            asyncio.run_coroutine_threadsafe(_call(change), self._loop).result(_PATIENCE)

    def _shut(self) -> None:
        if self._gate is not None:
            self._gate.shut()
        for client in self._clients.values():
            client.reset()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = Peer(reader, writer)
        task = asyncio.get_running_loop().create_task(self._care_for(client))
        self._clients[task] = client
        task.add_done_callback(self._clients.pop)

    async def _care_for(self, client: Peer) -> None:
        upstream = Upstream(*self._target)
        try:
            await self._serve(client, upstream)
        except (BrokenMessage, OSError) as error:
            logger.debug("a connection broke off: %s", error)
            client.reset()
        finally:
            client.close()
            upstream.close()

    async def _serve(self, client: Peer, upstream: Upstream) -> None:
        request: Request | None = NO_REQUEST
        while request is not None and not client.gone:
            rule = next((rule for rule in self._rules if rule.chooses(request)), None)
            if rule is not None:
                await self._harm(rule, request, client, upstream)
            elif request is not NO_REQUEST:
                await Exchange(request, client, upstream).pass_on()
            if not client.gone:
                request = await read_request(client.reader, client.writer)

    async def _harm(
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
        logger.info("%s befalls %s %s", event.fault, event.verb, event.member or "a connection")
        exchange = Exchange(request, client, upstream, rule.options)
        await rule.fault.deed(exchange)
        if not exchange.befell:
            rule.hits -= 1
            self._record(event, -1)

    def _record(self, event: FaultEvent, change: int) -> None:
        """Count an event in, or out again where it came to nothing."""
        self._counts[event.fault, event.member] += change
        if change > 0:
            self._events.append(event)
        else:
            self._events.remove(event)


def _known(name: str) -> Fault:
    if name not in FAULTS:
        similar = get_close_matches(name, FAULTS, 1)
        hint = f"; {similar[0]} perhaps?" if similar else ""
        raise ValueError(f"there is no fault {name!r}{hint}")
    return FAULTS[name]


def _spelt(member: str) -> str:
    """Return `member` as paths have it; other devices have members that are not known here."""
    name = member.lower().replace("_", "")
    for similar in get_close_matches(name, _MEMBERS, 1, _NEARLY):
        if similar != name:
            raise ValueError(f"a camera has no member {member!r}; {similar} perhaps?")
    return name


def _place(target: str) -> tuple[str, int]:
    """Return host and port of `target`, an address as clients take it."""
    url = urlsplit(target if "//" in target else f"//{target}")
    if url.scheme not in {"", "http"} or url.hostname is None or url.port is None:
        raise ValueError(f"the target must be host:port, not {target!r}")
    return url.hostname, url.port


async def _call(change: Callable[[], None]) -> None:
    change()

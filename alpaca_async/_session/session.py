"""Session: requests to Alpaca servers over one pool of connections."""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
import threading
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar, cast
from urllib.parse import urlencode
from weakref import WeakValueDictionary

from alpaca_async._errors import MalformedResponse, TransportError
from alpaca_async._loops import PerLoop
from alpaca_async._protocol.envelope import Envelope, decode_envelope, rejection
from alpaca_async._protocol.media import encoding
from alpaca_async._protocol.transaction_ids import TransactionIds
from alpaca_async._protocol.values import check_int, encode

from .credentials import Credentials
from .error_mapping import Attempt, ErrorMapping, member_of
from .operations import Operations
from .sending import ClientSender, DirectSender

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Mapping
    from typing import Self

    import httpx

    from alpaca_async._http.transport import Sink

    from .credentials import Auth
    from .sending import Kind, Sender
    from .stall import StallGuard

T = TypeVar("T")

logger = logging.getLogger("alpaca_async")

MAX_ID: Final = 2**31 - 1
"""The largest id that every server can echo."""

MAX_REPLY_BYTES: Final = 512 * 1024
"""The largest reply that is not an image; to parse more would hold up the loop."""

_MAX_RANDOM_CLIENT_ID: Final = 65535
_OK: Final = 200


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds to wait for a server.

    `establish`: for a connection. `reply`: for an ordinary reply, complete. `long`: for what
    moves hardware, such as connecting. `stall`: for an image, the longest silence, which includes
    the wait for its first byte. An image that trickles, fewer than 256 bytes a second for as long
    as that, is given up too, and so is one that has not begun after twice that time. Otherwise
    an image may take as long as it takes.
    """

    establish: float = 5.0
    reply: float = 10.0
    long: float = 100.0
    stall: float = 10.0


class Session:
    """What every request needs: connections, ids, timeouts, credentials, limits.

    An async context manager; it can be constructed outside of any event loop.
    """

    def __init__(  # noqa: PLR0913 - named choices with defaults
        self,
        *,
        http: httpx.AsyncClient | None = None,
        client_id: int | None = None,
        timeouts: Timeouts = Timeouts(),
        auth: Auth | None = None,
        verify: bool | ssl.SSLContext = True,
        max_image_bytes: int = 2**31,
        max_downloads: int = 4,
        connections_per_server: int = 4,
        strict_ids: bool = False,
    ) -> None:
        self.client_id = _client_id(client_id)
        self.timeouts = timeouts
        self.max_image_bytes = max_image_bytes
        self.connections_per_server = connections_per_server
        self.operations = Operations()
        self._closed = False
        self._shared: WeakValueDictionary[Hashable, Any] = WeakValueDictionary()
        self._sharing = threading.Lock()
        self._downloads = PerLoop(partial(asyncio.Semaphore, max_downloads))
        self._numbers = itertools.count()
        self._transaction_ids = TransactionIds(strict=strict_ids)
        self._warnings: set[tuple[str, str]] = set()
        self._credentials = Credentials(auth)
        self._sender: Sender = (
            DirectSender(
                self._credentials, verify=verify, connections_per_server=connections_per_server
            )
            if http is None
            else ClientSender(self._credentials, http)
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied: connections cannot, and credentials shall not be."""
        raise TypeError(f"{type(self).__name__} cannot be pickled or copied")

    async def aclose(self) -> None:
        """End what runs through this client, then close the connections.

        Exposures are aborted, ramps hold the temperature that they have reached; their callers get
        a `TransportError`. An injected `httpx.AsyncClient` stays open.
        """
        try:
            await self.operations.close()
        finally:
            self._closed = True
            await self._sender.aclose()

    def shared(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the one object of this client under `key`, made if there is none.

        It is kept for as long as somebody else refers to it.
        """
        with self._sharing:
            found: T | None = self._shared.get(key)
            if found is None:
                found = self._shared[key] = make()
            return found

    async def get(self, server: str, path: str) -> Envelope:
        """Read `path` of the `server`, an origin; retried once if the connection broke first."""
        number, limit = self.next_number(), self.timeouts.reply
        request = self._request(
            "value", server, path, self._ids(number), {"timeout": self._limits(limit)}
        )
        return await self._exchange(request, server, path, number, Attempt(), limit)

    async def put(
        self,
        server: str,
        path: str,
        fields: Mapping[str, object],
        *,
        timeout: float | None = None,
        attempt: Attempt | None = None,
    ) -> Envelope:
        """Send a command to `path`; never twice."""
        number = self.next_number()
        limit = self.timeouts.reply if timeout is None else timeout
        attempt = attempt or Attempt()
        form = {name: encode(value) for name, value in fields.items()}
        parameters = f"{urlencode(form)}&{self._ids(number)}" if form else self._ids(number)
        extensions = {"timeout": self._limits(limit), "trace": attempt.trace}
        request = self._request("command", server, path, parameters, extensions)
        return await self._exchange(request, server, path, number, attempt, limit)

    async def receive_image(
        self,
        server: str,
        path: str,
        sink: Sink,
        number: int,
        stall: StallGuard,
        receive: Callable[[httpx.Response], Awaitable[T]],
    ) -> T:
        """Ask for an image and return what `receive` makes of the reply.

        That is called once its head is there. A transport that knows sinks fills `sink` and says
        so in the response's extensions; after any other `receive` does it. `stall` watches both.
        """
        # Images before this one take as long as they take: none of them is stalled.
        limits = self._limits(self.timeouts.stall) | {"pool": None}
        extensions = {"timeout": limits, "sink": sink, "trace": stall.trace}
        request = self._request("image", server, path, self._ids(number), extensions)
        with self._mapping_errors(server, path, Attempt()):
            async with self._downloads.get(), stall:
                response = await self._send(request)
                stall.begin()
                try:
                    if response.status_code != _OK:
                        async with asyncio.timeout(self.timeouts.reply):
                            raise rejection(response.status_code, await self._read(response))
                    return await receive(response)
                finally:
                    # A response of httpx is a cycle: what these refer to would stay.
                    del request.extensions["sink"], request.extensions["trace"]
                    await response.aclose()

    def next_number(self) -> int:
        """Return the transaction id of the next request."""
        return next(self._numbers) % MAX_ID + 1

    def check_transaction_id(self, server: str, number: int, echoed: int) -> None:
        """Compare the transaction id in a reply with that of its request, `number`."""
        self._transaction_ids.check(server, number, echoed)

    def warn_once(self, server: str, text: str) -> None:
        """Log what `server` does wrong, once for each server."""
        if (server, text) not in self._warnings:
            self._warnings.add((server, text))
            logger.warning("%s %s; this is not logged again", server, text)

    def _request(
        self, kind: Kind, server: str, path: str, parameters: str, extensions: dict[str, Any]
    ) -> httpx.Request:
        try:
            return self._sender.request(kind, server, path, parameters, extensions)
        except ValueError as error:  # names that look like IDNA, and are not
            raise TransportError(f"no request can be made of this address: {error}").at(
                server, member_of(path)
            ) from error

    async def _send(self, request: httpx.Request) -> httpx.Response:
        if self._closed:
            raise TransportError("the client is closed")
        return await self._sender.send(request)

    def _ids(self, number: int) -> str:
        return f"ClientID={self.client_id}&ClientTransactionID={number}"

    def _limits(self, silence: float) -> dict[str, float | None]:
        establish = self.timeouts.establish
        return {"connect": establish, "pool": silence, "write": silence, "read": silence}

    async def _exchange(
        self,
        request: httpx.Request,
        server: str,
        path: str,
        number: int,
        attempt: Attempt,
        timeout: float,
    ) -> Envelope:
        begun = time.perf_counter()
        with self._mapping_errors(server, path, attempt):
            async with asyncio.timeout(self.timeouts.establish + timeout):
                response = await self._send(request)
                try:
                    body = await self._read(response)
                finally:
                    await response.aclose()
            if response.status_code != _OK:
                raise rejection(response.status_code, body)
            envelope = decode_envelope(body, partial(self.check_transaction_id, server, number))
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug(
                "%s %s/%s #%d: server's #%d after %.1f ms",
                request.method,
                server,
                path,
                number,
                envelope.server_transaction_id,
                (time.perf_counter() - begun) * 1e3,
            )
        return envelope

    def _mapping_errors(self, server: str, path: str, attempt: Attempt) -> ErrorMapping:
        return ErrorMapping(
            server,
            path,
            attempt,
            credentials=self._credentials,
            establish=self.timeouts.establish,
        )

    async def _read(self, response: httpx.Response) -> bytes:
        """Return a body that is not an image, without our credentials if they are in there."""
        if coding := encoding(response.headers):
            raise MalformedResponse(f"the reply is compressed ({coding}), which was not asked for")
        body = bytearray()
        async for chunk in stream_of(response):
            body += chunk
            if len(body) > MAX_REPLY_BYTES:
                raise MalformedResponse(f"the reply is longer than {MAX_REPLY_BYTES} bytes")
        return self._credentials.redact(bytes(body))


def _client_id(number: int | None) -> int:
    if number is None:
        return random.randint(1, _MAX_RANDOM_CLIENT_ID)  # noqa: S311 - a name, not a secret
    if not 1 <= check_int("client_id", number) <= MAX_ID:
        raise ValueError(f"client_id must be between 1 and {MAX_ID}, not {number}")
    return number


def stream_of(response: httpx.Response) -> AsyncIterator[bytes]:
    """Return the body as it comes, without the layers that httpx would add for decoding."""
    return aiter(cast("httpx.AsyncByteStream", response.stream))

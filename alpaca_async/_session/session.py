"""Session: requests to Alpaca servers over one pool of connections."""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
import threading
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn, TypeVar
from urllib.parse import urlencode
from weakref import WeakValueDictionary

from alpaca_async._errors import (
    AlpacaError,
    MalformedResponse,
    RequestRejected,
    TransportError,
)
from alpaca_async._loops import PerLoop, running_loop
from alpaca_async._protocol.envelope import decode_envelope, rejection
from alpaca_async._protocol.media import encoding
from alpaca_async._protocol.transaction_ids import TransactionIds
from alpaca_async._protocol.values import check_int, encode

from .credentials import Credentials
from .deadline import ReplyDeadline
from .error_mapping import Attempt, ErrorMapping, Limit
from .hints import Hints
from .operations import Operations
from .request_log import RequestLog
from .sending import VERBS, ClientSender, DirectSender

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable, Hashable, Mapping
    from typing import Self

    import httpx
    import httpx2

    from alpaca_async._http.transport import Sink
    from alpaca_async._protocol.envelope import Envelope, EnvelopeDecoder

    from .credentials import Auth
    from .sending import Kind, Response, Sender
    from .stall import StallGuard

T = TypeVar("T")

logger = logging.getLogger("alpaca_async")

MAX_ID: Final = 2**31 - 1
"""The largest id that every server can echo."""

MAX_REPLY_BYTES: Final = 512 * 1024
"""The largest reply that is not an image; to parse more would hold up the loop."""

NO_FIELDS: Final[Mapping[str, object]] = MappingProxyType({})

_MAX_RANDOM_CLIENT_ID: Final = 65535
_OK: Final = 200
_UNAUTHORIZED: Final = 401
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_FIRST_BYTE_PER_STALL: Final = 10.0


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds to wait for a server.

    `establish`: for a connection. `reply`: for an ordinary reply, complete, and for that to
    StartExposure of a camera that has answered it at once. `long`: for what moves hardware, and
    for that reply of other cameras, beyond the exposure. Calls with a `timeout` of their own, such
    as `connect` and `close_cover`, have that instead. `stall`: for an image, the longest silence
    once its first byte has come. `first_byte`: for that byte, ten times `stall` unless given;
    servers may convert a whole image before they send it. A download also fails if fewer than 256
    bytes per second come during `stall`. The total time of an image is not limited.
    """

    establish: float = 5.0
    reply: float = 10.0
    long: float = 100.0
    """For the replies to `put`, `action`, `command_blind` and its relatives, and `set_connected`;
    to `pulse_guide`, beyond its duration; and to commands whose end is not waited for, such as
    `AsyncFocuser.move` and `connect(wait=False)`."""
    stall: float = 10.0
    first_byte: float | None = None

    @property
    def first_byte_limit(self) -> float:
        """Seconds to wait for the first byte of an image."""
        return _FIRST_BYTE_PER_STALL * self.stall if self.first_byte is None else self.first_byte


class Session:
    """What every request needs: connections, ids, timeouts, credentials, limits.

    An async context manager; it can be constructed outside of any event loop.
    """

    def __init__(  # noqa: PLR0913 - named choices with defaults
        self,
        *,
        http: httpx.AsyncClient | httpx2.AsyncClient | None = None,
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
        self._hints = Hints()
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
        running_loop()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied: connections cannot, and credentials shall not be."""
        raise TypeError(f"{type(self).__name__} cannot be pickled or copied")

    async def aclose(self) -> None:
        """End what runs through this client, then close the connections.

        Exposures are aborted, movements halted, ramps hold the temperature that they have reached;
        their callers get a `TransportError`. An injected `httpx.AsyncClient` stays open.
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

    async def get(
        self,
        server: str,
        path: str,
        decoder: EnvelopeDecoder = decode_envelope,
        fields: Mapping[str, object] = NO_FIELDS,
    ) -> Envelope:
        """Read `path` of the `server`, an origin; retried once if the connection broke first."""
        number, limit = self.next_number(), Limit(self.timeouts.reply, "reply")
        order = _Order("value", server, path, self._parameters(fields, number), number, decoder)
        return await self._exchange(order, None, limit)

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
        limit = Limit(self.timeouts.reply, "reply") if timeout is None else Limit(timeout, "long")
        parameters = self._parameters(fields, number)
        order = _Order("command", server, path, parameters, number, decode_envelope)
        return await self._exchange(order, attempt or Attempt(), limit)

    async def receive_image(
        self,
        server: str,
        path: str,
        sink: Sink,
        number: int,
        stall: StallGuard,
        receive: Callable[[Response], Awaitable[T]],
    ) -> T:
        """Ask for an image and return what `receive` makes of the reply.

        `receive` is called once the head has arrived. A transport that supports sinks fills `sink`
        itself; with any other, `receive` does that. `stall` checks the progress of both.
        """
        first_byte = Limit(self.timeouts.first_byte_limit, "first_byte")
        # The wait for a connection is not limited: other images may take long without a stall.
        # `stall` limits silence; `read` serves transports that do not report when they send.
        limits = self._limits(first_byte.seconds + self.timeouts.stall) | {"pool": None}
        extensions = {"timeout": limits, "sink": sink, "trace": stall.trace}
        try:
            with (
                RequestLog(VERBS["image"], server, path, number),
                self._mapping_errors(server, path, Attempt(), first_byte),
            ):
                async with self._downloads.get(), stall:
                    response = await self._send(
                        "image", server, path, self._ids(number), extensions
                    )
                    stall.begin()
                    return await self._receive(response, receive)
        except RequestRejected as error:
            await self._explain(server, path, error)
            raise

    async def _receive(self, response: Response, receive: Callable[[Response], Awaitable[T]]) -> T:
        try:
            if response.status_code != _OK:
                async with asyncio.timeout(self.timeouts.reply):
                    raise _no_image(response, await self._read(response))
            return await receive(response)
        finally:
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

    async def _send(
        self, kind: Kind, server: str, path: str, parameters: str, extensions: dict[str, Any]
    ) -> Response:
        if self._closed:
            raise TransportError("the client is closed")
        return await self._sender.send(kind, server, path, parameters, extensions)

    def _parameters(self, fields: Mapping[str, object], number: int) -> str:
        """Return the query of a GET, or the form of a PUT."""
        values = {name: encode(value) for name, value in fields.items()}
        return f"{urlencode(values)}&{self._ids(number)}" if values else self._ids(number)

    def _ids(self, number: int) -> str:
        return f"ClientID={self.client_id}&ClientTransactionID={number}"

    def _limits(self, silence: float) -> dict[str, float | None]:
        establish = self.timeouts.establish
        return {"connect": establish, "pool": silence, "write": silence, "read": silence}

    async def _exchange(self, order: _Order, attempt: Attempt | None, limit: Limit) -> Envelope:
        try:
            envelope = await self._answer(order, attempt, limit)
        except (RequestRejected, MalformedResponse) as error:
            await self._explain(order.server, order.path, error)
            raise
        self._hints.answered(order.server, order.path)
        return envelope

    async def _explain(
        self, server: str, path: str, error: RequestRejected | MalformedResponse
    ) -> None:
        if isinstance(error, RequestRejected) and error.status == _UNAUTHORIZED:
            error.append(self._credentials.explain_refusal(server))
        else:
            await self._hints.explain(self, server, path, error)

    async def _answer(self, order: _Order, attempt: Attempt | None, limit: Limit) -> Envelope:
        log = RequestLog(VERBS[order.kind], order.server, order.path, order.number)
        mapping = self._mapping_errors(order.server, order.path, attempt or Attempt(), limit)
        with log, mapping:
            response, body = await self._reply(order, attempt, limit)
            if response.status_code != _OK:
                raise _rejection(response, body)
            check = partial(self.check_transaction_id, order.server, order.number)
            envelope = order.decoder(body, check)
        log.answered(envelope.server_transaction_id)
        return envelope

    async def _reply(
        self, order: _Order, attempt: Attempt | None, limit: Limit
    ) -> tuple[Response, bytes]:
        """Send a request; return its complete reply."""
        deadline = ReplyDeadline(attempt, self.timeouts.establish, limit.seconds)
        extensions = {"timeout": self._limits(limit.seconds), "trace": deadline.trace}
        with deadline:
            response = await self._send(
                order.kind, order.server, order.path, order.parameters, extensions
            )
            try:
                return response, await self._read(response)
            finally:
                await response.aclose()

    def _mapping_errors(
        self, server: str, path: str, attempt: Attempt, limit: Limit
    ) -> ErrorMapping:
        return ErrorMapping(
            server,
            path,
            attempt,
            credentials=self._credentials,
            establish=self.timeouts.establish,
            limit=limit,
        )

    async def _read(self, response: Response) -> bytes:
        """Return a body that is not an image, without our credentials if they are in there."""
        if coding := encoding(response.headers):
            raise MalformedResponse(f"the reply is compressed ({coding}), which was not asked for")
        body = bytearray()
        async for chunk in response.stream:
            body += chunk
            if len(body) > MAX_REPLY_BYTES:
                raise MalformedResponse(f"the reply is longer than {MAX_REPLY_BYTES} bytes")
        return self._credentials.redact(bytes(body))


class _Order(NamedTuple):
    """A request for a JSON reply: where it goes, its transaction id, and what decodes the reply."""

    kind: Kind
    server: str
    path: str
    parameters: str
    number: int
    decoder: EnvelopeDecoder


def _rejection(response: Response, body: bytes) -> RequestRejected:
    redirected = response.status_code in _REDIRECTS
    location = response.headers.get("location", "") if redirected else ""
    return rejection(response.status_code, body, location)


def _no_image(response: Response, body: bytes) -> AlpacaError:
    if response.status_code // 100 == _OK // 100:
        return MalformedResponse(f"HTTP status {response.status_code} instead of an image")
    return _rejection(response, body)


def _client_id(number: int | None) -> int:
    if number is None:
        return random.randint(1, _MAX_RANDOM_CLIENT_ID)  # noqa: S311 - a name, not a secret
    if not 1 <= check_int("client_id", number) <= MAX_ID:
        raise ValueError(f"client_id must be between 1 and {MAX_ID}, not {number}")
    return number

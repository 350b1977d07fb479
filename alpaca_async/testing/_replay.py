"""A server that plays a recorded session."""

from __future__ import annotations

import asyncio
import logging
import math
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from ._connections import ConnectionServer
from ._message import BrokenMessage, make_reply, read_request
from ._recording import read_session
from ._renumbering import renumbered
from ._script import Script, device_of, member_of, parameters_of

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from ._faults import Peer
    from ._message import Request
    from ._recording import RecordedExchange

_MAX_ID: Final = 2**32 - 1
_ID_DIGITS: Final = 10
_PIECE: Final = bytes(1 << 18)

logger = logging.getLogger("alpaca_async.testing")


class ReplayServer(ConnectionServer):
    """A server that plays the session that `RecordingProxy` wrote to `path`.

    It answers a request as the recorded server answered the same member of the same device, byte
    for byte, but for the transaction id where the server echoed it. Commands (PUT) lead through
    the session: reads are answered in their order between the same two commands, and the last
    answer is repeated, however often a client polls. A request that was never recorded gets
    status 400. Pixels that were left out are zero. Replies take as long as they took, divided by
    `speed_up`. Several cameras are independent of each other.

    It is an async context manager on the running loop; synchronous callers use `run_in_thread`.
    Entering raises `SessionFileError`, a `ValueError`, if the file is not a recorded session.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        speed_up: float = math.inf,
    ) -> None:
        super().__init__(host, port)
        if not speed_up > 0:
            raise ValueError(f"speed_up must be positive, not {speed_up}")
        self._path = path
        self._speed_up = speed_up
        self._scripts: dict[str, Script] = {}

    async def _start(self) -> None:
        exchanges = await asyncio.to_thread(read_session, self._path)
        by_device: defaultdict[str, list[RecordedExchange]] = defaultdict(list)
        for exchange in exchanges:
            by_device[device_of(exchange.target)].append(exchange)
        self._scripts = {device: Script(recorded) for device, recorded in by_device.items()}
        await super()._start()

    async def _serve(self, client: Peer) -> None:
        while not client.gone:
            request = await read_request(client.reader, client.writer)
            if request is None:
                return
            await self._answer(request, client)

    async def _answer(self, request: Request, client: Peer) -> None:
        target = request.head.lines[0].split(" ")[1]
        script = self._scripts.get(device_of(target))
        exchange = script and script.next(
            request.verb, member_of(target), request.parameters.items()
        )
        if exchange:
            await self._send(exchange, request, client)
            return
        message = f"the recorded session has no reply to {request.verb} {target.partition('?')[0]}"
        logger.warning("%s", message)
        await client.send(make_reply("400 Bad Request", message).wire)

    async def _send(self, exchange: RecordedExchange, request: Request, client: Peer) -> None:
        ids = _id_of(parameters_of(exchange)), _id_of(request.parameters.items())
        try:
            reply = await asyncio.to_thread(_reply, exchange, *ids)
        except ValueError as error:
            logger.warning("%s: %s", self._path, error)
            raise BrokenMessage(str(error)) from None
        await asyncio.sleep(exchange.duration / self._speed_up)
        await client.send(reply)
        for start in range(0, exchange.reply.omitted, len(_PIECE)):
            await client.send(_PIECE[: exchange.reply.omitted - start])
        if exchange.closed:
            client.close()


def _reply(exchange: RecordedExchange, old: int | None, new: int | None) -> bytes:
    """Return the recorded reply to a request with the id `old`, for one with the id `new`."""
    reply = exchange.reply.unpack()
    return reply if old is None or new is None else renumbered(reply, old, new)


def _id_of(parameters: Iterable[tuple[str, str]]) -> int | None:
    """Return the transaction id of a request; None if it has none that is a number."""
    texts = [value for name, value in parameters if name.lower() == "clienttransactionid"]
    valid = texts and texts[0].isdecimal() and texts[0].isascii() and len(texts[0]) <= _ID_DIGITS
    return min(int(texts[0]), _MAX_ID) if valid else None

"""A server that answers each member with exactly the bytes given by a test."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self, TypeAlias
from urllib.parse import parse_qsl, urlsplit

from tests.serving import Connections

if TYPE_CHECKING:
    from types import TracebackType

Answer: TypeAlias = bytes | Awaitable[bytes] | AsyncIterator[bytes]
Reply: TypeAlias = "bytes | Callable[[Request], Answer]"


@dataclass(frozen=True, slots=True)
class Request:
    """One request: the verb, the member in lower case, and its parameters."""

    verb: str
    member: str
    parameters: dict[str, str]
    headers: dict[str, str]

    @property
    def number(self) -> int:
        """The client's transaction id."""
        return int(self.parameters["ClientTransactionID"])


def http(
    body: bytes, content_type: str = "application/json", *, status: str = "200 OK", extra: str = ""
) -> bytes:
    """Return a complete HTTP reply."""
    kind = f"Content-Type: {content_type}\r\n" if content_type else ""
    head = f"HTTP/1.1 {status}\r\n{kind}Content-Length: {len(body)}\r\n{extra}\r\n"
    return head.encode() + body


def value(raw: Any, **fields: Any) -> bytes:  # noqa: ANN401 - whatever JSON holds
    """Return the JSON reply whose value is `raw`."""
    return http(json.dumps({"Value": raw, "ErrorNumber": 0, "ErrorMessage": "", **fields}).encode())


def ascom_error(number: int, message: str) -> bytes:
    """Return the JSON reply of a device error."""
    return http(json.dumps({"ErrorNumber": number, "ErrorMessage": message}).encode())


def imagebytes(
    payload: bytes,
    *dimensions: int,
    kind: int = 8,
    error: int = 0,
    data_start: int = 44,
    version: int = 1,
    rank: int | None = None,
) -> bytes:
    """Return an ImageBytes payload with a header of the given fields."""
    third = dimensions[2] if len(dimensions) > 2 else 0
    first, second = (*dimensions[:2], 0, 0)[:2]
    header = struct.pack(
        "<iiIIiiiiiii",
        *(version, error, 0, 2, data_start, 2, kind),
        *(len(dimensions) if rank is None else rank, first, second, third),
    )
    return header + bytes(max(data_start - 44, 0)) + payload


@dataclass
class ScriptedServer:
    """Listens on 127.0.0.1; `replies` maps a member to bytes, or to a function of the request.

    A reply that raises `ConnectionError` closes the connection, `ConnectionResetError` resets it;
    a member without a reply closes it, too.
    """

    replies: dict[str, Reply]
    requests: list[Request] = field(default_factory=list[Request])
    address: str = ""

    async def __aenter__(self) -> Self:
        self._connections = Connections(self._serve)
        self._server = await asyncio.start_server(self._connections.accept, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._connections.close(self._server)

    def count(self, member: str) -> int:
        """Return how many requests for `member` arrived."""
        return sum(request.member == member for request in self.requests)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                request = await _read_request(reader)
                self.requests.append(request)
                try:
                    reply = self.replies[request.member]
                except KeyError:
                    break
                answer = reply(request) if callable(reply) else reply
                first = b""
                async for piece in _pieces(answer):
                    first = first or piece
                    writer.write(piece)
                    await writer.drain()
                if first.startswith(b"HTTP/1.0"):
                    break
        except ConnectionResetError:
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        except (asyncio.IncompleteReadError, ConnectionError, EOFError):
            pass
        finally:
            writer.close()


async def _pieces(answer: Answer) -> AsyncIterator[bytes]:
    if isinstance(answer, AsyncIterator):
        async for piece in answer:
            yield piece
    else:
        yield answer if isinstance(answer, bytes) else await answer


async def _read_request(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    line, *fields = head.split("\r\n")[:-2]
    verb, target, _ = line.split()
    headers = {k.lower(): v.strip() for k, _, v in (text.partition(":") for text in fields)}
    body = (await reader.readexactly(int(headers.get("content-length", 0)))).decode()
    url = urlsplit(target)
    parameters = dict(parse_qsl(url.query or body, keep_blank_values=True))
    return Request(verb, url.path.rpartition("/")[2], parameters, headers)

"""A process that only sends prepared replies: `python -m benchmarks.server CONTENTS`.

CONTENTS is a JSON list of `Content`. The process prints the ports, and exits when stdin is closed.
Each image connection has a thread that sends one buffer with `sendall`; `camera` also exposes. One
thread with a selector answers all connections of `calls`.
"""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import sys
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING, Final, Literal, TypeAlias
from urllib.parse import parse_qs

from . import wire

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from .wire import Frame

    Replies = Callable[[bytes], bytes]

ROOT: Final = Path(__file__).parents[1]
HOST: Final = "127.0.0.1"

_BACKLOG: Final = 128
_END_OF_HEAD: Final = b"\r\n\r\n"
_IDLE, _EXPOSING = 0, 2

Kind: TypeAlias = Literal["image", "int32", "byte", "json", "calls", "camera"]


_IMAGES: Final[dict[Kind, Callable[[Frame], bytes]]] = {
    "image": wire.image_reply,
    "int32": wire.int32_reply,
    "byte": wire.byte_reply,
    "json": wire.json_reply,
}


@dataclass(frozen=True, slots=True)
class Content:
    """What one port serves: an image of `frame`, or only small replies.

    `image` is ImageBytes of UInt16, `int32` and `byte` are ImageBytes of these types.
    """

    kind: Kind
    frame: Frame = (1, 1)
    certificate: str | None = None


@contextmanager
def serving(*contents: Content) -> Generator[list[int]]:
    """Run the server, and yield the ports of `contents` in the same order."""
    argument = json.dumps([asdict(content) for content in contents])
    command = [sys.executable, "-m", "benchmarks.server", argument]
    with subprocess.Popen(  # noqa: S603 - this very module
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        ports: list[int] = json.loads(process.stdout.readline())
        yield ports


def main(argument: str) -> None:
    ports = [_open(_content(**fields)) for fields in json.loads(argument)]
    print(json.dumps(ports), flush=True)
    sys.stdin.read()


def _content(kind: Kind, frame: list[int], certificate: str | None) -> Content:
    width, height = frame
    return Content(kind, (width, height), certificate)


def _open(content: Content) -> int:
    listener = socket.create_server((HOST, 0), backlog=_BACKLOG)
    port: int = listener.getsockname()[1]
    if content.kind == "calls":
        _start(_answer_calls, listener)
    else:
        _start(_accept, listener, _replies(content), _context(content.certificate))
    return port


def _replies(content: Content) -> Replies:
    """Return the function that returns the reply to a request."""
    if content.kind == "camera":
        return _Camera(wire.image_reply(content.frame)).reply
    image = _IMAGES[content.kind](content.frame)
    ready, max_adu = wire.ready_reply(), wire.value_reply(wire.MAX_ADU)

    def reply(request: bytes) -> bytes:
        line = _first_line(request)
        small = max_adu if b"/maxadu" in line else ready
        return image if b"/imagearray" in line else small

    return reply


def _first_line(request: bytes) -> bytes:
    return request[: request.index(b"\r\n")]


class _Camera:
    """A camera that takes exposures, without readout, and has no other member."""

    def __init__(self, image: bytes) -> None:
        self._image = image
        self._due = 0.0

    def reply(self, request: bytes) -> bytes:
        member = _first_line(request).split()[1].partition(b"?")[0].rpartition(b"/")[2]
        exposing = monotonic() < self._due
        match member:
            case b"imagearray":
                return self._image
            case b"imageready":
                return wire.value_reply(not exposing)
            case b"camerastate":
                return wire.value_reply(_EXPOSING if exposing else _IDLE)
            case b"startexposure":
                body = parse_qs(request.partition(_END_OF_HEAD)[2])
                self._due = monotonic() + float(body[b"Duration"][0])
                return wire.value_reply(None)
            case _:
                return wire.not_implemented_reply()


def _context(certificate: str | None) -> ssl.SSLContext | None:
    if certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def _start(work: Callable[..., None], *arguments: object) -> None:
    Thread(target=work, args=arguments, daemon=True).start()


def _accept(listener: socket.socket, replies: Replies, context: ssl.SSLContext | None) -> None:
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _start(_answer, connection, replies, context)


def _answer(connection: socket.socket, replies: Replies, context: ssl.SSLContext | None) -> None:
    with suppress(OSError), connection:
        if context is not None:
            connection = context.wrap_socket(connection, server_side=True)
        while request := _receive(connection):
            connection.sendall(replies(request))


def _receive(connection: socket.socket) -> bytes:
    """Return one request, empty at the end of the connection; clients here never pipeline."""
    request = connection.recv(65536)
    while request and not _complete(request):
        more = connection.recv(65536)
        request = request + more if more else b""
    return request


def _complete(request: bytes) -> bool:
    head, end, body = request.partition(_END_OF_HEAD)
    if not request.startswith(b"PUT"):
        return bool(end)
    _, _, length = head.lower().partition(b"content-length:")
    return bool(end) and len(body) >= int(length.partition(b"\r\n")[0])


def _answer_calls(listener: socket.socket) -> None:
    """Answer every GET with the same bytes; on loopback a GET arrives in one piece."""
    reply = wire.ready_reply()
    with DefaultSelector() as selector:
        selector.register(listener, EVENT_READ)
        while True:
            for key, _ in selector.select():
                connection = key.fileobj
                assert isinstance(connection, socket.socket)
                if connection is listener:
                    _accept_calls(listener, selector)
                elif not _reply_once(connection, reply):
                    selector.unregister(connection)
                    connection.close()


def _accept_calls(listener: socket.socket, selector: DefaultSelector) -> None:
    connection, _ = listener.accept()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    selector.register(connection, EVENT_READ)


def _reply_once(connection: socket.socket, reply: bytes) -> bool:
    try:
        request = connection.recv(65536)
        if request.endswith(_END_OF_HEAD):
            connection.sendall(reply)
    except OSError:
        return False
    return bool(request)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""The baseline, and other clients of the same server."""

from __future__ import annotations

import json
import socket
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from . import wire
from .server import HOST

if TYPE_CHECKING:
    import ssl
    from typing import Self

    import aiohttp
    import httpx
    from numpy.typing import NDArray

    from .wire import Frame

HAS_ALPYCA: Final = find_spec("alpaca") is not None

ACCEPT: Final = {"Accept": "application/imagebytes", "Accept-Encoding": "identity"}


def url(port: int, path: str) -> str:
    return f"http://{HOST}:{port}{path}"


class BlockingClient:
    """The baseline: a blocking socket that knows in advance which bytes will come."""

    def __init__(self, port: int, frame: Frame, context: ssl.SSLContext | None = None) -> None:
        self._socket = socket.create_connection((HOST, port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context is not None:
            self._socket = context.wrap_socket(self._socket, server_hostname=HOST)
        self._opening = memoryview(bytearray(len(wire.image_opening(frame))))
        self._frame = frame
        self._small = memoryview(bytearray(len(wire.ready_reply())))
        self._scratch = memoryview(bytearray(2**20))
        self._ask_ready = wire.request(wire.READY_PATH)
        self._ask_image = wire.request(wire.IMAGE_PATH)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def ready(self) -> None:
        self._socket.sendall(self._ask_ready)
        self._fill(self._small)

    def download(self) -> NDArray[np.uint16]:
        """Receive into one array."""
        memory = np.empty(wire.nbytes(self._frame), np.uint8)
        self._socket.sendall(self._ask_image)
        self._fill(self._opening)
        self._fill(memory.data)
        return memory.view("<u2").reshape(self._frame)

    def download_rows(self) -> NDArray[np.uint16]:
        """Receive into one array, then let numpy copy it into rows."""
        return np.ascontiguousarray(self.download().T)

    def discard(self) -> None:
        """Let the kernel discard the image, so that only the server's time is measured."""
        self._socket.sendall(self._ask_image)
        self._fill(self._opening)
        left = wire.nbytes(self._frame)
        while left:
            room = min(left, len(self._scratch))
            left -= self._socket.recv_into(self._scratch, room, socket.MSG_TRUNC)

    def _fill(self, room: memoryview) -> None:
        while room:
            count = self._socket.recv_into(room)
            if not count:
                raise ConnectionError("the server closed the connection")
            room = room[count:]


async def aiohttp_ready(session: aiohttp.ClientSession, address: str) -> object:
    async with session.get(address) as response:
        return json.loads(await response.read())


async def aiohttp_array(session: aiohttp.ClientSession, address: str) -> NDArray[np.uint8]:
    async with session.get(address, headers=ACCEPT) as response:
        memory = np.empty(int(response.headers["Content-Length"]), np.uint8)
        room = memory.data
        async for chunk in response.content.iter_any():
            room[: len(chunk)] = chunk
            room = room[len(chunk) :]
    return memory


async def httpx_ready(client: httpx.AsyncClient, address: str) -> object:
    return json.loads((await client.get(address)).content)


async def httpx_array(client: httpx.AsyncClient, address: str) -> NDArray[np.uint8]:
    async with client.stream("GET", address, headers=ACCEPT) as response:
        memory = np.empty(int(response.headers["Content-Length"]), np.uint8)
        room = memory.data
        async for chunk in response.aiter_raw():
            room[: len(chunk)] = chunk
            room = room[len(chunk) :]
    return memory


async def httpx_content(client: httpx.AsyncClient, address: str) -> bytes:
    return (await client.get(address, headers=ACCEPT)).content


class AlpycaCamera(Protocol):
    """The members of alpyca's camera that are used here; alpyca has no type hints."""

    @property
    def ImageReady(self) -> bool: ...  # noqa: N802 - ASCOM's name

    @property
    def ImageArray(self) -> list[list[int]]: ...  # noqa: N802 - ASCOM's name


def alpyca_camera(port: int, number: int = 0) -> AlpycaCamera:
    camera: AlpycaCamera = import_module("alpaca.camera").Camera(f"{HOST}:{port}", number)
    return camera


def alpyca_image(camera: AlpycaCamera) -> NDArray[Any]:
    """Return the image as alpyca's documentation recommends, as `[row, column]`."""
    return np.array(camera.ImageArray).T

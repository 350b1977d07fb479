"""A server that writes down every request and answers each with a valid reply.

It has one device of each type.
"""

from __future__ import annotations

import asyncio
import json
import struct
from dataclasses import dataclass
from itertools import chain, count
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_plus

import numpy as np

from tests.serving import Connections

from .table import (
    ACCESSORY_OPERATIONS,
    ENVELOPE,
    MANAGEMENT,
    OPERATIONS,
    Operation,
    ValueType,
)

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from numpy.typing import NDArray

Pairs = tuple[tuple[str, str], ...]

DEVICE_NUMBER: Final = 3
AWKWARD_TEXT: Final = "=&% ü"

IMAGE: Final[NDArray[Any]] = np.arange(21, dtype="<u2").reshape(3, 7) + 250
"""Three pixels wide and seven high."""

_BY_TYPE: Final[dict[ValueType, object]] = {
    "bool": True,
    "int": 7,
    "double": 0.1,
    "string": AWKWARD_TEXT,
    "list[int]": [1, 2],
    "list[str]": [AWKWARD_TEXT, "7"],
    "CameraStates": 3,
    "SensorType": 4,
    "CoverStatus": 3,
    "CalibratorStatus": 3,
}

_TYPES: Final = ("camera", *ACCESSORY_OPERATIONS)
_CAMERA: Final = "/api/v1/camera/{number}/"

_BY_PATH: Final[dict[str, object]] = {
    **{f"/api/v1/{kind}/{{number}}/connecting": False for kind in _TYPES},
    **{f"/api/v1/{kind}/{{number}}/interfaceversion": 4 for kind in _TYPES},
    **{f"/api/v1/{kind}/{{number}}/devicestate": [{"Name": "X", "Value": 3}] for kind in _TYPES},
    f"{_CAMERA}devicestate": [
        {"Name": "CameraState", "Value": 3},
        {"Name": "ImageReady", "Value": True},
    ],
    f"{_CAMERA}lastexposurestarttime": "2026-03-07T03:07:09.370",
    "/management/v1/description": {
        "ServerName": AWKWARD_TEXT,
        "Manufacturer": "m",
        "ManufacturerVersion": "3.7",
        "Location": "l",
    },
    "/management/v1/configureddevices": [
        {
            "DeviceName": AWKWARD_TEXT,
            "DeviceType": "Camera",
            "DeviceNumber": DEVICE_NUMBER,
            "UniqueID": "37",
        }
    ],
}

_ROUTES: Final[dict[tuple[str, str], Operation]] = {
    (operation.verb, operation.path.format(number=DEVICE_NUMBER)): operation
    for operation in (*OPERATIONS, *chain(*ACCESSORY_OPERATIONS.values()), *MANAGEMENT)
}


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came."""

    verb: str
    path: str
    query: Pairs
    form: Pairs
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes

    def __str__(self) -> str:
        return f"{self.verb} {self.path}"

    @property
    def parameters(self) -> dict[str, str]:
        """Of the query and of the form together."""
        return dict(self.query + self.form)


def answer_value(operation: Operation) -> object:
    """Return the `Value` with which the recorder answers `operation`, None if there is none."""
    return _BY_PATH.get(operation.path, _BY_TYPE.get(operation.value))


class Recorder:
    """An HTTP server on 127.0.0.1; `requests` grows with every request.

    `error`: the number and message with which every request is answered. `renamed`: reply
    fields under another name. `imagebytes`: answers images as ImageBytes where they are asked
    for so, else always as JSON. `connected`: as connecting and disconnecting leave it.
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.error: tuple[int, str] = (0, "")
        self.renamed: dict[str, str] = {}
        self.imagebytes = True
        self.port = 0
        self.connected = True
        self._ids = count(1)
        self._connections = Connections(self._serve)

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connections.accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._connections.close(self._server)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                request = await _read_request(reader)
                self.requests.append(request)
                writer.write(self._answer(request))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client is done
        finally:
            writer.close()

    def _answer(self, request: Request) -> bytes:
        operation = _ROUTES.get((request.verb, request.path))
        if operation is None:
            return _reply("400 Bad Request", "text/plain", f"{request} is unknown".encode())
        if operation.value == "image" and not self.error[0]:
            return self._answer_image(request)
        return self._answer_json(request, self._value(operation, request))

    def _value(self, operation: Operation, request: Request) -> dict[str, object]:
        match request.verb, request.path.rpartition("/")[2]:
            case "PUT", "connect" | "disconnect" as member:
                self.connected = member == "connect"
            case "PUT", "connected":
                self.connected = request.parameters.get("Connected", "").lower() == "true"
            case "GET", "connected":
                return {"Value": self.connected}
            case _:
                pass
        value = answer_value(operation)
        return {} if value is None else {"Value": value}

    def _answer_image(self, request: Request) -> bytes:
        if self.imagebytes and "application/imagebytes" in request.headers.get("accept", ""):
            return _reply("200 OK", "application/imagebytes", self._imagebytes(request))
        pixels: dict[str, object] = {"Type": 2, "Rank": IMAGE.ndim, "Value": IMAGE.tolist()}
        return self._answer_json(request, pixels)

    def _imagebytes(self, request: Request) -> bytes:
        transaction = int(request.parameters.get("ClientTransactionID", "0"))
        numbers = (1, 0, transaction, next(self._ids), 44, 2, 8, IMAGE.ndim, *IMAGE.shape, 0)
        return struct.pack("<iiIIiiiiiii", *numbers) + IMAGE.tobytes()

    def _answer_json(self, request: Request, fields: dict[str, object]) -> bytes:
        transaction = request.parameters.get("ClientTransactionID", "")
        number, message = self.error
        common = (
            int(transaction) if transaction.isdigit() else 0,
            next(self._ids),
            number,
            message,
        )
        reply = dict(zip(ENVELOPE, common, strict=False)) | ({} if number else fields)
        named = {self.renamed.get(name, name): value for name, value in reply.items()}
        return _reply("200 OK", "application/json", json.dumps(named).encode())


async def _read_request(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, *lines = head.rstrip("\r\n").split("\r\n")
    verb, target, _ = line.split(" ")
    path, _, query = target.partition("?")
    headers = {name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(verb, path, _pairs(query), _pairs(body.decode("latin-1")), headers, body)


def _pairs(text: str) -> Pairs:
    """Read parameters as ASCOM Remote does: what follows a second `=` is cut off."""
    parts = [part.split("=") for part in text.split("&") if part]
    return tuple((unquote_plus(name), unquote_plus((*rest, "")[0])) for name, *rest in parts)


def _reply(status: str, media_type: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {media_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body

"""The web application: routes requests to devices and wraps their answers in envelopes."""

from __future__ import annotations

import asyncio
import html
import itertools
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

import anyio.to_thread
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from alpaca_async._errors import AscomError

from ._images import imagebytes_error, imagebytes_header, json_pieces
from ._interfaces import INTERFACES
from ._protocol import BadRequest, Parameters, envelope, reply

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from numpy.typing import NDArray
    from starlette.types import ASGIApp, Receive, Scope, Send

    from ._core import SimulatedDevice

IMAGEBYTES: Final = "application/imagebytes"
_JSON: Final = "application/json"
_SLICE_BYTES: Final = 1 << 20
_MAX_FORM_BYTES: Final = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class WireOptions:
    """The choices that the protocol leaves to a server."""

    content_length: bool = True
    """Send images with Content-Length; otherwise chunked."""
    imagebytes: bool = True
    """Send images as ImageBytes to clients that accept it; otherwise always as JSON."""
    imagebytes_errors: bool = False
    """Send errors of imagearray as ImageBytes to clients that accept it; otherwise as JSON."""


@dataclass(frozen=True, slots=True)
class _Call:
    """One request for a member of one device."""

    device: SimulatedDevice
    verb: str
    member: str
    parameters: Parameters
    client_id: int
    server_id: int

    def execute(self) -> object:
        """Execute the request and return its value."""
        interface = INTERFACES[self.device.device_type]
        if self.verb == "GET":
            return interface.read(self.device, self.member)
        self.device.consider(self.member)
        return interface.write(self.device, self.member, self.parameters)

    def envelope(self, error: AscomError | None = None) -> dict[str, Any]:
        return envelope(self.client_id, self.server_id, error)


class SlicedResponse(Response):
    """A body of a few large parts, sent in slices without copying."""

    def __init__(
        self, parts: Sequence[bytes | memoryview], media_type: str, *, content_length: bool
    ) -> None:
        super().__init__(media_type=media_type)
        self._parts = parts
        del self.headers["content-length"]
        if content_length:
            self.headers["content-length"] = str(sum(len(part) for part in parts))

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Send the response over ASGI; other tasks can run between slices."""
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )
        for part in self._parts:
            for start in range(0, len(part), _SLICE_BYTES):
                body = part[start : start + _SLICE_BYTES]
                await send({"type": "http.response.body", "body": body, "more_body": True})
                await asyncio.sleep(0)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class Application:
    """An ASGI application that serves devices.

    The number of a device is its position among those of its type.
    """

    def __init__(
        self, devices: Sequence[SimulatedDevice], *, name: str, location: str, wire: WireOptions
    ) -> None:
        self._devices = _numbered(devices)
        self._name = name
        self._location = location
        self._wire = wire
        self._server_ids = devices[0].reply_numbers if devices else itertools.count(1)
        self._app: ASGIApp = Starlette(
            routes=[
                Route("/api/{version}/{type}/{number}/{member}", self._api, methods=["GET", "PUT"]),
                Route("/management/apiversions", self._api_versions),
                Route("/management/v1/description", self._description),
                Route("/management/v1/configureddevices", self._configured_devices),
                Route("/setup", self._setup),
                Route("/setup/v1/{type}/{number}/setup", self._device_setup),
            ],
            exception_handlers={
                404: _unknown_path,
                405: _unknown_path,
                BadRequest: _bad_request,
            },
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request; return quietly if the client disconnects or the server stops."""
        try:
            await self._app(scope, receive, send)
        except (asyncio.CancelledError, ClientDisconnect):
            return

    # Devices

    async def _api(self, request: Request) -> Response:
        call = await self._call(request)
        call.device.record(call.verb, call.member, call.parameters.values)
        if call.member == "imagearray":
            return await self._image(call, request.headers.get("accept", ""))
        try:
            value = call.execute()
        except AscomError as error:
            return Response(reply(None, call.envelope(error)), media_type=_JSON)
        await asyncio.sleep(call.device.answer_delay(call.verb, call.member))
        return Response(reply(value, call.envelope()), media_type=_JSON)

    async def _call(self, request: Request) -> _Call:
        server_id = next(self._server_ids)
        device = self._device(request)
        interface = INTERFACES[device.device_type]
        verb, member = request.method, request.path_params["member"]
        if not interface.has(device, verb, member):
            raise BadRequest(f"{interface.name} has no member {member} for {verb}")
        if verb == "PUT":
            parameters = await _form(request)
            client_id = parameters.client_transaction_id("ClientTransactionID")
        else:
            parameters = Parameters.of_query(request.url.query)
            client_id = parameters.client_transaction_id("clienttransactionid")
        return _Call(device, verb, member, parameters, client_id, server_id)

    def _device(self, request: Request) -> SimulatedDevice:
        path = request.path_params
        if path["version"] != "v1":
            raise BadRequest(f"API version {path['version']} is not supported, only v1")
        if path["type"] not in INTERFACES:
            served = ", ".join(INTERFACES)
            raise BadRequest(f"Device type {path['type']} is not served, only {served}")
        try:
            return self._devices[path["type"], _device_number(path["number"])]
        except KeyError:
            name = INTERFACES[path["type"]].name
            raise BadRequest(f"{name} device {path['number']} does not exist") from None

    # Images

    async def _image(self, call: _Call, accept: str) -> Response:
        binary = self._wire.imagebytes and IMAGEBYTES in accept.lower()
        try:
            answer = await anyio.to_thread.run_sync(call.execute, abandon_on_cancel=True)
        except AscomError as error:
            if binary and self._wire.imagebytes_errors:
                payload = imagebytes_error(error, call.client_id, call.server_id)
                return Response(payload, media_type=IMAGEBYTES)
            return Response(reply(None, call.envelope(error)), media_type=_JSON)
        pixels = cast("NDArray[Any]", answer)
        if not binary:
            pieces = json_pieces(pixels, call.envelope())
            return StreamingResponse(_iterate_in_thread(pieces), media_type=_JSON)
        return SlicedResponse(
            [imagebytes_header(pixels, call.client_id, call.server_id), _byte_view(pixels)],
            IMAGEBYTES,
            content_length=self._wire.content_length,
        )

    # Management and setup

    async def _api_versions(self, request: Request) -> Response:
        return self._management_reply(request, [1])

    async def _description(self, request: Request) -> Response:
        return self._management_reply(
            request,
            {
                "ServerName": self._name,
                "Manufacturer": "The alpaca_async authors",
                "ManufacturerVersion": "1.0",
                "Location": self._location,
            },
        )

    async def _configured_devices(self, request: Request) -> Response:
        devices = [
            {
                "DeviceName": device.name,
                "DeviceType": INTERFACES[device_type].name,
                "DeviceNumber": number,
                "UniqueID": device.unique_id,
            }
            for (device_type, number), device in self._devices.items()
        ]
        return self._management_reply(request, devices)

    def _management_reply(self, request: Request, value: object) -> Response:
        parameters = Parameters.of_query(request.url.query)
        client_id = parameters.client_transaction_id("clienttransactionid")
        fields = envelope(client_id, next(self._server_ids))
        return Response(reply(value, fields), media_type=_JSON)

    async def _setup(self, _: Request) -> Response:
        names = "".join(f"<li>{html.escape(d.name)}</li>" for d in self._devices.values())
        return HTMLResponse(f"<h1>{html.escape(self._name)}</h1><ul>{names}</ul>")

    async def _device_setup(self, request: Request) -> Response:
        path = request.path_params
        device = self._devices.get((path["type"], _device_number(path["number"])))
        if device is None:
            return HTMLResponse("<p>There is no such device.</p>", 403)
        return HTMLResponse(f"<h1>{html.escape(device.name)}</h1><p>Nothing to configure.</p>")


def _numbered(devices: Sequence[SimulatedDevice]) -> dict[tuple[str, int], SimulatedDevice]:
    """Return the devices by type and number."""
    counts: Counter[str] = Counter()
    numbered: dict[tuple[str, int], SimulatedDevice] = {}
    for device in devices:
        numbered[device.device_type, counts[device.device_type]] = device
        counts[device.device_type] += 1
    return numbered


def _device_number(text: str) -> int:
    """Return the device number, or -1 if `text` cannot be one."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 10 else -1  # noqa: PLR2004 - digits of 2**32


async def _form(request: Request) -> Parameters:
    """Read the form in the body of a PUT; it may be empty."""
    if request.url.query:
        raise BadRequest("The parameters of a PUT must be in its body, not in the query")
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > _MAX_FORM_BYTES:
            raise BadRequest(f"The form exceeds {_MAX_FORM_BYTES} bytes")
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if body and media_type != "application/x-www-form-urlencoded":
        raise BadRequest(
            f"The body must be application/x-www-form-urlencoded, not {media_type or 'untyped'}"
        )
    return Parameters.of_form(bytes(body))


def _byte_view(pixels: NDArray[Any]) -> memoryview:
    return pixels.reshape(-1).data.cast("B")


async def _iterate_in_thread(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Iterate on a worker thread; make each piece after the previous one was sent."""
    while piece := await anyio.to_thread.run_sync(next, pieces, b"", abandon_on_cancel=True):
        yield piece


async def _bad_request(_: Request, error: Exception) -> Response:
    return PlainTextResponse(str(error), 400)


async def _unknown_path(request: Request, _: Exception) -> Response:
    text = f"{request.method} {request.url.path} is not a request of the Alpaca protocol"
    status = 403 if request.url.path.startswith(("/setup", "/management/v")) else 400
    return PlainTextResponse(text, status)

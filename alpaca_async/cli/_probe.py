"""Measures the time of small calls and frames: camera, server and network."""

from __future__ import annotations

import asyncio
import math
from contextlib import asynccontextmanager
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import httpx

from alpaca_async._camera import AlpacaClient
from alpaca_async._device.cached_facts import optional
from alpaca_async._download.transposition import transposed_by
from alpaca_async._enums import CameraStates
from alpaca_async._http.transport import DirectTransport

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator, Sequence

    from alpaca_async._camera import AsyncCamera
    from alpaca_async._protocol.imagebytes import ImageMetadata

    from ._access import Access

_CALLS_TIME_LIMIT: Final = 10.0
"""Seconds after which no further call is measured."""

_BUSY: Final = frozenset(
    {CameraStates.WAITING, CameraStates.EXPOSING, CameraStates.READING, CameraStates.DOWNLOAD}
)


class ReplyHead(NamedTuple):
    """The head of a reply, and when its request was sent and it was received."""

    member: str
    sent: float
    received: float
    http_version: str
    media_type: str


class ObservedTransport(DirectTransport):
    """Records when each reply began, and how long each connection took to open."""

    def __init__(self, *, verify: bool | ssl.SSLContext) -> None:
        super().__init__(verify=verify)
        self.replies: list[ReplyHead] = []
        self.connect_times: list[float] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, and record when the head of its reply was received."""
        sent = perf_counter()
        response = await super().handle_async_request(request)
        version: bytes = response.extensions["http_version"]
        self.replies.append(
            ReplyHead(
                request.url.path.rpartition("/")[2],
                sent,
                perf_counter(),
                version.decode("ascii"),
                response.headers.get("Content-Type", "").partition(";")[0],
            )
        )
        return response

    async def _connect(self, *arguments: Any, **names: Any) -> Any:  # noqa: ANN401 - passed through
        started = perf_counter()
        connection = await super()._connect(*arguments, **names)
        self.connect_times.append(perf_counter() - started)
        return connection

    def last(self, member: str) -> ReplyHead:
        """Return the head of the last reply for `member`."""
        return next(reply for reply in reversed(self.replies) if reply.member == member)


@dataclass(frozen=True, slots=True)
class Calls:
    """How long small calls took, in seconds."""

    count: int
    median: float
    p99: float

    @classmethod
    def of(cls, times: Sequence[float]) -> Calls:
        """Return the statistics of `times`, which must not be empty."""
        p99 = sorted(times)[math.ceil(0.99 * len(times)) - 1]
        return cls(len(times), median(times), p99)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """Properties of the frames, and the median times of `count` frames in seconds."""

    count: int
    width: int
    height: int
    nbytes: int
    camera_type: str
    wire_type: str
    media_type: str
    exposure: float
    ready: float
    """From the end of the exposure until the client knew that the image is ready."""
    first_byte: float
    """From the request for the image until the head of its reply."""
    transfer: float
    """From the head of the reply until the image is in an array."""
    transposed_by: Literal["extension", "numpy"]
    """What has copied the columns of the transfer into rows."""
    calls_meanwhile: Calls | None
    """Small calls during a download; None if the download was too short for one."""

    @property
    def bytes_per_second(self) -> float:
        """Pixel bytes per second of `transfer`."""
        return self.nbytes / self.transfer


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurements:
    """All measurements; times are in seconds."""

    http_version: str
    opening: float
    """Time to open a connection: the shortest of those opened."""
    openings: int
    """Number of connections that the calls needed; at least 1."""
    calls: Calls
    frames: Frames | None
    """None if the camera was busy, or no frame was requested."""
    busy: bool


@asynccontextmanager
async def observed_client(access: Access) -> AsyncGenerator[tuple[AlpacaClient, ObservedTransport]]:
    """Yield a client and the transport that records its requests."""
    transport = ObservedTransport(verify=access.verify)
    http = httpx.AsyncClient(transport=transport, trust_env=False)
    async with http, AlpacaClient(http=http, auth=access.login) as client:
        yield client, transport


async def measure(
    camera: AsyncCamera, transport: ObservedTransport, *, calls: int, frames: int, exposure: float
) -> Measurements:
    """Measure sequential small calls, then frames unless the camera is busy."""
    before = len(transport.connect_times)
    replies = [await _call(camera, transport)]
    started = perf_counter()
    while len(replies) < calls and perf_counter() - started < _CALLS_TIME_LIMIT:
        replies.append(await _call(camera, transport))
    openings = len(transport.connect_times) - before
    busy = await optional(camera.get_camera_state) in _BUSY
    taken = None
    if frames and not busy:
        taken = await _measure_frames(camera, transport, frames, exposure)
    return Measurements(
        http_version=replies[0].http_version,
        opening=min(transport.connect_times),
        openings=max(openings, 1),
        calls=Calls.of([reply.received - reply.sent for reply in replies]),
        frames=taken,
        busy=busy,
    )


async def _call(camera: AsyncCamera, transport: ObservedTransport) -> ReplyHead:
    await camera.get_interface_version()
    return transport.last("interfaceversion")


class _FrameTimes(NamedTuple):
    """The metadata and the times of one frame, in seconds."""

    metadata: ImageMetadata
    ready: float
    first_byte: float
    transfer: float


async def _measure_frames(
    camera: AsyncCamera, transport: ObservedTransport, count: int, exposure: float
) -> Frames:
    info = await camera.get_info()  # fill the cache before the first exposure, which needs it
    exposure = min(max(exposure, info.exposure_min or 0.0), info.exposure_max or exposure)
    taken = [await _measure_frame(camera, transport, exposure) for _ in range(count)]
    metadata = taken[-1].metadata
    return Frames(
        count=count,
        width=metadata.dimension1,
        height=metadata.dimension2,
        nbytes=metadata.nbytes,
        camera_type=metadata.image_element_type.name,
        wire_type=metadata.transmission_element_type.name,
        media_type=transport.last("imagearray").media_type,
        exposure=exposure,
        ready=median(frame.ready for frame in taken),
        first_byte=median(frame.first_byte for frame in taken),
        transfer=median(frame.transfer for frame in taken),
        transposed_by=transposed_by(),
        calls_meanwhile=await _measure_calls_during_download(camera, transport),
    )


async def _measure_frame(
    camera: AsyncCamera, transport: ObservedTransport, exposure: float
) -> _FrameTimes:
    image = await camera.expose(exposure)
    ended = perf_counter()
    start, reply = transport.last("startexposure"), transport.last("imagearray")
    return _FrameTimes(
        metadata=image.metadata,
        ready=max(reply.sent - start.sent - exposure, 0.0),
        first_byte=reply.received - reply.sent,
        transfer=ended - reply.received,
    )


async def _measure_calls_during_download(
    camera: AsyncCamera, transport: ObservedTransport
) -> Calls | None:
    """Measure small calls while the last image is downloaded again."""
    times: list[float] = []
    async with asyncio.TaskGroup() as group:
        download = group.create_task(camera.get_image_array())
        await asyncio.sleep(0)
        while not download.done():
            reply = await _call(camera, transport)
            times.append(reply.received - reply.sent)
    return Calls.of(times) if times else None
